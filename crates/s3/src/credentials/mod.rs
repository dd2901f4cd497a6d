//! Where the client gets its credentials, one file per source.
//!
//! [`Chain`] asks the AWS tools' places in their order, [`Refreshing`] keeps what a source gave and
//! renews it before it ends. Both work for any [`Source`].

mod chain;
mod container;
mod document;
mod environment;
#[cfg(test)]
mod fake;
mod fetch;
mod imds;
mod issued;
mod process;
mod profile;
mod refreshing;
mod sts;
mod web_identity;

use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;
use cidbucket_blockstore::Result;
use cidbucket_sigv4::Credentials;

use crate::config::CredentialsSource;
use crate::transport::HttpClient;

pub use chain::Chain;
pub use container::Container;
pub use environment::Environment;
pub use imds::InstanceMetadata;
pub use issued::{Found, Issued};
pub use profile::Profile;
pub use refreshing::{Clock, Refreshing, system_clock};
pub use web_identity::WebIdentity;

/// Gives the credentials to sign a request with.
///
/// As long as the credentials stay the same, so does the `Arc`: a signer made for it can be kept.
#[async_trait]
pub trait CredentialsProvider: Debug + Send + Sync {
    /// Credentials that are valid now.
    ///
    /// # Errors
    /// `Denied` where there are none, `Invalid` where a configured source is set up wrongly,
    /// `Unavailable` where it cannot be reached.
    async fn credentials(&self) -> Result<Arc<Issued>>;

    /// Other credentials than `refused`, which S3 called expired. Answers with the same ones
    /// where there are no others.
    ///
    /// # Errors
    /// As [`CredentialsProvider::credentials`].
    async fn refresh(&self, refused: &Arc<Issued>) -> Result<Arc<Issued>>;
}

/// One place that credentials come from.
#[async_trait]
pub trait Source: Debug + Send + Sync {
    /// What a person calls this place.
    fn name(&self) -> &'static str;

    /// Looks there, anew each time. A source that is not set up answers [`Found::Nothing`]; one
    /// that is and does not work answers an error, so that no other is taken by surprise.
    async fn load(&self) -> Result<Found>;
}

/// The provider for a configured source; `None` where requests go out unsigned.
///
/// `http` serves the sources that ask a service: STS, container and instance endpoints.
pub fn provider(
    source: &CredentialsSource,
    http: &HttpClient,
) -> Option<Arc<dyn CredentialsProvider>> {
    match source {
        CredentialsSource::Anonymous => None,
        CredentialsSource::Provider(provider) => Some(provider.clone()),
        CredentialsSource::Static(credentials) => {
            Some(Arc::new(Static(Arc::new(Issued::new(credentials.clone())))))
        }
        CredentialsSource::Chain { env, profile } => {
            let chain = Chain::of_aws_tools(env, profile.as_deref(), http);
            Some(Arc::new(Refreshing::new(chain, system_clock())))
        }
    }
}

/// Credentials given by the application.
#[derive(Debug)]
struct Static(Arc<Issued>);

#[async_trait]
impl CredentialsProvider for Static {
    async fn credentials(&self) -> Result<Arc<Issued>> {
        Ok(self.0.clone())
    }

    async fn refresh(&self, _refused: &Arc<Issued>) -> Result<Arc<Issued>> {
        Ok(self.0.clone())
    }
}

/// Makes credentials of texts, of which an empty session token is none.
fn credentials(id: &str, secret: &str, token: Option<&str>) -> Credentials {
    let credentials = Credentials::new(id, secret);
    match token {
        Some(token) if !token.is_empty() => credentials.with_session_token(token),
        _ => credentials,
    }
}
