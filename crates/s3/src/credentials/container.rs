//! The credentials endpoint of a container: ECS, EKS Pod Identity.

use std::borrow::Cow;
use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use cidbucket_blockstore::{Error, Report, Result};
use http::{HeaderValue, Request, Uri, header};

use super::document::Document;
use super::fetch::{fetch, refused, unreachable};
use super::{Found, Source};
use crate::config::Env;
use crate::transport::HttpClient;

const SERVICE: &str = "container credentials endpoint";
/// Where ECS serves relative URIs.
const ECS: &str = "http://169.254.170.2";
const PATIENCE: Duration = Duration::from_secs(2);
const ATTEMPTS: u32 = 3;

/// `AWS_CONTAINER_CREDENTIALS_RELATIVE_URI` or `AWS_CONTAINER_CREDENTIALS_FULL_URI`, with the token
/// of `AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE` or `AWS_CONTAINER_AUTHORIZATION_TOKEN`.
#[derive(Debug, Clone)]
pub struct Container {
    env: Env,
    http: HttpClient,
}

impl Container {
    /// Looks in `env`.
    pub fn new(env: Env, http: HttpClient) -> Self {
        Self { env, http }
    }

    /// The token is read anew each time: it changes while the container runs.
    async fn token(&self) -> Result<Option<HeaderValue>> {
        let token = if let Some(path) = self.env.get("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE") {
            Cow::Owned(read_secret(Path::new(path)).await?)
        } else if let Some(token) = self.env.get("AWS_CONTAINER_AUTHORIZATION_TOKEN") {
            Cow::Borrowed(token)
        } else {
            return Ok(None);
        };
        let mut value = HeaderValue::from_str(token.trim_end_matches(['\r', '\n']))
            .map_err(|_| invalid("the container authorization token is not valid in a header"))?;
        value.set_sensitive(true);
        Ok(Some(value))
    }
}

#[async_trait]
impl Source for Container {
    fn name(&self) -> &'static str {
        "container endpoint"
    }

    async fn load(&self) -> Result<Found> {
        let url = if let Some(path) = self.env.get("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI") {
            if !path.starts_with('/') {
                return Err(invalid(
                    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI must begin with \"/\"",
                ));
            }
            format!("{ECS}{path}")
        } else if let Some(url) = self.env.get("AWS_CONTAINER_CREDENTIALS_FULL_URI") {
            url.to_owned()
        } else {
            return Ok(Found::Nothing(
                "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI and _FULL_URI are not set".into(),
            ));
        };
        let uri = allowed(&url)?;
        let mut request = Request::get(uri).header(header::ACCEPT, "application/json");
        if let Some(token) = self.token().await? {
            request = request.header(header::AUTHORIZATION, token);
        }
        let request = request
            .body(Bytes::new())
            .map_err(|_| invalid("the container credentials URI is not valid"))?;
        let answer = fetch(&self.http, &request, PATIENCE, ATTEMPTS)
            .await
            .map_err(|error| unreachable(SERVICE, &error))?;
        if !answer.status().is_success() {
            return Err(refused(SERVICE, answer.status(), None));
        }
        Document::parse(SERVICE, answer.body())?
            .issued(SERVICE)
            .map(Found::Credentials)
    }
}

/// The rule of the AWS SDKs: the token goes over https, or to this machine, or to the addresses
/// at which ECS and EKS answer; never in the clear to anybody else.
fn allowed(url: &str) -> Result<Uri> {
    let uri: Uri = url
        .parse()
        .map_err(|_| invalid("the container credentials URI is not a URL"))?;
    let host = uri.host().unwrap_or_default();
    let address: Option<IpAddr> = host.trim_matches(['[', ']']).parse().ok();
    let local = host == "localhost"
        || address.is_some_and(|ip| {
            ip.is_loopback()
                || ["169.254.170.2", "169.254.170.23", "fd00:ec2::23"]
                    .iter()
                    .any(|known| known.parse() == Ok(ip))
        });
    match uri.scheme_str() {
        Some("https") => Ok(uri),
        Some("http") if local => Ok(uri),
        Some("http") => Err(invalid(format!(
            "AWS_CONTAINER_CREDENTIALS_FULL_URI names {host:?}: over http only loopback, \
             169.254.170.2, 169.254.170.23 and [fd00:ec2::23] are allowed; use https"
        ))),
        _ => Err(invalid(
            "AWS_CONTAINER_CREDENTIALS_FULL_URI must begin with http:// or https://",
        )),
    }
}

