//! `PutObject`.

use bytes::Bytes;
use cidbucket_blockstore::Result;
use cidbucket_sigv4::Payload;
use data_encoding::BASE64;
use http::header;

use super::{Call, Operation};
use crate::S3Client;
use crate::config::Encryption;
use crate::failure::{text, unfit};
use crate::operation::MAX_XML;

/// An object to write.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct PutObject<'a> {
    /// The bytes. They are not copied.
    pub data: Bytes,
    /// Their SHA-256, which is signed, so that S3 takes no other bytes. Where it is at hand (it
    /// is the digest in a sha2-256 CID), nothing is hashed.
    pub sha256: [u8; 32],
    /// `Content-Type`.
    pub content_type: &'a str,
    /// Send the SHA-256 as `x-amz-checksum-sha256` too, and have S3 keep it.
    pub checksum: bool,
    /// Only where there is no such key yet (`If-None-Match: *`).
    pub if_absent: bool,
    /// Only where the key has this entity tag (`If-Match`).
    pub if_match: Option<&'a str>,
    /// `Cache-Control`.
    pub cache_control: Option<&'a str>,
    /// `x-amz-storage-class`.
    pub storage_class: Option<&'a str>,
    /// Encryption at rest.
    pub encryption: Option<&'a Encryption>,
}

impl PutObject<'_> {
    /// `data` and its SHA-256, with nothing else asked for.
    pub fn new(data: Bytes, sha256: [u8; 32]) -> Self {
        Self {
            data,
            sha256,
            content_type: "application/octet-stream",
            checksum: false,
            if_absent: false,
            if_match: None,
            cache_control: None,
            storage_class: None,
            encryption: None,
        }
    }
}

/// What became of a put.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Put {
    /// It was written.
    Written {
        /// The entity tag, with its quotes.
        etag: String,
    },
    /// There was such a key already, and [`PutObject::if_absent`] was set.
    Exists,
}

impl S3Client {
    /// Writes an object.
    ///
    /// # Errors
    /// `Conflict` where [`PutObject::if_match`] does not hold, `Corrupt` where S3 received other
    /// bytes than were signed.
    pub async fn put_object(&self, key: &str, put: &PutObject<'_>) -> Result<Put> {
        self.put_and(key, put, |etag| Put::Written {
            etag: etag.to_owned(),
        })
        .await
        .map(|written| written.unwrap_or(Put::Exists))
    }

    /// As [`Self::put_object`], for whoever wants no more than a part of the answer, or nothing.
    /// `None` where there was such a key already.
    pub(crate) async fn put_and<T: Send>(
        &self,
        key: &str,
        put: &PutObject<'_>,
        written: impl Fn(&str) -> T + Sync,
    ) -> Result<Option<T>> {
        let mut checksum = [0; 44];
        let checksum = put
            .checksum
            .then(|| BASE64.encode_mut_str(&put.sha256, &mut checksum));
        let (encryption, key_id, bucket_key) = match put.encryption {
            None => (None, None, false),
            Some(Encryption::Aes256) => (Some("AES256"), None, false),
            Some(Encryption::Kms { key_id, bucket_key }) => {
                (Some("aws:kms"), key_id.as_deref(), *bucket_key)
            }
        };
        let possible = [
            ("content-type", Some(put.content_type)),
            ("x-amz-checksum-sha256", checksum),
            ("if-none-match", put.if_absent.then_some("*")),
            ("if-match", put.if_match),
            ("cache-control", put.cache_control),
            ("x-amz-storage-class", put.storage_class),
            ("x-amz-server-side-encryption", encryption),
            ("x-amz-server-side-encryption-aws-kms-key-id", key_id),
            (
                "x-amz-server-side-encryption-bucket-key-enabled",
                bucket_key.then_some("true"),
            ),
        ];
        let mut headers = [("", ""); 9];
        let mut count = 0;
        for (name, value) in possible {
            if let Some(value) = value {
                headers[count] = (name, value);
                count += 1;
            }
        }
        let call = Call {
            headers: &headers[..count],
            body: put.data.clone(),
            payload: Payload::Sha256(put.sha256),
            max_body: MAX_XML,
            // A second try after a lost answer would find the first one's entity tag.
            idempotent: put.if_match.is_none(),
            ..Call::new(Operation::PutObject, key)
        };
        let result = self
            .call(&call, |answer| {
                crate::failure::no_error_within(&answer)?;
                // Whatever answers without one has stored nothing.
                let etag = text(answer.headers(), header::ETAG)
                    .ok_or_else(|| unfit("a put acknowledged without an ETag"))?;
                Ok(written(etag))
            })
            .await;
        match result {
            Ok(written) => Ok(Some(written)),
            // Either it was there before, or an earlier try of ours whose answer was lost put it
            // there: both are what the caller wants.
            Err(failed) if put.if_absent && failed.status() == 412 => Ok(None),
            Err(failed) => Err(failed.into_error()),
        }
    }
}
