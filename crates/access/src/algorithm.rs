//! How tokens are signed.

use std::fmt;
use std::str::FromStr;

/// A way of signing tokens. A key has exactly one, and verifies no other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Algorithm {
    /// `HS256`: HMAC with SHA-256 (RFC 7518 §3.2). Whoever verifies can also issue.
    Hs256,
    /// `EdDSA` with Ed25519 (RFC 8037). Verifying needs the public key alone.
    EdDsa,
}

impl Algorithm {
    /// The name in JSON Web Algorithms: `HS256`, `EdDSA`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Hs256 => "HS256",
            Self::EdDsa => "EdDSA",
        }
    }

    pub(crate) const fn to_jwt(self) -> jsonwebtoken::Algorithm {
        match self {
            Self::Hs256 => jsonwebtoken::Algorithm::HS256,
            Self::EdDsa => jsonwebtoken::Algorithm::EdDSA,
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Algorithm {
    type Err = UnknownAlgorithm;

    fn from_str(text: &str) -> Result<Self, UnknownAlgorithm> {
        [Self::Hs256, Self::EdDsa]
            .into_iter()
            .find(|algorithm| algorithm.name().eq_ignore_ascii_case(text))
            .ok_or(UnknownAlgorithm(()))
    }
}

/// A text that names no [`Algorithm`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("tokens are signed by hs256 or eddsa")]
pub struct UnknownAlgorithm(());
