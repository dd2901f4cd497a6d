//! Tokens: issuing them, and telling whether one is good. Pure: keys and clock are arguments.

use std::time::{SystemTime, UNIX_EPOCH};

use data_encoding::HEXLOWER;
use jsonwebtoken::errors::{Error, ErrorKind};
use jsonwebtoken::{Header, Validation, decode, decode_header, encode};
use sha2::{Digest, Sha256};

use crate::claims::Wire;
use crate::token_keys::TokenKey;
use crate::{Claims, Flaw, MAX_TOKEN, NOT_BEFORE_LEEWAY, SigningKey, TokenKeys};

/// Whom a token must be for, and from.
#[derive(Debug, Clone, Default)]
pub(crate) struct Expected {
    pub(crate) audience: Vec<String>,
    pub(crate) issuer: Option<String>,
}

impl Claims {
    /// A token that says this, signed with `key`.
    ///
    /// # Errors
    /// [`Flaw::Claims`] and [`Flaw::TooLong`], where no service would accept it.
    pub fn issue(&self, key: &SigningKey) -> Result<String, Flaw> {
        let wire = Wire::try_from(self).map_err(Flaw::Claims)?;
        let mut header = Header::new(key.algorithm().to_jwt());
        header.kid = key.id().map(Into::into);
        let token = encode(&header, &wire, &key.to_jwt()).map_err(|error| flaw(&error))?;
        if token.len() > MAX_TOKEN {
            return Err(Flaw::TooLong);
        }
        Ok(token)
    }
}

/// What a token says, if its signature is that of one of `keys`, and it is valid at `now`.
pub(crate) fn verify(
    token: &str,
    keys: &TokenKeys,
    expected: &Expected,
    now: SystemTime,
) -> Result<Claims, Flaw> {
    let key = key_of(token, keys)?;
    let mut claims = claims(token, key)?;
    expected.check(&claims)?;
    is_in_time(claims.not_before, claims.capability.expires, now)?;
    if claims.capability.token.is_empty() {
        // Rates are counted by it. The token's hash tells nothing of the token.
        let digest = Sha256::digest(token);
        claims.capability.token = format!("sha256:{}", HEXLOWER.encode(&digest[..16]));
    }
    Ok(claims)
}

/// The key that the token names in its header, which is not trusted otherwise.
pub(crate) fn key_of<'k>(token: &str, keys: &'k TokenKeys) -> Result<&'k TokenKey, Flaw> {
    if token.len() > MAX_TOKEN {
        return Err(Flaw::TooLong);
    }
    let header = decode_header(token).map_err(|_| {
        Flaw::Malformed("its header cannot be read, or names an algorithm that is not known")
    })?;
    // RFC 7515 §4.1.11: what is listed there must be understood, and nothing is here.
    if header.crit.is_some() {
        return Err(Flaw::Malformed("its header has an extension"));
    }
    let key = keys.find(header.kid.as_deref())?;
    if header.alg != key.algorithm.to_jwt() {
        return Err(Flaw::Algorithm);
    }
    Ok(key)
}

/// The claims of a token whose signature is that of `key`, whatever the time.
pub(crate) fn claims(token: &str, key: &TokenKey) -> Result<Claims, Flaw> {
    // Time and audience are checked by us: the library asks the system for the time.
    let mut validation = Validation::new(key.algorithm.to_jwt());
    validation.required_spec_claims.clear();
    validation.validate_exp = false;
    validation.validate_aud = false;
    let wire = decode::<Wire>(token, &key.jwt, &validation).map_err(|error| flaw(&error))?;
    wire.claims.try_into().map_err(Flaw::Claims)
}

/// Whether `now` lies between the two, in seconds since 1970-01-01 UTC. A token may be used
/// [`NOT_BEFORE_LEEWAY`] early, since the issuer's clock may be ahead, but never late.
pub(crate) fn is_in_time(
    not_before: Option<u64>,
    expires: Option<u64>,
    now: SystemTime,
) -> Result<(), Flaw> {
    let now = seconds(now);
    if expires.is_some_and(|expires| expires <= now) {
        return Err(Flaw::Expired);
    }
    let early = now.saturating_add(NOT_BEFORE_LEEWAY.as_secs());
    if not_before.is_some_and(|not_before| not_before > early) {
        return Err(Flaw::NotYet);
    }
    Ok(())
}

/// Whole seconds since 1970-01-01 UTC; 0 before that.
pub(crate) fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

impl Expected {
    /// RFC 7519 §4.1.3: a token for an audience is for nobody else, so also not for a service that
    /// was given no name.
    fn check(&self, claims: &Claims) -> Result<(), Flaw> {
        let for_all = claims.audience.is_empty() && self.audience.is_empty();
        let for_us = || (claims.audience.iter()).any(|name| self.audience.contains(name));
        if !for_all && !for_us() {
            return Err(Flaw::Audience);
        }
        if self.issuer.is_some() && self.issuer != claims.issuer {
            return Err(Flaw::Issuer);
        }
        Ok(())
    }
}

fn flaw(error: &Error) -> Flaw {
    match error.kind() {
        // The header was understood before, so this is about the claims. They are signed, and so
        // can be quoted.
        ErrorKind::Json(error) => Flaw::Claims(error.to_string()),
        ErrorKind::InvalidSignature => Flaw::Signature,
        ErrorKind::InvalidAlgorithm | ErrorKind::UnsupportedAlgorithm => Flaw::Algorithm,
        _ => Flaw::Malformed("it has not three parts in base64url without padding"),
    }
}
