//! The question that is asked of every request.

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use async_trait::async_trait;

use crate::{Capability, Flaw};

/// Decides what the bearer of a token may do.
///
/// [`TokenAuthorizer`](crate::TokenAuthorizer) decides by signed tokens. A program that embeds the
/// service can decide by anything else: sessions, an API key in a database, another service.
#[async_trait]
pub trait Authorizer: fmt::Debug + Send + Sync {
    /// What may be done with `bearer`, the token alone as [`bearer`] gives it, or with none, at
    /// `now`.
    ///
    /// # Errors
    /// [`Refused`]; also where no token is given, unless that too allows something.
    async fn authorize(
        &self,
        bearer: Option<&str>,
        now: SystemTime,
    ) -> Result<Arc<Capability>, Refused>;
}

/// Why nothing may be done. Its text is for the client: it holds no token and no secret.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Refused {
    /// A token is needed, and there is none.
    #[error("this needs a token: send `Authorization: Bearer TOKEN`")]
    Missing,
    /// There is a token, and it is not good.
    #[error("the token is refused: {0}")]
    Invalid(#[from] Flaw),
    /// It cannot be decided now; the same token may be good later.
    #[error("whether the token is good cannot be told at the moment")]
    Unavailable(#[source] Arc<dyn Error + Send + Sync>),
}

/// The token in the value of an `Authorization` header, `Bearer TOKEN` (RFC 6750 §2.1).
///
/// # Errors
/// [`Refused::Missing`] for every other scheme, [`Refused::Invalid`] where what follows is no token.
pub fn bearer(authorization: &str) -> Result<&str, Refused> {
    let (scheme, token) = authorization.split_once(' ').unwrap_or((authorization, ""));
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(Refused::Missing);
    }
    let token = token.trim_matches(' ');
    let is_token = |b: u8| b.is_ascii_alphanumeric() || b"-._~+/=".contains(&b);
    if token.is_empty() || !token.bytes().all(is_token) {
        return Err(Flaw::Malformed("it has a character that no token has, or none at all").into());
    }
    Ok(token)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_s_token() {
        assert_eq!(bearer("Bearer a.b.c-_").unwrap(), "a.b.c-_");
        assert_eq!(bearer("bearer  a.b.c ").unwrap(), "a.b.c");
        for other in ["", "Basic YTpi", "Bearera.b.c", "a.b.c"] {
            assert!(matches!(bearer(other), Err(Refused::Missing)), "{other}");
        }
        for bad in ["Bearer", "Bearer ", "Bearer a b", "Bearer a,b", "Bearer ä"] {
            assert!(matches!(bearer(bad), Err(Refused::Invalid(_))), "{bad}");
        }
    }
}
