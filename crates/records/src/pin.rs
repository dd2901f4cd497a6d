//! A pin, as it lies in the bucket. Pure.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use bytes::Bytes;
use cidbucket_blockstore::Cid;
use serde::{Deserialize, Serialize};

/// The version of the format.
const VERSION: u64 = 1;

/// What a pin keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PinType {
    /// The block and everything it links to.
    Recursive,
    /// The block alone.
    Direct,
}

impl PinType {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Recursive, Self::Direct];

    /// The name, as it stands in records, keys and answers.
    pub fn name(self) -> &'static str {
        match self {
            Self::Recursive => "recursive",
            Self::Direct => "direct",
        }
    }
}

impl fmt::Display for PinType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for PinType {
    type Err = ();

    fn from_str(name: &str) -> Result<Self, ()> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.name() == name)
            .ok_or(())
    }
}

/// What is to be kept: the record `.cidbucket/pins/{type}/{cid}`, in DAG-CBOR.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pin {
    #[serde(rename = "v")]
    version: u64,
    /// The block, or the root of the DAG.
    pub root: Cid,
    /// Whether what it links to is kept as well.
    #[serde(rename = "type")]
    pub kind: PinType,
    /// A name that its owner gave to it; empty for none.
    pub name: String,
    /// When it was pinned, in seconds since 1970.
    pub created: u64,
    /// What else its owner notes down.
    pub meta: BTreeMap<String, String>,
    #[serde(with = "serde_bytes")]
    nonce: [u8; 16],
}

impl Pin {
    /// A pin without a name.
    pub fn new(root: Cid, kind: PinType, created: u64) -> Self {
        Self {
            version: VERSION,
            root,
            kind,
            name: String::new(),
            created,
            meta: BTreeMap::new(),
            nonce: [0; 16],
        }
    }

    pub(crate) fn encode(&self, nonce: [u8; 16]) -> Bytes {
        let record = Self {
            nonce,
            ..self.clone()
        };
        let bytes = serde_ipld_dagcbor::to_vec(&record).expect("texts, numbers, bytes and a link");
        bytes.into()
    }

    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
        let record: Self = serde_ipld_dagcbor::from_slice(bytes).ok()?;
        (record.version == VERSION).then_some(record)
    }
}

#[cfg(test)]
mod tests {
    use cidbucket_blockstore::Block;

    use super::*;

    #[test]
    fn records_are_read_back_and_others_refused() {
        let mut pin = Pin::new(*Block::raw("x").cid(), PinType::Recursive, 1_700_000_000);
        pin.name = "photos".into();
        pin.meta.insert("by".into(), "alice".into());
        let bytes = pin.encode([7; 16]);
        let read = Pin::parse(&bytes).unwrap();
        assert_eq!(
            (read.root, read.kind, read.created),
            (pin.root, pin.kind, pin.created)
        );
        assert_eq!((&read.name, &read.meta), (&pin.name, &pin.meta));
        assert_ne!(bytes, pin.encode([8; 16]), "no two writes are alike");
        pin.version = 2;
        assert!(Pin::parse(&pin.encode([7; 16])).is_none());
        assert!(Pin::parse(&bytes[..bytes.len() - 1]).is_none());
        assert!(Pin::parse(b"\xa0").is_none());
    }
}
