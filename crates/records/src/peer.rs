//! The name that the nodes of a store have.

use bytes::Bytes;
use cidbucket_blockstore::{Error, Report, Result};
use serde::{Deserialize, Serialize};

use crate::clock::random;
use crate::{Control, Records};

/// The version of the format.
const VERSION: u64 = 1;

/// The name of a store's nodes, by which their clients know them again: the record
/// `.cidbucket/peer`, in DAG-CBOR. All instances over one store have the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Peer {
    #[serde(rename = "v")]
    version: u64,
    /// An Ed25519 public key. Nobody has its private one: no node speaks libp2p under it.
    #[serde(with = "serde_bytes")]
    pub public_key: [u8; 32],
    #[serde(with = "serde_bytes")]
    nonce: [u8; 16],
}

impl Peer {
    /// The store's name, made of `public_key` where it has none yet.
    pub async fn load_or_create(
        records: &dyn Records,
        control: &Control,
        public_key: [u8; 32],
    ) -> Result<Self> {
        let key = control.peer();
        if let Some(found) = records.get(&key).await? {
            return Self::parse(&key, &found.value);
        }
        let peer = Self {
            version: VERSION,
            public_key,
            nonce: random()?,
        };
        if records.create(&key, peer.encode()).await?.is_some() {
            return Ok(peer);
        }
        // Another was faster: his name counts.
        match records.get(&key).await? {
            Some(found) => Self::parse(&key, &found.value),
            None => Ok(peer),
        }
    }

    fn encode(&self) -> Bytes {
        let bytes = serde_ipld_dagcbor::to_vec(self).expect("numbers and bytes");
        bytes.into()
    }

    fn parse(key: &str, bytes: &[u8]) -> Result<Self> {
        serde_ipld_dagcbor::from_slice(bytes)
            .ok()
            .filter(|peer: &Self| peer.version == VERSION)
            .ok_or_else(|| {
                let report = Report::new("read peer", "the record is damaged; remove it");
                Error::Protocol(report.with_key(key).into())
            })
    }
}

#[cfg(test)]
mod tests {
    use cidbucket_layout::Keys;

    use super::*;
    use crate::MemoryRecords;

    #[tokio::test]
    async fn the_first_name_stays() {
        let records = MemoryRecords::new();
        let control = Control::new(&Keys::new("".parse().unwrap(), "kubo".parse().unwrap()));
        for key in [[1; 32], [2; 32]] {
            let peer = Peer::load_or_create(&records, &control, key).await.unwrap();
            assert_eq!(peer.public_key, [1; 32]);
        }
        records.put(".cidbucket/peer", "x".into()).await.unwrap();
        let damaged = Peer::load_or_create(&records, &control, [1; 32]).await;
        assert!(matches!(damaged, Err(Error::Protocol(_))));
    }
}
