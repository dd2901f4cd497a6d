//! Who may do what: the one access key everything, everybody what a bucket lets them read.
//!
//! `s3s` verifies the signature; here stands what it leaves open: session tokens, headers sent but
//! not signed, and anonymous requests.

use std::sync::Arc;

use http::{HeaderMap, Uri, header};
use s3s::{
    S3Result,
    access::{S3Access, S3AccessContext},
    auth::{S3Auth, SecretKey},
    path::S3Path,
    s3_error,
};

use crate::{
    policy,
    store::{self, Store},
    target::parameter,
};

/// The one pair of keys, with the session token that must come along if there is one.
#[derive(Clone)]
pub(crate) struct Keys {
    pub(crate) access_key: String,
    pub(crate) secret_key: String,
    pub(crate) session_token: Option<String>,
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keys")
            .field("access_key", &self.access_key)
            .finish_non_exhaustive()
    }
}

#[async_trait::async_trait]
impl S3Auth for Keys {
    async fn get_secret_key(&self, access_key: &str) -> S3Result<SecretKey> {
        if access_key == self.access_key {
            Ok(SecretKey::from(self.secret_key.as_str()))
        } else {
            Err(s3_error!(
                InvalidAccessKeyId,
                "this access key is not the server's"
            ))
        }
    }
}

/// Decides once the signature has been verified or found absent.
#[derive(Debug)]
pub(crate) struct Gate {
    pub(crate) keys: Keys,
    pub(crate) store: Arc<Store>,
}

#[async_trait::async_trait]
impl S3Access for Gate {
    async fn check(&self, request: &mut S3AccessContext<'_>) -> S3Result<()> {
        if request.credentials().is_some() {
            check_signed(request.headers(), request.uri())?;
            return self.check_token(request.headers(), request.uri());
        }
        if self.everybody_may(request.s3_op().name(), request.s3_path()) {
            return Ok(());
        }
        Err(s3_error!(
            AccessDenied,
            "anonymous requests may not do this"
        ))
    }
}

impl Gate {
    fn check_token(&self, headers: &HeaderMap, uri: &Uri) -> S3Result<()> {
        let sent = headers
            .get("x-amz-security-token")
            .map(|token| String::from_utf8_lossy(token.as_bytes()).into_owned())
            .or_else(|| parameter(uri.query().unwrap_or_default(), "X-Amz-Security-Token"));
        if sent == self.keys.session_token {
            return Ok(());
        }
        Err(match sent {
            Some(_) => s3_error!(InvalidToken, "the session token is not the server's"),
            None => s3_error!(InvalidToken, "these keys need their session token"),
        })
    }

    fn everybody_may(&self, operation: &str, path: &S3Path) -> bool {
        let (action, bucket, key) = match (operation, path) {
            ("GetObject" | "HeadObject", S3Path::Object { bucket, key }) => {
                ("s3:GetObject", bucket, Some(key))
            }
            ("ListObjects" | "ListObjectsV2" | "HeadBucket", S3Path::Bucket { bucket }) => {
                ("s3:ListBucket", bucket, None)
            }
            _ => return false,
        };
        let Ok(bucket) = self.store.bucket(bucket) else {
            return true; // to be told that there is no such bucket
        };
        let config = bucket.config();
        if config.anonymous_read {
            return true;
        }
        let Some(policy) = &config.policy else {
            return false;
        };
        let Some(key) = key else {
            return policy::allows(policy, action, &bucket.name);
        };
        // Who may not list learns nothing of what is not there.
        let missing = || matches!(bucket.meta(key), Err(store::Error::NoSuchKey));
        policy::allows(policy, action, &format!("{}/{key}", bucket.name))
            && (policy::allows(policy, "s3:ListBucket", &bucket.name) || !missing())
    }
}

/// `Host` and every `x-amz-*` header sent must be signed, as at AWS.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html>
fn check_signed(headers: &HeaderMap, uri: &Uri) -> S3Result<()> {
    let authorization = headers.get(header::AUTHORIZATION);
    let signed = match authorization.and_then(|value| value.to_str().ok()) {
        Some(authorization) => authorization.split([',', ' ']).find_map(|part| {
            let signed = part.trim().strip_prefix("SignedHeaders=")?;
            Some(signed.to_owned())
        }),
        None => parameter(uri.query().unwrap_or_default(), "X-Amz-SignedHeaders"),
    };
    let Some(signed) = signed else {
        return Err(s3_error!(InvalidRequest, "sign with AWS4-HMAC-SHA256"));
    };
    let is_signed = |name: &str| signed.split(';').any(|signed| signed == name);
    let mut names = headers.keys().map(header::HeaderName::as_str);
    let left_out =
        names.find(|name| (name.starts_with("x-amz-") || *name == "host") && !is_signed(name));
    match left_out {
        None => Ok(()),
        Some(name) => Err(s3_error!(
            AccessDenied,
            "there were headers present in the request which were not signed: {name}"
        )),
    }
}
