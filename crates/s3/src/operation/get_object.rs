//! `GetObject`.

use std::ops::Range;
use std::time::SystemTime;

use bytes::Bytes;
use cidbucket_blockstore::Result;
use http::{Response, StatusCode, header};

use super::{Call, Operation};
use crate::S3Client;
use crate::date;
use crate::failure::{Cause, Failed, text, unfit};

/// What to read of an object.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct GetObject {
    /// These bytes only: from the first up to, but without, the second. Not empty. Where the
    /// object ends earlier, so does the answer.
    pub range: Option<Range<u64>>,
    /// The largest size to take, in bytes. A larger object is an error before it is read.
    pub max_size: usize,
}

impl GetObject {
    /// The whole object, of up to `max_size` bytes.
    pub fn whole(max_size: usize) -> Self {
        Self {
            range: None,
            max_size,
        }
    }

    /// A part of the object.
    pub fn range(range: Range<u64>) -> Self {
        let length = range.end.saturating_sub(range.start);
        Self {
            range: Some(range),
            max_size: usize::try_from(length).unwrap_or(usize::MAX),
        }
    }
}

/// What was read.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct GotObject {
    /// The bytes, in one buffer.
    pub data: Bytes,
    /// Size of the whole object, in bytes.
    pub size: u64,
    /// The entity tag, with its quotes.
    pub etag: Option<String>,
    /// When the object was written.
    pub modified: Option<SystemTime>,
}

impl S3Client {
    /// Reads an object, or a part of it; `None` where there is no such key.
    ///
    /// # Errors
    /// `TooLarge` above `max_size`, `Invalid` where the range begins behind the object's end.
    pub async fn get_object(&self, key: &str, options: &GetObject) -> Result<Option<GotObject>> {
        let range = match &options.range {
            None => None,
            Some(range) if range.start < range.end => {
                Some(format!("bytes={}-{}", range.start, range.end - 1))
            }
            Some(range) => {
                return Err(cidbucket_blockstore::Error::Invalid(
                    cidbucket_blockstore::Report::new(
                        "GetObject",
                        format!("the range {}..{} is empty", range.start, range.end),
                    )
                    .with_key(key)
                    .into(),
                ));
            }
        };
        let header = range.as_deref().map(|range| ("range", range));
        let call = Call {
            headers: header.as_slice(),
            max_body: options.max_size,
            may_be_larger: range.is_none(),
            ..Call::new(Operation::GetObject, key)
        };
        let found = self
            .call_as(
                &call,
                |head| {
                    let given = match &options.range {
                        None => whole(&head).map(|()| None),
                        Some(range) => part(&head, range).map(Some),
                    }?;
                    let etag = text(head.headers(), header::ETAG).map(str::to_owned);
                    let modified =
                        text(head.headers(), header::LAST_MODIFIED).and_then(date::from_http);
                    Ok((given, etag, modified))
                },
                |(given, etag, modified), data| {
                    let length = data.len() as u64;
                    let size = match given {
                        None => length,
                        Some((part, size)) if part.end - part.start == length => size,
                        Some(_) => return Err(unfit("another range than was asked for")),
                    };
                    Ok(GotObject {
                        data,
                        size,
                        etag,
                        modified,
                    })
                },
            )
            .await;
        self.present(found).await
    }

    /// Reads a whole object's bytes, and nothing about it.
    pub(crate) async fn get_bytes(
        &self,
        key: &str,
        max_size: usize,
        fresh: bool,
    ) -> Result<Option<Bytes>> {
        let call = Call {
            max_body: max_size,
            may_be_larger: true,
            fresh,
            ..Call::new(Operation::GetObject, key)
        };
        let found = self
            .call_as(&call, |head| whole(&head), |(), data| Ok(data))
            .await;
        self.present(found).await
    }

    /// `None` where S3 says in its own words that the object is not there. Where a 404 does not
    /// say what was not found, the bucket is looked at.
    pub(super) async fn present<T>(&self, found: Result<T, Box<Failed>>) -> Result<Option<T>> {
        let failed = match found {
            Ok(found) => return Ok(Some(found)),
            Err(failed) => failed,
        };
        match failed.refusal() {
            Some(refusal) if refusal.no_such_key() => Ok(None),
            Some(refusal) if refusal.not_found_in_silence() => {
                Box::pin(self.check_bucket()).await?;
                Ok(None)
            }
            _ => Err(failed.into_error()),
        }
    }
}

/// Checks that an answer is the whole object.
pub(crate) fn whole<B>(head: &Response<B>) -> Result<(), Cause> {
    if head.status() != StatusCode::OK || head.headers().contains_key(header::CONTENT_RANGE) {
        return Err(unfit("a part of the object, which was asked for whole"));
    }
    Ok(())
}

/// The part that an answer says it is, where that is the one asked for, and the object's size.
fn part(head: &Response<()>, asked: &Range<u64>) -> Result<(Range<u64>, u64), Cause> {
    // Some servers answer 200 and give the right part.
    let (part, size) = text(head.headers(), header::CONTENT_RANGE)
        .and_then(parse_content_range)
        .ok_or_else(|| unfit("not the range that was asked for"))?;
    if part.start != asked.start || part.end != asked.end.min(size) {
        return Err(unfit("another range than was asked for"));
    }
    Ok((part, size))
}

/// Reads `bytes FIRST-LAST/SIZE` (RFC 9110 §14.4) as a half-open range and the size.
pub(crate) fn parse_content_range(text: &str) -> Option<(Range<u64>, u64)> {
    let number = |text: &str| {
        let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        digits.then(|| text.parse::<u64>().ok())?
    };
    let (range, size) = text.trim().strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let (first, last, size) = (number(first)?, number(last)?, number(size)?);
    (first <= last && last < size).then(|| (first..last + 1, size))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_ranges() {
        for (text, expected) in [
            ("bytes 0-9/10", Some((0..10, 10))),
            ("bytes 5-5/6", Some((5..6, 6))),
            ("bytes 5-6/6", None),
            ("bytes 6-5/9", None),
            ("bytes 0-9/*", None),
            ("bytes */10", None),
            ("bytes +0-9/10", None),
            ("0-9/10", None),
            ("bytes 0-18446744073709551615/18446744073709551615", None),
            ("bytes 0-99999999999999999999/10", None),
        ] {
            assert_eq!(parse_content_range(text), expected, "{text}");
        }
    }
}
