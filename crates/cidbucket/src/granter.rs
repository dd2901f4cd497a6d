//! From a bucket's configuration to signed URLs.

use cidbucket_blockstore::{Error, Report, Result};
use cidbucket_presign::{Granter, Policy};
use cidbucket_s3::{S3Client, S3Config, credentials};

/// A granter of signed URLs for the bucket of `config`, with the credentials of this moment.
///
/// Nothing is sent to S3. Its grants end with the credentials, so make another one for as long as
/// URLs are needed: every few minutes, say. Without credentials (`anonymous=true`) its reads are
/// plain URLs, and it grants no writes.
///
/// # Errors
/// As the source of the credentials: [`Error::Denied`] where there are none. [`Error::Invalid`]
/// where they or the policy cannot be right.
pub async fn granter(config: &S3Config, policy: Policy) -> Result<Granter> {
    let (bucket, keys) = (config.bucket.clone(), config.keys.clone());
    let client = S3Client::new(config.clone())?;
    let Some(provider) = credentials::provider(&config.credentials, client.http()) else {
        return Granter::public(bucket, keys, policy).map_err(invalid);
    };
    let issued = provider.credentials().await?;
    let granter =
        Granter::new(bucket, keys, issued.credentials.clone(), policy).map_err(invalid)?;
    Ok(match issued.expires {
        Some(end) => granter.with_credentials_expiry(end.into()),
        None => granter,
    })
}

fn invalid(error: cidbucket_presign::Error) -> Error {
    Error::Invalid(
        Report::new("make granter", "cannot grant")
            .with_source(error)
            .into(),
    )
}
