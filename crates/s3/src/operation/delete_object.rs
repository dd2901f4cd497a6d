//! `DeleteObject`.

use cidbucket_blockstore::Result;

use super::{Call, Operation};
use crate::S3Client;
use crate::failure::no_error_within;

impl S3Client {
    /// Deletes an object. Succeeds where there is no such key.
    ///
    /// # Errors
    /// `NoStore` where there is no such bucket, and as every operation.
    pub async fn delete_object(&self, key: &str) -> Result<()> {
        let deleted = self
            .call(&Call::new(Operation::DeleteObject, key), |answer| {
                no_error_within(&answer)
            })
            .await;
        // S3 answers 204 to an absent key, some servers 404.
        self.present(deleted).await?;
        Ok(())
    }
}
