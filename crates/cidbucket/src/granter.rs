//! From a bucket's configuration to signed URLs.

use cidbucket_blockstore::Result;
use cidbucket_presign::{Granter, Policy};
use cidbucket_s3::{S3Client, S3Config};

/// A granter of signed URLs for the bucket of `config`, with the credentials of this moment: as
/// [`S3Client::granter`] for the store's own keys.
///
/// # Errors
/// As the source of the credentials: [`Error::Denied`](crate::Error::Denied) where there are none.
/// [`Error::Invalid`](crate::Error::Invalid) where they or the policy cannot be right.
pub async fn granter(config: &S3Config, policy: Policy) -> Result<Granter> {
    let client = S3Client::new(config.clone())?;
    client.granter(config.keys.clone(), policy).await
}
