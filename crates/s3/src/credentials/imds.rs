//! The role of an EC2 instance, from its metadata service, version 2.

use std::borrow::Cow;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use cidbucket_blockstore::{Error, Report, Result};
use http::{HeaderValue, Request, Response, StatusCode};

use super::document::Document;
use super::fetch::{fetch, refused, senseless, unreachable};
use super::{Found, Source};
use crate::config::Env;
use crate::transport::HttpClient;

const SERVICE: &str = "instance metadata service";
const ROLES: &str = "/latest/meta-data/iam/security-credentials/";
/// Where there is no such service, packets often vanish without an answer: do not wait long.
const FIRST_PATIENCE: Duration = Duration::from_secs(1);
/// Once it has answered, it is there, and worth waiting for.
const PATIENCE: Duration = Duration::from_secs(5);
const ATTEMPTS: u32 = 3;

/// Version 2 of the service: a token by PUT, then the role's credentials with it. Never version 1, which answers to
/// anybody who can make this process send a GET.
///
/// `AWS_EC2_METADATA_DISABLED`, `AWS_EC2_METADATA_SERVICE_ENDPOINT` and
/// `AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE` are honoured.
#[derive(Debug, Clone)]
pub struct InstanceMetadata {
    env: Env,
    http: HttpClient,
}

impl InstanceMetadata {
    /// Looks in `env` for where the service is.
    pub fn new(env: Env, http: HttpClient) -> Self {
        Self { env, http }
    }

    fn endpoint(&self) -> &str {
        match self.env.get("AWS_EC2_METADATA_SERVICE_ENDPOINT") {
            Some(endpoint) => endpoint.trim_end_matches('/'),
            None => match self.env.get("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE") {
                Some(mode) if mode.eq_ignore_ascii_case("ipv6") => "http://[fd00:ec2::254]",
                _ => "http://169.254.169.254",
            },
        }
    }

    async fn get(&self, path: &str, token: &HeaderValue) -> Result<Response<Bytes>> {
        let request = Request::get(format!("{}{path}", self.endpoint()))
            .header("x-aws-ec2-metadata-token", token)
            .body(Bytes::new())
            .map_err(|_| senseless(SERVICE, "the role's name"))?;
        fetch(&self.http, &request, PATIENCE, ATTEMPTS)
            .await
            .map_err(|error| unreachable(SERVICE, &error))
    }
}

#[async_trait]
impl Source for InstanceMetadata {
    fn name(&self) -> &'static str {
        "instance metadata"
    }

    async fn load(&self) -> Result<Found> {
        if self.env.is_true("AWS_EC2_METADATA_DISABLED") {
            return Ok(nothing("AWS_EC2_METADATA_DISABLED is true"));
        }
        let request = Request::put(format!("{}/latest/api/token", self.endpoint()))
            .header("x-aws-ec2-metadata-token-ttl-seconds", "21600")
            .body(Bytes::new())
            .map_err(|_| {
                Error::Invalid(
                    Report::new(
                        "find credentials",
                        "AWS_EC2_METADATA_SERVICE_ENDPOINT must be a URL such as http://169.254.169.254",
                    )
                    .into(),
                )
            })?;
        let answer = match fetch(&self.http, &request, FIRST_PATIENCE, 1).await {
            Ok(answer) => answer,
            Err(error) => {
                return Ok(nothing(format!(
                    "no answer at {}: {error}; in a container on EC2 the instance's metadata hop \
                     limit must be 2",
                    self.endpoint()
                )));
            }
        };
        match answer.status() {
            StatusCode::OK => {}
            StatusCode::FORBIDDEN | StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED => {
                return Ok(nothing(format!(
                    "it is off here (status {})",
                    answer.status().as_u16()
                )));
            }
            status => return Err(refused(SERVICE, status, None)),
        }
        let mut token = HeaderValue::from_bytes(answer.body().trim_ascii())
            .map_err(|_| senseless(SERVICE, "its token"))?;
        token.set_sensitive(true);

        let answer = self.get(ROLES, &token).await?;
        if answer.status() == StatusCode::NOT_FOUND {
            return Ok(nothing("the instance has no role"));
        }
        if !answer.status().is_success() {
            return Err(refused(SERVICE, answer.status(), None));
        }
        let role = std::str::from_utf8(answer.body())
            .ok()
            .and_then(|text| text.lines().next())
            .map(str::trim)
            .filter(|role| {
                // IAM's alphabet for role names.
                !role.is_empty()
                    && role
                        .bytes()
                        .all(|b| b.is_ascii_alphanumeric() || b"+=,.@_-".contains(&b))
            })
            .ok_or_else(|| senseless(SERVICE, "the role's name"))?;

        let answer = self.get(&format!("{ROLES}{role}"), &token).await?;
        if !answer.status().is_success() {
            return Err(refused(SERVICE, answer.status(), None));
        }
        let document = Document::parse(SERVICE, answer.body())?;
        if let Some(code) = &document.code
            && code != "Success"
        {
            return Err(refused(SERVICE, answer.status(), Some(code)));
        }
        document.issued(SERVICE).map(Found::Credentials)
    }
}

