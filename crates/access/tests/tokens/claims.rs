//! What a token may say, and when it counts.

use std::num::NonZeroU32;

use cidbucket_access::{
    Algorithm, Capability, Claims, Flaw, Operation, Operations, Quota, Rate, Signature, Tenant,
    TokenAuthorizer, TokenKeys, Window, inspect,
};

use crate::raw::{HEADER, SECRET, token, token_of_bytes};
use crate::{NOW, at, capability, key};

fn verify(claims: &str) -> Result<Capability, Flaw> {
    verify_at(claims, NOW)
}

fn verify_at(claims: &str, now: u64) -> Result<Capability, Flaw> {
    let authorizer = TokenAuthorizer::new(TokenKeys::from_secret(SECRET).unwrap());
    let found = authorizer.verify(&token(HEADER, claims), at(now))?;
    Ok((*found).clone())
}

#[track_caller]
fn refused(claims: &str, part: &str) {
    match verify(claims) {
        Err(Flaw::Claims(message)) => assert!(message.contains(part), "{claims}: {message}"),
        other => panic!("{claims}: {other:?}"),
    }
}

#[test]
fn everything_comes_back_as_issued() {
    let mut full = capability();
    full.operations = Operations::from_iter([Operation::Write, Operation::List]);
    full.tenant = Some(Tenant::new("team-7").unwrap());
    full.hashes = Some(vec![0x12, 0x1e, 0xb220, 0xb214]);
    full.codecs = Some(vec![0x55, 0x70, 0x300]);
    full.max_block = Some(1 << 20);
    full.quota = Some(Quota {
        total: Some(1 << 40),
        window: Some(Window {
            bytes: 1 << 30,
            seconds: 86_400,
        }),
    });
    full.answer_stored = Some(false);
    full.rate = Some(Rate {
        per_second: NonZeroU32::new(10).unwrap(),
        burst: NonZeroU32::new(100).unwrap(),
    });
    let mut claims = Claims::new(full.clone());
    claims.issuer = Some("https://issuer".into());
    claims.audience = vec!["https://a".into(), "https://b".into()];
    claims.not_before = Some(NOW);
    claims.issued = Some(NOW);
    for algorithm in [Algorithm::Hs256, Algorithm::EdDsa] {
        let key = key(algorithm, 1);
        let token = claims.issue(&key).unwrap();
        let authorizer = TokenAuthorizer::new(key.verifying().unwrap())
            .with_audience("https://b")
            .with_issuer("https://issuer");
        assert_eq!(*authorizer.verify(&token, at(NOW)).unwrap(), full);
        let seen = inspect(&token, Some(&key.verifying().unwrap()), at(NOW)).unwrap();
        assert_eq!(seen.claims.unwrap(), claims);
        assert_eq!(seen.time, Ok(()));
        assert_eq!(seen.header["alg"], algorithm.name());
        let verified = Signature::Verified {
            key: key.id().map(Into::into),
            algorithm,
        };
        assert_eq!(seen.signature, verified);
    }
}

