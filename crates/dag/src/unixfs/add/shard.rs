//! Sharded directories: a HAMT (hash array mapped trie) of nodes, each with the entries whose hashes
//! begin alike.

use cidbucket_blockstore::Block;

use super::Added;
use super::directory::Entry;
use super::node::{self, Encoder};
use crate::unixfs::hamt::{Fanout, HashBits, MURMUR3_X64_64};
use crate::unixfs::message::{Data, DataType};
use crate::{DagError, Result};

/// An entry, the bits of its hash that the levels above left, and its bucket on this level.
struct Placed {
    bucket: usize,
    bits: HashBits,
    entry: Entry,
}

/// Makes the shards of `entries`, whose names differ; the root, which comes last, has the metadata
/// of `directory`.
pub(super) fn encode(
    encoder: Encoder,
    fanout: Fanout,
    entries: Vec<Entry>,
    directory: &Data,
    blocks: &mut Vec<Block>,
) -> Result<Added> {
    let placed = entries
        .into_iter()
        .map(|entry| Placed {
            bucket: 0,
            bits: HashBits::of(&entry.name),
            entry,
        })
        .collect();
    shard(encoder, fanout, placed, Some(directory), blocks)
}

/// One shard and those below it, as deep as there are bits in a hash at most.
fn shard(
    encoder: Encoder,
    fanout: Fanout,
    mut entries: Vec<Placed>,
    directory: Option<&Data>,
    blocks: &mut Vec<Block>,
) -> Result<Added> {
    for placed in &mut entries {
        placed.bucket = placed.bits.next(fanout).ok_or_else(|| {
            DagError::Invalid(format!(
                "too many names of a directory have the hash of {:?} for it to be sharded",
                placed.entry.name
            ))
        })?;
    }
    entries.sort_unstable_by_key(|placed| placed.bucket);

    let mut bitfield = vec![0_u8; fanout.buckets() / 8];
    let (mut links, mut size, mut below) = (Vec::new(), 0, 0);
    let mut entries = entries.into_iter().peekable();
    while let Some(placed) = entries.next() {
        let bucket = placed.bucket;
        let prefix = fanout.prefix(bucket);
        let mut same = vec![placed];
        while let Some(placed) = entries.next_if(|placed| placed.bucket == bucket) {
            same.push(placed);
        }
        let (name, to) = if same.len() == 1 {
            let Entry { name, to } = same.remove(0).entry;
            (prefix + &name, to)
        } else {
            (prefix, shard(encoder, fanout, same, None, blocks)?)
        };
        // The bitfield is a number in big-endian order, whose bit 0 is that of bucket 0.
        let byte = bitfield.len() - 1 - bucket / 8;
        bitfield[byte] |= 1 << (bucket % 8);
        size += to.size;
        below += to.tsize;
        links.push(node::link(name, &to));
    }
    let leading_zeros = bitfield.iter().take_while(|&&byte| byte == 0).count();
    let block = encoder.dag_pb(
        links,
        &Data {
            r#type: DataType::HamtShard.into(),
            data: Some(bitfield.split_off(leading_zeros).into()),
            hash_type: Some(MURMUR3_X64_64),
            fanout: Some(fanout.buckets() as u64),
            mode: directory.and_then(|data| data.mode),
            mtime: directory.and_then(|data| data.mtime),
            ..Data::default()
        },
    );
    let added = Added {
        cid: *block.cid(),
        size,
        tsize: block.len() as u64 + below,
    };
    blocks.push(block);
    Ok(added)
}