/// Reads a small file that holds a token.
pub(super) async fn read_secret(path: &Path) -> Result<String> {
    tokio::fs::read_to_string(path).await.map_err(|error| {
        Error::Io(
            Report::new("find credentials", "cannot read the token file")
                .with_key(path.display().to_string())
                .with_source(error)
                .into(),
        )
    })
}

fn invalid(message: impl Into<Cow<'static, str>>) -> Error {
    Error::Invalid(Report::new("find credentials", message).into())
}

#[cfg(test)]
mod tests {
    use super::super::fake::{FakeServer, Reply, http};
    use super::*;

    const DOCUMENT: &str = r#"{"AccessKeyId":"AKID","SecretAccessKey":"canary",
        "Token":"session","Expiration":"2100-01-01T00:00:00Z","RoleArn":"r"}"#;

    #[tokio::test]
    async fn asks_the_endpoint_with_the_token_of_the_file() {
        let server = FakeServer::start(|_| Reply::json(DOCUMENT)).await;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        std::fs::write(&path, "from-file\n").unwrap();
        let env = Env::empty()
            .with(
                "AWS_CONTAINER_CREDENTIALS_FULL_URI",
                server.url("/creds?x=1"),
            )
            .with("AWS_CONTAINER_AUTHORIZATION_TOKEN", "from-env")
            .with(
                "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
                path.to_str().unwrap(),
            );
        let source = Container::new(env, http());
        let Found::Credentials(issued) = source.load().await.unwrap() else {
            panic!("nothing found");
        };
        assert_eq!(issued.credentials.access_key_id(), "AKID");
        assert_eq!(issued.credentials.session_token(), Some("session"));
        assert!(issued.expires.is_some());
        let request = server.requests().remove(0);
        assert!(
            request.starts_with("GET /creds?x=1 HTTP/1.1\r\n"),
            "{request}"
        );
        assert!(
            request.contains("authorization: from-file\r\n"),
            "{request}"
        );

        // The file is read again each time.
        std::fs::write(&path, "rotated").unwrap();
        source.load().await.unwrap();
        assert!(server.requests()[1].contains("authorization: rotated\r\n"));
    }

    #[tokio::test]
    async fn tries_again_when_the_endpoint_is_busy_and_reports_a_refusal() {
        let server = FakeServer::start(|count| match count {
            0 => Reply::status(500),
            1 => Reply::json(DOCUMENT),
            _ => Reply::status(403).body("canary"),
        })
        .await;
        let env = Env::empty().with("AWS_CONTAINER_CREDENTIALS_FULL_URI", server.url("/"));
        let source = Container::new(env, http());
        assert!(matches!(source.load().await, Ok(Found::Credentials(_))));
        let error = source.load().await.unwrap_err();
        assert!(matches!(error, Error::Denied(_)), "{error}");
        assert!(!error.to_string().contains("canary"));
        assert_eq!(server.requests().len(), 3);
    }

    #[test]
    fn the_token_goes_nowhere_else() {
        for url in [
            "https://example.org/creds",
            "http://127.0.0.1:81/creds",
            "http://[::1]/creds",
            "http://localhost:8080/creds",
            "http://169.254.170.2/creds",
            "http://169.254.170.23/v1/credentials",
            "http://[fd00:ec2::23]/v1/credentials",
        ] {
            assert!(allowed(url).is_ok(), "{url}");
        }
        for url in [
            "http://example.org/creds",
            "http://169.254.169.254/creds",
            "http://10.0.0.1/creds",
            "http://localhost.example.org/creds",
            "ftp://127.0.0.1/",
            "/creds",
            "",
        ] {
            assert!(matches!(allowed(url), Err(Error::Invalid(_))), "{url}");
        }
    }

    #[tokio::test]
    async fn is_nothing_when_not_set_and_an_error_when_set_wrongly() {
        let source = Container::new(Env::empty(), http());
        assert!(matches!(source.load().await, Ok(Found::Nothing(_))));
        for env in [
            Env::empty().with("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "@evil.example/"),
            Env::empty()
                .with("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://127.0.0.1:1/")
                .with("AWS_CONTAINER_AUTHORIZATION_TOKEN", "a\r\nb"),
        ] {
            let error = Container::new(env, http()).load().await.unwrap_err();
            assert!(matches!(error, Error::Invalid(_)), "{error}");
        }
    }
}
