//! Reading files: their bytes, or some of them, in order.

use std::iter;
use std::ops::Range;

use bytes::Bytes;
use cidbucket_blockstore::codec::{DAG_PB, RAW};
use cidbucket_blockstore::{Block, Blockstore, Cid, codec_name};
use futures::future;
use futures::stream::{self, BoxStream, StreamExt};

use super::node::{Link, Node, malformed};
use crate::ahead::{Step, Steps, UNKNOWN_SIZE, Visitor, Wanted, ahead};
use crate::{DagError, Result};

/// How many blocks a path from a file's root to its bytes may have. Kubo's deepest trees have less
/// than ten.
pub(crate) const MAX_DEPTH: u32 = 64;

/// Bytes that are usually one block: the largest chunks that Kubo makes unless it is told to.
const LARGE_CHUNK: u64 = 1 << 20;

/// The bytes of a file, in pieces of at most a block, in order.
///
/// Only the blocks that hold bytes of the `range` are read, and those that lead to them; they are
/// read ahead, as many at once as the store likes, within 32 MiB. The range is cut at the file's end,
/// so `0..u64::MAX` is all of it.
///
/// # Errors
/// The stream ends with the first error: [`DagError::NotAFile`] for a directory or a symlink (which is
/// not followed), [`DagError::Missing`], [`DagError::Malformed`] for a part that is no file or not of
/// the size its parent has promised, [`DagError::Limit`] for a file of more than 64 levels. The bytes
/// before it are right.
pub fn cat(store: &dyn Blockstore, cid: Cid, range: Range<u64>) -> BoxStream<'_, Result<Bytes>> {
    if !matches!(cid.codec(), RAW | DAG_PB) {
        let found = codec_name(cid.codec()).unwrap_or("of an unknown codec");
        return stream::once(future::ready(Err(DagError::NotAFile { cid, found }))).boxed();
    }
    let part = Part {
        range,
        promised: None,
        depth: 0,
    };
    let root = Wanted {
        cid,
        parent: None,
        expected: UNKNOWN_SIZE,
        is_leaf: cid.codec() == RAW,
        tag: part,
    };
    ahead(store, Cat, Box::new(iter::once(Ok(Step::Fetch(root)))))
}

/// [`cat`] of a file whose root is at hand, and is not read again.
///
/// # Errors
/// As [`cat`].
pub fn cat_node(
    store: &dyn Blockstore,
    node: Node,
    range: Range<u64>,
) -> BoxStream<'_, Result<Bytes>> {
    if !node.kind().is_file() {
        let (cid, found) = (*node.cid(), node.kind().described());
        return stream::once(future::ready(Err(DagError::NotAFile { cid, found }))).boxed();
    }
    let part = Part {
        range,
        promised: None,
        depth: 0,
    };
    ahead(store, Cat, steps(&part, node))
}

/// What is to be read of one node of a file.
#[derive(Debug)]
pub(crate) struct Part {
    /// Bytes wanted, counted from the node's own beginning.
    pub(crate) range: Range<u64>,
    /// What the parent says the node's size is.
    pub(crate) promised: Option<u64>,
    pub(crate) depth: u32,
}

impl Part {
    /// Reads the node, and checks it against the promise.
    pub(crate) fn node(&self, block: &Block) -> Result<Node> {
        let node = Node::of(block)?;
        let cid = *block.cid();
        let Some(size) = node.size().filter(|_| node.kind().is_file()) else {
            let found = node.kind().described();
            return Err(match self.promised {
                None => DagError::NotAFile { cid, found },
                Some(_) => malformed(&cid, format_args!("{found} as a part of a file")),
            });
        };
        match self.promised {
            Some(promised) if promised != size => {
                let reason = format_args!("{size} bytes where the file has {promised}");
                Err(malformed(&cid, reason))
            }
            _ => Ok(node),
        }
    }

    /// The wanted bytes of those that are in the node itself.
    pub(crate) fn of_data(&self, data: &Bytes) -> Bytes {
        let length = data.len() as u64;
        let cut = |at: u64| usize::try_from(at.min(length)).unwrap_or(data.len());
        let (start, end) = (cut(self.range.start), cut(self.range.end));
        if start < end {
            data.slice(start..end)
        } else {
            Bytes::new()
        }
    }

    /// The children that hold wanted bytes, after `inline` bytes of the node itself; where `empty` is
    /// set, those that have no bytes at all too.
    pub(crate) fn of_links(
        &self,
        parent: Cid,
        inline: u64,
        links: Vec<Link>,
        empty: bool,
    ) -> impl Iterator<Item = Result<Wanted<Self>>> + Send + use<> {
        let (range, depth) = (self.range.clone(), self.depth + 1);
        let mut begin = inline;
        links.into_iter().filter_map(move |link| {
            let size = link.blocksize.unwrap_or(0);
            let end = begin.saturating_add(size);
            let start = range.start.max(begin) - begin;
            let stop = range.end.min(end).max(begin) - begin;
            begin = end;
            if start >= stop && !(empty && size == 0) {
                return None;
            }
            if depth > MAX_DEPTH {
                return Some(Err(DagError::Limit {
                    what: "levels of a file",
                    limit: MAX_DEPTH.into(),
                }));
            }
            let is_leaf = link.cid.codec() == RAW || size <= LARGE_CHUNK;
            Some(Ok(Wanted {
                cid: link.cid,
                parent: Some(parent),
                // What does not fit into a block is below an inner node, and these are small.
                expected: if is_leaf {
                    size.min(2 << 20)
                } else {
                    UNKNOWN_SIZE
                },
                is_leaf,
                tag: Self {
                    range: start..stop,
                    promised: Some(size),
                    depth,
                },
            }))
        })
    }
}

struct Cat;

impl Visitor for Cat {
    type Item = Bytes;
    type Tag = Part;

    fn visit(&mut self, wanted: Wanted<Part>, block: Block) -> Result<Steps<Bytes, Part>> {
        let part = wanted.tag;
        let node = part.node(&block)?;
        Ok(steps(&part, node))
    }

    fn weight(item: &Bytes) -> u64 {
        item.len() as u64
    }
}

/// The node's own bytes, and then its children.
fn steps(part: &Part, node: Node) -> Steps<Bytes, Part> {
    let cid = *node.cid();
    let (data, links) = node.into_parts();
    let inline = Some(part.of_data(&data)).filter(|data| !data.is_empty());
    let links = part.of_links(cid, data.len() as u64, links, false);
    let inline = inline.map(|data| Ok(Step::Give(data))).into_iter();
    Box::new(inline.chain(links.map(|wanted| wanted.map(Step::Fetch))))
}
