//! Tokens that were altered, forged, or signed by the wrong means.

use cidbucket_access::{
    Algorithm, Authorizer, Claims, Flaw, MAX_TOKEN, Refused, SigningKey, TokenAuthorizer, TokenKeys,
};
use data_encoding::BASE64URL_NOPAD;
use futures::executor::block_on;
use proptest::prelude::*;

use crate::raw::{self, HEADER, SECRET, signed_with, token};
use crate::{NOW, at, capability, issue, key};

const CLAIMS: &str = r#"{"exp":1800000001,"cap":{"ops":["read"]}}"#;

fn authorizer(key: &SigningKey) -> TokenAuthorizer {
    TokenAuthorizer::new(key.verifying().unwrap())
}

fn by_secret() -> TokenAuthorizer {
    TokenAuthorizer::new(TokenKeys::from_secret(SECRET).unwrap())
}

#[track_caller]
fn refused(authorizer: &TokenAuthorizer, token: &str) -> Flaw {
    authorizer.verify(token, at(NOW)).unwrap_err()
}

#[test]
fn a_good_token_is_good_twice() {
    for algorithm in [Algorithm::Hs256, Algorithm::EdDsa] {
        let key = key(algorithm, 1);
        let authorizer = authorizer(&key);
        let token = issue(&key);
        // The second time it is remembered, and nothing else may differ.
        for _ in 0..2 {
            let found = authorizer.verify(&token, at(NOW)).unwrap();
            assert_eq!(*found, capability());
        }
    }
    assert!(by_secret().verify(&token(HEADER, CLAIMS), at(NOW)).is_ok());
}

#[test]
fn the_trait_tells_missing_from_bad() {
    let key = key(Algorithm::EdDsa, 1);
    let authorizer: Box<dyn Authorizer> = Box::new(authorizer(&key));
    let ask = |bearer| block_on(authorizer.authorize(bearer, at(NOW)));
    let token = issue(&key);
    assert!(ask(Some(&token)).is_ok());
    assert!(matches!(ask(None), Err(Refused::Missing)));
    assert!(matches!(
        ask(Some("")),
        Err(Refused::Invalid(Flaw::Malformed(_)))
    ));
}

