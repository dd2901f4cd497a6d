//! Neither tokens nor keys are shown by what is meant to be shown.

use std::error::Error;
use std::fmt::Write;

use cidbucket_access::{
    Algorithm, Claims, Refused, SigningKey, TokenAuthorizer, TokenKeys, inspect,
};

use crate::raw::{encode, signed_with};
use crate::{NOW, at, capability, issue, key};

const CANARY: &[u8; 32] = b"canary-canary-canary-canary-32-b";

/// In every form in which it could stand somewhere.
#[track_caller]
fn clean(shown: &str, secrets: &[String]) {
    for secret in secrets {
        assert!(!shown.contains(secret.as_str()), "{secret} in {shown}");
    }
}

fn forms(bytes: &[u8]) -> Vec<String> {
    vec![
        encode(bytes),
        String::from_utf8_lossy(bytes).into_owned(),
        // As `{:?}` shows a list of bytes.
        format!("{bytes:?}").trim_matches(['[', ']']).to_owned(),
        data_encoding::HEXLOWER.encode(bytes),
    ]
}

#[test]
fn debug_shows_no_key() {
    for algorithm in [Algorithm::Hs256, Algorithm::EdDsa] {
        let key = SigningKey::generate(algorithm, CANARY).unwrap();
        let keys = key.verifying().unwrap();
        let authorizer = TokenAuthorizer::new(keys.clone());
        let token = issue(&key);
        authorizer.verify(&token, at(NOW)).unwrap();
        let shown = format!(
            "{key:?} {key:#?} {keys:?} {keys:#?} {authorizer:?} {authorizer:#?} {:?}",
            inspect(&token, Some(&keys), at(NOW)).unwrap()
        );
        assert!(shown.contains(key.id().unwrap()));
        clean(&shown, &forms(CANARY));
        let (_, signature) = token.rsplit_once('.').unwrap();
        clean(&shown, &[signature.to_owned()]);
    }
    let bare = SigningKey::from_secret(CANARY).unwrap();
    clean(&format!("{bare:?}"), &forms(CANARY));
}

#[test]
fn an_id_tells_nothing_of_the_key() {
    for algorithm in [Algorithm::Hs256, Algorithm::EdDsa] {
        let (a, b) = (key(algorithm, 1), key(algorithm, 2));
        assert_ne!(a.id(), b.id());
        assert_eq!(a.id(), key(algorithm, 1).id());
        assert_eq!(a.id().unwrap().len(), 16);
    }
    assert_ne!(key(Algorithm::Hs256, 1).id(), key(Algorithm::EdDsa, 1).id());
}

#[test]
fn errors_quote_no_key() {
    let k = encode(CANARY);
    for json in [
        k.clone(),
        format!("\"{k}\""),
        format!(r#"{{"kty":"{k}"}}"#),
        format!(r#"{{"kty":"oct","alg":"HS256","k":["{k}"]}}"#),
        format!(r#"{{"kty":"oct","alg":"HS256","k":"{k}=="}}"#),
        format!(
            r#"{{"kty":"oct","alg":"HS256","k":"{}"}}"#,
            encode(&CANARY[1..])
        ),
        format!(r#"{{"kty":"OKP","crv":"Ed25519","x":"{k}","d":"{k}"}}"#),
        format!(r#"{{"keys":"{k}"}}"#),
    ] {
        let mut shown = String::new();
        let parsed = TokenKeys::from_jwks(json.as_bytes()).map(|_| ());
        let signing = SigningKey::from_jwk(json.as_bytes()).map(|_| ());
        for error in [parsed.err(), signing.err()].into_iter().flatten() {
            let mut cause: Option<&dyn Error> = Some(&error);
            while let Some(error) = cause {
                write!(shown, "{error} {error:?} ").unwrap();
                cause = error.source();
            }
        }
        assert!(!shown.is_empty(), "{json}");
        clean(&shown, &forms(CANARY));
        clean(&shown, &[encode(&CANARY[1..])]);
    }
}

#[test]
fn refusals_quote_no_token() {
    let key = key(Algorithm::EdDsa, 1);
    let authorizer = TokenAuthorizer::new(key.verifying().unwrap()).with_audience("here");
    let mut expired = Claims::new(capability());
    expired.capability.subject = "canary-subject".into();
    expired.audience = vec!["here".into()];
    expired.capability.expires = Some(1);
    let claims = r#"{"exp":1800000001,"canary":"canary","cap":{"ops":["canary"]}}"#;
    for token in [
        expired.issue(&key).unwrap(),
        issue(&key),
        format!("{}x", issue(&key)),
        signed_with(CANARY, r#"{"alg":"HS256","kid":"canary"}"#, claims),
        "canary".to_owned(),
        "canary.canary.canary".to_owned(),
        "canary".repeat(2000),
    ] {
        let refused = Refused::from(authorizer.verify(&token, at(NOW)).unwrap_err());
        let shown = format!("{refused} {refused:?}");
        clean(&shown, &["canary".to_owned(), token]);
    }
}
