//! What a request is about: its bucket and key (path or virtual-host style) and its operation.

use http::{HeaderMap, Method, Request, header};
use percent_encoding::percent_decode_str;
use s3s::{
    S3Result,
    host::{S3Host, VirtualHost},
};

/// Bucket, key and operation of a request, before anything of it has been checked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) bucket: Option<String>,
    pub(crate) key: Option<String>,
    pub(crate) operation: &'static str,
}

impl Target {
    pub(crate) fn of<B>(request: &Request<B>, hosts: &Hosts) -> Self {
        let host = request.headers().get(header::HOST);
        let host = host.and_then(|host| host.to_str().ok()).unwrap_or_default();
        let decoded = percent_decode_str(request.uri().path()).decode_utf8_lossy();
        let path = decoded.strip_prefix('/').unwrap_or(&decoded);
        let (bucket, key) = match hosts.bucket(host) {
            Some(bucket) => (bucket, path),
            None => path.split_once('/').unwrap_or((path, "")),
        };
        let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let (bucket, key) = (some(bucket), some(key));
        let level = match (&bucket, &key) {
            (None, _) => Level::Service,
            (Some(_), None) => Level::Bucket,
            (Some(_), Some(_)) => Level::Object,
        };
        let query = request.uri().query().unwrap_or_default();
        let operation = operation(level, request.method(), query, request.headers());
        Self {
            bucket,
            key,
            operation,
        }
    }
}

#[derive(Clone, Copy)]
enum Level {
    Service,
    Bucket,
    Object,
}

/// The operation's name as the S3 API has it, `Other` for those this server does not do.
fn operation(level: Level, method: &Method, query: &str, headers: &HeaderMap) -> &'static str {
    let has = |name| parameter(query, name).is_some();
    let copies = headers.contains_key("x-amz-copy-source");
    match (level, method.as_str()) {
        (_, "OPTIONS") => "Preflight",
        (Level::Service, "GET") => "ListBuckets",
        (Level::Bucket, "HEAD") => "HeadBucket",
        (Level::Bucket, "POST") if has("delete") => "DeleteObjects",
        (Level::Bucket, "GET") if has("cors") => "GetBucketCors",
        (Level::Bucket, "PUT") if has("cors") => "PutBucketCors",
        (Level::Bucket, "DELETE") if has("cors") => "DeleteBucketCors",
        (Level::Bucket, "GET") if has("policy") => "GetBucketPolicy",
        (Level::Bucket, "PUT") if has("policy") => "PutBucketPolicy",
        (Level::Bucket, "DELETE") if has("policy") => "DeleteBucketPolicy",
        (Level::Bucket, "GET") if has("location") => "GetBucketLocation",
        (Level::Bucket, "GET") if has("versioning") => "GetBucketVersioning",
        (Level::Bucket, "GET") if has("versions") => "ListObjectVersions",
        (Level::Bucket, "GET") if has("uploads") => "ListMultipartUploads",
        (Level::Bucket, "GET") if has("list-type") => "ListObjectsV2",
        (Level::Bucket, "GET") => "ListObjects",
        (Level::Bucket, "PUT") => "CreateBucket",
        (Level::Bucket, "DELETE") => "DeleteBucket",
        (Level::Object, "POST") if has("uploads") => "CreateMultipartUpload",
        (Level::Object, "POST") if has("uploadId") => "CompleteMultipartUpload",
        (Level::Object, "PUT") if has("uploadId") && copies => "UploadPartCopy",
        (Level::Object, "PUT") if has("uploadId") => "UploadPart",
        (Level::Object, "GET") if has("uploadId") => "ListParts",
        (Level::Object, "DELETE") if has("uploadId") => "AbortMultipartUpload",
        (Level::Object, "PUT") if copies => "CopyObject",
        (Level::Object, "PUT") => "PutObject",
        (Level::Object, "GET") => "GetObject",
        (Level::Object, "HEAD") => "HeadObject",
        (Level::Object, "DELETE") => "DeleteObject",
        _ => "Other",
    }
}

/// The decoded value of a query parameter.
pub(crate) fn parameter(query: &str, name: &str) -> Option<String> {
    query.split('&').find_map(|pair| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        let value = percent_decode_str(value).decode_utf8_lossy();
        (key == name).then(|| value.into_owned())
    })
}

/// Finds the bucket in the `Host` header: `BUCKET.DOMAIN`, any port.
#[derive(Clone, Debug, Default)]
pub(crate) struct Hosts {
    pub(crate) domain: Option<String>,
}

impl Hosts {
    fn bucket<'h>(&self, host: &'h str) -> Option<&'h str> {
        let domain = self.domain.as_deref()?;
        let name = match host.rsplit_once(':') {
            Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
            _ => host,
        };
        let at = name.len().checked_sub(domain.len())?;
        if !name.is_char_boundary(at) || !name[at..].eq_ignore_ascii_case(domain) {
            return None;
        }
        name[..at].strip_suffix('.')
    }
}

impl S3Host for Hosts {
    fn parse_host_header<'a>(&'a self, host: &'a str) -> S3Result<VirtualHost<'a>> {
        let found = VirtualHost::new(host);
        Ok(match self.bucket(host) {
            Some(bucket) => found.with_bucket(bucket),
            None => found,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(
        method: &str,
        host: &str,
        uri: &str,
    ) -> (Option<String>, Option<String>, &'static str) {
        let hosts = Hosts {
            domain: Some("s3.test".into()),
        };
        let request = Request::builder().method(method).uri(uri);
        let request = request.header("host", host).body(()).unwrap();
        let target = Target::of(&request, &hosts);
        (target.bucket, target.key, target.operation)
    }

    #[test]
    fn path_and_virtual_host_style() {
        let b = || Some("b".to_owned());
        let k = || Some("k/l".to_owned());
        assert_eq!(
            target("GET", "127.0.0.1:1", "/b/k%2Fl"),
            (b(), k(), "GetObject")
        );
        assert_eq!(
            target("PUT", "b.S3.test:90", "/k/l?uploadId=1"),
            (b(), k(), "UploadPart")
        );
        assert_eq!(
            target("GET", "s3.test", "/b?list-type=2"),
            (b(), None, "ListObjectsV2")
        );
        assert_eq!(target("GET", "s3.test", "/"), (None, None, "ListBuckets"));
    }
}
