//! Blocks that anybody may read: the statement of a bucket policy, merged and looked for.

use cidbucket_blockstore::{Block, Error, Hash, Report, Result};
use cidbucket_layout::Keys;
use cidbucket_presign::Bucket;
use data_encoding::HEXUPPER;
use serde_json::{Value, json};

use crate::S3Client;

/// The statement of a bucket policy with which anybody may read the blocks of one store: those
/// alone, never the service's own folder beside them, and with no listing.
///
/// ```
/// use cidbucket_layout::Keys;
/// use cidbucket_presign::Bucket;
/// use cidbucket_s3::PublicRead;
///
/// let keys = Keys::new("ipfs".parse()?, "kubo".parse()?);
/// let read = PublicRead::of(&Bucket::aws("blocks", "eu-west-1")?, &keys)?;
/// let policy = read.merged(None)?.to_string();
/// assert!(policy.contains("arn:aws:s3:::blocks/ipfs/CI??????"));
/// assert!(read.access(Some(&policy))?.is_complete());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicRead {
    sid: String,
    resources: Vec<String>,
    /// An object that nobody else may read.
    control: String,
}

/// What a bucket's policy lets anybody read of one store.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PublicAccess {
    /// Resources that the policy would have to name, and does not.
    pub missing: Vec<String>,
    /// Whether it also lets anybody read what the service keeps for itself (leases, staged
    /// uploads, tenants' blocks): its `Resource` is too wide.
    pub exposes_control: bool,
}

impl PublicAccess {
    /// Whether anybody may read every block.
    pub fn is_complete(&self) -> bool {
        self.missing.is_empty()
    }
}

impl PublicRead {
    /// The statement for the store that has `keys` in `bucket`.
    ///
    /// # Errors
    /// `Unsupported` where a policy cannot name the store's blocks alone.
    pub fn of(bucket: &Bucket, keys: &Keys) -> Result<Self> {
        let stored = Hash::every()
            .filter(|hash| *hash != Hash::Identity)
            .map(|hash| (hash.code(), hash.digest_lengths()));
        let patterns = keys.public_patterns(stored).map_err(|error| {
            Error::Unsupported(Report::new("public read", error.to_string()).into())
        })?;
        let arn = arn(bucket);
        let name = keys.list_prefix();
        let digest = Block::raw(name.as_bytes().to_vec()).sha256();
        Ok(Self {
            // One statement for each store of the bucket, with a name of letters and digits.
            sid: format!("CidbucketPublicRead{}", HEXUPPER.encode(&digest[..4])),
            resources: patterns
                .iter()
                .map(|pattern| format!("{arn}/{pattern}"))
                .collect(),
            control: format!("{arn}/{}", keys.control_prefix()),
        })
    }

    /// The statement.
    pub fn statement(&self) -> Value {
        json!({
            "Sid": self.sid,
            "Effect": "Allow",
            "Principal": "*",
            "Action": "s3:GetObject",
            "Resource": self.resources,
        })
    }

    /// The statement of this name that the policy has now.
    ///
    /// # Errors
    /// As [`Self::merged`].
    pub fn present(&self, policy: Option<&str>) -> Result<Option<Value>> {
        let statements = statements(&parse(policy)?)?;
        Ok(statements.into_iter().find(|it| it["Sid"] == *self.sid))
    }

    /// Whether the policy has this very statement; servers may give its lists in another form.
    ///
    /// # Errors
    /// As [`Self::merged`].
    pub fn is_in(&self, policy: Option<&str>) -> Result<bool> {
        Ok(self.present(policy)?.is_some_and(|it| {
            let mut resources = texts(&it["Resource"]);
            let mut ours: Vec<&str> = self.resources.iter().map(String::as_str).collect();
            resources.sort_unstable();
            ours.sort_unstable();
            opens(&it, "s3:GetObject") && texts(&it["Action"]).len() == 1 && resources == ours
        }))
    }

    /// The policy with this statement in it: in the place of an earlier one of its name, else
    /// behind all others, which stay as they are.
    ///
    /// # Errors
    /// `Unsupported` where the present policy is none that is understood; it is better left alone.
    pub fn merged(&self, policy: Option<&str>) -> Result<Value> {
        let mut policy = parse(policy)?;
        let mut statements = statements(&policy)?;
        match statements.iter_mut().find(|it| it["Sid"] == *self.sid) {
            Some(ours) => *ours = self.statement(),
            None => statements.push(self.statement()),
        }
        policy["Statement"] = Value::Array(statements);
        Ok(policy)
    }

