//! Keys that verify tokens.

use std::fmt;
use std::path::Path;

use jsonwebtoken::DecodingKey;

use crate::jwk::{Jwk, Material};
use crate::key_file::read;
use crate::{Algorithm, Flaw, KeyError, MIN_SECRET, provider};

/// The keys by which a service verifies tokens. Several of them are how keys are changed: the new
/// one is added, and the old one removed when its last token has expired.
#[derive(Clone)]
pub struct TokenKeys(Vec<TokenKey>);

/// A key and the one algorithm it verifies: a public key can never be taken for a secret.
#[derive(Clone)]
pub(crate) struct TokenKey {
    id: Option<String>,
    pub(crate) algorithm: Algorithm,
    pub(crate) jwt: DecodingKey,
}

impl TokenKeys {
    /// One secret for HS256.
    ///
    /// # Errors
    /// [`KeyError::ShortSecret`] below [`MIN_SECRET`] bytes, [`KeyError::Provider`].
    pub fn from_secret(secret: &[u8]) -> Result<Self, KeyError> {
        if secret.len() < MIN_SECRET {
            return Err(KeyError::ShortSecret(secret.len()));
        }
        Self::of([(None, Material::Secret(secret.to_vec().into()))])
    }

    /// The keys of a JSON Web Key Set (RFC 7517), or one JSON Web Key: `oct` with `alg` HS256, and
    /// `OKP` with the curve Ed25519. A private key verifies as its public one.
    ///
    /// Keys of other kinds, algorithms or uses are passed over, as RFC 7517 §5 wants it. An empty
    /// set is a set: it verifies nothing.
    ///
    /// # Errors
    /// [`KeyError`], also where none of several keys is of a known kind.
    pub fn from_jwks(json: &[u8]) -> Result<Self, KeyError> {
        let jwks = Jwk::parse(json)?;
        let mut keys = Vec::new();
        for (index, jwk) in jwks.iter().enumerate() {
            let material = jwk
                .material()
                .map_err(|flaw| KeyError::Key { index, flaw })?;
            keys.extend(material.map(|material| (jwk.id().map(Into::into), material)));
        }
        if keys.is_empty() && !jwks.is_empty() {
            return Err(KeyError::NoneKnown);
        }
        Self::of(keys)
    }

    /// [`Self::from_jwks`] of a file.
    ///
    /// # Errors
    /// [`KeyError`].
    pub fn load(path: &Path) -> Result<Self, KeyError> {
        Self::from_jwks(&read(path)?)
    }

    /// The ids of the keys; a key may have none.
    pub fn ids(&self) -> impl Iterator<Item = Option<&str>> {
        self.0.iter().map(TokenKey::id)
    }

    pub(crate) fn of(
        keys: impl IntoIterator<Item = (Option<String>, Material)>,
    ) -> Result<Self, KeyError> {
        if !provider::is_ready() {
            return Err(KeyError::Provider);
        }
        let mut all: Vec<TokenKey> = Vec::new();
        for (id, material) in keys {
            if let Some(id) = &id
                && all.iter().any(|other| other.id.as_ref() == Some(id))
            {
                return Err(KeyError::SameId { id: id.clone() });
            }
            let (algorithm, jwt) = match material {
                Material::Secret(secret) => (Algorithm::Hs256, DecodingKey::from_secret(&secret)),
                Material::Ed25519 { public, .. } => {
                    (Algorithm::EdDsa, DecodingKey::from_ed_der(&public))
                }
            };
            all.push(TokenKey { id, algorithm, jwt });
        }
        Ok(Self(all))
    }

    /// The key that a token names. One that names none is verified by the only key there is: never
    /// are several tried.
    pub(crate) fn find(&self, id: Option<&str>) -> Result<&TokenKey, Flaw> {
        match (id, self.0.as_slice()) {
            (None, [only]) => Ok(only),
            (None, _) => Err(Flaw::UnknownKey),
            (Some(id), keys) => keys
                .iter()
                .find(|key| key.id() == Some(id))
                .ok_or(Flaw::UnknownKey),
        }
    }
}

impl TokenKey {
    pub(crate) fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }
}

/// Shows ids and algorithms alone.
impl fmt::Debug for TokenKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys = self.0.iter().map(|key| (key.id(), key.algorithm));
        f.debug_tuple("TokenKeys")
            .field(&keys.collect::<Vec<_>>())
            .finish()
    }
}
