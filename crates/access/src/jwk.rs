//! JSON Web Keys: RFC 7517, and RFC 8037 for Ed25519.

use data_encoding::BASE64URL_NOPAD;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::{Algorithm, KeyError, MIN_SECRET};

/// The members that are used here. Others are passed over, as RFC 7517 §4 wants it.
#[derive(Default, Deserialize, Serialize)]
pub(crate) struct Jwk {
    kty: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    crv: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    alg: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kid: Option<String>,
    #[serde(rename = "use", skip_serializing_if = "Option::is_none")]
    usage: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    x: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    d: Option<Zeroizing<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    k: Option<Zeroizing<String>>,
}

#[derive(Deserialize, Serialize)]
struct Set<T> {
    keys: Vec<T>,
}

/// What a key of a known kind has in it.
pub(crate) enum Material {
    /// A secret for HS256.
    Secret(Zeroizing<Vec<u8>>),
    /// Ed25519: the public key, and the seed where the private key is there.
    Ed25519 {
        public: [u8; 32],
        seed: Option<Zeroizing<[u8; 32]>>,
    },
}

impl Jwk {
    /// The keys of a set (`{"keys": […]}`), or one key.
    pub(crate) fn parse(json: &[u8]) -> Result<Vec<Self>, KeyError> {
        let set = serde_json::from_slice::<Set<Self>>(json).map(|set| set.keys);
        set.or_else(|of_set| {
            serde_json::from_slice(json)
                .map(|key| vec![key])
                // The error's own text would quote the file.
                .map_err(|_| KeyError::Syntax {
                    line: of_set.line(),
                    column: of_set.column(),
                })
        })
    }

    pub(crate) fn of_secret(secret: &[u8], id: Option<&str>) -> Self {
        Self {
            kty: "oct".into(),
            alg: Some(Algorithm::Hs256.name().into()),
            kid: id.map(Into::into),
            usage: Some("sig".into()),
            k: Some(Zeroizing::new(BASE64URL_NOPAD.encode(secret))),
            ..Self::default()
        }
    }

    pub(crate) fn of_ed25519(public: &[u8], seed: Option<&[u8]>, id: Option<&str>) -> Self {
        Self {
            kty: "OKP".into(),
            crv: Some("Ed25519".into()),
            alg: Some(Algorithm::EdDsa.name().into()),
            kid: id.map(Into::into),
            usage: Some("sig".into()),
            x: Some(BASE64URL_NOPAD.encode(public)),
            d: seed.map(|seed| Zeroizing::new(BASE64URL_NOPAD.encode(seed))),
            ..Self::default()
        }
    }

    pub(crate) fn to_json(&self) -> Zeroizing<String> {
        Zeroizing::new(serde_json::to_string_pretty(self).expect("text members only"))
    }

    pub(crate) fn set_to_json(keys: Vec<Self>) -> String {
        serde_json::to_string_pretty(&Set { keys }).expect("text members only")
    }

    pub(crate) fn id(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    /// What is in the key; `None` where it is of a kind or for a use that is not known here. The
    /// algorithm follows from the kind: a key that says another one is none of ours.
    pub(crate) fn material(&self) -> Result<Option<Material>, &'static str> {
        if self.usage.as_deref().is_some_and(|usage| usage != "sig") {
            return Ok(None);
        }
        if let Some(id) = &self.kid {
            check_id(id)?;
        }
        match (self.kty.as_str(), self.crv.as_deref(), self.alg.as_deref()) {
            ("oct", _, Some("HS256")) => {
                let text = self.k.as_ref().ok_or("it has no `k`")?;
                let secret = decode(text).ok_or("`k` is not base64url without padding")?;
                if secret.len() < MIN_SECRET {
                    return Err("`k` has less than 32 bytes: too short for HS256");
                }
                Ok(Some(Material::Secret(secret)))
            }
            ("oct", _, None) => Err("a secret needs its algorithm: \"alg\": \"HS256\""),
            // RFC 9864 has the second name for the same.
            ("OKP", Some("Ed25519"), None | Some("EdDSA" | "Ed25519")) => {
                let text = self.x.as_ref().ok_or("it has no `x`")?;
                let public = decode32(text).ok_or("`x` is not 32 bytes in base64url")?;
                let seed = match &self.d {
                    Some(text) => Some(decode32(text).ok_or("`d` is not 32 bytes in base64url")?),
                    None => None,
                };
                Ok(Some(Material::Ed25519 {
                    public: *public,
                    seed,
                }))
            }
            _ => Ok(None),
        }
    }
}

/// A key's id is shown in errors and stands in tokens.
pub(crate) fn check_id(id: &str) -> Result<(), &'static str> {
    if id.is_empty() || id.len() > 128 || id.chars().any(char::is_control) {
        return Err("`kid` is empty, longer than 128 bytes, or has control characters");
    }
    Ok(())
}

fn decode(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    BASE64URL_NOPAD
        .decode(text.as_bytes())
        .ok()
        .map(Zeroizing::new)
}

fn decode32(text: &str) -> Option<Zeroizing<[u8; 32]>> {
    let bytes = decode(text)?;
    <[u8; 32]>::try_from(bytes.as_slice())
        .ok()
        .map(Zeroizing::new)
}
