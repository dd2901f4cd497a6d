//! `PutObject`.

use std::collections::BTreeMap;

use data_encoding::HEXLOWER;
use http::HeaderMap;
use s3s::{
    S3Request, S3Result,
    dto::{
        ChecksumAlgorithm, Metadata, PutObjectInput, PutObjectOutput, ServerSideEncryption,
        Timestamp, TimestampFormat,
    },
    s3_error,
};

use super::{
    Api, blocking, condition, etag,
    receive::{Claims, receive},
};
use crate::store::Attributes;

pub(super) async fn put_object(
    api: &Api,
    request: S3Request<PutObjectInput>,
) -> S3Result<PutObjectOutput> {
    let S3Request {
        input,
        headers,
        trailing_headers,
        ..
    } = request;
    refuse_unsupported(&headers)?;
    let bucket = api.bucket(&input.bucket)?;
    let condition = condition::of_change(input.if_match.as_ref(), input.if_none_match.as_ref())?;
    let algorithm = input
        .checksum_algorithm
        .as_ref()
        .map(ChecksumAlgorithm::as_str);
    let claims = Claims::new(&headers, input.content_length, algorithm)?;
    let attributes = Attributes {
        content_type: input.content_type,
        cache_control: input.cache_control,
        content_disposition: input.content_disposition,
        content_encoding: content_encoding(input.content_encoding),
        content_language: input.content_language,
        expires: input.expires.as_ref().and_then(http_date),
        storage_class: input.storage_class.map(|class| class.as_str().to_owned()),
        encryption: input.server_side_encryption.as_ref().map(encryption),
        user: user(input.metadata),
    };
    let staged = receive(api.store.tmp(), input.body, claims, trailing_headers).await?;
    let key = input.key;
    let meta = blocking(move || {
        let md5 = HEXLOWER.encode(&staged.md5);
        bucket.put(&key, staged, md5, attributes, &condition)
    })
    .await?;
    let checksum = |name: &str| meta.checksums.get(name).cloned();
    Ok(PutObjectOutput {
        e_tag: Some(etag(&meta.etag)),
        size: None,
        checksum_crc32: checksum("crc32"),
        checksum_crc32c: checksum("crc32c"),
        checksum_crc64nvme: checksum("crc64nvme"),
        checksum_sha1: checksum("sha1"),
        checksum_sha256: checksum("sha256"),
        server_side_encryption: meta.attributes.encryption.clone().map(Into::into),
        ..PutObjectOutput::default()
    })
}

/// Refuses what would be silently dropped otherwise and matters to who asks for it.
pub(super) fn refuse_unsupported(headers: &HeaderMap) -> S3Result<()> {
    for (start, what) in [
        ("x-amz-server-side-encryption-customer-", "SSE-C"),
        ("x-amz-object-lock-", "object lock"),
        ("x-amz-tagging", "tagging"),
        ("x-amz-write-offset-bytes", "appending"),
    ] {
        if headers.keys().any(|name| name.as_str().starts_with(start)) {
            return Err(s3_error!(NotImplemented, "this server does not do {what}"));
        }
    }
    Ok(())
}

/// `aws-chunked` is of the transfer, not of the object.
pub(super) fn content_encoding(encoding: Option<String>) -> Option<String> {
    let encoding = encoding?;
    let kept: Vec<_> = encoding
        .split(',')
        .map(str::trim)
        .filter(|coding| !coding.is_empty() && !coding.eq_ignore_ascii_case("aws-chunked"))
        .collect();
    (!kept.is_empty()).then(|| kept.join(","))
}

/// An HTTP date as it stands in a header.
pub(super) fn http_date(date: &Timestamp) -> Option<String> {
    let mut text = Vec::new();
    date.format(TimestampFormat::HttpDate, &mut text).ok()?;
    String::from_utf8(text).ok()
}

pub(super) fn encryption(kind: &ServerSideEncryption) -> String {
    kind.as_str().to_owned()
}

pub(super) fn user(metadata: Option<Metadata>) -> BTreeMap<String, String> {
    metadata.into_iter().flatten().collect()
}
