//! The tokens of `tests/vectors`, by which others can check what they issue.

use cidbucket_access::{
    Algorithm, Claims, Signature, SigningKey, TokenAuthorizer, TokenKeys, inspect,
};
use serde_json::Value;

use crate::at;

const VECTORS: &str = include_str!("../vectors/tokens.json");

fn vectors() -> Value {
    serde_json::from_str(VECTORS).unwrap()
}

#[test]
fn accepted_tokens_say_what_stands_beside_them() {
    let vectors = vectors();
    let now = at(vectors["now"].as_u64().unwrap());
    let keys = TokenKeys::from_jwks(vectors["keys"].to_string().as_bytes()).unwrap();
    let accepted = vectors["accepted"].as_array().unwrap();
    assert!(accepted.len() >= 3);
    for vector in accepted {
        let token = vector["token"].as_str().unwrap();
        let mut authorizer = TokenAuthorizer::new(keys.clone());
        if let Some(audience) = vector["claims"]["aud"].as_str() {
            authorizer = authorizer.with_audience(audience);
        }
        authorizer.verify(token, now).unwrap();
        let seen = inspect(token, Some(&keys), now).unwrap();
        assert_eq!(Value::Object(seen.header), vector["header"]);
        assert_eq!(Value::Object(seen.payload), vector["claims"]);
        assert!(matches!(seen.signature, Signature::Verified { .. }));
    }
}

#[test]
fn refused_tokens_are_refused() {
    let vectors = vectors();
    let now = at(vectors["now"].as_u64().unwrap());
    let keys = TokenKeys::from_jwks(vectors["keys"].to_string().as_bytes()).unwrap();
    let refused = vectors["refused"].as_array().unwrap();
    assert!(refused.len() >= 5);
    for vector in refused {
        let authorizer = TokenAuthorizer::new(keys.clone());
        let flaw = (authorizer.verify(vector["token"].as_str().unwrap(), now)).unwrap_err();
        let because = vector["because"].as_str().unwrap();
        assert!(flaw.to_string().starts_with(because), "{because}: {flaw}");
    }
}

#[test]
fn issuing_gives_the_same_tokens() {
    let vectors = vectors();
    let keys = TokenKeys::from_jwks(vectors["keys"].to_string().as_bytes()).unwrap();
    let mut algorithms = Vec::new();
    for vector in vectors["accepted"].as_array().unwrap() {
        // Other issuers write the same in another way; ours says always the same bytes.
        if vector["issued_by_cidbucket"] != true {
            continue;
        }
        let token = vector["token"].as_str().unwrap();
        let private = (vectors["keys"]["keys"].as_array().unwrap().iter())
            .find(|key| key["kid"] == vector["header"]["kid"])
            .unwrap();
        let key = SigningKey::from_jwk(private.to_string().as_bytes()).unwrap();
        let claims: Claims = inspect(token, Some(&keys), at(0)).unwrap().claims.unwrap();
        assert_eq!(claims.issue(&key).unwrap(), token);
        algorithms.push(key.algorithm());
    }
    assert_eq!(algorithms, [Algorithm::Hs256, Algorithm::EdDsa]);
}
