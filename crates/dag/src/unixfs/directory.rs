//! Reading directories: all entries, or one by its name.

use std::collections::HashSet;
use std::iter;

use cidbucket_blockstore::codec::{DAG_PB, RAW};
use cidbucket_blockstore::{Block, Blockstore, Cid, codec_name};
use futures::future;
use futures::stream::{self, BoxStream, StreamExt};

use super::hamt::{Fanout, HashBits};
use super::node::{Kind, Link, Node, malformed};
use crate::ahead::{Step, Steps, UNKNOWN_SIZE, Visitor, Wanted, ahead};
use crate::{DagError, Result};

/// A name in a directory, and what it names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The name, as it stands there: it may be anything, `..` and `/` included. See to it before
    /// you make a path of it.
    pub name: String,
    /// What it names.
    pub cid: Cid,
    /// Size in bytes of all blocks below, as the directory's writer claims.
    pub tsize: Option<u64>,
}

/// The entries of a directory, sharded or not.
///
/// They come in the order in which the directory has them: that of their names mostly, and of a
/// sharded one that of the names' hashes. A sharded directory's blocks are read ahead; each is read
/// once.
///
/// # Errors
/// The stream ends with the first error: [`DagError::NotADirectory`], [`DagError::Missing`],
/// [`DagError::Malformed`].
pub fn entries(store: &dyn Blockstore, cid: Cid) -> BoxStream<'_, Result<Entry>> {
    if cid.codec() != DAG_PB {
        let found = match cid.codec() {
            RAW => Kind::Raw.described(),
            code => codec_name(code).unwrap_or("of an unknown codec"),
        };
        return stream::once(future::ready(Err(DagError::NotADirectory { cid, found }))).boxed();
    }
    let root = Wanted {
        cid,
        parent: None,
        expected: UNKNOWN_SIZE,
        is_leaf: false,
        tag: (),
    };
    let steps = Box::new(iter::once(Ok(Step::Fetch(root))));
    ahead(store, Entries::default(), steps)
}

/// Finds one name in a shard, level by level.
pub(crate) struct Search<'a> {
    name: &'a str,
    bits: HashBits,
}

/// What a shard has for a name.
pub(crate) enum Found {
    /// The entry.
    Entry(Cid),
    /// The shard of the next level, which may have it.
    Shard(Cid),
    /// There is no such entry.
    Nothing,
}

impl<'a> Search<'a> {
    pub(crate) fn new(name: &'a str) -> Self {
        Self {
            name,
            bits: HashBits::of(name),
        }
    }

    /// Looks into the shard of the next level.
    pub(crate) fn step(&mut self, shard: &Node) -> Result<Found> {
        let Some(fanout) = shard.fanout() else {
            let found = shard.kind().described();
            let reason = format_args!("{found} as a part of a sharded directory");
            return Err(malformed(shard.cid(), reason));
        };
        let bucket = (self.bits.next(fanout))
            .ok_or_else(|| malformed(shard.cid(), "deeper than the bits of a hash reach"))?;
        let prefix = fanout.prefix(bucket);
        // A node's links are known to be in the order of their buckets, one a bucket.
        let links = shard.links();
        let at = links.partition_point(|link| link.name[..prefix.len()] < *prefix);
        Ok(match links.get(at) {
            Some(link) if link.name.starts_with(&prefix) => match &link.name[prefix.len()..] {
                "" => Found::Shard(link.cid),
                name if name == self.name => Found::Entry(link.cid),
                _ => Found::Nothing,
            },
            _ => Found::Nothing,
        })
    }
}

/// The first entry of a plain directory with a name.
pub(crate) fn find<'n>(directory: &'n Node, name: &str) -> Option<&'n Link> {
    directory.links().iter().find(|link| link.name == name)
}

#[derive(Default)]
struct Entries {
    /// The shards read so far. Two that are the same can only be empty.
    seen: HashSet<Cid>,
}

impl Visitor for Entries {
    type Item = Entry;
    type Tag = ();

    fn visit(&mut self, wanted: Wanted<()>, block: Block) -> Result<Steps<Entry, ()>> {
        let node = Node::of(&block)?;
        let cid = *block.cid();
        let prefix_len = match (node.kind(), wanted.parent) {
            (Kind::Shard, _) => node.fanout().map(Fanout::prefix_len),
            (Kind::Directory, None) => None,
            (kind, None) => {
                let found = kind.described();
                return Err(DagError::NotADirectory { cid, found });
            }
            (kind, Some(_)) => {
                let found = kind.described();
                let reason = format_args!("{found} as a part of a sharded directory");
                return Err(malformed(&cid, reason));
            }
        };
        let (_, links) = node.into_parts();
        Ok(Box::new(links.into_iter().map(move |mut link| {
            let is_shard = prefix_len == Some(link.name.len());
            Ok(if is_shard {
                Step::Fetch(Wanted {
                    cid: link.cid,
                    parent: Some(cid),
                    expected: UNKNOWN_SIZE,
                    is_leaf: false,
                    tag: (),
                })
            } else {
                Step::Give(Entry {
                    name: link.name.split_off(prefix_len.unwrap_or(0)),
                    cid: link.cid,
                    tsize: link.tsize,
                })
            })
        })))
    }

    fn wants(&mut self, wanted: &Wanted<()>) -> bool {
        self.seen.insert(wanted.cid)
    }

    fn weight(entry: &Entry) -> u64 {
        entry.name.len() as u64
    }
}
