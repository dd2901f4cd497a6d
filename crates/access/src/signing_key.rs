//! Keys that issue tokens.

use std::fmt;
use std::io::{self, Write};
use std::path::Path;

use jsonwebtoken::EncodingKey;
use ring::signature::{Ed25519KeyPair, KeyPair};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::jwk::{Jwk, Material};
use crate::key_file::{self, read};
use crate::{Algorithm, KeyError, MIN_SECRET, TokenKeys, provider};

/// A key that issues tokens: a secret for HS256, or an Ed25519 key pair.
///
/// It is wiped from memory on drop and never printed. Its file form is one JSON Web Key.
#[derive(Clone)]
pub struct SigningKey {
    id: Option<String>,
    private: Private,
}

#[derive(Clone)]
enum Private {
    Secret(Zeroizing<Vec<u8>>),
    Ed25519 {
        seed: Zeroizing<[u8; 32]>,
        public: [u8; 32],
    },
}

impl SigningKey {
    /// A new key from 32 bytes of a cryptographic source of randomness. Its id follows from the
    /// key and tells nothing of it.
    ///
    /// # Errors
    /// [`KeyError::Provider`].
    pub fn generate(algorithm: Algorithm, random: &[u8; 32]) -> Result<Self, KeyError> {
        match algorithm {
            Algorithm::Hs256 => {
                let mut key = Self::from_secret(random)?;
                let digest = Sha256::new()
                    .chain_update("cidbucket key id\n")
                    .chain_update(random)
                    .finalize();
                key.id = Some(short_hex(&digest));
                Ok(key)
            }
            Algorithm::EdDsa => {
                let seed = Zeroizing::new(*random);
                let public = public_of(&seed);
                let id = Some(short_hex(&Sha256::digest(public)));
                Self::new(id, Private::Ed25519 { seed, public })
            }
        }
    }

    /// A secret for HS256, without an id: for the simple case of one key on both sides.
    ///
    /// # Errors
    /// [`KeyError::ShortSecret`] below [`MIN_SECRET`] bytes, [`KeyError::Provider`].
    pub fn from_secret(secret: &[u8]) -> Result<Self, KeyError> {
        if secret.len() < MIN_SECRET {
            return Err(KeyError::ShortSecret(secret.len()));
        }
        Self::new(None, Private::Secret(Zeroizing::new(secret.to_vec())))
    }

    /// A private key in the form of a JSON Web Key, alone or in a set of one.
    ///
    /// # Errors
    /// [`KeyError`], also where the key is a public one, or of a kind not known here.
    pub fn from_jwk(json: &[u8]) -> Result<Self, KeyError> {
        let keys = Jwk::parse(json)?;
        let [key] = keys.as_slice() else {
            return Err(KeyError::NoSigner("there is not exactly one key"));
        };
        let private = match key
            .material()
            .map_err(KeyError::NoSigner)?
            .ok_or(KeyError::NoneKnown)?
        {
            Material::Secret(secret) => Private::Secret(secret),
            Material::Ed25519 { public, seed } => {
                let seed = seed.ok_or(KeyError::NoSigner(
                    "it is a public key, which verifies and does not sign",
                ))?;
                if public_of(&seed) != public {
                    return Err(KeyError::NoSigner("`x` is not the public key of `d`"));
                }
                Private::Ed25519 { seed, public }
            }
        };
        Self::new(key.id().map(Into::into), private)
    }

    /// Reads the key of a file, as [`Self::create`] writes it.
    ///
    /// # Errors
    /// [`KeyError`].
    pub fn load(path: &Path) -> Result<Self, KeyError> {
        Self::from_jwk(&read(path)?)
    }

