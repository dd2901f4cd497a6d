//! Entity tags, and the conditions of requests on them (RFC 9110 §8.8.3, §13.1). Pure.

use cidbucket_blockstore::{Cid, Hash};
use data_encoding::BASE32_NOPAD;
use http::{HeaderMap, HeaderValue, header};

/// An entity tag, as it stands in `Etag`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct EntityTag(HeaderValue);

impl EntityTag {
    /// Of bytes that are always the same: a block (`raw`), or a file.
    pub(crate) fn strong(cid: &str, suffix: &str) -> Self {
        Self::of(["\"", cid, suffix, "\""].concat())
    }

    /// Of an answer that another version of this program may give with other bytes. `of` is all that
    /// it depends on beside the CID.
    pub(crate) fn weak(cid: &Cid, suffix: &str, of: &str) -> Self {
        let digest = Hash::Sha2_256.digest(of.as_bytes());
        let digest = digest.expect("only identity limits the length");
        let digest = BASE32_NOPAD
            .encode(&digest.digest()[..10])
            .to_ascii_lowercase();
        Self::of(format!("W/\"{cid}{suffix}.{digest}\""))
    }

    fn of(text: String) -> Self {
        Self(HeaderValue::try_from(text).expect("CIDs and digests are ASCII"))
    }

    /// The header.
    pub(crate) fn into_header(self) -> HeaderValue {
        self.0
    }

    /// Whether `If-None-Match` names this tag, by weak comparison (RFC 9110 §13.1.2). `*` is said
    /// apart: it only matches what there is.
    pub(crate) fn none_match(&self, headers: &HeaderMap) -> IfNoneMatch {
        let own = self.opaque();
        let mut found = IfNoneMatch::Other;
        for value in headers.get_all(header::IF_NONE_MATCH) {
            let value = value.as_bytes().trim_ascii();
            if value == b"*" {
                return IfNoneMatch::Any;
            }
            // A tag has no quote in it, and may have a comma.
            let quoted = value.split(|byte| *byte == b'"').skip(1).step_by(2);
            if quoted.into_iter().any(|tag| tag == own) {
                found = IfNoneMatch::Same;
            }
        }
        found
    }

    /// Whether `Range` holds: there is no `If-Range`, or it names this very tag, by strong comparison
    /// (RFC 9110 §13.1.5). Of dates there are none.
    pub(crate) fn if_range(&self, headers: &HeaderMap) -> bool {
        let Some(value) = headers.get(header::IF_RANGE) else {
            return true;
        };
        !self.0.as_bytes().starts_with(b"W/") && *value == self.0
    }

    /// What stands within its quotes.
    fn opaque(&self) -> &[u8] {
        let text = self.0.as_bytes();
        let quoted = text.strip_prefix(b"W/").unwrap_or(text);
        &quoted[1..quoted.len() - 1]
    }
}

/// What `If-None-Match` has to do with a tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum IfNoneMatch {
    /// Nothing.
    Other,
    /// It names it.
    Same,
    /// `*`: whatever the tag is, if there is something.
    Any,
}

#[cfg(test)]
mod tests {
    use cidbucket_blockstore::Block;

    use super::*;

    fn headers(name: header::HeaderName, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name, value.parse().unwrap())])
    }

    #[test]
    fn if_none_match() {
        let block = Block::raw("x");
        let tag = EntityTag::strong(&block.cid().to_string(), ".raw");
        let own = format!("\"{}.raw\"", block.cid());
        assert_eq!(tag.0, own);
        for (value, expected) in [
            (own.clone(), IfNoneMatch::Same),
            (format!("W/{own}"), IfNoneMatch::Same),
            (format!("\"a,b\", W/{own} , \"c\""), IfNoneMatch::Same),
            ("*".to_owned(), IfNoneMatch::Any),
            (format!("\"{}\"", block.cid()), IfNoneMatch::Other),
            (own.replace('"', ""), IfNoneMatch::Other),
            (format!("\", {}.raw, \"", block.cid()), IfNoneMatch::Other),
            (String::new(), IfNoneMatch::Other),
        ] {
            let headers = headers(header::IF_NONE_MATCH, &value);
            assert_eq!(tag.none_match(&headers), expected, "{value}");
        }
        assert_eq!(tag.none_match(&HeaderMap::new()), IfNoneMatch::Other);
    }

    #[test]
    fn if_range_wants_the_very_tag() {
        let cid = *Block::raw("x").cid();
        let tag = EntityTag::strong(&cid.to_string(), "");
        assert!(tag.if_range(&HeaderMap::new()));
        for (value, holds) in [
            (format!("\"{cid}\""), true),
            (format!("W/\"{cid}\""), false),
            ("\"other\"".into(), false),
            ("Thu, 01 Jan 1970 00:00:00 GMT".into(), false),
        ] {
            assert_eq!(
                tag.if_range(&headers(header::IF_RANGE, &value)),
                holds,
                "{value}"
            );
        }
    }

    #[test]
    fn weak_tags_tell_answers_apart() {
        let cid = *Block::raw("x").cid();
        let one = EntityTag::weak(&cid, ".car", "a");
        assert_eq!(one, EntityTag::weak(&cid, ".car", "a"));
        assert_ne!(one, EntityTag::weak(&cid, ".car", "b"));
        let text = one.into_header();
        assert!(
            text.to_str()
                .unwrap()
                .starts_with(&format!("W/\"{cid}.car."))
        );
    }
}
