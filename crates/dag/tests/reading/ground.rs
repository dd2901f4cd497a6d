//! What the tests stand on: a store that remembers what it was asked for, and blocks made by hand.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use cidbucket_blockstore::{
    Block, Blockstore, Bytes, Cid, Cursor, Hash, Listing, MemoryBlockstore, Result,
};
use futures::executor::block_on;
use ipld_dagpb::{PbLink, PbNode};

pub(crate) const DAG_PB: u64 = 0x70;
pub(crate) const DAG_CBOR: u64 = 0x71;
pub(crate) const DAG_JSON: u64 = 0x0129;

/// The types of UnixFS.
pub(crate) const RAW: u64 = 0;
pub(crate) const DIRECTORY: u64 = 1;
pub(crate) const FILE: u64 = 2;
pub(crate) const SYMLINK: u64 = 4;
pub(crate) const SHARD: u64 = 5;

/// A store in memory that takes its time, and remembers what it was asked for.
#[derive(Debug, Default)]
pub(crate) struct Ground {
    store: MemoryBlockstore,
    asked: Mutex<Vec<Cid>>,
    pub(crate) latency: Duration,
    /// A block that takes longer.
    pub(crate) slow: Option<(Cid, Duration)>,
}

impl Ground {
    /// The CIDs it was asked for since the last time, in order.
    pub(crate) fn asked(&self) -> Vec<Cid> {
        std::mem::take(&mut *self.asked.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Stores a block.
    pub(crate) fn block(&self, codec: u64, data: impl Into<Bytes>) -> Cid {
        let block = Block::encode(codec, Hash::Sha2_256, data).unwrap();
        block_on(self.store.put(&block)).unwrap();
        *block.cid()
    }

    /// Forgets a block.
    pub(crate) fn remove(&self, cid: &Cid) {
        block_on(self.store.delete(cid)).unwrap();
    }

    /// A dag-pb block.
    pub(crate) fn dag_pb(&self, links: &[(&str, Cid)], data: Option<Vec<u8>>) -> Cid {
        let links = links.iter().map(|(name, cid)| PbLink {
            cid: *cid,
            name: Some((*name).into()),
            size: Some(7),
        });
        let node = PbNode {
            links: links.collect(),
            data: data.map(Into::into),
        };
        self.block(DAG_PB, node.into_bytes())
    }

    /// A file, or a part of one.
    pub(crate) fn file(&self, r#type: u64, inline: &[u8], parts: &[(Cid, u64)]) -> Cid {
        let links: Vec<_> = parts.iter().map(|(cid, _)| ("", *cid)).collect();
        let mut message = field(1, r#type);
        message.extend(bytes(2, inline));
        let size = inline.len() as u64 + parts.iter().map(|(_, size)| size).sum::<u64>();
        message.extend(field(3, size));
        for (_, size) in parts {
            message.extend(field(4, *size));
        }
        self.dag_pb(&links, Some(message))
    }

    /// A directory in one block.
    pub(crate) fn directory(&self, entries: &[(&str, Cid)]) -> Cid {
        self.dag_pb(entries, Some(field(1, DIRECTORY)))
    }

    /// A shard whose links are in the buckets of its bitmap.
    pub(crate) fn shard(&self, fanout: u64, bitmap: &[u8], links: &[(&str, Cid)]) -> Cid {
        let mut message = field(1, SHARD);
        message.extend(bytes(2, bitmap));
        message.extend(field(5, 0x22));
        message.extend(field(6, fanout));
        self.dag_pb(links, Some(message))
    }

    pub(crate) fn symlink(&self, target: &str) -> Cid {
        let mut message = field(1, SYMLINK);
        message.extend(bytes(2, target.as_bytes()));
        self.dag_pb(&[], Some(message))
    }
}

/// A varint field of protobuf.
pub(crate) fn field(number: u64, value: u64) -> Vec<u8> {
    let mut out = varint(number << 3);
    out.extend(varint(value));
    out
}

/// A bytes field of protobuf.
pub(crate) fn bytes(number: u64, value: &[u8]) -> Vec<u8> {
    let mut out = varint(number << 3 | 2);
    out.extend(varint(value.len() as u64));
    out.extend(value);
    out
}

fn varint(mut value: u64) -> Vec<u8> {
    let mut out = Vec::new();
    while value > 0x7f {
        out.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    out.push(value.to_le_bytes()[0]);
    out
}

#[async_trait]
impl Blockstore for Ground {
    async fn get(&self, cid: &Cid) -> Result<Option<Block>> {
        self.asked
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(*cid);
        let slow = self.slow.filter(|(slow, _)| slow == cid);
        let latency = slow.map_or(self.latency, |(_, latency)| latency);
        if !latency.is_zero() {
            tokio::time::sleep(latency).await;
        }
        self.store.get(cid).await
    }

    async fn put(&self, block: &Block) -> Result<()> {
        self.store.put(block).await
    }

    async fn size(&self, cid: &Cid) -> Result<Option<u64>> {
        self.store.size(cid).await
    }

    async fn delete(&self, cid: &Cid) -> Result<()> {
        self.store.delete(cid).await
    }

    fn list(&self, from: Cursor) -> Listing<'_> {
        self.store.list(from)
    }

    fn concurrency(&self) -> usize {
        16
    }
}