    /// What the policy lets anybody read of this store.
    ///
    /// It looks at statements that allow it to everybody without a condition. What a `Deny`
    /// takes away again only a request can tell.
    ///
    /// # Errors
    /// As [`Self::merged`].
    pub fn access(&self, policy: Option<&str>) -> Result<PublicAccess> {
        let statements = statements(&parse(policy)?)?;
        let open: Vec<&str> = statements
            .iter()
            .filter(|it| opens(it, "s3:GetObject"))
            .flat_map(|it| texts(&it["Resource"]))
            .collect();
        let is_open = |wanted: &str| open.iter().any(|has| covers(has, wanted));
        Ok(PublicAccess {
            missing: self
                .resources
                .iter()
                .filter(|wanted| !is_open(wanted))
                .cloned()
                .collect(),
            exposes_control: ["leases/", "quotas/", "staging/", "tenants/"]
                .iter()
                .any(|folder| is_open(&format!("{}{folder}*", self.control))),
        })
    }
}

impl S3Client {
    /// The statement with which anybody may read this store's blocks.
    ///
    /// # Errors
    /// As [`PublicRead::of`].
    pub fn public_read(&self) -> Result<PublicRead> {
        PublicRead::of(&self.bucket(), &self.config().keys)
    }

    /// What the bucket's policy lets anybody read of this store: one `GetBucketPolicy`.
    ///
    /// # Errors
    /// As [`PublicRead::of`] and [`Self::get_bucket_policy`]. Where a server has no policies, its
    /// blocks may be public by other means.
    pub async fn public_access(&self) -> Result<PublicAccess> {
        let policy = self.get_bucket_policy().await?;
        self.public_read()?.access(policy.as_deref())
    }
}

/// The bucket's name in policies. AWS has other partitions in China and for governments; Ceph
/// names a bucket of another tenant `TENANT:BUCKET`.
fn arn(bucket: &Bucket) -> String {
    let partition = if !bucket.host().contains("amazonaws.com") {
        "aws"
    } else if bucket.region().starts_with("cn-") {
        "aws-cn"
    } else if bucket.region().starts_with("us-gov-") {
        "aws-us-gov"
    } else {
        "aws"
    };
    let (tenant, name) = bucket.name().split_once(':').unwrap_or(("", bucket.name()));
    format!("arn:{partition}:s3::{tenant}:{name}")
}

fn parse(policy: Option<&str>) -> Result<Value> {
    let Some(policy) = policy else {
        return Ok(json!({ "Version": "2012-10-17", "Statement": [] }));
    };
    match serde_json::from_str(policy) {
        Ok(policy @ Value::Object(_)) => Ok(policy),
        _ => Err(not_understood()),
    }
}

/// The policy's statements; one alone may stand without a list.
fn statements(policy: &Value) -> Result<Vec<Value>> {
    match &policy["Statement"] {
        Value::Array(statements) if statements.iter().all(Value::is_object) => {
            Ok(statements.clone())
        }
        statement @ Value::Object(_) => Ok(vec![statement.clone()]),
        Value::Null => Ok(Vec::new()),
        _ => Err(not_understood()),
    }
}

/// Whether a statement lets everybody do `action`, without conditions.
fn opens(statement: &Value, action: &str) -> bool {
    let principal = &statement["Principal"];
    statement["Effect"] == "Allow"
        && statement["Condition"].is_null()
        && (texts(principal).contains(&"*") || texts(&principal["AWS"]).contains(&"*"))
        && texts(&statement["Action"])
            .iter()
            .any(|has| covers(&has.to_ascii_lowercase(), &action.to_ascii_lowercase()))
}

