//! The two encodings of bodies.

use serde::Serialize;
use serde::de::DeserializeOwned;

/// Media type of JSON.
pub const JSON: &str = "application/json";
/// Media type of DAG-CBOR.
pub const DAG_CBOR: &str = "application/vnd.ipld.dag-cbor";

/// How a body is encoded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Encoding {
    /// JSON, the default.
    #[default]
    Json,
    /// DAG-CBOR: smaller, and faster to read and write.
    DagCbor,
}

/// A body that is not what it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a {what} in {}: {reason}", .encoding.media_type())]
pub struct DecodeError {
    what: &'static str,
    encoding: Encoding,
    reason: String,
}

impl Encoding {
    /// The media type.
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Json => JSON,
            Self::DagCbor => DAG_CBOR,
        }
    }

    /// The encoding that a `Content-Type` names; `None` where it is another one.
    pub fn of_content_type(value: &str) -> Option<Self> {
        let essence = value.split(';').next().unwrap_or_default().trim();
        [Self::Json, Self::DagCbor]
            .into_iter()
            .find(|encoding| essence.eq_ignore_ascii_case(encoding.media_type()))
    }

    /// The encoding to answer in: the first of `accept` (RFC 9110 §12.5.1) that is known, by its
    /// weight; `self`, that of the request, where none is.
    #[must_use]
    pub fn accepted(self, accept: &str) -> Self {
        let mut best = (0, self);
        for range in accept.split(',') {
            let mut parts = range.split(';').map(str::trim);
            let Some(encoding) = parts.next().and_then(Self::of_content_type) else {
                continue;
            };
            let weight = parts
                .find_map(|part| part.strip_prefix("q=").or(part.strip_prefix("Q=")))
                .map_or(1.0, |q| q.parse::<f32>().unwrap_or(0.0));
            // Three decimals are all there can be.
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
            let weight = (weight.clamp(0.0, 1.0) * 1000.0) as u32;
            if weight > best.0 {
                best = (weight, encoding);
            }
        }
        best.1
    }

    /// Encodes a body.
    ///
    /// # Panics
    /// Never for the types of this crate: they are texts, numbers, bytes and links.
    pub fn encode<T: Serialize>(self, body: &T) -> Vec<u8> {
        match self {
            Self::Json => serde_json::to_vec(body).expect("texts and numbers"),
            Self::DagCbor => serde_ipld_dagcbor::to_vec(body).expect("texts, numbers and bytes"),
        }
    }

    /// Decodes a body of `what`, whose size was limited by whoever read it.
    ///
    /// # Errors
    /// [`DecodeError`].
    pub fn decode<T: DeserializeOwned>(
        self,
        what: &'static str,
        body: &[u8],
    ) -> Result<T, DecodeError> {
        let failed = |reason: String| DecodeError {
            what,
            encoding: self,
            reason,
        };
        match self {
            Self::Json => serde_json::from_slice(body).map_err(|e| failed(e.to_string())),
            Self::DagCbor => {
                serde_ipld_dagcbor::from_slice(body).map_err(|e| failed(e.to_string()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn media_types() {
        for (text, encoding) in [
            ("application/json", Some(Encoding::Json)),
            ("Application/JSON; charset=utf-8", Some(Encoding::Json)),
            ("application/vnd.ipld.dag-cbor", Some(Encoding::DagCbor)),
            ("text/html", None),
            ("", None),
        ] {
            assert_eq!(Encoding::of_content_type(text), encoding, "{text}");
        }
    }

    #[test]
    fn what_is_accepted() {
        let cbor = Encoding::DagCbor;
        for (accept, encoding) in [
            ("", cbor),
            ("*/*", cbor),
            ("application/json", Encoding::Json),
            (
                "application/json;q=0.5, application/vnd.ipld.dag-cbor",
                cbor,
            ),
            (
                "application/vnd.ipld.dag-cbor;q=0.1, application/json;q=0.9",
                Encoding::Json,
            ),
            ("application/json;q=0", cbor),
            ("text/html, application/json; q=0.2", Encoding::Json),
        ] {
            assert_eq!(cbor.accepted(accept), encoding, "{accept}");
        }
    }
}
