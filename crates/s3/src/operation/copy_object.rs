//! `CopyObject`.

use cidbucket_blockstore::Result;
use cidbucket_sigv4::encode_path;

use super::{Call, Operation};
use crate::S3Client;
use crate::failure::{no_error_within, unfit};
use crate::xml::parse_copy_result;

/// A copy within the bucket.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct CopyObject<'a> {
    /// The key to copy.
    pub source: &'a str,
    /// Only where the source has this entity tag (`x-amz-copy-source-if-match`).
    pub if_match: Option<&'a str>,
}

impl<'a> CopyObject<'a> {
    /// Copies `source`.
    pub fn from(source: &'a str) -> Self {
        Self {
            source,
            if_match: None,
        }
    }
}

impl S3Client {
    /// Copies an object to `key`, at the server; `false` where there is no source.
    ///
    /// # Errors
    /// `Conflict` where [`CopyObject::if_match`] does not hold.
    pub async fn copy_object(&self, key: &str, copy: &CopyObject<'_>) -> Result<bool> {
        let bucket = self.bucket();
        let source = format!("/{}/{}", bucket.name(), copy.source);
        let source = encode_path(&source);
        let mut headers = vec![("x-amz-copy-source", &*source)];
        headers.extend(copy.if_match.map(|tag| ("x-amz-copy-source-if-match", tag)));
        let call = Call {
            headers: &headers,
            ..Call::new(Operation::CopyObject, key)
        };
        // The answer begins before the copy is done, so its failure comes in a 200.
        let copied = self
            .call(&call, |answer| {
                no_error_within(&answer)?;
                parse_copy_result(answer.body()).map_err(|error| unfit(error.to_string()))
            })
            .await;
        Ok(self.present(copied).await?.is_some())
    }
}