#[test]
fn the_least_that_is_needed() {
    let found = verify(r#"{"exp":1800000001,"cap":{"ops":["read"]}}"#).unwrap();
    assert_eq!(found.subject, "");
    assert!(found.allows(Operation::Read) && !found.allows(Operation::Write));
    assert_eq!((found.tenant, found.quota, found.rate), (None, None, None));
    // Without `jti` it has an id all the same, and one of its own.
    let other = verify(r#"{"exp":1800000002,"cap":{"ops":["read"]}}"#).unwrap();
    assert!(found.token.starts_with("sha256:") && found.token != other.token);

    refused(r#"{"cap":{"ops":["read"]}}"#, "exp");
    refused(r#"{"exp":1800000001}"#, "cap");
    refused(r#"{"exp":1800000001,"cap":{}}"#, "ops");
    refused(r#"{"exp":1800000001,"cap":{"ops":[]}}"#, "ops");
    refused("[]", "");
    refused("null", "");
    refused("", "");
}

#[test]
fn a_restriction_that_is_not_known_is_not_passed_over() {
    for cap in [
        r#""ops":["read"],"prefix":"t/alice""#,
        r#""ops":["read"],"Tenant":"alice""#,
        r#""ops":["read","admin"]"#,
        r#""ops":["READ"]"#,
        r#""ops":"read""#,
        r#""ops":["read"],"tenant":"../a""#,
        r#""ops":["read"],"tenant":"""#,
        r#""ops":["read"],"tenant":null"#,
        r#""ops":["read"],"hashes":["md5"]"#,
        r#""ops":["read"],"hashes":[18]"#,
        r#""ops":["read"],"hashes":[]"#,
        r#""ops":["read"],"codecs":["dag-cobr"]"#,
        r#""ops":["read"],"codecs":[-1]"#,
        r#""ops":["read"],"codecs":[]"#,
        r#""ops":["read"],"max_block":"2MiB""#,
        r#""ops":["read"],"max_block":-1"#,
        r#""ops":["read"],"max_block":1.5"#,
        r#""ops":["read"],"max_block":null"#,
        r#""ops":["read"],"max_bytes":18446744073709551616"#,
        r#""ops":["read"],"window":{"bytes":1}"#,
        r#""ops":["read"],"window":{"bytes":1,"seconds":0}"#,
        r#""ops":["read"],"window":{"bytes":1,"seconds":1,"minutes":1}"#,
        r#""ops":["read"],"rate":5"#,
        r#""ops":["read"],"rate":{"per_second":0}"#,
        r#""ops":["read"],"rate":{"per_second":5,"burst":0}"#,
        r#""ops":["read"],"rate":{"per_second":5,"per_minute":1}"#,
        r#""ops":["read"],"answer_stored":"no""#,
    ] {
        refused(
            &format!(r#"{{"jti":"t","exp":1800000001,"cap":{{{cap}}}}}"#),
            "",
        );
    }
    // Claims beside `cap` are another matter: a token may say things to others.
    let with_more = r#"{"exp":1800000001,"cap":{"ops":["read"]},"name":"Alice","azp":null}"#;
    assert!(verify(with_more).is_ok());
}

#[test]
fn a_member_given_twice_is_no_member() {
    for claims in [
        r#"{"exp":1,"exp":1800000001,"cap":{"ops":["read"]}}"#,
        r#"{"exp":1800000001,"cap":{"ops":["read"],"tenant":"a"},"cap":{"ops":["read"]}}"#,
        r#"{"exp":1800000001,"cap":{"ops":["read"],"ops":["write"]}}"#,
        r#"{"exp":1800000001,"cap":{"ops":["read"],"tenant":"a","tenant":"b"}}"#,
        r#"{"exp":1800000001,"aud":"a","aud":"b","cap":{"ops":["read"]}}"#,
        r#"{"exp":1800000001,"sub":"a","sub":"b","cap":{"ops":["read"]}}"#,
    ] {
        refused(claims, "duplicate");
    }
    let authorizer = TokenAuthorizer::new(TokenKeys::from_secret(SECRET).unwrap());
    let twice = token(
        r#"{"alg":"HS256","alg":"HS256"}"#,
        r#"{"exp":1800000001,"cap":{"ops":["read"]}}"#,
    );
    assert!(matches!(
        authorizer.verify(&twice, at(NOW)),
        Err(Flaw::Malformed(_))
    ));
}

#[test]
fn claims_for_others_are_json_too() {
    for other in [r#""\ud800""#, "1e999", "\"a\u{1}\"", "01", "[1,]", "{"] {
        refused(
            &format!(r#"{{"exp":1800000001,"cap":{{"ops":["read"]}},"other":{other}}}"#),
            "",
        );
    }
    // No text at all: found by fuzzing.
    let (before, after) = (
        &br#"{"exp":1800000001,"cap":{"ops":["read"]},"other":""#[..],
        br#""}"#,
    );
    let authorizer = TokenAuthorizer::new(TokenKeys::from_secret(SECRET).unwrap());
    let with = |middle: &[u8]| {
        let token = token_of_bytes(HEADER.as_bytes(), &[before, middle, after].concat());
        authorizer.verify(&token, at(NOW)).map(|_| ())
    };
    assert_eq!(with(b"abc"), Ok(()));
    assert!(matches!(with(b"a\xa2"), Err(Flaw::Claims(_))));
}

#[test]
fn bytes_are_counted_by_id() {
    for quota in [
        r#""max_bytes":1000"#,
        r#""window":{"bytes":1000,"seconds":60}"#,
    ] {
        let claims =
            |jti| format!(r#"{{{jti}"exp":1800000001,"cap":{{"ops":["write"],{quota}}}}}"#);
        refused(&claims(""), "jti");
        refused(&claims(r#""jti":"","#), "jti");
        assert!(verify(&claims(r#""jti":"t","#)).is_ok());
    }
    let mut nameless = capability();
    nameless.token.clear();
    nameless.quota = Some(Quota {
        total: Some(1),
        window: None,
    });
    assert!(matches!(
        Claims::new(nameless).issue(&key(Algorithm::EdDsa, 1)),
        Err(Flaw::Claims(_))
    ));
}

#[test]
fn names_are_short_and_fit_for_a_log() {
    let claims = |name: &str, value: &str| {
        format!(r#"{{"{name}":"{value}","exp":1800000001,"cap":{{"ops":["read"]}}}}"#)
    };
    for (name, max) in [("sub", 256), ("jti", 128), ("iss", 1024)] {
        assert!(verify(&claims(name, &"x".repeat(max))).is_ok());
        refused(&claims(name, &"x".repeat(max + 1)), name);
        refused(&claims(name, r"a\nb"), name);
        refused(&claims(name, r"a\u001b[31m"), name);
    }
}

#[test]
fn the_clock() {
    let claims = format!(
        r#"{{"nbf":{},"exp":{},"cap":{{"ops":["read"]}}}}"#,
        NOW,
        NOW + 100
    );
    // 30 seconds early at most, and not a second late.
    for (now, expected) in [
        (NOW - 31, Some(Flaw::NotYet)),
        (NOW - 30, None),
        (NOW, None),
        (NOW + 99, None),
        (NOW + 100, Some(Flaw::Expired)),
        (NOW + 101, Some(Flaw::Expired)),
        (0, Some(Flaw::NotYet)),
    ] {
        assert_eq!(verify_at(&claims, now).err(), expected, "{now}");
    }
    // A token that is remembered ends as any other, and begins again if the clock goes back.
    let authorizer = TokenAuthorizer::new(TokenKeys::from_secret(SECRET).unwrap());
    let token = token(HEADER, &claims);
    let verify = |now| authorizer.verify(&token, at(now)).err();
    assert_eq!(verify(NOW), None);
    assert_eq!(verify(NOW + 100), Some(Flaw::Expired));
    assert_eq!(verify(NOW - 31), Some(Flaw::NotYet));
    assert_eq!(verify(NOW + 99), None);
}

#[test]
fn times_are_numbers_of_any_kind() {
    let exp = |exp: &str| verify(&format!(r#"{{"exp":{exp},"cap":{{"ops":["read"]}}}}"#));
    assert_eq!(exp("1800000001.9").unwrap().expires, Some(1_800_000_001));
    assert_eq!(exp("1.8e10").unwrap().expires, Some(18_000_000_000));
    assert_eq!(
        exp("1800000000.9"),
        Err(Flaw::Expired),
        "no second too late"
    );
    assert!(exp("18446744073709551615").is_ok());
    for wrong in [
        "\"1800000001\"",
        "-1",
        "-1.5",
        "1e300",
        "null",
        "true",
        "[1800000001]",
        "18446744073709551616",
    ] {
        assert!(matches!(exp(wrong), Err(Flaw::Claims(_))), "{wrong}");
    }
    let far = r#"{"nbf":18446744073709551615,"exp":18446744073709551615,"cap":{"ops":["read"]}}"#;
    assert_eq!(verify(far), Err(Flaw::NotYet), "no overflow");
}

#[test]
fn a_token_for_others_is_for_nobody_else() {
    let none = TokenAuthorizer::new(TokenKeys::from_secret(SECRET).unwrap());
    let named = TokenAuthorizer::new(TokenKeys::from_secret(SECRET).unwrap())
        .with_audience("https://a")
        .with_audience("https://also-a");
    for (aud, by_none, by_named) in [
        ("", true, false),
        (r#""aud":"https://a","#, false, true),
        (r#""aud":"https://also-a","#, false, true),
        (r#""aud":["https://b","https://a"],"#, false, true),
        (r#""aud":"https://b","#, false, false),
        (r#""aud":["https://b"],"#, false, false),
        (r#""aud":"https://a/","#, false, false),
        (r#""aud":"","#, false, false),
    ] {
        let token = token(
            HEADER,
            &format!(r#"{{{aud}"exp":1800000001,"cap":{{"ops":["read"]}}}}"#),
        );
        for (authorizer, good) in [(&none, by_none), (&named, by_named)] {
            let found = authorizer.verify(&token, at(NOW));
            assert_eq!(found.is_ok(), good, "{aud}");
            assert!(good || found == Err(Flaw::Audience), "{aud}");
        }
    }
    for aud in ["[]", "null", "1", "[1]"] {
        refused(
            &format!(r#"{{"aud":{aud},"exp":1800000001,"cap":{{"ops":["read"]}}}}"#),
            "",
        );
    }
}

#[test]
fn one_issuer_only_where_one_is_wanted() {
    let authorizer =
        TokenAuthorizer::new(TokenKeys::from_secret(SECRET).unwrap()).with_issuer("https://i");
    for (iss, expected) in [
        (r#""iss":"https://i","#, None),
        (r#""iss":"https://j","#, Some(Flaw::Issuer)),
        ("", Some(Flaw::Issuer)),
    ] {
        let token = token(
            HEADER,
            &format!(r#"{{{iss}"exp":1800000001,"cap":{{"ops":["read"]}}}}"#),
        );
        assert_eq!(authorizer.verify(&token, at(NOW)).err(), expected);
    }
}

#[test]
fn inspection_trusts_nothing() {
    let (ours, theirs) = (key(Algorithm::EdDsa, 1), key(Algorithm::EdDsa, 2));
    let mut claims = Claims::new(capability());
    claims.capability.expires = Some(NOW);
    let token = claims.issue(&theirs).unwrap();

    let seen = inspect(&token, None, at(NOW)).unwrap();
    assert_eq!(seen.signature, Signature::Unchecked);
    assert_eq!(seen.time, Err(Flaw::Expired));
    assert_eq!(seen.payload["sub"], "alice");
    let ours = ours.verifying().unwrap();
    let seen = inspect(&token, Some(&ours), at(NOW)).unwrap();
    assert_eq!(seen.signature, Signature::Refused(Flaw::UnknownKey));

    // What no service would take is still shown.
    let none = format!(
        "{}.",
        crate::raw::message(r#"{"alg":"none"}"#, r#"{"exp":1,"cap":{"ops":["fly"]}}"#)
    );
    let seen = inspect(&none, Some(&ours), at(NOW)).unwrap();
    assert_eq!(seen.header["alg"], "none");
    assert!(matches!(seen.signature, Signature::Refused(_)));
    assert!(matches!(seen.claims, Err(Flaw::Claims(_))));
    assert_eq!(Err(seen.claims.unwrap_err()), seen.time);
    for nothing in ["", "a.b", "a.b.c.d", "e30.W10.", "W10.e30.", "e30.e30"] {
        assert!(inspect(nothing, None, at(NOW)).is_err(), "{nothing}");
    }
}
