//! What a store is told: where its service is, and how it goes about.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use cidbucket_blockstore::{DEFAULT_CONCURRENCY, Error, Limits, Report, Result};
use cidbucket_s3::{Retry, Timeouts};
use http::Uri;
use http::uri::{Authority, Scheme};

use crate::Token;

/// Everything that can be set about a [`DirectBlockstore`](crate::DirectBlockstore).
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct DirectConfig {
    pub(crate) service: ServiceUrl,
    /// The token to show to the service; without one, what it allows to anybody.
    pub token: Option<Token>,
    /// Whether blocks go straight to S3.
    pub direct: Direct,
    /// How many blocks of a batch are sent or read at once. 16.
    pub concurrency: usize,
    /// Certificate authorities to trust beside the system's: a PEM file.
    pub ca_file: Option<PathBuf>,
    /// Take grants for `http` from a service that is reached by `https`. They are refused unless
    /// this is set: whoever is on the way could read the blocks, and the grants.
    pub allow_http: bool,
    /// The largest block that is put through the service where it is alone, in bytes: that takes
    /// one round trip in place of three. 4 KiB; 0 for never.
    pub small_block: usize,
    /// The most blocks of one request for grants, within what the service takes. 1,024.
    pub batch_blocks: usize,
    /// The most bytes of blocks under one lease. `put_many` keeps up to two such batches in memory,
    /// and takes smaller ones where the way to S3 is slow. 96 MiB.
    pub batch_bytes: usize,
    /// How often and at what pace a failed request is tried again, at the service and at S3.
    pub retry: Retry,
    /// How long anything may take, at the service and at S3.
    pub timeouts: Timeouts,
    /// The largest block.
    pub limits: Limits,
}

/// Whether blocks go straight to S3.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Direct {
    /// Where the service and the network allow it; else through the service.
    #[default]
    Auto,
    /// Where the service allows it, and an unreachable S3 is an error.
    Always,
    /// All blocks go through the service.
    Never,
}

impl DirectConfig {
    /// Reads a service's URL, with options in its query:
    /// `https://HOST[:PORT][/PATH][?direct=auto|always|never&concurrency=N&ca_file=PATH&token_file=PATH&allow_http=true]`.
    ///
    /// # Errors
    /// [`Error::Invalid`] for anything else, also a URL with a user or password: a token is never
    /// in a URL. [`Error::Io`] where `token_file` cannot be read.
    pub fn new(url: &str) -> Result<Self> {
        let (place, query) = url.split_once('?').unwrap_or((url, ""));
        let mut config = Self {
            service: place.parse()?,
            token: None,
            direct: Direct::default(),
            concurrency: DEFAULT_CONCURRENCY,
            ca_file: None,
            allow_http: false,
            small_block: 4 << 10,
            batch_blocks: 1024,
            batch_bytes: 96 << 20,
            retry: Retry::default(),
            timeouts: Timeouts::default(),
            limits: Limits::default(),
        };
        let mut seen = Vec::new();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            if seen.contains(&name) {
                return Err(invalid(format!("option {name}= is there twice")));
            }
            config.set(&name, &value)?;
            seen.push(name);
        }
        Ok(config)
    }

    /// The service's URL, without options.
    pub fn url(&self) -> String {
        self.service.to_string()
    }

    fn set(&mut self, name: &str, value: &str) -> Result<()> {
        match name {
            "direct" => {
                self.direct = match value {
                    "auto" => Direct::Auto,
                    "always" => Direct::Always,
                    "never" => Direct::Never,
                    _ => return Err(invalid("direct= must be auto, always or never")),
                }
            }
            "concurrency" => {
                self.concurrency = value
                    .parse()
                    .ok()
                    .filter(|n| (1..=1024).contains(n))
                    .ok_or_else(|| invalid("concurrency= must be from 1 to 1024"))?;
            }
            "ca_file" if !value.is_empty() => self.ca_file = Some(value.into()),
            "token_file" if !value.is_empty() => {
                self.token = Some(Token::from_file(value.as_ref())?);
            }
            "allow_http" => {
                self.allow_http = match value {
                    "true" => true,
                    "false" => false,
                    _ => return Err(invalid("allow_http= must be true or false")),
                }
            }
            "token" => {
                return Err(invalid(
                    "a token is a secret and does not belong in a URL; set CIDBUCKET_TOKEN, or \
                     token_file= to a file that holds it",
                ));
            }
            // The name is not repeated: it may be what its writer should not have put there.
            _ => {
                return Err(invalid(
                    "the URL has an unknown option; known are direct, concurrency, ca_file, \
                     token_file and allow_http",
                ));
            }
        }
        Ok(())
    }
}

