//! What an S3 store is told.
mod env;
mod profile;

use std::fmt;
use std::sync::Arc;

use cidbucket_sigv4::Credentials;

use crate::credentials::CredentialsProvider;

pub use env::Env;
pub(crate) use profile::{Profiles, Properties};

/// Where credentials come from.
#[derive(Clone)]
#[non_exhaustive]
pub enum CredentialsSource {
    /// The AWS tools' places, in their order: environment, profile files, web identity, container
    /// endpoint, instance metadata.
    Chain {
        /// The snapshot to look in.
        env: Env,
        /// A profile named explicitly. The keys of the environment are then passed over.
        profile: Option<String>,
    },
    /// These.
    Static(Credentials),
    /// The application's own.
    Provider(Arc<dyn CredentialsProvider>),
    /// None: requests are not signed, the bucket must be public.
    Anonymous,
}

impl CredentialsSource {
    /// Whether requests go out unsigned.
    pub fn is_anonymous(&self) -> bool {
        matches!(self, Self::Anonymous)
    }
}

/// Names the source, never what is in it.
impl fmt::Debug for CredentialsSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Chain { profile, .. } => f
                .debug_struct("Chain")
                .field("profile", profile)
                .finish_non_exhaustive(),
            Self::Static(credentials) => f
                .debug_tuple("Static")
                .field(&credentials.access_key_id())
                .finish(),
            Self::Provider(provider) => f.debug_tuple("Provider").field(provider).finish(),
            Self::Anonymous => f.write_str("Anonymous"),
        }
    }
}
