//! The configuration file, and how a store is chosen.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::env::Env;
use crate::failure::Failure;

/// What can stand in the file. Unknown keys are errors: a misspelt setting must not be ignored.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// The store to use where neither `--store` nor `CIDBUCKET_STORE` says: a URL or a name below.
    store: Option<String>,
    /// Stores by name.
    #[serde(default)]
    stores: BTreeMap<String, Store>,
    /// What `serve` is told, by the names of its options.
    #[serde(default)]
    serve: BTreeMap<String, Setting>,
}

/// One store: its URL, and settings under the names they have in the URL's query.
#[derive(Debug, Deserialize)]
struct Store {
    url: String,
    #[serde(flatten)]
    settings: BTreeMap<String, Setting>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Setting {
    Text(String),
    Number(i64),
    Fraction(f64),
    Switch(bool),
}

impl Setting {
    fn text(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Number(number) => number.to_string(),
            Self::Fraction(number) => number.to_string(),
            Self::Switch(switch) => switch.to_string(),
        }
    }
}

impl Config {
    /// Loads the file named by `--config`, by `CIDBUCKET_CONFIG`, or the usual one. Only the usual
    /// one may be missing.
    pub(crate) fn load(flag: Option<&Path>, env: &Env) -> Result<Self, Failure> {
        let named = flag
            .map(Path::to_path_buf)
            .or_else(|| env.get("CIDBUCKET_CONFIG").map(PathBuf::from));
        let (path, must_exist) = match named {
            Some(path) => (path, true),
            None => match usual_path(env) {
                Some(path) => (path, false),
                None => return Ok(Self::default()),
            },
        };
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && !must_exist => {
                return Ok(Self::default());
            }
            Err(error) => {
                return Err(Failure::usage(format!(
                    "cannot read the configuration file {}: {error}",
                    path.display()
                )));
            }
        };
        Self::parse(&text).map_err(|failure| failure.about(path.display()))
    }

    /// The URL of the store that `chosen` (a URL or a name of this file) or, without it, this
    /// file's `store` means.
    pub(crate) fn store_url(&self, chosen: Option<&str>) -> Result<String, Failure> {
        let chosen = chosen.or(self.store.as_deref()).ok_or_else(|| {
            Failure::usage("no store is given").with_hint(
                "give --store URL or set CIDBUCKET_STORE, for example dir:blocks or \
                 s3://BUCKET; `cidbucket serve --dev` starts an S3 store to try",
            )
        })?;
        if let Some(store) = self.stores.get(chosen) {
            return store.url();
        }
        if chosen.contains(':') {
            return Ok(chosen.into());
        }
        let hint = if self.stores.is_empty() {
            format!("a folder is dir:{chosen}, a bucket is s3://{chosen}")
        } else {
            let names: Vec<_> = self.stores.keys().map(String::as_str).collect();
            format!(
                "a folder is dir:{chosen}, a bucket is s3://{chosen}; \
                 the configuration file has the stores {}",
                names.join(", ")
            )
        };
        Err(Failure::usage(format!("{chosen:?} is no store URL")).with_hint(hint))
    }

    /// What `serve` is told by a name.
    pub(crate) fn serve(&self, name: &str) -> Option<String> {
        self.serve.get(name).map(Setting::text)
    }

    /// The names by which `serve` is told something.
    pub(crate) fn serve_names(&self) -> impl Iterator<Item = &str> {
        self.serve.keys().map(String::as_str)
    }

    fn parse(text: &str) -> Result<Self, Failure> {
        toml::from_str(text).map_err(|error: toml::de::Error| {
            // The excerpt that toml shows is left out: one line an error.
            let line = error
                .span()
                .map(|span| text[..span.start].matches('\n').count() + 1);
            Failure::usage(match line {
                Some(line) => format!("line {line}: {}", error.message()),
                None => error.message().to_string(),
            })
        })
    }
}

