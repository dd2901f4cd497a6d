//! `GetObject` and `HeadObject`.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    ops::Range,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use futures::{FutureExt, Stream};
use http::{HeaderMap, HeaderValue, header};
use s3s::{
    Body, S3Error, S3ErrorCode, S3Request, S3Result, StdError,
    dto::{
        ChecksumMode, GetObjectInput, GetObjectOutput, HeadObjectInput, HeadObjectOutput,
        StreamingBlob, Timestamp, TimestampFormat,
    },
    stream::{ByteStream, RemainingLength},
};
use tokio::task::{JoinHandle, spawn_blocking};

use super::{Api, blocking, check_version, condition, etag, length, timestamp};
use crate::store::{Meta, error_io};

/// What is read at once. A body up to this size is answered in one piece.
const CHUNK: u64 = 1024 * 1024;

pub(super) async fn get_object(
    api: &Api,
    request: S3Request<GetObjectInput>,
) -> S3Result<GetObjectOutput> {
    let input = request.input;
    check_version(input.version_id.as_deref())?;
    let bucket = api.bucket(&input.bucket)?;
    let key = input.key.clone();
    let (meta, file) = blocking(move || bucket.read(&key)).await?;
    condition::Read {
        matches: input.if_match.as_ref(),
        unmodified_since: input.if_unmodified_since.as_ref(),
        none_match: input.if_none_match.as_ref(),
        modified_since: input.if_modified_since.as_ref(),
    }
    .check(&meta)?;
    let part = input
        .range
        .map(|range| range_of(range, &meta))
        .transpose()?;
    let with_checksums = part.is_none() && asks_checksums(input.checksum_mode.as_ref());
    let range = part.clone().unwrap_or(0..meta.size);
    let body_length = range.end - range.start;
    let body = open(file, range.clone()).await?;
    let output = head(&meta, with_checksums);
    Ok(GetObjectOutput {
        body: Some(body),
        content_length: Some(length(body_length)),
        content_range: part.map(|part| content_range(&part, meta.size)),
        accept_ranges: output.accept_ranges,
        cache_control: output.cache_control,
        checksum_crc32: output.checksum_crc32,
        checksum_crc32c: output.checksum_crc32c,
        checksum_crc64nvme: output.checksum_crc64nvme,
        checksum_sha1: output.checksum_sha1,
        checksum_sha256: output.checksum_sha256,
        content_disposition: output.content_disposition,
        content_encoding: output.content_encoding,
        content_language: output.content_language,
        content_type: output.content_type,
        e_tag: output.e_tag,
        expires: output.expires,
        last_modified: output.last_modified,
        metadata: output.metadata,
        server_side_encryption: output.server_side_encryption,
        storage_class: output.storage_class,
        ..GetObjectOutput::default()
    })
}

pub(super) async fn head_object(
    api: &Api,
    request: S3Request<HeadObjectInput>,
) -> S3Result<HeadObjectOutput> {
    let input = request.input;
    check_version(input.version_id.as_deref())?;
    let meta = api
        .bucket(&input.bucket)?
        .meta(&input.key)
        .map_err(super::failure)?;
    condition::Read {
        matches: input.if_match.as_ref(),
        unmodified_since: input.if_unmodified_since.as_ref(),
        none_match: input.if_none_match.as_ref(),
        modified_since: input.if_modified_since.as_ref(),
    }
    .check(&meta)?;
    let part = input
        .range
        .map(|range| range_of(range, &meta))
        .transpose()?;
    let with_checksums = part.is_none() && asks_checksums(input.checksum_mode.as_ref());
    let mut output = head(&meta, with_checksums);
    if let Some(part) = part {
        output.content_length = Some(length(part.end - part.start));
        output.content_range = Some(content_range(&part, meta.size));
    }
    Ok(output)
}

