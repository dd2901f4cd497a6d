//! Conditional requests: `If-Match`, `If-None-Match`, `If-(Un)Modified-Since`.
//!
//! <https://www.rfc-editor.org/rfc/rfc9110#section-13>, and for writes
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-requests.html>.

use http::{HeaderMap, HeaderValue, header};
use s3s::{
    S3Error, S3ErrorCode, S3Result,
    dto::{ETagCondition, Timestamp, TimestampFormat},
    s3_error,
};

use super::{etag, timestamp};
use crate::store::{Condition, Meta};

/// The condition of a write or delete.
pub(super) fn of_change(
    if_match: Option<&ETagCondition>,
    if_none_match: Option<&ETagCondition>,
) -> S3Result<Condition> {
    match (if_match, if_none_match) {
        (None, None) => Ok(Condition::None),
        (Some(condition), None) => Ok(Condition::Match(
            condition.as_etag().map(|etag| etag.value().to_owned()),
        )),
        (None, Some(ETagCondition::Any)) => Ok(Condition::Absent),
        _ => Err(s3_error!(
            NotImplemented,
            "a write takes If-Match or If-None-Match: *, not both and no other form"
        )),
    }
}

/// The `If-…` conditions of a read, in the order RFC 9110 section 13.2.2 gives them.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Read<'a> {
    pub(super) matches: Option<&'a ETagCondition>,
    pub(super) unmodified_since: Option<&'a Timestamp>,
    pub(super) none_match: Option<&'a ETagCondition>,
    pub(super) modified_since: Option<&'a Timestamp>,
}

impl Read<'_> {
    /// `PreconditionFailed` (412) or `NotModified` (304) if the object must not be sent.
    pub(super) fn check(self, meta: &Meta) -> S3Result<()> {
        let is = |condition: &ETagCondition| match condition {
            ETagCondition::Any => true,
            ETagCondition::ETag(etag) => etag.value() == meta.etag,
        };
        // HTTP dates have whole seconds.
        let modified = timestamp(meta.modified / 1000 * 1000);
        let changed_since = |date: &Timestamp| modified > *date;
        if let Some(condition) = self.matches {
            if !is(condition) {
                return Err(S3ErrorCode::PreconditionFailed.into());
            }
        } else if self.unmodified_since.is_some_and(changed_since) {
            return Err(S3ErrorCode::PreconditionFailed.into());
        }
        if let Some(condition) = self.none_match {
            if is(condition) {
                return Err(not_modified(meta));
            }
        } else if self.modified_since.is_some_and(|date| !changed_since(date)) {
            return Err(not_modified(meta));
        }
        Ok(())
    }
}

/// A 304 with the validators a cache needs.
fn not_modified(meta: &Meta) -> S3Error {
    let mut headers = HeaderMap::new();
    if let Ok(value) = etag(&meta.etag).to_http_header() {
        headers.insert(header::ETAG, value);
    }
    let mut date = Vec::new();
    if timestamp(meta.modified)
        .format(TimestampFormat::HttpDate, &mut date)
        .is_ok()
        && let Ok(value) = HeaderValue::from_bytes(&date)
    {
        headers.insert(header::LAST_MODIFIED, value);
    }
    if let Some(value) = &meta.attributes.cache_control
        && let Ok(value) = HeaderValue::from_str(value)
    {
        headers.insert(header::CACHE_CONTROL, value);
    }
    let mut error = S3Error::new(S3ErrorCode::NotModified);
    error.set_headers(headers);
    error
}
