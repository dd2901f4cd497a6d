//! Looking into a token without trusting it.

use std::time::SystemTime;

use data_encoding::BASE64URL_NOPAD;
use jsonwebtoken::crypto;
use serde_json::{Map, Value};

use crate::claims::Wire;
use crate::{Algorithm, Claims, Flaw, MAX_TOKEN, TokenKeys, token};

/// What stands in a token. Nothing of it is to be believed unless `signature` is
/// [`Signature::Verified`].
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Inspection {
    /// The header, as it stands there.
    pub header: Map<String, Value>,
    /// All claims, as they stand there.
    pub payload: Map<String, Value>,
    /// The claims as a service understands them, or why it does not.
    pub claims: Result<Claims, Flaw>,
    /// Whether it was signed with a key that is known.
    pub signature: Signature,
    /// Whether it is valid at the time of the inspection: [`Flaw::Expired`], [`Flaw::NotYet`]; the
    /// flaw of `claims` where these are not understood.
    pub time: Result<(), Flaw>,
}

/// What is known of a token's signature.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Signature {
    /// Nothing: there were no keys to verify it by.
    Unchecked,
    /// It is that of a key.
    Verified {
        /// The key's id.
        key: Option<String>,
        /// The key's algorithm.
        algorithm: Algorithm,
    },
    /// It is not that of the key that the token names, or that key is not known.
    Refused(Flaw),
}

/// Takes a token apart, and verifies its signature where there are `keys`. Audience and issuer are
/// not compared: what a service expects of them is not known here.
///
/// # Errors
/// [`Flaw::TooLong`] and [`Flaw::Malformed`], where there is nothing to be seen.
pub fn inspect(token: &str, keys: Option<&TokenKeys>, now: SystemTime) -> Result<Inspection, Flaw> {
    if token.len() > MAX_TOKEN {
        return Err(Flaw::TooLong);
    }
    let parts: Vec<&str> = token.split('.').collect();
    let &[header, payload, _] = parts.as_slice() else {
        return Err(Flaw::Malformed("it has not three parts with dots between"));
    };
    let decode = |part: &str| {
        let base64 = Flaw::Malformed("it is not base64url without padding");
        BASE64URL_NOPAD.decode(part.as_bytes()).map_err(|_| base64)
    };
    let object = |json: &[u8]| {
        let no_object = Flaw::Malformed("header or claims are no JSON object");
        serde_json::from_slice(json).map_err(|_| no_object)
    };
    let payload = decode(payload)?;
    let claims = serde_json::from_slice::<Wire>(&payload)
        .map_err(|error| Flaw::Claims(error.to_string()))
        .and_then(|wire| Claims::try_from(wire).map_err(Flaw::Claims));
    Ok(Inspection {
        header: object(&decode(header)?)?,
        payload: object(&payload)?,
        time: claims.as_ref().map_err(Clone::clone).and_then(|claims| {
            token::is_in_time(claims.not_before, claims.capability.expires, now)
        }),
        claims,
        signature: keys.map_or(Signature::Unchecked, |keys| {
            verified(token, keys).unwrap_or_else(Signature::Refused)
        }),
    })
}

fn verified(token: &str, keys: &TokenKeys) -> Result<Signature, Flaw> {
    let key = token::key_of(token, keys)?;
    let (message, signature) = token.rsplit_once('.').unwrap_or((token, ""));
    let algorithm = key.algorithm.to_jwt();
    match crypto::verify(signature, message.as_bytes(), &key.jwt, algorithm) {
        Ok(true) => Ok(Signature::Verified {
            key: key.id().map(Into::into),
            algorithm: key.algorithm,
        }),
        _ => Err(Flaw::Signature),
    }
}
