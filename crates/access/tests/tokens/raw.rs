//! Tokens made by hand, to say what no library would.

use data_encoding::BASE64URL_NOPAD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// The secret that signs them.
pub(crate) const SECRET: &[u8; 32] = b"a secret for tests, of 32 bytes.";

pub(crate) const HEADER: &str = r#"{"alg":"HS256","typ":"JWT"}"#;

/// A token of any header and claims, rightly signed by HS256 with [`SECRET`].
pub(crate) fn token(header: &str, claims: &str) -> String {
    token_of_bytes(header.as_bytes(), claims.as_bytes())
}

pub(crate) fn token_of_bytes(header: &[u8], claims: &[u8]) -> String {
    sign(SECRET, format!("{}.{}", encode(header), encode(claims)))
}

pub(crate) fn signed_with(secret: &[u8], header: &str, claims: &str) -> String {
    sign(secret, message(header, claims))
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

fn sign(secret: &[u8], message: String) -> String {
    let code = Hmac::<Sha256>::new_from_slice(secret)
        .unwrap()
        .chain_update(&message)
        .finalize();
    message + "." + &encode(&code.into_bytes())
}
