//! Read grants.

use cid::Cid;
use cidbucket_layout::Keys;
use cidbucket_sigv4::Timestamp;

use crate::granter::{check_stored, check_text};
use crate::{Bucket, Error, Grant, Granter, Method, Result};

/// What of a block may be read, and with which headers S3 is to answer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Read {
    /// Whether only to ask for the size (`HEAD`).
    pub head: bool,
    /// The one range of bytes that may be read; all of the block unless set.
    pub range: Option<ByteRange>,
    /// The `Content-Type` of the answer, in place of the stored one.
    pub content_type: Option<String>,
    /// The `Content-Disposition` of the answer, say `attachment; filename="report.pdf"`.
    pub content_disposition: Option<String>,
}

/// A range of bytes, both ends included, counted from zero (RFC 9110, section 14.1.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ByteRange {
    /// The first byte.
    pub first: u64,
    /// The last byte; up to the block's end where it is `None`.
    pub last: Option<u64>,
}

impl Read {
    pub(crate) fn method(&self) -> Method {
        if self.head { Method::Head } else { Method::Get }
    }

    /// The signed headers besides `host`.
    pub(crate) fn headers(&self) -> Result<Vec<(String, String)>> {
        let Some(ByteRange { first, last }) = self.range else {
            return Ok(Vec::new());
        };
        let value = match last {
            Some(last) if last < first => return Err(Error::Range),
            Some(last) => format!("bytes={first}-{last}"),
            None => format!("bytes={first}-"),
        };
        Ok(vec![("range".to_owned(), value)])
    }

    /// The overrides, as parameters of the query.
    pub(crate) fn query(&self) -> Result<Vec<(&str, &str)>> {
        let mut query = Vec::new();
        for (name, value) in [
            ("response-content-type", &self.content_type),
            ("response-content-disposition", &self.content_disposition),
        ] {
            if let Some(value) = value {
                check_text(name, value)?;
                query.push((name, value.as_str()));
            }
        }
        Ok(query)
    }
}

impl Granter {
    /// Grants a read of the block for `expires` seconds from `now`. The reader checks the bytes
    /// against the CID: S3 only promises that they are the stored ones.
    ///
    /// # Errors
    /// [`Error::Inline`], [`Error::Expires`], [`Error::CredentialsExpired`], [`Error::Range`],
    /// [`Error::ControlCharacter`]; [`Error::Public`] where a public bucket is asked for
    /// overrides, which S3 gives to signed requests only.
    pub fn read(&self, cid: &Cid, read: &Read, expires: u32, now: Timestamp) -> Result<Grant> {
        check_stored(cid)?;
        let (query, headers) = (read.query()?, read.headers()?);
        if self.is_public() {
            return if query.is_empty() {
                Ok(plain(
                    self.bucket(),
                    self.keys(),
                    cid,
                    read.method(),
                    headers,
                ))
            } else {
                Err(Error::Public)
            };
        }
        let presign = self.presign(self.life(expires, now)?, now);
        self.signed_url(read.method(), cid, &query, headers, &presign)
    }
}

fn plain(
    bucket: &Bucket,
    keys: &Keys,
    cid: &Cid,
    method: Method,
    headers: Vec<(String, String)>,
) -> Grant {
    Grant {
        method,
        url: bucket.url(&keys.key(cid)),
        headers,
        expires: None,
    }
}
