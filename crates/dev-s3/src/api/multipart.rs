//! Multipart uploads.

use std::{
    collections::BTreeMap,
    io::{Seek, SeekFrom},
};

use data_encoding::HEXLOWER;
use s3s::{
    S3Request, S3Result,
    crypto::{Checksum as _, Md5},
    dto::{
        AbortMultipartUploadInput, AbortMultipartUploadOutput, ChecksumAlgorithm,
        CompleteMultipartUploadInput, CompleteMultipartUploadOutput, CopyPartResult,
        CreateMultipartUploadInput, CreateMultipartUploadOutput, ListMultipartUploadsInput,
        ListMultipartUploadsOutput, ListPartsInput, ListPartsOutput, MultipartUpload,
        Part as ListedPart, Range, UploadPartCopyInput, UploadPartCopyOutput, UploadPartInput,
        UploadPartOutput,
    },
    s3_error,
};

use super::{
    Api, blocking, condition, copy, etag, failure, length,
    list::{Encoding, limit},
    owner, put,
    receive::{Claims, receive},
    timestamp,
};
use crate::store::{Attributes, Part, Staging, error_io};

/// The least a part may have, except the last.
const LEAST: u64 = 5 * 1024 * 1024;

/// Parts are numbered 1 to this.
const MOST: u16 = 10_000;

pub(super) async fn create_multipart_upload(
    api: &Api,
    request: S3Request<CreateMultipartUploadInput>,
) -> S3Result<CreateMultipartUploadOutput> {
    let S3Request { input, headers, .. } = request;
    put::refuse_unsupported(&headers)?;
    let bucket = api.bucket(&input.bucket)?;
    let attributes = Attributes {
        content_type: input.content_type,
        cache_control: input.cache_control,
        content_disposition: input.content_disposition,
        content_encoding: put::content_encoding(input.content_encoding),
        content_language: input.content_language,
        expires: input.expires.as_ref().and_then(put::http_date),
        storage_class: input.storage_class.map(|class| class.as_str().to_owned()),
        encryption: input.server_side_encryption.as_ref().map(put::encryption),
        user: put::user(input.metadata),
    };
    let key = input.key.clone();
    let id = blocking(move || bucket.start_upload(&key, attributes)).await?;
    Ok(CreateMultipartUploadOutput {
        bucket: Some(input.bucket),
        key: Some(input.key),
        upload_id: Some(id),
        checksum_algorithm: input.checksum_algorithm,
        checksum_type: input.checksum_type,
        ..CreateMultipartUploadOutput::default()
    })
}

pub(super) async fn upload_part(
    api: &Api,
    request: S3Request<UploadPartInput>,
) -> S3Result<UploadPartOutput> {
    let S3Request {
        input,
        headers,
        trailing_headers,
        ..
    } = request;
    let number = part_number(input.part_number)?;
    let bucket = api.bucket(&input.bucket)?;
    bucket
        .upload(&input.key, &input.upload_id)
        .map_err(failure)?;
    let algorithm = input
        .checksum_algorithm
        .as_ref()
        .map(ChecksumAlgorithm::as_str);
    let claims = Claims::new(&headers, input.content_length, algorithm)?;
    let staged = receive(api.store.tmp(), input.body, claims, trailing_headers).await?;
    let meta = blocking(move || {
        let md5 = HEXLOWER.encode(&staged.md5);
        bucket.put_part(&input.key, &input.upload_id, number, staged, md5)
    })
    .await?;
    let checksum = |name: &str| meta.checksums.get(name).cloned();
    Ok(UploadPartOutput {
        e_tag: Some(etag(&meta.etag)),
        checksum_crc32: checksum("crc32"),
        checksum_crc32c: checksum("crc32c"),
        checksum_crc64nvme: checksum("crc64nvme"),
        checksum_sha1: checksum("sha1"),
        checksum_sha256: checksum("sha256"),
        ..UploadPartOutput::default()
    })
}

fn part_number(number: i32) -> S3Result<u16> {
    u16::try_from(number)
        .ok()
        .filter(|number| (1..=MOST).contains(number))
        .ok_or_else(|| s3_error!(InvalidArgument, "a part number is 1 to {MOST}"))
}

