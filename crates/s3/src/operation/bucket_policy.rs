//! `GetBucketPolicy` and `PutBucketPolicy`.

use bytes::Bytes;
use cidbucket_blockstore::{Block, Result};
use cidbucket_sigv4::Payload;
use data_encoding::BASE64;
use md5::Digest;

use super::{Call, Operation};
use crate::S3Client;
use crate::failure::{no_error_within, unfit};

impl S3Client {
    /// The bucket's policy, which is JSON; `None` where it has none.
    ///
    /// # Errors
    /// `Unsupported` where the server has no policies, and as every operation.
    pub async fn get_bucket_policy(&self) -> Result<Option<String>> {
        let call = Call {
            query: &[("policy", "")],
            ..Call::new(Operation::GetBucketPolicy, "")
        };
        let found = self
            .call(&call, |answer| {
                no_error_within(&answer)?;
                let policy = String::from_utf8(answer.into_body().into())
                    .map_err(|_| unfit("a policy that is not UTF-8"))?;
                if policy.trim_start().starts_with('{') {
                    Ok(policy)
                } else {
                    Err(unfit("a policy that is no JSON object"))
                }
            })
            .await;
        match found {
            Ok(policy) => Ok(Some(policy)),
            Err(failed)
                if failed
                    .refusal()
                    .is_some_and(|refusal| refusal.code() == "NoSuchBucketPolicy") =>
            {
                Ok(None)
            }
            Err(failed) => Err(failed.into_error()),
        }
    }

    /// Replaces the bucket's policy by this JSON.
    ///
    /// # Errors
    /// `Unsupported` where the server has no policies, and as every operation.
    pub async fn put_bucket_policy(&self, policy: &str) -> Result<()> {
        let body = Bytes::copy_from_slice(policy.as_bytes());
        let md5 = BASE64.encode(&md5::Md5::digest(&body));
        let call = Call {
            query: &[("policy", "")],
            headers: &[("content-md5", &md5), ("content-type", "application/json")],
            payload: Payload::Sha256(Block::raw(body.clone()).sha256()),
            body,
            ..Call::new(Operation::PutBucketPolicy, "")
        };
        self.call(&call, |answer| no_error_within(&answer))
            .await
            .map_err(|failed| failed.into_error())
    }
}
