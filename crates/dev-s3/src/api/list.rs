//! `ListObjectsV2`, `ListObjects` and `ListObjectVersions`.

use std::{borrow::Cow, sync::Arc};

use data_encoding::HEXLOWER;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use s3s::{
    S3Request, S3Result,
    dto::{
        CommonPrefix, EncodingType, ListObjectVersionsInput, ListObjectVersionsOutput,
        ListObjectsInput, ListObjectsOutput, ListObjectsV2Input, ListObjectsV2Output, Object,
        ObjectVersion,
    },
    s3_error,
};

use super::{Api, VERSION, etag, length, owner, timestamp};
use crate::store::{Meta, Page, Query, list};

/// Entries of one page.
const MOST: i32 = 1000;

pub(super) async fn list_objects_v2(
    api: &Api,
    request: S3Request<ListObjectsV2Input>,
) -> S3Result<ListObjectsV2Output> {
    let input = request.input;
    let encoding = Encoding::new(input.encoding_type.as_ref())?;
    let limit = limit(input.max_keys)?;
    let token = input
        .continuation_token
        .as_deref()
        .map(open_token)
        .transpose()?;
    let query = Query {
        prefix: input.prefix.as_deref().unwrap_or_default(),
        delimiter: input.delimiter.as_deref().unwrap_or_default(),
        after: token
            .as_deref()
            .or(input.start_after.as_deref())
            .unwrap_or_default(),
        limit: usize::try_from(limit).unwrap_or(0),
    };
    let page = list(&*api.bucket(&input.bucket)?, &query);
    let with_owner = input.fetch_owner == Some(true);
    let count = page.objects.len() + page.common_prefixes.len();
    Ok(ListObjectsV2Output {
        is_truncated: Some(page.next.is_some()),
        next_continuation_token: page.next.as_deref().map(token_of),
        key_count: i32::try_from(count).ok(),
        max_keys: Some(limit),
        contents: Some(objects(&page, encoding, with_owner)),
        common_prefixes: Some(common_prefixes(&page, encoding)),
        prefix: Some(encoding.of(query.prefix)),
        delimiter: input.delimiter.as_deref().map(|text| encoding.of(text)),
        start_after: input.start_after.as_deref().map(|text| encoding.of(text)),
        continuation_token: input.continuation_token,
        encoding_type: input.encoding_type,
        name: Some(input.bucket),
        ..ListObjectsV2Output::default()
    })
}

pub(super) async fn list_objects(
    api: &Api,
    request: S3Request<ListObjectsInput>,
) -> S3Result<ListObjectsOutput> {
    let input = request.input;
    let encoding = Encoding::new(input.encoding_type.as_ref())?;
    let limit = limit(input.max_keys)?;
    let query = Query {
        prefix: input.prefix.as_deref().unwrap_or_default(),
        delimiter: input.delimiter.as_deref().unwrap_or_default(),
        after: input.marker.as_deref().unwrap_or_default(),
        limit: usize::try_from(limit).unwrap_or(0),
    };
    let page = list(&*api.bucket(&input.bucket)?, &query);
    Ok(ListObjectsOutput {
        is_truncated: Some(page.next.is_some()),
        // Without a delimiter the last key is the marker, and S3 leaves the element out.
        next_marker: page
            .next
            .as_deref()
            .filter(|_| !query.delimiter.is_empty())
            .map(|next| encoding.of(next)),
        max_keys: Some(limit),
        contents: Some(objects(&page, encoding, true)),
        common_prefixes: Some(common_prefixes(&page, encoding)),
        prefix: Some(encoding.of(query.prefix)),
        delimiter: input.delimiter.as_deref().map(|text| encoding.of(text)),
        marker: Some(encoding.of(query.after)),
        encoding_type: input.encoding_type,
        name: Some(input.bucket),
        ..ListObjectsOutput::default()
    })
}

