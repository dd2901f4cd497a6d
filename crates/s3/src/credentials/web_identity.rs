//! A token file exchanged for a role's credentials: IRSA on EKS, GitHub Actions, other OIDC.

use std::path::Path;

use async_trait::async_trait;
use cidbucket_blockstore::{Error, Report, Result};

use super::container::read_secret;
use super::sts::{Role, Sts};
use super::{Found, Issued, Source};
use crate::config::Env;
use crate::transport::HttpClient;

/// `AWS_WEB_IDENTITY_TOKEN_FILE` with `AWS_ROLE_ARN`, and `AWS_ROLE_SESSION_NAME` if it is set.
#[derive(Debug, Clone)]
pub struct WebIdentity {
    env: Env,
    http: HttpClient,
}

impl WebIdentity {
    /// Looks in `env`.
    pub fn new(env: Env, http: HttpClient) -> Self {
        Self { env, http }
    }
}

#[async_trait]
impl Source for WebIdentity {
    fn name(&self) -> &'static str {
        "web identity"
    }

    async fn load(&self) -> Result<Found> {
        let Some(file) = self.env.get("AWS_WEB_IDENTITY_TOKEN_FILE") else {
            return Ok(Found::Nothing(
                "AWS_WEB_IDENTITY_TOKEN_FILE is not set".into(),
            ));
        };
        let Some(arn) = self.env.get("AWS_ROLE_ARN") else {
            return Err(Error::Invalid(
                Report::new(
                    "find credentials",
                    "AWS_WEB_IDENTITY_TOKEN_FILE is set, but AWS_ROLE_ARN is not: set both or neither",
                )
                .into(),
            ));
        };
        let role = Role {
            arn,
            session: self.env.get("AWS_ROLE_SESSION_NAME"),
            external_id: None,
            seconds: None,
        };
        let sts = Sts::find(&self.env, None);
        exchange(&sts, &self.http, &role, Path::new(file))
            .await
            .map(Found::Credentials)
    }
}

/// The file is read anew each time, since the token in it is replaced while it lives.
pub(super) async fn exchange(
    sts: &Sts,
    http: &HttpClient,
    role: &Role<'_>,
    file: &Path,
) -> Result<Issued> {
    let token = read_secret(file).await?;
    sts.with_web_identity(http, role, token.trim()).await
}

#[cfg(test)]
mod tests {
    use super::super::fake::{FakeServer, Reply, http};
    use super::*;

    const ANSWER: &str = "<AssumeRoleWithWebIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\
        <AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>ASIA</AccessKeyId>\
        <SecretAccessKey>s&amp;s</SecretAccessKey><SessionToken>t</SessionToken>\
        <Expiration>2100-01-01T00:00:00Z</Expiration></Credentials></AssumeRoleWithWebIdentityResult>\
        </AssumeRoleWithWebIdentityResponse>";

    #[tokio::test]
    async fn exchanges_the_token_of_the_file() {
        let server = FakeServer::start(|_| Reply::text(ANSWER)).await;
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("token");
        std::fs::write(&file, "a.b+c\n").unwrap();
        let env = Env::empty()
            .with("AWS_WEB_IDENTITY_TOKEN_FILE", file.to_str().unwrap())
            .with("AWS_ROLE_ARN", "arn:aws:iam::1:role/r")
            .with("AWS_ROLE_SESSION_NAME", "me")
            .with("AWS_ENDPOINT_URL_STS", server.url(""));
        let source = WebIdentity::new(env, http());
        let Found::Credentials(issued) = source.load().await.unwrap() else {
            panic!("nothing found");
        };
        assert_eq!(issued.credentials.access_key_id(), "ASIA");
        assert_eq!(issued.credentials.session_token(), Some("t"));
        assert!(issued.expires.is_some());
        let request = server.requests().remove(0);
        assert!(request.starts_with("POST / HTTP/1.1\r\n"), "{request}");
        assert!(!request.contains("authorization:"), "{request}");
        assert!(
            request.ends_with(
                "\r\n\r\nAction=AssumeRoleWithWebIdentity&Version=2011-06-15\
                 &RoleArn=arn%3Aaws%3Aiam%3A%3A1%3Arole%2Fr&RoleSessionName=me\
                 &WebIdentityToken=a.b%2Bc"
            ),
            "{request}"
        );
    }

    #[tokio::test]
    async fn a_refusal_names_its_code_and_repeats_no_token() {
        let server = FakeServer::start(|_| {
            Reply::status(400).body(
                "<ErrorResponse><Error><Type>Sender</Type><Code>ExpiredTokenException</Code>\
                 <Message>canary</Message></Error></ErrorResponse>",
            )
        })
        .await;
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("token");
        std::fs::write(&file, "canary").unwrap();
        let env = Env::empty()
            .with("AWS_WEB_IDENTITY_TOKEN_FILE", file.to_str().unwrap())
            .with("AWS_ROLE_ARN", "r")
            .with("AWS_ENDPOINT_URL_STS", server.url(""));
        let error = WebIdentity::new(env, http()).load().await.unwrap_err();
        assert!(matches!(error, Error::Denied(_)), "{error}");
        let text = error.to_string();
        assert!(text.contains("ExpiredTokenException"), "{text}");
        assert!(!text.contains("canary"), "{text}");
        assert_eq!(server.requests().len(), 1, "a refusal is not repeated");
    }

    #[tokio::test]
    async fn half_a_setup_is_an_error() {
        let none = WebIdentity::new(Env::empty(), http()).load().await;
        assert!(matches!(none, Ok(Found::Nothing(_))));
        let env = Env::empty().with("AWS_WEB_IDENTITY_TOKEN_FILE", "/nonexistent");
        let no_role = WebIdentity::new(env.clone(), http()).load().await;
        assert!(matches!(no_role, Err(Error::Invalid(_))));
        let no_file = WebIdentity::new(env.with("AWS_ROLE_ARN", "r"), http())
            .load()
            .await;
        assert!(matches!(no_file, Err(Error::Io(_))));
    }
}
