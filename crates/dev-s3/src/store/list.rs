//! Listing a bucket: prefix, delimiter, paging.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html>

use std::{ops::Bound, sync::Arc};

use super::{bucket::Bucket, record::Meta};

/// What to list.
#[derive(Clone, Debug, Default)]
pub(crate) struct Query<'a> {
    pub(crate) prefix: &'a str,
    pub(crate) delimiter: &'a str,
    /// Only keys and common prefixes after this one.
    pub(crate) after: &'a str,
    /// Keys and common prefixes together.
    pub(crate) limit: usize,
}

/// One page of a listing. Both lists are in the order of the bytes of the keys.
#[derive(Debug, Default)]
pub(crate) struct Page {
    pub(crate) objects: Vec<Arc<Meta>>,
    pub(crate) common_prefixes: Vec<String>,
    /// Where the next page starts (as [`Query::after`]); `None` at the end.
    pub(crate) next: Option<String>,
}

/// Objects taken from the index at once, so that its lock is never held for long.
const BATCH: usize = 256;

pub(crate) fn list(bucket: &Bucket, query: &Query<'_>) -> Page {
    let mut page = Page::default();
    if query.limit == 0 {
        return page;
    }
    let mut last = String::new();
    let mut from = first(query);
    'batches: while let Some(start) = from.take() {
        let batch = bucket.some(start.as_ref().map(Vec::as_slice), BATCH);
        if let (BATCH, Some(end)) = (batch.len(), batch.last()) {
            from = Some(Bound::Excluded(end.key.clone().into_bytes()));
        }
        for meta in batch {
            if !meta.key.starts_with(query.prefix) {
                break 'batches;
            }
            if page.objects.len() + page.common_prefixes.len() == query.limit {
                page.next = Some(last);
                break 'batches;
            }
            if let Some(common) = common_prefix(&meta.key, query) {
                common.clone_into(&mut last);
                page.common_prefixes.push(common.to_owned());
                from = past(common.as_bytes()).map(Bound::Included);
                continue 'batches;
            }
            last.clone_from(&meta.key);
            page.objects.push(meta);
        }
    }
    page
}

/// Where to begin in the index.
fn first(query: &Query<'_>) -> Option<Bound<Vec<u8>>> {
    if query.after < query.prefix {
        return Some(Bound::Included(query.prefix.as_bytes().to_vec()));
    }
    // The page before ended with this common prefix: all keys below it are done.
    if common_prefix(query.after, query) == Some(query.after) {
        return past(query.after.as_bytes()).map(Bound::Included);
    }
    Some(Bound::Excluded(query.after.as_bytes().to_vec()))
}

/// The part of a key up to the first delimiter after the prefix, which stands for all keys below.
fn common_prefix<'k>(key: &'k str, query: &Query<'_>) -> Option<&'k str> {
    if query.delimiter.is_empty() {
        return None;
    }
    let rest = key.strip_prefix(query.prefix)?;
    let at = rest.find(query.delimiter)?;
    Some(&key[..query.prefix.len() + at + query.delimiter.len()])
}

/// The first byte string after all those that start with `prefix`.
fn past(prefix: &[u8]) -> Option<Vec<u8>> {
    let mut bound = prefix.to_vec();
    while let Some(last) = bound.pop() {
        if last < u8::MAX {
            bound.push(last + 1);
            return Some(bound);
        }
    }
    None
}
