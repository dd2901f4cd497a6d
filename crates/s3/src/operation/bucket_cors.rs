//! `GetBucketCors` and `PutBucketCors`.

use bytes::Bytes;
use cidbucket_blockstore::{Block, Result};
use cidbucket_sigv4::Payload;
use data_encoding::BASE64;
use md5::Digest;

use super::{Call, Operation};
use crate::S3Client;
use crate::failure::{no_error_within, unfit};
use crate::xml::{CorsRule, parse_cors, write_cors};

impl S3Client {
    /// The bucket's CORS rules; none where it has no configuration.
    ///
    /// # Errors
    /// `Unsupported` where the server has no CORS, and as every operation.
    pub async fn get_bucket_cors(&self) -> Result<Vec<CorsRule>> {
        let call = Call {
            query: &[("cors", "")],
            ..Call::new(Operation::GetBucketCors, "")
        };
        let found = self
            .call(&call, |answer| {
                no_error_within(&answer)?;
                parse_cors(answer.body()).map_err(|error| unfit(error.to_string()))
            })
            .await;
        match found {
            Ok(rules) => Ok(rules),
            Err(failed)
                if failed
                    .refusal()
                    .is_some_and(|refusal| refusal.code() == "NoSuchCORSConfiguration") =>
            {
                Ok(Vec::new())
            }
            Err(failed) => Err(failed.into_error()),
        }
    }

    /// Replaces the bucket's CORS rules.
    ///
    /// # Errors
    /// `Unsupported` where the server has no CORS, and as every operation.
    pub async fn put_bucket_cors(&self, rules: &[CorsRule]) -> Result<()> {
        let body = Bytes::from(write_cors(rules));
        let md5 = BASE64.encode(&md5::Md5::digest(&body));
        let call = Call {
            query: &[("cors", "")],
            headers: &[("content-md5", &md5), ("content-type", "application/xml")],
            payload: Payload::Sha256(Block::raw(body.clone()).sha256()),
            body,
            ..Call::new(Operation::PutBucketCors, "")
        };
        self.call(&call, |answer| no_error_within(&answer))
            .await
            .map_err(|failed| failed.into_error())
    }
}