pub(super) async fn list_object_versions(
    api: &Api,
    request: S3Request<ListObjectVersionsInput>,
) -> S3Result<ListObjectVersionsOutput> {
    let input = request.input;
    let encoding = Encoding::new(input.encoding_type.as_ref())?;
    let limit = limit(input.max_keys)?;
    let query = Query {
        prefix: input.prefix.as_deref().unwrap_or_default(),
        delimiter: input.delimiter.as_deref().unwrap_or_default(),
        after: input.key_marker.as_deref().unwrap_or_default(),
        limit: usize::try_from(limit).unwrap_or(0),
    };
    let page = list(&*api.bucket(&input.bucket)?, &query);
    let version = |meta: &Arc<Meta>| ObjectVersion {
        key: Some(encoding.of(&meta.key)),
        version_id: Some(VERSION.to_owned()),
        is_latest: Some(true),
        e_tag: Some(etag(&meta.etag)),
        last_modified: Some(timestamp(meta.modified)),
        size: Some(length(meta.size)),
        owner: Some(owner()),
        storage_class: Some(storage_class(meta).into()),
        ..ObjectVersion::default()
    };
    Ok(ListObjectVersionsOutput {
        is_truncated: Some(page.next.is_some()),
        next_key_marker: page.next.as_deref().map(|next| encoding.of(next)),
        next_version_id_marker: page.next.as_ref().map(|_| VERSION.to_owned()),
        max_keys: Some(limit),
        versions: Some(page.objects.iter().map(version).collect()),
        common_prefixes: Some(common_prefixes(&page, encoding)),
        prefix: Some(encoding.of(query.prefix)),
        delimiter: input.delimiter.as_deref().map(|text| encoding.of(text)),
        key_marker: Some(encoding.of(query.after)),
        version_id_marker: input.version_id_marker,
        encoding_type: input.encoding_type,
        name: Some(input.bucket),
        ..ListObjectVersionsOutput::default()
    })
}

pub(super) fn limit(asked: Option<i32>) -> S3Result<i32> {
    match asked {
        Some(asked) if asked < 0 => Err(s3_error!(
            InvalidArgument,
            "the number of entries must not be negative"
        )),
        asked => Ok(asked.unwrap_or(MOST).min(MOST)),
    }
}

fn objects(page: &Page, encoding: Encoding, with_owner: bool) -> Vec<Object> {
    let object = |meta: &Arc<Meta>| Object {
        key: Some(encoding.of(&meta.key)),
        e_tag: Some(etag(&meta.etag)),
        last_modified: Some(timestamp(meta.modified)),
        size: Some(length(meta.size)),
        owner: with_owner.then(owner),
        storage_class: Some(storage_class(meta).into()),
        ..Object::default()
    };
    page.objects.iter().map(object).collect()
}

fn common_prefixes(page: &Page, encoding: Encoding) -> Vec<CommonPrefix> {
    let common = |prefix: &String| CommonPrefix {
        prefix: Some(encoding.of(prefix)),
    };
    page.common_prefixes.iter().map(common).collect()
}

fn storage_class(meta: &Meta) -> String {
    let class = meta.attributes.storage_class.as_deref();
    class.unwrap_or("STANDARD").to_owned()
}

/// How keys stand in the answer. XML cannot hold every character a key can.
#[derive(Clone, Copy, Debug)]
pub(super) enum Encoding {
    Plain,
    Url,
}

/// Left as they are by `encoding-type=url`.
const KEPT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'/')
    .remove(b'*');

impl Encoding {
    pub(super) fn new(asked: Option<&EncodingType>) -> S3Result<Self> {
        match asked.map(EncodingType::as_str) {
            None => Ok(Self::Plain),
            Some(EncodingType::URL) => Ok(Self::Url),
            Some(_) => Err(s3_error!(InvalidArgument, "the only encoding-type is url")),
        }
    }

    pub(super) fn of(self, text: &str) -> String {
        match self {
            Self::Plain => text.to_owned(),
            Self::Url => Cow::from(utf8_percent_encode(text, KEPT)).into_owned(),
        }
    }
}

/// A token says where the next page starts. It is opaque to clients; the digit is its version.
fn token_of(next: &str) -> String {
    format!("1{}", HEXLOWER.encode(next.as_bytes()))
}

fn open_token(token: &str) -> S3Result<String> {
    token
        .strip_prefix('1')
        .and_then(|hex| HEXLOWER.decode(hex.as_bytes()).ok())
        .and_then(|key| String::from_utf8(key).ok())
        .ok_or_else(|| s3_error!(InvalidArgument, "the continuation token is not one of ours"))
}