pub(super) async fn upload_part_copy(
    api: &Api,
    request: S3Request<UploadPartCopyInput>,
) -> S3Result<UploadPartCopyOutput> {
    let input = request.input;
    let number = part_number(input.part_number)?;
    let bucket = api.bucket(&input.bucket)?;
    bucket
        .upload(&input.key, &input.upload_id)
        .map_err(failure)?;
    let conditions = condition::Read {
        matches: input.copy_source_if_match.as_ref(),
        unmodified_since: input.copy_source_if_unmodified_since.as_ref(),
        none_match: input.copy_source_if_none_match.as_ref(),
        modified_since: input.copy_source_if_modified_since.as_ref(),
    };
    let (source, mut file) = copy::source(api, &input.copy_source, conditions).await?;
    let range = match &input.copy_source_range {
        None => 0..source.size,
        Some(range) => Range::parse(range)
            .ok()
            .and_then(|range| range.check(source.size).ok())
            .ok_or_else(|| s3_error!(InvalidArgument, "the source has no such range"))?,
    };
    let tmp = api.store.tmp();
    let meta = blocking(move || {
        let mut staging = Staging::new(&tmp, &[]).map_err(error_io("cannot write to", &tmp))?;
        file.seek(SeekFrom::Start(range.start))
            .and_then(|_| staging.copy(&mut file, range.end - range.start))
            .map_err(error_io("cannot copy into", &tmp))?;
        let staged = staging.finish();
        let md5 = HEXLOWER.encode(&staged.md5);
        bucket.put_part(&input.key, &input.upload_id, number, staged, md5)
    })
    .await?;
    Ok(UploadPartCopyOutput {
        copy_part_result: Some(CopyPartResult {
            e_tag: Some(etag(&meta.etag)),
            last_modified: Some(timestamp(meta.modified)),
            ..CopyPartResult::default()
        }),
        ..UploadPartCopyOutput::default()
    })
}

pub(super) async fn complete_multipart_upload(
    api: &Api,
    request: S3Request<CompleteMultipartUploadInput>,
) -> S3Result<CompleteMultipartUploadOutput> {
    let input = request.input;
    let bucket = api.bucket(&input.bucket)?;
    let condition = condition::of_change(input.if_match.as_ref(), input.if_none_match.as_ref())?;
    let (key, id) = (input.key.clone(), input.upload_id);
    let upload = bucket.upload(&key, &id).map_err(failure)?;
    let arrived = {
        let (bucket, key, id) = (bucket.clone(), key.clone(), id.clone());
        blocking(move || bucket.parts(&key, &id)).await?
    };
    let arrived: BTreeMap<i32, Part> = arrived
        .into_iter()
        .map(|part| (i32::from(part.number), part))
        .collect();
    let wanted = input.multipart_upload.and_then(|upload| upload.parts);
    let wanted = wanted.unwrap_or_default();
    if wanted.is_empty() {
        return Err(s3_error!(MalformedXML, "an upload has at least one part"));
    }
    let mut parts: Vec<Part> = Vec::with_capacity(wanted.len());
    for part in &wanted {
        let found = part.part_number.and_then(|number| arrived.get(&number));
        let found = found.filter(|found| {
            let same = |etag: &s3s::dto::ETag| etag.value() == found.meta.etag;
            part.e_tag.as_ref().is_none_or(same)
        });
        let found = found.ok_or_else(|| {
            s3_error!(InvalidPart, "a part is missing or its etag is another one")
        })?;
        if parts.last().is_some_and(|last| last.number >= found.number) {
            return Err(s3_error!(
                InvalidPartOrder,
                "the parts must be in ascending order"
            ));
        }
        if parts.last().is_some_and(|last| last.meta.size < LEAST) {
            return Err(s3_error!(
                EntityTooSmall,
                "every part but the last has at least {LEAST} bytes"
            ));
        }
        parts.push(found.clone());
    }
    let tmp = api.store.tmp();
    let meta = blocking(move || {
        let staged = bucket.join_parts(&id, &parts, &tmp, &[])?;
        let meta = bucket.put(&key, staged, etag_of(&parts), upload.attributes, &condition)?;
        bucket.end_upload(&key, &id)?;
        Ok(meta)
    })
    .await?;
    Ok(CompleteMultipartUploadOutput {
        location: Some(format!("/{}/{}", input.bucket, input.key)),
        bucket: Some(input.bucket),
        key: Some(input.key),
        e_tag: Some(etag(&meta.etag)),
        ..CompleteMultipartUploadOutput::default()
    })
}

/// The MD5 of the parts' MD5s, and how many they were.
fn etag_of(parts: &[Part]) -> String {
    let mut md5 = Md5::new();
    for part in parts {
        md5.update(
            &HEXLOWER
                .decode(part.meta.etag.as_bytes())
                .unwrap_or_default(),
        );
    }
    format!("{}-{}", HEXLOWER.encode(&md5.finalize()), parts.len())
}

