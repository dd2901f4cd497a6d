//! Keys in their files, and which of them a token is verified by.

use std::io;

use cidbucket_access::{
    Algorithm, Capability, Claims, Flaw, KeyError, Operations, SigningKey, TokenAuthorizer,
    TokenKeys,
};

use crate::raw::{SECRET, encode, token};
use crate::{NOW, at, capability, issue, key};

/// A key set of these JSON texts.
fn set(keys: &[&str]) -> String {
    format!(r#"{{"keys":[{}]}}"#, keys.join(","))
}

fn parse(json: &str) -> Result<TokenKeys, KeyError> {
    TokenKeys::from_jwks(json.as_bytes())
}

#[test]
fn keys_go_to_their_files_and_back() {
    for algorithm in [Algorithm::Hs256, Algorithm::EdDsa] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key.json");
        let made = key(algorithm, 3);
        made.create(&path).unwrap();
        let loaded = SigningKey::load(&path).unwrap();
        assert_eq!(loaded.id(), made.id());
        assert_eq!(loaded.algorithm(), algorithm);
        assert_eq!(issue(&loaded), issue(&made));
        // The key itself verifies, too: one file for the simple case.
        let authorizer = TokenAuthorizer::from_file(&path, at(NOW)).unwrap();
        assert!(authorizer.verify(&issue(&made), at(NOW)).is_ok());

        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = std::fs::metadata(&path).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
        let again = key(algorithm, 4).create(&path).unwrap_err();
        assert!(
            matches!(&again, KeyError::File { source, .. } if source.kind() == io::ErrorKind::AlreadyExists)
        );
        assert_eq!(issue(&SigningKey::load(&path).unwrap()), issue(&made));
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}

#[test]
fn one_key_for_all_who_make_it_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key.json");
    let ids: Vec<_> = std::thread::scope(|scope| {
        let makers: Vec<_> = (0..8)
            .map(|seed| {
                let path = &path;
                scope.spawn(move || {
                    SigningKey::load_or_create(path, Algorithm::EdDsa, &[seed; 32]).unwrap()
                })
            })
            .collect();
        makers
            .into_iter()
            .map(|m| issue(&m.join().unwrap()))
            .collect()
    });
    assert!(ids.iter().all(|id| *id == ids[0]));
    std::fs::write(&path, "damaged").unwrap();
    assert!(SigningKey::load_or_create(&path, Algorithm::EdDsa, &[9; 32]).is_err());
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "damaged");
}

#[test]
fn a_public_key_verifies_and_does_not_sign() {
    let private = key(Algorithm::EdDsa, 1);
    let public = private.public_jwks().unwrap();
    let authorizer = TokenAuthorizer::new(parse(&public).unwrap());
    assert!(authorizer.verify(&issue(&private), at(NOW)).is_ok());
    assert!(SigningKey::from_jwk(public.as_bytes()).is_err());
    assert_eq!(key(Algorithm::Hs256, 1).public_jwks(), None);
    // A private key with somebody else's public one would sign tokens that nobody accepts.
    let mut jwk: serde_json::Value = serde_json::from_str(&private.to_jwk()).unwrap();
    jwk["x"] = encode(&[1; 32]).into();
    assert!(SigningKey::from_jwk(jwk.to_string().as_bytes()).is_err());
}