impl Store {
    /// The URL with the settings in its query. What the settings may be, the store's own parser
    /// knows: so a setting has one name, in a URL and in a file.
    fn url(&self) -> Result<String, Failure> {
        if self.settings.is_empty() {
            return Ok(self.url.clone());
        }
        let scheme = self.url.split(':').next().unwrap_or_default();
        if !matches!(scheme, "s3" | "http" | "https") {
            let names: Vec<_> = self.settings.keys().map(String::as_str).collect();
            return Err(Failure::usage(format!(
                "the store {} has no such setting: {}",
                self.url,
                names.join(", ")
            )));
        }
        let mut url = self.url.clone();
        for (name, setting) in &self.settings {
            url.push(if url.contains('?') { '&' } else { '?' });
            url.push_str(&encode(name));
            url.push('=');
            url.push_str(&encode(&setting.text()));
        }
        Ok(url)
    }
}

/// `$XDG_CONFIG_HOME/cidbucket/config.toml`, or under `~/.config`.
fn usual_path(env: &Env) -> Option<PathBuf> {
    let base = match env.get("XDG_CONFIG_HOME") {
        Some(base) => PathBuf::from(base),
        None => Path::new(env.get("HOME")?).join(".config"),
    };
    Some(base.join("cidbucket").join("config.toml"))
}

/// Percent-encodes what has a meaning in a query. (A URL such as `endpoint=http://…` stays legible.)
fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' | b'/' | b':' => {
                out.push(byte.into());
            }
            _ => {
                let _ = write!(out, "%{byte:02X}");
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = r#"
        store = "archive"

        [stores.archive]
        url = "s3://blocks/kubo?style=path"
        endpoint = "http://127.0.0.1:9000"
        concurrency = 64
        conditional_put = true
        label = "a & b"

        [stores.service]
        url = "https://blocks.example.net"
        token_file = "/run/secrets/token"

        [stores.local]
        url = "dir:/srv/blocks"
    "#;

    #[test]
    fn flag_wins_over_file() {
        let config = Config::parse(FILE).unwrap();
        assert_eq!(config.store_url(Some("memory:")).unwrap(), "memory:");
        assert_eq!(config.store_url(Some("local")).unwrap(), "dir:/srv/blocks");
        assert_eq!(
            config.store_url(None).unwrap(),
            "s3://blocks/kubo?style=path&concurrency=64&conditional_put=true\
             &endpoint=http://127.0.0.1:9000&label=a%20%26%20b"
        );
        assert_eq!(
            config.store_url(Some("service")).unwrap(),
            "https://blocks.example.net?token_file=/run/secrets/token"
        );
    }

    #[test]
    fn a_store_that_is_none_says_what_to_write() {
        let none = Config::default().store_url(None).unwrap_err();
        assert!(none.hint().unwrap().contains("CIDBUCKET_STORE"));
        let path = Config::default().store_url(Some("blocks")).unwrap_err();
        assert!(path.hint().unwrap().contains("dir:blocks"));
        let name = Config::parse(FILE)
            .unwrap()
            .store_url(Some("archiv"))
            .unwrap_err();
        assert!(name.hint().unwrap().contains("archive, local, service"));
    }

    #[test]
    fn unknown_keys_are_errors_with_their_line() {
        let error = Config::parse("store = \"memory:\"\nstroe = 1\n").unwrap_err();
        assert!(error.message().contains("line 2"), "{}", error.message());
        assert!(error.message().contains("stroe"), "{}", error.message());
        let config = Config::parse("[stores.a]\nurl = \"dir:x\"\nendpoint = \"y\"\n").unwrap();
        let error = config.store_url(Some("a")).unwrap_err();
        assert!(error.message().contains("endpoint"));
    }

    #[test]
    fn only_a_named_file_must_exist() {
        let folder = tempfile::tempdir().unwrap();
        let missing = folder.path().join("none.toml");
        let env = Env::from_iter([("XDG_CONFIG_HOME", folder.path().to_str().unwrap())]);
        assert!(Config::load(None, &env).is_ok());
        assert!(Config::load(Some(&missing), &env).is_err());
        let named = Env::from_iter([("CIDBUCKET_CONFIG", missing.to_str().unwrap())]);
        assert!(Config::load(None, &named).is_err());

        std::fs::create_dir(folder.path().join("cidbucket")).unwrap();
        std::fs::write(folder.path().join("cidbucket/config.toml"), FILE).unwrap();
        let found = Config::load(None, &env).unwrap();
        assert_eq!(found.store.as_deref(), Some("archive"));
    }
}