/// The URL, with the options that differ from the defaults. It holds no secret.
impl fmt::Display for DirectConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut options = form_urlencoded::Serializer::new(String::new());
        match self.direct {
            Direct::Auto => {}
            Direct::Always => drop(options.append_pair("direct", "always")),
            Direct::Never => drop(options.append_pair("direct", "never")),
        }
        if self.concurrency != DEFAULT_CONCURRENCY {
            options.append_pair("concurrency", &self.concurrency.to_string());
        }
        if let Some(file) = &self.ca_file {
            options.append_pair("ca_file", &file.to_string_lossy());
        }
        if self.allow_http {
            options.append_pair("allow_http", "true");
        }
        let options = options.finish();
        let separator = if options.is_empty() { "" } else { "?" };
        write!(f, "{}{separator}{options}", self.service)
    }
}

/// Where a service is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ServiceUrl {
    pub(crate) https: bool,
    pub(crate) authority: Authority,
    /// What paths begin with; no slash at its end.
    pub(crate) path: String,
}

impl ServiceUrl {
    /// The URI of a path of the API.
    pub(crate) fn uri(&self, path_and_query: &str) -> Result<Uri> {
        let scheme = if self.https {
            Scheme::HTTPS
        } else {
            Scheme::HTTP
        };
        Uri::builder()
            .scheme(scheme)
            .authority(self.authority.clone())
            .path_and_query(format!("{}{path_and_query}", self.path))
            .build()
            .map_err(|error| {
                let report = Report::new("ask the service", "this makes no URL");
                Error::Invalid(report.with_source(error).into())
            })
    }
}

impl FromStr for ServiceUrl {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        // Nothing of the text is repeated in an error: it may hold what should not be there.
        if text.contains('#') {
            return Err(invalid("a service's URL has no fragment"));
        }
        let uri: Uri = text
            .parse()
            .map_err(|_| invalid("this is no URL of a service: http(s)://HOST[:PORT][/PATH]"))?;
        let https = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(invalid("a service's URL begins with http:// or https://")),
        };
        let authority = uri.authority().cloned().filter(|a| !a.host().is_empty());
        let authority = authority.ok_or_else(|| invalid("the service's URL has no host"))?;
        if authority.as_str().contains('@') {
            return Err(invalid(
                "a service's URL has no user or password; the token is set by CIDBUCKET_TOKEN, or \
                 by token_file= and the path of a file that holds it",
            ));
        }
        let path = uri.path().trim_end_matches('/').to_owned();
        Ok(Self {
            https,
            authority,
            path,
        })
    }
}

impl fmt::Display for ServiceUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.https { "https" } else { "http" };
        write!(f, "{scheme}://{}{}", self.authority, self.path)
    }
}

fn invalid(message: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::Invalid(Report::new("open store", message).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls() {
        for (url, shown) in [
            ("http://127.0.0.1:9754", "http://127.0.0.1:9754"),
            ("https://h.example/", "https://h.example"),
            ("HTTPS://h.example/a/b/", "https://h.example/a/b"),
            (
                "https://h?direct=never&concurrency=3&ca_file=/a%20b&allow_http=true",
                "https://h?direct=never&concurrency=3&ca_file=%2Fa+b&allow_http=true",
            ),
            ("https://h?direct=auto&concurrency=16", "https://h"),
            (
                "http://[::1]:80?direct=always",
                "http://[::1]:80?direct=always",
            ),
        ] {
            let config = DirectConfig::new(url).unwrap();
            assert_eq!(config.to_string(), shown);
            let again = DirectConfig::new(&config.to_string()).unwrap();
            assert_eq!(again.to_string(), shown);
        }
    }

    #[test]
    fn what_is_no_service_is_refused_without_repeating_it() {
        for url in [
            "",
            "http://",
            "https:///canary",
            "ftp://canary",
            "http://canary@h",
            "http://u:canary@h/",
            "http://h#canary",
            "http://h?canary=1",
            "http://h?token=canary",
            "http://h?direct=canary",
            "http://h?concurrency=0",
            "http://h?concurrency=2000",
            "http://h?allow_http=canary",
            "http://h?direct=auto&direct=never",
            "http://h?ca_file=",
            "http://h /canary",
        ] {
            let error = DirectConfig::new(url).unwrap_err();
            assert!(matches!(error, Error::Invalid(_)), "{url}: {error}");
            assert!(!error.to_string().contains("canary"), "{url}: {error}");
        }
    }

    #[test]
    fn a_token_comes_from_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        let url = format!("http://h?token_file={}", path.display());
        assert!(matches!(DirectConfig::new(&url), Err(Error::Io(_))));
        std::fs::write(&path, "canary\n").unwrap();
        let config = DirectConfig::new(&url).unwrap();
        assert!(config.token.is_some());
        assert!(!format!("{config:?} {config}").contains("canary"));
    }

    #[test]
    fn paths_of_the_api() {
        let url: ServiceUrl = "https://h:1/a/".parse().unwrap();
        assert_eq!(url.uri("/v1/info").unwrap(), "https://h:1/a/v1/info");
    }
}
