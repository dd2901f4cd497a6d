//! Bucket policies, as far as they let everybody read.
//!
//! The holder of the one access key may do everything, so only `Allow` for the principal `*` means
//! anything here; other statements are refused rather than ignored.
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucket-policies.html>

use s3s::{S3Error, S3ErrorCode, S3Result, s3_error};
use serde::Deserialize;
use serde_json::Value;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Policy {
    statement: OneOrMany<Statement>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Statement {
    effect: String,
    principal: Option<Value>,
    action: Option<OneOrMany<String>>,
    resource: Option<OneOrMany<String>>,
    condition: Option<Value>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany<T> {
    One(T),
    Many(Vec<T>),
}

impl<T> OneOrMany<T> {
    fn as_slice(&self) -> &[T] {
        match self {
            Self::One(one) => std::slice::from_ref(one),
            Self::Many(many) => many,
        }
    }
}

/// Accepts a policy this server can keep to.
pub(crate) fn check(policy: &str) -> S3Result<()> {
    for statement in parse(policy)?.statement.as_slice() {
        let everybody = match &statement.principal {
            Some(Value::String(who)) => who == "*",
            Some(Value::Object(kinds)) => kinds.get("AWS").is_some_and(|who| {
                who == "*"
                    || who
                        .as_array()
                        .is_some_and(|all| all.iter().any(|who| who == "*"))
            }),
            _ => false,
        };
        if statement.effect != "Allow" || !everybody || statement.condition.is_some() {
            return Err(s3_error!(
                NotImplemented,
                "only statements with Effect Allow, Principal * and no Condition are supported"
            ));
        }
        if statement.action.is_none() {
            return Err(s3_error!(MalformedPolicy, "a statement has no Action"));
        }
        let resources = statement.resource.as_ref().map(OneOrMany::as_slice);
        let arns = resources.unwrap_or_default();
        if arns.is_empty() || !arns.iter().all(|arn| arn.starts_with(ARN)) {
            return Err(s3_error!(
                MalformedPolicy,
                "a Resource is {ARN}BUCKET or {ARN}BUCKET/KEY"
            ));
        }
    }
    Ok(())
}

/// Whether everybody may do `action` (`s3:GetObject`) on `resource` (`BUCKET` or `BUCKET/KEY`).
pub(crate) fn allows(policy: &str, action: &str, resource: &str) -> bool {
    let arn = format!("{ARN}{resource}");
    let any = |patterns: &Option<OneOrMany<String>>, text: &str| {
        let patterns = patterns.as_ref().map(OneOrMany::as_slice);
        let mut patterns = patterns.unwrap_or_default().iter();
        patterns.any(|pattern| matches(pattern.as_bytes(), text.as_bytes()))
    };
    // It was checked when it was put.
    parse(policy).is_ok_and(|policy| {
        let mut statements = policy.statement.as_slice().iter();
        statements.any(|statement| any(&statement.action, action) && any(&statement.resource, &arn))
    })
}

const ARN: &str = "arn:aws:s3:::";

fn parse(policy: &str) -> S3Result<Policy> {
    serde_json::from_str(policy).map_err(|e| {
        S3Error::with_message(S3ErrorCode::MalformedPolicy, format!("not a policy: {e}"))
    })
}

/// Whether a pattern with `*` (any text) and `?` (one byte) matches the whole text.
fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    // Where to go on if the text after the last star was wrong.
    let mut retry = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                retry = Some((p, t));
                p += 1;
            }
            Some(&byte) if byte == b'?' || byte == text[t] => {
                p += 1;
                t += 1;
            }
            _ => match retry {
                Some((star, from)) => {
                    retry = Some((star, from + 1));
                    p = star + 1;
                    t = from + 1;
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|&byte| byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_is_readable_and_nothing_else() {
        let policy = r#"{"Version":"2012-10-17","Statement":[{"Sid":"r","Effect":"Allow","Principal":"*",
            "Action":["s3:GetObject"],"Resource":"arn:aws:s3:::b/pub/*"}]}"#;
        check(policy).unwrap();
        assert!(allows(policy, "s3:GetObject", "b/pub/x"));
        assert!(!allows(policy, "s3:GetObject", "b/private"));
        assert!(!allows(policy, "s3:PutObject", "b/pub/x"));
        assert!(!allows(policy, "s3:GetObject", "c/pub/x"));
    }

    #[test]
    fn what_would_be_ignored_is_refused() {
        let deny = r#"{"Statement":{"Effect":"Deny","Principal":"*","Action":"s3:*","Resource":"arn:aws:s3:::b/*"}}"#;
        assert_eq!(
            check(deny).unwrap_err().code(),
            &S3ErrorCode::NotImplemented
        );
        assert_eq!(
            check("{").unwrap_err().code(),
            &S3ErrorCode::MalformedPolicy
        );
    }

    #[test]
    fn wildcards() {
        for (pattern, text, expected) in [
            ("s3:*", "s3:GetObject", true),
            ("a*b*c", "axxbxbxc", true),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("*", "", true),
            ("a*", "b", false),
            ("ipfs/??/CI??*.data", "ipfs/VT/CIQMP.data", true),
            ("ipfs/??/CI??*.data", "ipfs/VT/CIQ.data", false),
            (
                "ipfs/??/CI??*.data",
                "ipfs/.cidbucket/tenants/t/VT/CIQMP.data",
                false,
            ),
            ("ipfs/??/CI??*.data", "ipfs2/VT/CIQMP.data", false),
            ("grüße/CI?*", "grüße/CIQ", true),
        ] {
            assert_eq!(
                matches(pattern.as_bytes(), text.as_bytes()),
                expected,
                "{pattern} {text}"
            );
        }
    }
}
