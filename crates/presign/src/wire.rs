//! The two forms of a batch on the wire: JSON and DAG-CBOR.
//!
//! Both have the same members; only the signatures differ, which are one byte string in DAG-CBOR
//! and its base64url text in JSON. What comes in is foreign: every member has a limit and a check.

use std::collections::BTreeMap;
use std::fmt;

use cidbucket_layout::{Keys, Layout, Prefix};
use cidbucket_sigv4::Timestamp;
use data_encoding::BASE64URL_NOPAD;
use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{Batch, MAX_BATCH, Method, Seal, bucket};

/// The version of the forms that is written and read.
const VERSION: u32 = 1;
/// Limits of the members, in bytes.
const MAX_BASE: usize = 2_048;
const MAX_QUERY: usize = 16_384;
const MAX_HEADERS: usize = 16;
const MAX_HEADER: usize = 1_024;
/// The limit of a whole batch, in bytes: all signatures in base64url, and all the rest.
const MAX_WIRE: usize = MAX_BATCH * 32 / 3 * 4 + 65_536;

/// As a part of a larger document, in whichever of the two forms that is.
impl Serialize for Batch {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Wire::from(self).serialize(serializer)
    }
}

/// With every check but the one on the size of the whole, which is the larger document's.
impl<'de> Deserialize<'de> for Batch {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Wire::deserialize(deserializer)?
            .try_into()
            .map_err(de::Error::custom)
    }
}

impl Batch {
    /// The JSON form.
    ///
    /// # Panics
    /// Never: the members are texts and numbers.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("texts and numbers")
    }

    /// The DAG-CBOR form.
    ///
    /// # Panics
    /// Never: the members are texts, numbers and bytes.
    pub fn to_dag_cbor(&self) -> Vec<u8> {
        serde_ipld_dagcbor::to_vec(self).expect("texts, numbers and bytes")
    }

    /// Reads the JSON form.
    ///
    /// # Errors
    /// [`WireError`].
    pub fn from_json(bytes: &[u8]) -> Result<Self, WireError> {
        check_size(bytes)?;
        serde_json::from_slice::<Wire>(bytes)
            .map_err(|e| WireError::Form(e.to_string()))?
            .try_into()
    }

    /// Reads the DAG-CBOR form.
    ///
    /// # Errors
    /// [`WireError`].
    pub fn from_dag_cbor(bytes: &[u8]) -> Result<Self, WireError> {
        check_size(bytes)?;
        serde_ipld_dagcbor::from_slice::<Wire>(bytes)
            .map_err(|e| WireError::Form(e.to_string()))?
            .try_into()
    }
}

/// Why bytes are not a batch.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WireError {
    /// More bytes than any batch has.
    #[error("{size} bytes, a batch has at most {limit}")]
    TooLarge {
        /// The number of bytes.
        size: usize,
        /// The limit.
        limit: usize,
    },
    /// The bytes are not of the form, or have members that it lacks.
    #[error("not a batch: {0}")]
    Form(String),
    /// The batch has a version that is not known here.
    #[error("a batch of version {0}, only version 1 is known")]
    Version(u32),
    /// A member cannot be right.
    #[error("the batch's {0} cannot be right")]
    Member(&'static str),
}

/// A batch as it is written, member by member.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    version: u32,
    method: Method,
    base: String,
    layout: String,
    prefix: String,
    headers: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    seal: Option<Seal>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    query: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    signatures: Option<Signatures>,
}

impl From<&Batch> for Wire {
    fn from(batch: &Batch) -> Self {
        let signed = !batch.query.is_empty();
        Self {
            version: VERSION,
            method: batch.method,
            base: batch.base.clone(),
            layout: batch.keys.layout().to_string(),
            prefix: batch.keys.prefix().to_string(),
            headers: batch.headers.iter().cloned().collect(),
            seal: batch.seal,
            query: signed.then(|| batch.query.clone()),
            expires: batch.expires.map(Timestamp::unix),
            signatures: signed.then(|| Signatures(batch.signatures.as_flattened().to_vec())),
        }
    }
}

