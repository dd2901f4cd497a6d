//! Who may do what, by signed tokens.

use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use async_trait::async_trait;
use sha2::{Digest, Sha256};

use crate::key_file::{Edition, KeyFile};
use crate::token::{self, Expected};
use crate::verified::{Verified, VerifiedTokens};
use crate::{Authorizer, Capability, Flaw, KeyError, MAX_TOKEN, Refused, TokenKeys};

/// Decides by JSON Web Tokens, as `docs/tokens.md` specifies them.
///
/// The first key made in a process installs a provider of cryptography for the `jsonwebtoken` crate
/// that knows `HS256` and `EdDSA` alone, unless there is one already. A program that uses that crate
/// for other algorithms installs its own before.
#[derive(Debug)]
pub struct TokenAuthorizer {
    keys: Keys,
    expected: Expected,
    verified: VerifiedTokens,
}

#[derive(Debug)]
enum Keys {
    Fixed(Edition),
    File(Box<KeyFile>),
}

impl TokenAuthorizer {
    /// Verifies tokens by `keys`.
    pub fn new(keys: TokenKeys) -> Self {
        Self::by(Keys::Fixed(Edition {
            number: 0,
            keys: Arc::new(keys),
        }))
    }

    /// Verifies tokens by the keys of a JSON Web Key Set. The file is read again when it changes: it
    /// is looked at once a second, while there are requests. One that cannot be read or understood
    /// any more leaves the old keys in force, with a warning in the log: to take keys out of force,
    /// write a set without them.
    ///
    /// # Errors
    /// [`KeyError`].
    pub fn from_file(path: &Path, now: SystemTime) -> Result<Self, KeyError> {
        Ok(Self::by(Keys::File(Box::new(KeyFile::open(path, now)?))))
    }

    /// Gives the service a name: tokens must be for it (`aud`). Called again, another name of it.
    ///
    /// Without a name, tokens that are for somebody are refused.
    #[must_use]
    pub fn with_audience(mut self, name: impl Into<String>) -> Self {
        self.expected.audience.push(name.into());
        self
    }

    /// Accepts tokens of one issuer only (`iss`).
    #[must_use]
    pub fn with_issuer(mut self, issuer: impl Into<String>) -> Self {
        self.expected.issuer = Some(issuer.into());
        self
    }

    /// What may be done with `token` at `now`.
    ///
    /// # Errors
    /// [`Flaw`] says what is wrong with it.
    pub fn verify(&self, token: &str, now: SystemTime) -> Result<Arc<Capability>, Flaw> {
        if token.len() > MAX_TOKEN {
            return Err(Flaw::TooLong);
        }
        let edition = match &self.keys {
            Keys::Fixed(edition) => edition.clone(),
            Keys::File(file) => file.keys(now),
        };
        let digest = Sha256::digest(token).into();
        if let Some(known) = self.verified.get(&digest, edition.number) {
            token::is_in_time(known.not_before, known.capability.expires, now)?;
            return Ok(known.capability);
        }
        let claims = token::verify(token, &edition.keys, &self.expected, now)?;
        let capability = Arc::new(claims.capability);
        self.verified.put(
            digest,
            Verified {
                capability: capability.clone(),
                not_before: claims.not_before,
                edition: edition.number,
            },
        );
        Ok(capability)
    }

    fn by(keys: Keys) -> Self {
        Self {
            keys,
            expected: Expected::default(),
            verified: VerifiedTokens::new(),
        }
    }
}

#[async_trait]
impl Authorizer for TokenAuthorizer {
    async fn authorize(
        &self,
        bearer: Option<&str>,
        now: SystemTime,
    ) -> Result<Arc<Capability>, Refused> {
        let token = bearer.ok_or(Refused::Missing)?;
        Ok(self.verify(token, now)?)
    }
}