#[test]
fn no_signature_is_no_token() {
    for key in [key(Algorithm::Hs256, 1), key(Algorithm::EdDsa, 1)] {
        let authorizer = authorizer(&key);
        for algorithm in ["none", "None", "NONE", "nOnE", "", "HS256", "EdDSA"] {
            let header = format!(r#"{{"alg":"{algorithm}"}}"#);
            let message = raw::message(&header, CLAIMS);
            for end in ["", ".", ".AA"] {
                refused(&authorizer, &format!("{message}{end}"));
            }
        }
        refused(&authorizer, &format!("{}.", raw::message("{}", CLAIMS)));
    }
}

#[test]
fn a_public_key_is_no_secret() {
    let key = key(Algorithm::EdDsa, 1);
    let jwks = key.public_jwks().unwrap();
    let set: serde_json::Value = serde_json::from_str(&jwks).unwrap();
    let x = set["keys"][0]["x"].as_str().unwrap();
    let public = BASE64URL_NOPAD.decode(x.as_bytes()).unwrap();
    let id = key.id().unwrap();
    // Whoever has the public key can compute this HMAC.
    for secret in [public.as_slice(), x.as_bytes(), jwks.as_bytes()] {
        for header in [
            HEADER.to_owned(),
            format!(r#"{{"alg":"HS256","kid":"{id}"}}"#),
        ] {
            let forged = signed_with(secret, &header, CLAIMS);
            assert_eq!(refused(&authorizer(&key), &forged), Flaw::Algorithm);
        }
        let as_eddsa = signed_with(secret, r#"{"alg":"EdDSA"}"#, CLAIMS);
        assert_eq!(refused(&authorizer(&key), &as_eddsa), Flaw::Signature);
    }
}

#[test]
fn an_algorithm_is_the_key_s_and_not_the_token_s() {
    for algorithm in [
        "HS384", "HS512", "RS256", "PS256", "ES256", "ES384", "EdDSA",
    ] {
        let forged = token(&format!(r#"{{"alg":"{algorithm}"}}"#), CLAIMS);
        assert_eq!(
            refused(&by_secret(), &forged),
            Flaw::Algorithm,
            "{algorithm}"
        );
    }
    // An empty secret is what a lazy verifier has for a key it does not know.
    assert_eq!(
        refused(&by_secret(), &signed_with(b"", HEADER, CLAIMS)),
        Flaw::Signature
    );
}

#[test]
fn the_key_is_ours_and_not_the_token_s() {
    let own = r#"{"kty":"oct","alg":"HS256","k":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}"#;
    let header = format!(r#"{{"alg":"HS256","jwk":{own},"jku":"http://127.0.0.1:1/"}}"#);
    let forged = signed_with(&[0; 32], &header, CLAIMS);
    assert_eq!(refused(&by_secret(), &forged), Flaw::Signature);
}

#[test]
fn an_extension_that_must_be_understood_is_not() {
    for critical in [r#"["exp"]"#, "[]", r#"["b64"],"b64":false"#] {
        let header = format!(r#"{{"alg":"HS256","crit":{critical}}}"#);
        let flaw = refused(&by_secret(), &token(&header, CLAIMS));
        assert!(matches!(flaw, Flaw::Malformed(_)), "{critical}: {flaw}");
    }
}

#[test]
fn another_key_of_the_same_name() {
    let (ours, theirs) = (key(Algorithm::EdDsa, 1), key(Algorithm::EdDsa, 2));
    let renamed = theirs
        .to_jwk()
        .replace(theirs.id().unwrap(), ours.id().unwrap());
    let theirs = SigningKey::from_jwk(renamed.as_bytes()).unwrap();
    assert_eq!(theirs.id(), ours.id());
    assert_eq!(
        refused(&authorizer(&ours), &issue(&theirs)),
        Flaw::Signature
    );
}

#[test]
fn a_token_has_one_spelling() {
    let good = token(HEADER, CLAIMS);
    let authorizer = by_secret();
    authorizer.verify(&good, at(NOW)).unwrap();
    let (message, signature) = good.rsplit_once('.').unwrap();
    // 32 bytes leave two bits of the last character unused: they must be zero.
    let last = signature.chars().last().unwrap();
    let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let place = alphabet.find(last).unwrap();
    let sibling = alphabet.chars().nth(place ^ 1).unwrap();
    let other = format!("{}{sibling}", &good[..good.len() - 1]);
    refused(&authorizer, &other);
    for other in [
        format!("{good}="),
        format!("{good}=="),
        format!("{good}."),
        format!(".{good}"),
        format!("{good} "),
        format!(" {good}"),
        format!("{good}\n"),
        format!("{message}.{signature}.{signature}"),
        format!("{message}..{signature}"),
        message.to_owned(),
        good.replace('.', "%2e"),
        signed_with(SECRET, HEADER, CLAIMS).replace(['-', '_'], "+"),
    ] {
        if other != good {
            refused(&authorizer, &other);
        }
    }
}

#[test]
fn the_length_is_looked_at_first() {
    let long = "a".repeat(MAX_TOKEN + 1);
    assert_eq!(refused(&by_secret(), &long), Flaw::TooLong);
    assert!(matches!(
        refused(&by_secret(), &long[1..]),
        Flaw::Malformed(_)
    ));
    // A good one of just this length, and of one byte more than can be.
    let fill = |n: usize| {
        let claims = format!(
            r#"{{"exp":1800000001,"cap":{{"ops":["read"]}},"x":"{}"}}"#,
            "x".repeat(n)
        );
        token(HEADER, &claims)
    };
    let fits = (0..MAX_TOKEN).take_while(|&n| fill(n).len() <= MAX_TOKEN);
    let length = fits.last().unwrap();
    assert!(by_secret().verify(&fill(length), at(NOW)).is_ok());
    assert_eq!(
        refused(&by_secret(), &fill(length + 3)),
        Flaw::TooLong,
        "although it is rightly signed"
    );
    let mut large = capability();
    large.codecs = Some((0x1_0000..0x1_1000).collect());
    assert_eq!(
        Claims::new(large).issue(&key(Algorithm::EdDsa, 1)),
        Err(Flaw::TooLong)
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// Every change of one byte, every cut, every byte put in.
    #[test]
    fn an_altered_token_is_refused(
        place in any::<prop::sample::Index>(),
        byte in any::<u8>(),
        eddsa in any::<bool>(),
        how in 0..3,
    ) {
        let algorithm = if eddsa { Algorithm::EdDsa } else { Algorithm::Hs256 };
        let key = key(algorithm, 1);
        let good = issue(&key);
        let mut bytes = good.clone().into_bytes();
        let place = place.index(bytes.len());
        match how {
            0 => bytes[place] = byte & 0x7f,
            1 => bytes.truncate(place),
            _ => bytes.insert(place, byte & 0x7f),
        }
        let altered = String::from_utf8(bytes).unwrap();
        prop_assume!(altered != good);
        let authorizer = authorizer(&key);
        // Also where the good one is remembered.
        authorizer.verify(&good, at(NOW)).unwrap();
        prop_assert!(authorizer.verify(&altered, at(NOW)).is_err(), "{}", altered);
    }

    #[test]
    fn anything_is_refused_without_a_panic(text in ".{0,200}", dots in "[A-Za-z0-9_.-]{0,200}") {
        for key in [key(Algorithm::Hs256, 1), key(Algorithm::EdDsa, 1)] {
            prop_assert!(authorizer(&key).verify(&text, at(NOW)).is_err());
            prop_assert!(authorizer(&key).verify(&dots, at(NOW)).is_err());
        }
    }
}
