//! Credentials as a source gives them.

use std::borrow::Cow;
use std::time::SystemTime;

use cidbucket_sigv4::Credentials;

/// Credentials, and when they end.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Issued {
    /// What to sign with.
    pub credentials: Credentials,
    /// When they end; never, or unknown, where there is none. What they signed ends with them.
    pub expires: Option<SystemTime>,
}

impl Issued {
    /// Credentials without an end.
    pub fn new(credentials: Credentials) -> Self {
        Self {
            credentials,
            expires: None,
        }
    }

    /// Credentials that end at `expires`.
    pub fn until(credentials: Credentials, expires: SystemTime) -> Self {
        Self {
            credentials,
            expires: Some(expires),
        }
    }
}

/// What a source has.
#[derive(Debug)]
pub enum Found {
    /// Credentials.
    Credentials(Issued),
    /// Nothing, because the source is not set up; the text says what is missing.
    Nothing(Cow<'static, str>),
}
