//! `CopyObject`.

use std::{fs::File, sync::Arc};

use data_encoding::HEXLOWER;
use http::{HeaderMap, HeaderValue, header};
use s3s::{
    S3ErrorCode, S3Request, S3Result,
    dto::{
        ChecksumAlgorithm, CopyObjectInput, CopyObjectOutput, CopyObjectResult, CopySource,
        ETagCondition, MetadataDirective,
    },
    s3_error,
};

use super::{Api, blocking, check_version, condition, etag, put, timestamp};
use crate::store::{Algorithm, Attributes, Condition, Meta, Staging, error_io};

pub(super) async fn copy_object(
    api: &Api,
    request: S3Request<CopyObjectInput>,
) -> S3Result<CopyObjectOutput> {
    let S3Request { input, headers, .. } = request;
    put::refuse_unsupported(&headers)?;
    let condition = target_condition(&headers)?;
    let target = api.bucket(&input.bucket)?;
    let conditions = condition::Read {
        matches: input.copy_source_if_match.as_ref(),
        unmodified_since: input.copy_source_if_unmodified_since.as_ref(),
        none_match: input.copy_source_if_none_match.as_ref(),
        modified_since: input.copy_source_if_modified_since.as_ref(),
    };
    let (meta, mut file) = source(api, &input.copy_source, conditions).await?;

    let directive = input.metadata_directive.as_ref();
    let replace = directive.is_some_and(|d| d.as_str() == MetadataDirective::REPLACE);
    let onto_itself = matches!(
        &input.copy_source,
        CopySource::Bucket { bucket, key, .. } if **bucket == *input.bucket && **key == *input.key
    );
    let other = input.storage_class.is_some() || input.server_side_encryption.is_some();
    if onto_itself && !replace && !other {
        return Err(s3_error!(
            InvalidRequest,
            "a copy of an object onto itself must change its metadata, storage class or encryption"
        ));
    }
    let attributes = attributes(&input, replace, &meta);
    let asked = input
        .checksum_algorithm
        .as_ref()
        .map(ChecksumAlgorithm::as_str);
    let algorithms: Vec<_> = Algorithm::ALL
        .into_iter()
        .filter(|algorithm| {
            meta.checksums.contains_key(algorithm.name())
                || asked.and_then(Algorithm::from_name) == Some(*algorithm)
        })
        .collect();
    let tmp = api.store.tmp();
    let key = input.key;
    let copy = blocking(move || {
        let mut staging =
            Staging::new(&tmp, &algorithms).map_err(error_io("cannot write to", &tmp))?;
        staging
            .copy(&mut file, meta.size)
            .map_err(error_io("cannot copy into", &tmp))?;
        let staged = staging.finish();
        let md5 = HEXLOWER.encode(&staged.md5);
        target.put(&key, staged, md5, attributes, &condition)
    })
    .await?;
    let checksum = |name: &str| copy.checksums.get(name).cloned();
    Ok(CopyObjectOutput {
        copy_object_result: Some(CopyObjectResult {
            e_tag: Some(etag(&copy.etag)),
            last_modified: Some(timestamp(copy.modified)),
            checksum_crc32: checksum("crc32"),
            checksum_crc32c: checksum("crc32c"),
            checksum_crc64nvme: checksum("crc64nvme"),
            checksum_sha1: checksum("sha1"),
            checksum_sha256: checksum("sha256"),
            checksum_type: None,
        }),
        server_side_encryption: copy.attributes.encryption.clone().map(Into::into),
        ..CopyObjectOutput::default()
    })
}

/// The object to copy from, if the conditions on it hold.
pub(super) async fn source(
    api: &Api,
    source: &CopySource,
    conditions: condition::Read<'_>,
) -> S3Result<(Arc<Meta>, File)> {
    let CopySource::Bucket {
        bucket,
        key,
        version_id,
    } = source
    else {
        return Err(s3_error!(
            NotImplemented,
            "the copy source must be bucket/key"
        ));
    };
    check_version(version_id.as_deref())?;
    let bucket = api.bucket(bucket)?;
    let key = key.clone();
    let (meta, file) = blocking(move || bucket.read(&key)).await?;
    // A copy is a write: there is no 304.
    let failed = |_| S3ErrorCode::PreconditionFailed;
    conditions.check(&meta).map_err(failed)?;
    Ok((meta, file))
}

/// `If-Match` and `If-None-Match`, which are of the target.
fn target_condition(headers: &HeaderMap) -> S3Result<Condition> {
    let parse = |name| {
        let value = headers.get(name).map(HeaderValue::as_bytes);
        let condition = value.map(ETagCondition::parse_http_header).transpose();
        condition.map_err(|_| s3_error!(InvalidArgument, "the etag of a condition is malformed"))
    };
    let (if_match, if_none_match) = (parse(header::IF_MATCH)?, parse(header::IF_NONE_MATCH)?);
    condition::of_change(if_match.as_ref(), if_none_match.as_ref())
}

/// Storage class and encryption are those of the request in any case; the rest by the directive.
fn attributes(input: &CopyObjectInput, replace: bool, source: &Meta) -> Attributes {
    let mut attributes = if replace {
        Attributes {
            content_type: input.content_type.clone(),
            cache_control: input.cache_control.clone(),
            content_disposition: input.content_disposition.clone(),
            content_encoding: put::content_encoding(input.content_encoding.clone()),
            content_language: input.content_language.clone(),
            expires: input.expires.as_ref().and_then(put::http_date),
            user: put::user(input.metadata.clone()),
            ..Attributes::default()
        }
    } else {
        source.attributes.clone()
    };
    let storage_class = input.storage_class.as_ref();
    attributes.storage_class = storage_class.map(|class| class.as_str().to_owned());
    attributes.encryption = input.server_side_encryption.as_ref().map(put::encryption);
    attributes
}
