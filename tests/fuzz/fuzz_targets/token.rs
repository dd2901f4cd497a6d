//! Tokens, rightly signed and not, and files of keys.
//!
//! The first byte chooses what the rest is: a token, the header and claims of one that is then
//! rightly signed (so that what lies behind the signature is reached), or a file of keys.
#![no_main]

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use cidbucket_access::{
    Claims, Flaw, MAX_TOKEN, Signature, SigningKey, TokenAuthorizer, TokenKeys, bearer, inspect,
};
use data_encoding::BASE64URL_NOPAD;
use hmac::{Hmac, KeyInit, Mac};
use libfuzzer_sys::fuzz_target;
use sha2::Sha256;

const SECRET: &[u8; 32] = b"a secret for tests, of 32 bytes.";

fuzz_target!(|input: &[u8]| {
    let Some((&choice, rest)) = input.split_first() else {
        return;
    };
    match choice % 3 {
        0 => {
            let Ok(text) = str::from_utf8(rest) else {
                return;
            };
            if let Ok(token) = bearer(text) {
                assert!(token.bytes().all(|byte| byte.is_ascii_graphic()));
            }
            // Nobody has signed it.
            assert!(authorizer().verify(text, now()).is_err());
            if let Ok(seen) = inspect(text, Some(&keys()), now()) {
                assert!(matches!(seen.signature, Signature::Refused(_)));
            }
        }
        1 => {
            let split = rest.iter().position(|&byte| byte == b'\n');
            let (header, claims) = match split {
                Some(at) => (&rest[..at], &rest[at + 1..]),
                None => (&br#"{"alg":"HS256"}"#[..], rest),
            };
            signed(&sign(header, claims));
        }
        _ => {
            if let Ok(keys) = TokenKeys::from_jwks(rest) {
                assert!(keys.ids().count() <= rest.len());
                assert!(TokenAuthorizer::new(keys).verify("a.b.c", now()).is_err());
            }
            if let Ok(key) = SigningKey::from_jwk(rest) {
                let again = SigningKey::from_jwk(key.to_jwk().as_bytes()).expect("its own form");
                assert_eq!(again.id(), key.id());
                assert_eq!(again.algorithm(), key.algorithm());
            }
        }
    }
});

/// A token whose signature is right: what is accepted of it can be issued, and says the same.
fn signed(token: &str) {
    let found = authorizer().verify(token, now());
    let Ok(seen) = inspect(token, Some(&keys()), now()) else {
        assert!(found.is_err());
        return;
    };
    let Ok(capability) = found else {
        return;
    };
    assert!(matches!(seen.signature, Signature::Verified { .. }));
    assert_eq!(seen.time, Ok(()));
    let claims: Claims = seen.claims.expect("it was accepted");
    assert_eq!(claims.capability.operations, capability.operations);
    assert_eq!(claims.capability.tenant, capability.tenant);
    assert!(capability.quota.is_none() || !claims.capability.token.is_empty());
    if let Some(tenant) = &capability.tenant {
        let segment = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        assert!(tenant.as_str().bytes().all(segment));
    }
    let key = SigningKey::from_secret(SECRET).unwrap();
    match claims.issue(&key) {
        Ok(again) => {
            let again = authorizer().verify(&again, now()).expect("its own form");
            assert_eq!(again.operations, capability.operations);
            assert_eq!(again.hashes, capability.hashes);
            assert_eq!(again.codecs, capability.codecs);
            assert_eq!(again.quota, capability.quota);
        }
        // Written out, a list of numbers can be longer than it was.
        Err(flaw) => assert_eq!(flaw, Flaw::TooLong),
    }
}

fn sign(header: &[u8], claims: &[u8]) -> String {
    let message = format!(
        "{}.{}",
        BASE64URL_NOPAD.encode(header),
        BASE64URL_NOPAD.encode(claims)
    );
    let code = Hmac::<Sha256>::new_from_slice(SECRET)
        .unwrap()
        .chain_update(&message)
        .finalize();
    let token = format!("{message}.{}", BASE64URL_NOPAD.encode(&code.into_bytes()));
    assert!(token.len() <= MAX_TOKEN || authorizer().verify(&token, now()) == Err(Flaw::TooLong));
    token
}

fn authorizer() -> TokenAuthorizer {
    TokenAuthorizer::new(keys())
}

fn keys() -> TokenKeys {
    TokenKeys::from_secret(SECRET).unwrap()
}

fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_800_000_000)
}
