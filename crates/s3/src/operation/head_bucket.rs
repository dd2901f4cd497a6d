//! `HeadBucket`.

use std::sync::atomic::Ordering;

use cidbucket_blockstore::{Error, Report, Result};

use super::{Call, Operation};
use crate::S3Client;

impl S3Client {
    /// Whether the bucket is there and may be looked at.
    ///
    /// # Errors
    /// `NoStore` where it is not there, `Denied` where it is and is somebody else's.
    pub async fn head_bucket(&self) -> Result<()> {
        let looked = self
            .call(&Call::new(Operation::HeadBucket, ""), |_| Ok(()))
            .await;
        match looked {
            Ok(()) => Ok(()),
            Err(failed) if failed.status() == 404 => Err(Error::NoStore(
                Report::new(
                    Operation::HeadBucket.name(),
                    "there is no such bucket; check its name, the endpoint and the region",
                )
                .with_key(self.bucket().name())
                .with_status(404)
                .into(),
            )),
            Err(failed) => Err(failed.into_error()),
        }
    }

    /// Makes sure that a 404 meant the object and not the bucket. Once the bucket was seen it is
    /// taken to stay.
    pub(super) async fn check_bucket(&self) -> Result<()> {
        if self.bucket_seen().load(Ordering::Relaxed) {
            return Ok(());
        }
        match self.head_bucket().await {
            // "Denied" is said of buckets that are there.
            Ok(()) | Err(Error::Denied(_)) => {
                self.bucket_seen().store(true, Ordering::Relaxed);
                Ok(())
            }
            Err(error) => Err(error),
        }
    }
}
