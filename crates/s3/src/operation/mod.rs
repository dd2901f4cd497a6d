//! The operations of S3, one per file.

mod bucket_cors;
mod bucket_policy;
mod copy_object;
mod create_bucket;
mod delete_object;
mod delete_objects;
mod get_object;
mod head_bucket;
mod head_object;
mod list_object_versions;
mod list_objects_v2;
mod put_object;

use bytes::Bytes;
use cidbucket_sigv4::Payload;
use http::Method;

pub use copy_object::CopyObject;
pub use delete_objects::MAX_DELETE;
pub(crate) use get_object::whole;
pub use get_object::{GetObject, GotObject};
pub use head_object::ObjectInfo;
pub use list_object_versions::ListObjectVersions;
pub use list_objects_v2::ListObjectsV2;
pub use put_object::{Put, PutObject};

/// Largest body of an answer that is XML, in bytes. A page of 1,000 keys of 1,024 bytes, each
/// byte percent-encoded, has some 4 MiB.
const MAX_XML: usize = 16 << 20;

/// An operation of S3.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the names are S3's")]
pub enum Operation {
    GetObject,
    HeadObject,
    PutObject,
    DeleteObject,
    DeleteObjects,
    ListObjectsV2,
    ListObjectVersions,
    CopyObject,
    HeadBucket,
    CreateBucket,
    GetBucketCors,
    PutBucketCors,
    GetBucketPolicy,
    PutBucketPolicy,
}

impl Operation {
    /// All of them.
    pub const ALL: [Self; 14] = [
        Self::GetObject,
        Self::HeadObject,
        Self::PutObject,
        Self::DeleteObject,
        Self::DeleteObjects,
        Self::ListObjectsV2,
        Self::ListObjectVersions,
        Self::CopyObject,
        Self::HeadBucket,
        Self::CreateBucket,
        Self::GetBucketCors,
        Self::PutBucketCors,
        Self::GetBucketPolicy,
        Self::PutBucketPolicy,
    ];

    /// Its name, as in the S3 API reference.
    pub const fn name(self) -> &'static str {
        match self {
            Self::GetObject => "GetObject",
            Self::HeadObject => "HeadObject",
            Self::PutObject => "PutObject",
            Self::DeleteObject => "DeleteObject",
            Self::DeleteObjects => "DeleteObjects",
            Self::ListObjectsV2 => "ListObjectsV2",
            Self::ListObjectVersions => "ListObjectVersions",
            Self::CopyObject => "CopyObject",
            Self::HeadBucket => "HeadBucket",
            Self::CreateBucket => "CreateBucket",
            Self::GetBucketCors => "GetBucketCors",
            Self::PutBucketCors => "PutBucketCors",
            Self::GetBucketPolicy => "GetBucketPolicy",
            Self::PutBucketPolicy => "PutBucketPolicy",
        }
    }

    pub(crate) const fn method(self) -> Method {
        match self {
            Self::GetObject
            | Self::ListObjectsV2
            | Self::ListObjectVersions
            | Self::GetBucketCors
            | Self::GetBucketPolicy => Method::GET,
            Self::HeadObject | Self::HeadBucket => Method::HEAD,
            Self::PutObject
            | Self::CopyObject
            | Self::CreateBucket
            | Self::PutBucketCors
            | Self::PutBucketPolicy => Method::PUT,
            Self::DeleteObject => Method::DELETE,
            Self::DeleteObjects => Method::POST,
        }
    }
}

impl std::fmt::Display for Operation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// A request to S3, before it is signed for a place and a time.
#[derive(Debug)]
pub(crate) struct Call<'a> {
    pub(crate) operation: Operation,
    pub(crate) method: Method,
    /// The object's key; empty where the bucket is meant.
    pub(crate) key: &'a str,
    /// Decoded parameters.
    pub(crate) query: &'a [(&'a str, &'a str)],
    /// Headers beside `host` and those of the signature. All are signed.
    pub(crate) headers: &'a [(&'static str, &'a str)],
    pub(crate) body: Bytes,
    pub(crate) payload: Payload,
    /// Largest body of the answer, in bytes.
    pub(crate) max_body: usize,
    /// Whether an answer above `max_body` is right, but too large for us. Otherwise it is wrong.
    pub(crate) may_be_larger: bool,
    /// Whether carrying it out twice does no more than once.
    pub(crate) idempotent: bool,
    /// Whether already the first attempt takes a new connection.
    pub(crate) fresh: bool,
}

impl<'a> Call<'a> {
    pub(crate) fn new(operation: Operation, key: &'a str) -> Self {
        Self {
            operation,
            method: operation.method(),
            key,
            query: &[],
            headers: &[],
            body: Bytes::new(),
            payload: Payload::Empty,
            max_body: MAX_XML,
            may_be_larger: false,
            idempotent: true,
            fresh: false,
        }
    }
}
