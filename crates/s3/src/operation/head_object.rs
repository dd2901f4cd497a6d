//! `HeadObject`.

use std::time::SystemTime;

use cidbucket_blockstore::Result;
use http::StatusCode;

use super::{Call, Operation};
use crate::S3Client;
use crate::date;
use crate::failure::{text, unfit};

/// What S3 tells of an object without sending it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ObjectInfo {
    /// Size in bytes.
    pub size: u64,
    /// The entity tag, with its quotes.
    pub etag: Option<String>,
    /// When the object was written.
    pub modified: Option<SystemTime>,
    /// The SHA-256 that S3 keeps with it, in base64.
    pub checksum_sha256: Option<String>,
}

impl S3Client {
    /// Looks at an object; `None` where there is no such key.
    ///
    /// # Errors
    /// `Denied` where S3 says neither yes nor no, as it does to those without the permission to
    /// list the bucket.
    pub async fn head_object(&self, key: &str) -> Result<Option<ObjectInfo>> {
        let found = self
            .call(&Call::new(Operation::HeadObject, key), |answer| {
                let headers = answer.headers();
                if answer.status() != StatusCode::OK {
                    return Err(unfit("a status that no HEAD has"));
                }
                let size = text(headers, "content-length")
                    .and_then(|length| length.parse().ok())
                    .ok_or_else(|| unfit("no Content-Length"))?;
                Ok(ObjectInfo {
                    size,
                    etag: text(headers, "etag").map(str::to_owned),
                    modified: text(headers, "last-modified").and_then(date::from_http),
                    checksum_sha256: text(headers, "x-amz-checksum-sha256").map(str::to_owned),
                })
            })
            .await;
        self.present(found).await
    }
}
