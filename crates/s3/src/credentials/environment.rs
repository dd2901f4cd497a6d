//! `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN`.

use async_trait::async_trait;
use cidbucket_blockstore::{Error, Report, Result};

use super::{Found, Issued, Source, credentials};
use crate::config::Env;

/// The keys in the environment.
#[derive(Debug, Clone)]
pub struct Environment {
    env: Env,
}

impl Environment {
    /// Looks in `env`.
    pub fn new(env: Env) -> Self {
        Self { env }
    }
}

#[async_trait]
impl Source for Environment {
    fn name(&self) -> &'static str {
        "environment"
    }

    async fn load(&self) -> Result<Found> {
        let id = self.env.get("AWS_ACCESS_KEY_ID");
        let secret = self.env.get("AWS_SECRET_ACCESS_KEY");
        match (id, secret) {
            (Some(id), Some(secret)) => {
                let token = self.env.get("AWS_SESSION_TOKEN");
                Ok(Found::Credentials(Issued::new(credentials(
                    id, secret, token,
                ))))
            }
            (None, None) => Ok(Found::Nothing("AWS_ACCESS_KEY_ID is not set".into())),
            (Some(_), None) => Err(half("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")),
            (None, Some(_)) => Err(half("AWS_SECRET_ACCESS_KEY", "AWS_ACCESS_KEY_ID")),
        }
    }
}

fn half(set: &str, unset: &str) -> Error {
    Error::Invalid(
        Report::new(
            "find credentials",
            format!("{set} is set, but {unset} is not: set both or neither"),
        )
        .into(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn load(variables: &[(&str, &str)]) -> Result<Found> {
        Environment::new(variables.iter().copied().collect())
            .load()
            .await
    }

    #[tokio::test]
    async fn takes_keys_and_token() {
        let found = load(&[
            ("AWS_ACCESS_KEY_ID", "AKID"),
            ("AWS_SECRET_ACCESS_KEY", "canary"),
            ("AWS_SESSION_TOKEN", "session"),
        ])
        .await
        .unwrap();
        let Found::Credentials(issued) = found else {
            panic!("{found:?}");
        };
        assert_eq!(issued.credentials.access_key_id(), "AKID");
        assert_eq!(issued.credentials.session_token(), Some("session"));
        assert!(issued.expires.is_none());
    }

    #[tokio::test]
    async fn half_a_pair_is_an_error_and_none_is_nothing() {
        let error = load(&[("AWS_SECRET_ACCESS_KEY", "canary")])
            .await
            .unwrap_err();
        assert!(matches!(error, Error::Invalid(_)));
        assert!(!error.to_string().contains("canary"));
        assert!(load(&[("AWS_ACCESS_KEY_ID", "AKID")]).await.is_err());
        assert!(matches!(
            load(&[("AWS_ACCESS_KEY_ID", ""), ("AWS_SECRET_ACCESS_KEY", "")]).await,
            Ok(Found::Nothing(_))
        ));
    }
}