pub(super) async fn abort_multipart_upload(
    api: &Api,
    request: S3Request<AbortMultipartUploadInput>,
) -> S3Result<AbortMultipartUploadOutput> {
    let input = request.input;
    let bucket = api.bucket(&input.bucket)?;
    blocking(move || bucket.end_upload(&input.key, &input.upload_id)).await?;
    Ok(AbortMultipartUploadOutput::default())
}

pub(super) async fn list_parts(
    api: &Api,
    request: S3Request<ListPartsInput>,
) -> S3Result<ListPartsOutput> {
    let input = request.input;
    let bucket = api.bucket(&input.bucket)?;
    let limit = limit(input.max_parts)?;
    let after = input.part_number_marker.unwrap_or(0);
    let (key, id) = (input.key.clone(), input.upload_id.clone());
    let mut parts = blocking(move || bucket.parts(&key, &id)).await?;
    parts.retain(|part| i32::from(part.number) > after);
    let most = usize::try_from(limit).unwrap_or(0);
    let truncated = parts.len() > most;
    parts.truncate(most);
    let last = parts.last().map(|part| i32::from(part.number));
    let listed = |part: &Part| ListedPart {
        part_number: Some(i32::from(part.number)),
        e_tag: Some(etag(&part.meta.etag)),
        size: Some(length(part.meta.size)),
        last_modified: Some(timestamp(part.meta.modified)),
        ..ListedPart::default()
    };
    Ok(ListPartsOutput {
        bucket: Some(input.bucket),
        key: Some(input.key),
        upload_id: Some(input.upload_id),
        max_parts: Some(limit),
        part_number_marker: Some(after),
        next_part_number_marker: last.filter(|_| truncated),
        is_truncated: Some(truncated),
        parts: Some(parts.iter().map(listed).collect()),
        owner: Some(owner()),
        ..ListPartsOutput::default()
    })
}

pub(super) async fn list_multipart_uploads(
    api: &Api,
    request: S3Request<ListMultipartUploadsInput>,
) -> S3Result<ListMultipartUploadsOutput> {
    let input = request.input;
    if input.delimiter.is_some() {
        return Err(s3_error!(
            NotImplemented,
            "uploads are listed without a delimiter"
        ));
    }
    let bucket = api.bucket(&input.bucket)?;
    let limit = limit(input.max_uploads)?;
    let encoding = Encoding::new(input.encoding_type.as_ref())?;
    let mut uploads = blocking(move || bucket.uploads()).await?;
    let prefix = input.prefix.as_deref().unwrap_or_default();
    let key_marker = input.key_marker.as_deref().unwrap_or_default();
    // Uploads of one key are in the order of their start: the marker's place is found, not compared.
    if !key_marker.is_empty() {
        let id_marker = input.upload_id_marker.as_deref();
        let at = uploads
            .iter()
            .position(|(id, upload)| upload.key == key_marker && Some(id.as_str()) == id_marker);
        if let Some(at) = at {
            uploads.drain(..=at);
        } else {
            uploads.retain(|(_, upload)| upload.key.as_str() > key_marker);
        }
    }
    uploads.retain(|(_, upload)| upload.key.starts_with(prefix));
    let most = usize::try_from(limit).unwrap_or(0);
    let truncated = uploads.len() > most;
    uploads.truncate(most);
    let last = uploads.last().filter(|_| truncated);
    Ok(ListMultipartUploadsOutput {
        next_key_marker: last.map(|(_, upload)| encoding.of(&upload.key)),
        next_upload_id_marker: last.map(|(id, _)| id.clone()),
        is_truncated: Some(truncated),
        max_uploads: Some(limit),
        key_marker: Some(encoding.of(key_marker)),
        prefix: Some(encoding.of(prefix)),
        upload_id_marker: input.upload_id_marker,
        encoding_type: input.encoding_type,
        bucket: Some(input.bucket),
        uploads: Some(
            uploads
                .into_iter()
                .map(|(id, upload)| MultipartUpload {
                    key: Some(encoding.of(&upload.key)),
                    upload_id: Some(id),
                    initiated: Some(timestamp(upload.initiated)),
                    owner: Some(owner()),
                    ..MultipartUpload::default()
                })
                .collect(),
        ),
        ..ListMultipartUploadsOutput::default()
    })
}