/// One text, or a list of them.
fn texts(value: &Value) -> Vec<&str> {
    match value {
        Value::String(text) => vec![text],
        Value::Array(texts) => texts.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

/// Whether everything that fits the pattern `inner` fits `outer` too, as far as that can be seen
/// character by character: a `*` of `outer` takes anything, its `?` any one character but a `*`.
fn covers(outer: &str, inner: &str) -> bool {
    let (outer, inner) = (outer.as_bytes(), inner.as_bytes());
    let (mut o, mut i) = (0, 0);
    // Where to go on if the text after the last star was wrong.
    let mut retry = None;
    while i < inner.len() {
        match outer.get(o) {
            Some(b'*') => {
                retry = Some((o, i));
                o += 1;
            }
            Some(&byte) if byte == inner[i] || (byte == b'?' && inner[i] != b'*') => {
                o += 1;
                i += 1;
            }
            _ => match retry {
                Some((star, from)) => {
                    retry = Some((star, from + 1));
                    o = star + 1;
                    i = from + 1;
                }
                None => return false,
            },
        }
    }
    outer[o..].iter().all(|&byte| byte == b'*')
}

fn not_understood() -> Error {
    Error::Unsupported(
        Report::new(
            "public read",
            "the bucket's policy has a form that is not understood, and is left alone",
        )
        .into(),
    )
}

#[cfg(test)]
mod tests {
    use cidbucket_presign::Style;

    use super::*;

    fn read(prefix: &str) -> PublicRead {
        let bucket = Bucket::new("http://127.0.0.1:1", "blocks", "us-east-1", Style::Path).unwrap();
        let keys = Keys::new(prefix.parse().unwrap(), "kubo".parse().unwrap());
        PublicRead::of(&bucket, &keys).unwrap()
    }

    const FOREIGN: &str = r#"{"Version":"2008-10-17","Id":"x","Statement":{"Sid":"theirs",
        "Effect":"Deny","Principal":"*","Action":"s3:*","Resource":"arn:aws:s3:::blocks/*",
        "Condition":{"Bool":{"aws:SecureTransport":"false"}}}}"#;

    #[test]
    fn a_policy_of_others_stays_as_it_is() {
        let ours = read("ipfs");
        let merged = ours.merged(Some(FOREIGN)).unwrap();
        let before: Value = serde_json::from_str(FOREIGN).unwrap();
        assert_eq!(merged["Version"], "2008-10-17");
        assert_eq!(merged["Id"], "x");
        assert_eq!(merged["Statement"][0], before["Statement"]);
        assert_eq!(merged["Statement"][1], ours.statement());
        assert!(!ours.is_in(Some(FOREIGN)).unwrap());
        let text = merged.to_string();
        assert!(ours.is_in(Some(&text)).unwrap());
        assert_eq!(ours.merged(Some(&text)).unwrap(), merged, "once is enough");
    }

    #[test]
    fn an_earlier_statement_of_ours_is_replaced_and_another_stores_is_not() {
        let (ours, other) = (read("ipfs"), read("other"));
        let mut wide = other.merged(None).unwrap();
        wide["Statement"].as_array_mut().unwrap().push(json!({
            "Sid": ours.sid, "Effect": "Allow", "Principal": "*", "Action": "s3:*",
            "Resource": "arn:aws:s3:::blocks/*",
        }));
        let text = wide.to_string();
        assert!(!ours.is_in(Some(&text)).unwrap());
        let access = ours.access(Some(&text)).unwrap();
        assert!(access.is_complete() && access.exposes_control);
        let merged = ours.merged(Some(&text)).unwrap();
        assert_eq!(
            merged["Statement"],
            json!([other.statement(), ours.statement()])
        );
        let access = ours.access(Some(&merged.to_string())).unwrap();
        assert!(access.is_complete() && !access.exposes_control);
    }

    #[test]
    fn what_is_missing() {
        let ours = read("ipfs");
        assert_eq!(ours.access(None).unwrap().missing, ours.resources);
        let open = |resource: &str, condition: Value| {
            let mut statement = json!({
                "Effect": "Allow", "Principal": {"AWS": ["*"]}, "Action": ["s3:Get*"],
                "Resource": [resource],
            });
            if !condition.is_null() {
                statement["Condition"] = condition;
            }
            let access = ours.access(Some(&json!({ "Statement": statement }).to_string()));
            let access = access.unwrap();
            (access.is_complete(), access.exposes_control)
        };
        assert_eq!(open("arn:aws:s3:::blocks/*", Value::Null), (true, true));
        assert_eq!(
            open("arn:aws:s3:::blocks/ipfs/*", Value::Null),
            (true, true)
        );
        assert_eq!(
            open("arn:aws:s3:::blocks/ipfs/?*", Value::Null),
            (true, true)
        );
        assert_eq!(open("arn:aws:s3:::blocks/CI*", Value::Null), (false, false));
        assert_eq!(
            open("arn:aws:s3:::blocks/*", json!({"IpAddress": {}})),
            (false, false)
        );
        assert!(ours.access(Some("[]")).is_err());
        assert!(ours.merged(Some(r#"{"Statement":[1]}"#)).is_err());
    }

    #[test]
    fn a_policy_is_not_too_large_for_s3() {
        let longest = read(&"x".repeat(512)).merged(None).unwrap().to_string();
        assert!(longest.len() < 20_480, "{}", longest.len());
    }

    #[test]
    fn names_of_buckets() {
        for (bucket, expected) in [
            (Bucket::aws("b", "cn-north-1"), "arn:aws-cn:s3:::b"),
            (Bucket::aws("b", "us-gov-west-1"), "arn:aws-us-gov:s3:::b"),
            (Bucket::aws("b", "eu-west-1"), "arn:aws:s3:::b"),
            (
                Bucket::new("http://h", "t:b", "cn-1", Style::Path),
                "arn:aws:s3::t:b",
            ),
        ] {
            assert_eq!(arn(&bucket.unwrap()), expected);
        }
    }
}