#[test]
fn the_key_that_is_named_and_no_other() {
    let (a, b) = (key(Algorithm::EdDsa, 1), key(Algorithm::Hs256, 2));
    let keys = || parse(&set(&[&a.to_jwk(), &b.to_jwk()])).unwrap();
    assert_eq!(keys().ids().collect::<Vec<_>>(), [a.id(), b.id()]);
    let authorizer = TokenAuthorizer::new(keys());
    for key in [&a, &b] {
        assert!(authorizer.verify(&issue(key), at(NOW)).is_ok());
    }
    let unknown = issue(&key(Algorithm::EdDsa, 3));
    assert_eq!(authorizer.verify(&unknown, at(NOW)), Err(Flaw::UnknownKey));
    // Without a name there must be no choice.
    let nameless = Claims::new(capability())
        .issue(&SigningKey::from_secret(&[2; 32]).unwrap())
        .unwrap();
    assert_eq!(authorizer.verify(&nameless, at(NOW)), Err(Flaw::UnknownKey));
    let only_b = TokenAuthorizer::new(parse(&b.to_jwk()).unwrap());
    assert!(only_b.verify(&nameless, at(NOW)).is_ok());
    let nobody = TokenAuthorizer::new(parse(&set(&[])).unwrap());
    assert_eq!(nobody.verify(&issue(&a), at(NOW)), Err(Flaw::UnknownKey));
    assert_eq!(nobody.verify(&nameless, at(NOW)), Err(Flaw::UnknownKey));
    let header = r#"{"alg":"HS256","kid":"x"}"#;
    let named = token(header, r#"{"exp":1800000001,"cap":{"ops":["read"]}}"#);
    let secret = TokenAuthorizer::new(TokenKeys::from_secret(SECRET).unwrap());
    assert_eq!(secret.verify(&named, at(NOW)), Err(Flaw::UnknownKey));
}

#[test]
fn keys_of_other_kinds_are_passed_over() {
    let ours = key(Algorithm::EdDsa, 1);
    let ours_public = ours.public_jwks().unwrap();
    let ours_public: serde_json::Value = serde_json::from_str(&ours_public).unwrap();
    let ours_public = ours_public["keys"][0].to_string();
    let others = [
        r#"{"kty":"RSA","kid":"r","n":"AQAB","e":"AQAB","alg":"RS256"}"#,
        r#"{"kty":"EC","crv":"P-256","x":"AA","y":"AA"}"#,
        r#"{"kty":"OKP","crv":"X25519","x":"AA"}"#,
        r#"{"kty":"OKP","crv":"Ed448","x":"AA","alg":"EdDSA"}"#,
        r#"{"kty":"OKP","crv":"Ed25519","x":"AA","alg":"HS256"}"#,
        r#"{"kty":"oct","k":"AA","alg":"A128KW"}"#,
        r#"{"kty":"oct","k":"AA","alg":"EdDSA"}"#,
        r#"{"kty":"OKP","crv":"Ed25519","x":"AA","use":"enc"}"#,
        r#"{"kty":"later","what":{"ever":[1]}}"#,
    ];
    for other in others {
        assert!(matches!(parse(other), Err(KeyError::NoneKnown)), "{other}");
    }
    let mut all = others.to_vec();
    all.push(&ours_public);
    let keys = parse(&set(&all)).unwrap();
    assert_eq!(keys.ids().collect::<Vec<_>>(), [ours.id()]);
}

#[test]
fn a_key_that_is_ours_and_broken_spoils_the_file() {
    let k32 = encode(&[7; 32]);
    for broken in [
        r#"{"kty":"oct","alg":"HS256"}"#.to_owned(),
        format!(
            r#"{{"kty":"oct","alg":"HS256","k":"{}"}}"#,
            encode(&[7; 31])
        ),
        format!(r#"{{"kty":"oct","alg":"HS256","k":"{k32}="}}"#),
        format!(r#"{{"kty":"oct","alg":"HS256","k":"{}"}}"#, "+/".repeat(30)),
        format!(r#"{{"kty":"oct","k":"{k32}"}}"#),
        r#"{"kty":"OKP","crv":"Ed25519"}"#.to_owned(),
        format!(
            r#"{{"kty":"OKP","crv":"Ed25519","x":"{}"}}"#,
            encode(&[7; 31])
        ),
        format!(
            r#"{{"kty":"OKP","crv":"Ed25519","x":"{}"}}"#,
            encode(&[7; 33])
        ),
        format!(r#"{{"kty":"OKP","crv":"Ed25519","x":"{k32}","d":"AA"}}"#),
        format!(r#"{{"kty":"OKP","crv":"Ed25519","x":"{k32}","kid":""}}"#),
        format!(r#"{{"kty":"OKP","crv":"Ed25519","x":"{k32}","kid":"a\nb"}}"#),
        format!(r#"{{"kty":"OKP","crv":"Ed25519","x":"{k32}","x":"{k32}"}}"#),
    ] {
        let good = key(Algorithm::EdDsa, 1).to_jwk();
        assert!(parse(&broken).is_err(), "{broken}");
        assert!(parse(&set(&[&good, &broken])).is_err(), "{broken}");
    }
    for text in [
        "",
        "{",
        "[]",
        "{}",
        "null",
        r#"{"keys":{}}"#,
        "-----BEGIN KEY",
    ] {
        assert!(
            matches!(parse(text), Err(KeyError::Syntax { .. })),
            "{text}"
        );
    }
    let twice = key(Algorithm::EdDsa, 1).to_jwk();
    assert!(matches!(
        parse(&set(&[&twice, &twice])),
        Err(KeyError::SameId { .. })
    ));
}

#[test]
fn short_secrets_are_refused() {
    for length in [0, 1, 31] {
        let secret = vec![7; length];
        assert!(
            matches!(TokenKeys::from_secret(&secret), Err(KeyError::ShortSecret(n)) if n == length)
        );
        assert!(SigningKey::from_secret(&secret).is_err());
    }
    assert!(TokenKeys::from_secret(&[7; 32]).is_ok());
    assert!(TokenKeys::from_secret(&[7; 500]).is_ok());
}

#[test]
fn a_token_that_never_ends_is_not_issued() {
    let endless = Claims::new(Capability::new("a", "t", Operations::ALL));
    assert!(matches!(
        endless.issue(&key(Algorithm::EdDsa, 1)),
        Err(Flaw::Claims(message)) if message.contains("exp")
    ));
}