fn nothing(why: impl Into<Cow<'static, str>>) -> Found {
    Found::Nothing(why.into())
}

#[cfg(test)]
mod tests {
    use super::super::fake::{FakeServer, Reply, http};
    use super::*;

    fn source(server: &FakeServer) -> InstanceMetadata {
        let env = Env::empty().with("AWS_EC2_METADATA_SERVICE_ENDPOINT", server.url("/"));
        InstanceMetadata::new(env, http())
    }

    #[tokio::test]
    async fn asks_for_a_token_then_the_role_then_its_credentials() {
        let server = FakeServer::start(|count| match count {
            0 => Reply::text("imds-token"),
            1 => Reply::text("my-role\n"),
            _ => Reply::json(
                r#"{"Code":"Success","AccessKeyId":"AKID","SecretAccessKey":"s","Token":"t",
                    "Expiration":"2100-01-01T00:00:00Z"}"#,
            ),
        })
        .await;
        let Found::Credentials(issued) = source(&server).load().await.unwrap() else {
            panic!("nothing found");
        };
        assert_eq!(issued.credentials.session_token(), Some("t"));
        let requests = server.requests();
        assert!(requests[0].starts_with("PUT /latest/api/token HTTP/1.1\r\n"));
        assert!(requests[0].contains("x-aws-ec2-metadata-token-ttl-seconds: 21600\r\n"));
        assert!(requests[1].starts_with(&format!("GET {ROLES} HTTP/1.1\r\n")));
        assert!(requests[2].starts_with(&format!("GET {ROLES}my-role HTTP/1.1\r\n")));
        assert!(requests[2].contains("x-aws-ec2-metadata-token: imds-token\r\n"));
    }

    #[tokio::test]
    async fn is_nothing_where_there_is_no_service_or_no_role() {
        let off = Env::empty().with("AWS_EC2_METADATA_DISABLED", "TRUE");
        let found = InstanceMetadata::new(off, http()).load().await.unwrap();
        assert!(matches!(found, Found::Nothing(_)));

        let closed = FakeServer::closed_url().await;
        let env = Env::empty().with("AWS_EC2_METADATA_SERVICE_ENDPOINT", closed);
        let found = InstanceMetadata::new(env, http()).load().await.unwrap();
        assert!(matches!(found, Found::Nothing(_)));

        let server = FakeServer::start(|_| Reply::status(403)).await;
        assert!(matches!(
            source(&server).load().await,
            Ok(Found::Nothing(_))
        ));

        let server = FakeServer::start(|count| match count {
            0 => Reply::text("t"),
            _ => Reply::status(404),
        })
        .await;
        assert!(matches!(
            source(&server).load().await,
            Ok(Found::Nothing(_))
        ));
    }

    #[tokio::test]
    async fn a_silent_address_costs_a_second() {
        let server = FakeServer::silent().await;
        let start = std::time::Instant::now();
        assert!(matches!(
            source(&server).load().await,
            Ok(Found::Nothing(_))
        ));
        assert!(
            start.elapsed() < Duration::from_secs(3),
            "{:?}",
            start.elapsed()
        );
    }

    #[tokio::test]
    async fn a_service_that_answers_nonsense_is_an_error() {
        let server = FakeServer::start(|count| match count {
            0 => Reply::text("t"),
            1 => Reply::text("../../evil"),
            _ => unreachable!(),
        })
        .await;
        assert!(matches!(
            source(&server).load().await,
            Err(Error::Protocol(_))
        ));

        let server = FakeServer::start(|count| match count {
            0 => Reply::text("t"),
            1 => Reply::text("role"),
            _ => Reply::json(r#"{"Code":"AssumeRoleUnauthorizedAccess"}"#),
        })
        .await;
        let error = source(&server).load().await.unwrap_err();
        assert!(
            error.to_string().contains("AssumeRoleUnauthorizedAccess"),
            "{error}"
        );
    }
}