/// What both operations say of an object.
fn head(meta: &Meta, with_checksums: bool) -> HeadObjectOutput {
    let checksum = |name: &str| {
        let sum = meta.checksums.get(name).cloned();
        sum.filter(|_| with_checksums)
    };
    let attributes = meta.attributes.clone();
    let expires = attributes.expires.as_deref();
    HeadObjectOutput {
        accept_ranges: Some("bytes".to_owned()),
        cache_control: attributes.cache_control,
        checksum_crc32: checksum("crc32"),
        checksum_crc32c: checksum("crc32c"),
        checksum_crc64nvme: checksum("crc64nvme"),
        checksum_sha1: checksum("sha1"),
        checksum_sha256: checksum("sha256"),
        content_disposition: attributes.content_disposition,
        content_encoding: attributes.content_encoding,
        content_language: attributes.content_language,
        content_length: Some(length(meta.size)),
        content_type: Some(
            attributes
                .content_type
                .unwrap_or_else(|| "binary/octet-stream".to_owned()),
        ),
        e_tag: Some(etag(&meta.etag)),
        expires: expires.and_then(|date| Timestamp::parse(TimestampFormat::HttpDate, date).ok()),
        last_modified: Some(timestamp(meta.modified)),
        metadata: (!attributes.user.is_empty()).then(|| attributes.user.into_iter().collect()),
        server_side_encryption: attributes.encryption.map(Into::into),
        storage_class: attributes.storage_class.map(Into::into),
        ..HeadObjectOutput::default()
    }
}

fn asks_checksums(mode: Option<&ChecksumMode>) -> bool {
    mode.is_some_and(|mode| mode.as_str() == ChecksumMode::ENABLED)
}

fn range_of(range: s3s::dto::Range, meta: &Meta) -> S3Result<Range<u64>> {
    range.check(meta.size).map_err(|_| {
        let mut error = S3Error::with_message(
            S3ErrorCode::InvalidRange,
            "the object has no byte of this range",
        );
        let mut headers = HeaderMap::new();
        if let Ok(value) = HeaderValue::from_str(&format!("bytes */{}", meta.size)) {
            headers.insert(header::CONTENT_RANGE, value);
        }
        error.set_headers(headers);
        error
    })
}

fn content_range(part: &Range<u64>, size: u64) -> String {
    format!("bytes {}-{}/{size}", part.start, part.end - 1)
}

/// A body of this part of the file.
async fn open(mut file: File, range: Range<u64>) -> S3Result<StreamingBlob> {
    let left = range.end - range.start;
    let (file, first) = blocking(move || {
        file.seek(SeekFrom::Start(range.start))
            .and_then(|_| read_chunk(&mut file, left))
            .map(|first| (file, first))
            .map_err(error_io("cannot read the object", "objects"))
    })
    .await?;
    if first.len() as u64 == left {
        return Ok(StreamingBlob::from(Body::from(first)));
    }
    Ok(StreamingBlob::new(FileBody {
        left,
        next: Next::Ready(Some((file, first))),
    }))
}

fn read_chunk(file: &mut File, left: u64) -> io::Result<Bytes> {
    let length = usize::try_from(left.min(CHUNK)).unwrap_or(usize::MAX);
    let mut chunk = vec![0; length];
    file.read_exact(&mut chunk)?;
    Ok(chunk.into())
}

/// Streams a file, one chunk in memory at a time.
struct FileBody {
    /// Bytes not yet given out.
    left: u64,
    next: Next,
}

enum Next {
    Ready(Option<(File, Bytes)>),
    Reading(JoinHandle<io::Result<(File, Bytes)>>),
}

impl Stream for FileBody {
    type Item = Result<Bytes, StdError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let (mut file, chunk) = match &mut self.next {
            Next::Ready(ready) => match ready.take() {
                Some(ready) => ready,
                None => return Poll::Ready(None),
            },
            Next::Reading(task) => {
                let read = ready!(task.poll_unpin(cx)).map_err(io::Error::other);
                match read.and_then(|read| read) {
                    Ok(read) => read,
                    Err(e) => {
                        self.next = Next::Ready(None);
                        return Poll::Ready(Some(Err(e.into())));
                    }
                }
            }
        };
        self.left -= chunk.len() as u64;
        let left = self.left;
        self.next = if left == 0 {
            Next::Ready(None)
        } else {
            Next::Reading(spawn_blocking(move || {
                let chunk = read_chunk(&mut file, left)?;
                Ok((file, chunk))
            }))
        };
        Poll::Ready(Some(Ok(chunk)))
    }
}

impl ByteStream for FileBody {
    fn remaining_length(&self) -> RemainingLength {
        usize::try_from(self.left).map_or(RemainingLength::unknown(), RemainingLength::new_exact)
    }
}
