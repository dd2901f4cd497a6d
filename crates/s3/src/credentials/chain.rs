//! The sources in order.

use async_trait::async_trait;
use cidbucket_blockstore::Result;

use super::{Container, Environment, Found, InstanceMetadata, Profile, Source, WebIdentity};
use crate::config::Env;
use crate::transport::HttpClient;

/// The first source that has credentials.
///
/// An error of a source that is set up ends the search: going on would sign as somebody else.
#[derive(Debug)]
pub struct Chain {
    sources: Vec<Box<dyn Source>>,
}

impl Chain {
    /// These sources, in this order.
    pub fn new(sources: Vec<Box<dyn Source>>) -> Self {
        Self { sources }
    }

    /// The AWS tools' places in their order: environment, profile files, web identity, container
    /// endpoint, instance metadata. The environment is passed over where a profile is named.
    pub fn of_aws_tools(env: &Env, profile: Option<&str>, http: &HttpClient) -> Self {
        let mut sources: Vec<Box<dyn Source>> = Vec::new();
        if profile.is_none() {
            sources.push(Box::new(Environment::new(env.clone())));
        }
        sources.push(Box::new(Profile::new(env.clone(), profile, http.clone())));
        sources.push(Box::new(WebIdentity::new(env.clone(), http.clone())));
        sources.push(Box::new(Container::new(env.clone(), http.clone())));
        sources.push(Box::new(InstanceMetadata::new(env.clone(), http.clone())));
        Self::new(sources)
    }
}

#[async_trait]
impl Source for Chain {
    fn name(&self) -> &'static str {
        "AWS tools' places"
    }

    async fn load(&self) -> Result<Found> {
        let mut tried = Vec::new();
        for source in &self.sources {
            match source.load().await? {
                Found::Credentials(issued) => {
                    tracing::debug!(
                        source = source.name(),
                        access_key_id = issued.credentials.access_key_id(),
                        "found credentials"
                    );
                    return Ok(Found::Credentials(issued));
                }
                Found::Nothing(why) => tried.push(format!("{}: {why}", source.name())),
            }
        }
        Ok(Found::Nothing(
            format!(
                "tried {}. Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or name a profile by \
                 AWS_PROFILE; for a public bucket add anonymous=true to the store URL",
                tried.join("; ")
            )
            .into(),
        ))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use cidbucket_blockstore::Error;

    use super::super::fake::{FakeServer, Reply, http};
    use super::super::{CredentialsProvider, Refreshing, system_clock};
    use super::*;

    struct Setup {
        env: Env,
        _folder: tempfile::TempDir,
    }

    impl Setup {
        /// An environment with nothing in it that reaches out.
        fn new(credentials: &str) -> Self {
            let folder = tempfile::tempdir().unwrap();
            let file = folder.path().join("credentials");
            std::fs::write(&file, credentials).unwrap();
            let env = Env::empty()
                .with("AWS_SHARED_CREDENTIALS_FILE", file.to_str().unwrap())
                .with("AWS_EC2_METADATA_DISABLED", "true");
            Self {
                env,
                _folder: folder,
            }
        }

        async fn id(&self, env: &Env, profile: Option<&str>) -> Result<String> {
            let chain = Chain::of_aws_tools(env, profile, &http());
            let provider: Arc<dyn CredentialsProvider> =
                Arc::new(Refreshing::new(chain, system_clock()));
            let issued = provider.credentials().await?;
            Ok(issued.credentials.access_key_id().to_owned())
        }
    }

    #[tokio::test]
    async fn the_first_that_has_credentials_wins() {
        let server = FakeServer::start(|_| {
            Reply::json(r#"{"AccessKeyId":"CONTAINER","SecretAccessKey":"s"}"#)
        })
        .await;
        let setup = Setup::new("[default]\naws_access_key_id = FILE\naws_secret_access_key = s\n");
        let env = setup
            .env
            .clone()
            .with("AWS_ACCESS_KEY_ID", "ENV")
            .with("AWS_SECRET_ACCESS_KEY", "s")
            .with("AWS_CONTAINER_CREDENTIALS_FULL_URI", server.url("/"));
        assert_eq!(setup.id(&env, None).await.unwrap(), "ENV");
        assert_eq!(setup.id(&env, Some("default")).await.unwrap(), "FILE");
        let env = env
            .with("AWS_ACCESS_KEY_ID", "")
            .with("AWS_SECRET_ACCESS_KEY", "");
        assert_eq!(setup.id(&env, None).await.unwrap(), "FILE");
        let env = env.with("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent");
        assert_eq!(setup.id(&env, None).await.unwrap(), "CONTAINER");
    }

    #[tokio::test]
    async fn a_broken_source_is_not_passed_over() {
        let setup = Setup::new("[default]\naws_access_key_id = FILE\naws_secret_access_key = s\n");
        let env = setup.env.clone().with("AWS_SECRET_ACCESS_KEY", "canary");
        let error = setup.id(&env, None).await.unwrap_err();
        assert!(matches!(error, Error::Invalid(_)), "{error}");
    }

    #[tokio::test]
    async fn nothing_found_says_what_was_tried_and_what_to_do() {
        let setup = Setup::new("");
        let error = setup.id(&setup.env, None).await.unwrap_err();
        assert!(matches!(error, Error::Denied(_)), "{error}");
        let text = error.to_string();
        for words in [
            "environment: AWS_ACCESS_KEY_ID is not set",
            "profile files: there is no profile",
            "web identity:",
            "container endpoint:",
            "instance metadata: AWS_EC2_METADATA_DISABLED",
            "anonymous=true",
        ] {
            assert!(text.contains(words), "{text}");
        }
    }
}