impl TryFrom<Wire> for Batch {
    type Error = WireError;

    fn try_from(wire: Wire) -> Result<Self, WireError> {
        if wire.version != VERSION {
            return Err(WireError::Version(wire.version));
        }
        let check = |right: bool, member| {
            if right {
                Ok(())
            } else {
                Err(WireError::Member(member))
            }
        };
        check(
            wire.base.len() <= MAX_BASE && bucket::is_base(&wire.base),
            "base",
        )?;
        let layout: Layout = wire
            .layout
            .parse()
            .map_err(|_| WireError::Member("layout"))?;
        let prefix = Prefix::new(&wire.prefix).map_err(|_| WireError::Member("prefix"))?;
        check(prefix.as_str() == wire.prefix, "prefix")?;
        check(
            wire.headers.len() <= MAX_HEADERS
                && wire
                    .headers
                    .iter()
                    .all(|(name, value)| is_header(name, value)),
            "headers",
        )?;
        let writes = wire.method == Method::Put;
        check(
            wire.seal.is_some() == writes && wire.seal != Some(Seal::Header),
            "seal",
        )?;
        let signed = wire.query.is_some();
        check(wire.query.as_deref().is_none_or(is_query), "query")?;
        check(signed || !writes, "query")?;
        check(wire.expires.is_some() == signed, "expires")?;
        check(wire.signatures.is_some() == signed, "signatures")?;
        let signatures = wire.signatures.unwrap_or_default().0;
        let (signatures, rest) = signatures.as_chunks();
        check(
            rest.is_empty() && signatures.len() <= MAX_BATCH,
            "signatures",
        )?;
        Ok(Self {
            method: wire.method,
            base: wire.base,
            keys: Keys::new(prefix, layout),
            query: wire.query.unwrap_or_default(),
            headers: wire.headers.into_iter().collect(),
            seal: wire.seal,
            expires: wire.expires.map(Timestamp::from_unix),
            signatures: signatures.to_vec(),
        })
    }
}

/// All signatures, 32 bytes each.
#[derive(Default)]
struct Signatures(Vec<u8>);

impl Serialize for Signatures {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.serialize_str(&BASE64URL_NOPAD.encode(&self.0))
        } else {
            serializer.serialize_bytes(&self.0)
        }
    }
}

impl<'de> Deserialize<'de> for Signatures {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = Signatures;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("base64url without padding")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Signatures, E> {
                let bytes = BASE64URL_NOPAD.decode(text.as_bytes());
                bytes
                    .map(Signatures)
                    .map_err(|_| E::custom("not base64url"))
            }
        }

        struct Bytes;
        impl Visitor<'_> for Bytes {
            type Value = Signatures;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("bytes")
            }

            fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<Signatures, E> {
                Ok(Signatures(bytes.to_vec()))
            }
        }

        if deserializer.is_human_readable() {
            deserializer.deserialize_str(Text)
        } else {
            deserializer.deserialize_bytes(Bytes)
        }
    }
}

fn check_size(bytes: &[u8]) -> Result<(), WireError> {
    if bytes.len() > MAX_WIRE {
        return Err(WireError::TooLarge {
            size: bytes.len(),
            limit: MAX_WIRE,
        });
    }
    Ok(())
}

/// Headers that a batch may ask its client to send: nothing that concerns the connection, the
/// client's identity or its cookies.
fn is_header(name: &str, value: &str) -> bool {
    let known = matches!(
        name,
        "range" | "content-type" | "cache-control" | "if-none-match"
    ) || name.strip_prefix("x-amz-").is_some_and(|rest| {
        !rest.is_empty()
            && rest
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    });
    known
        && name.len() <= MAX_HEADER
        && value.len() <= MAX_HEADER
        && value.bytes().all(|b| b == b' ' || b.is_ascii_graphic())
}

fn is_query(query: &str) -> bool {
    !query.is_empty()
        && query.len() <= MAX_QUERY
        && query
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-._~%=&".contains(&b))
}