    /// Writes the key to a new file that only this user can read (mode 0600).
    ///
    /// # Errors
    /// [`KeyError::File`], also where there is a file of that name already: a key that somebody
    /// needs is never written over.
    pub fn create(&self, path: &Path) -> Result<(), KeyError> {
        let folder = path
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty());
        let write = || -> io::Result<()> {
            // Files of this kind are private from the start.
            let mut file = tempfile::Builder::new()
                .prefix(".cidbucket-key-")
                .tempfile_in(folder.unwrap_or(Path::new(".")))?;
            file.write_all(self.to_jwk().as_bytes())?;
            file.write_all(b"\n")?;
            file.as_file().sync_all()?;
            file.persist_noclobber(path)?;
            Ok(())
        };
        write().map_err(|source| key_file::failed(path, source))
    }

    /// Reads the key of a file, or makes one from `random` where there is no file yet. Processes
    /// that do so at once all get the same key.
    ///
    /// # Errors
    /// [`KeyError`]; a damaged file is not replaced.
    pub fn load_or_create(
        path: &Path,
        algorithm: Algorithm,
        random: &[u8; 32],
    ) -> Result<Self, KeyError> {
        let is = |error: &KeyError, expected| matches!(error, KeyError::File { source, .. } if source.kind() == expected);
        match Self::load(path) {
            Err(error) if is(&error, io::ErrorKind::NotFound) => {}
            loaded => return loaded,
        }
        let key = Self::generate(algorithm, random)?;
        match key.create(path) {
            Ok(()) => Ok(key),
            Err(error) if is(&error, io::ErrorKind::AlreadyExists) => Self::load(path),
            Err(error) => Err(error),
        }
    }

    /// The key as a JSON Web Key, private part included.
    pub fn to_jwk(&self) -> Zeroizing<String> {
        match &self.private {
            Private::Secret(secret) => Jwk::of_secret(secret, self.id()),
            Private::Ed25519 { seed, public } => {
                Jwk::of_ed25519(public, Some(seed.as_slice()), self.id())
            }
        }
        .to_json()
    }

    /// A JSON Web Key Set with the public key alone, to give to a service; `None` for HS256, which
    /// has no public key.
    pub fn public_jwks(&self) -> Option<String> {
        match &self.private {
            Private::Secret(_) => None,
            Private::Ed25519 { public, .. } => Some(Jwk::set_to_json(vec![Jwk::of_ed25519(
                public,
                None,
                self.id(),
            )])),
        }
    }

    /// The keys that verify what this key signs: itself alone.
    ///
    /// # Errors
    /// [`KeyError::Provider`].
    pub fn verifying(&self) -> Result<TokenKeys, KeyError> {
        let material = match &self.private {
            Private::Secret(secret) => Material::Secret(secret.clone()),
            Private::Ed25519 { public, .. } => Material::Ed25519 {
                public: *public,
                seed: None,
            },
        };
        TokenKeys::of([(self.id.clone(), material)])
    }

    /// The id, which its tokens name.
    pub fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// What it signs by.
    pub fn algorithm(&self) -> Algorithm {
        match self.private {
            Private::Secret(_) => Algorithm::Hs256,
            Private::Ed25519 { .. } => Algorithm::EdDsa,
        }
    }

    pub(crate) fn to_jwt(&self) -> EncodingKey {
        match &self.private {
            Private::Secret(secret) => EncodingKey::from_secret(secret),
            Private::Ed25519 { seed, .. } => EncodingKey::from_ed_der(&*pkcs8(seed)),
        }
    }

    fn new(id: Option<String>, private: Private) -> Result<Self, KeyError> {
        if !provider::is_ready() {
            return Err(KeyError::Provider);
        }
        Ok(Self { id, private })
    }
}

/// Shows id and algorithm alone.
impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey")
            .field("id", &self.id)
            .field("algorithm", &self.algorithm())
            .finish_non_exhaustive()
    }
}

/// The seed in the envelope that `jsonwebtoken` passes around: PKCS #8, as of RFC 8410 §7.
pub(crate) fn pkcs8(seed: &[u8; 32]) -> Zeroizing<[u8; 48]> {
    let mut der = Zeroizing::new([0; 48]);
    der[..16].copy_from_slice(b"\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20");
    der[16..].copy_from_slice(seed);
    der
}

fn public_of(seed: &[u8; 32]) -> [u8; 32] {
    let pair = Ed25519KeyPair::from_seed_unchecked(seed).expect("every 32 bytes are a seed");
    let mut public = [0; 32];
    public.copy_from_slice(pair.public_key().as_ref());
    public
}

/// 64 bits are enough to tell a service's keys apart, and every token carries them.
fn short_hex(digest: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(&digest[..8])
}
