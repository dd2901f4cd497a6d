//! `CreateBucket`.

use bytes::Bytes;
use cidbucket_blockstore::{Block, Result};
use cidbucket_sigv4::Payload;

use super::{Call, Operation};
use crate::S3Client;
use crate::failure::no_error_within;

impl S3Client {
    /// Creates the bucket in its region; `false` where it was there already and is ours.
    ///
    /// # Errors
    /// `Conflict` where it belongs to somebody else.
    pub async fn create_bucket(&self) -> Result<bool> {
        let bucket = self.bucket();
        // S3 refuses its first region as a location constraint; other servers want none at all.
        let at_aws = bucket.host().contains(".amazonaws.com");
        let body = if at_aws && bucket.region() != "us-east-1" {
            Bytes::from(format!(
                "<CreateBucketConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\
                 <LocationConstraint>{}</LocationConstraint></CreateBucketConfiguration>",
                bucket.region()
            ))
        } else {
            Bytes::new()
        };
        let payload = if body.is_empty() {
            Payload::Empty
        } else {
            Payload::Sha256(Block::raw(body.clone()).sha256())
        };
        let call = Call {
            body,
            payload,
            ..Call::new(Operation::CreateBucket, "")
        };
        match self.call(&call, |answer| no_error_within(&answer)).await {
            Ok(()) => Ok(true),
            Err(failed)
                if failed
                    .refusal()
                    .is_some_and(|refusal| refusal.code() == "BucketAlreadyOwnedByYou") =>
            {
                Ok(false)
            }
            Err(failed) => Err(failed.into_error()),
        }
    }
}
