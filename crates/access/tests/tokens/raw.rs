//! Tokens made by hand, to say what no library would.

use data_encoding::BASE64URL_NOPAD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// The secret that signs them.
pub(crate) const SECRET: &[u8; 32] = b"a secret for tests, of 32 bytes.";

pub(crate) const HEADER: &str = r#"{"alg":"HS256","typ":"JWT"}"#;

/// A token of any header and claims, rightly signed by HS256 with [`SECRET`].
pub(crate) fn token(header: &str, claims: &str) -> String {
    signed_with(SECRET, header, claims)
}

pub(crate) fn signed_with(secret: &[u8], header: &str, claims: &str) -> String {
    let message = message(header, claims);
    let code = Hmac::<Sha256>::new_from_slice(secret)
        .unwrap()
        .chain_update(&message)
        .finalize();
    format!("{message}.{}", encode(&code.into_bytes()))
}

pub(crate) fn message(header: &str, claims: &str) -> String {
    format!(
        "{}.{}",
        encode(header.as_bytes()),
        encode(claims.as_bytes())
    )
}

pub(crate) fn encode(bytes: &[u8]) -> String {
    BASE64URL_NOPAD.encode(bytes)
}
