//! Every block of a DAG, depth first.

mod plan;
mod visited;

use cidbucket_blockstore::{Block, Blockstore, BoxStream, Cid};
use futures::stream::{self, StreamExt};

use crate::Result;
use plan::Plan;
pub(crate) use visited::Visited;

/// How a DAG is walked, and how far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WalkOptions {
    /// Whether a block comes as often as it is linked. Otherwise it comes once, where it is met
    /// first, and its CID is remembered (in about 50 bytes).
    pub dups: bool,
    /// How many blocks are fetched at once; 0 for as many as the store itself takes
    /// ([`Blockstore::concurrency`]). Up to twice as many are held in memory.
    pub concurrency: usize,
    /// How many bytes may be fetched ahead of the reader, about. The next block always is.
    pub max_ahead: u64,
    /// How far from its root a block may be; a root is at 0.
    pub max_depth: u64,
    /// How many blocks may come.
    pub max_blocks: u64,
    /// How many bytes the blocks that come may have together.
    pub max_bytes: u64,
    /// How many links may be known and not walked yet, which is what the walk itself needs memory
    /// for, about 100 bytes each.
    pub max_pending: usize,
    /// Whether the walk goes on after [`DagError::Missing`](crate::DagError::Missing), which then
    /// comes once for each missing block.
    pub past_missing: bool,
}

impl Default for WalkOptions {
    /// Each block once, as many at once as the store takes but 32 MiB, to whatever end; a million
    /// links pending.
    fn default() -> Self {
        Self {
            dups: false,
            concurrency: 0,
            max_ahead: 32 << 20,
            max_depth: u64::MAX,
            max_blocks: u64::MAX,
            max_bytes: u64::MAX,
            max_pending: 1_000_000,
            past_missing: false,
        }
    }
}

/// Every block under `roots`, in the order of a depth-first walk, a block before those it links.
///
/// Blocks are fetched ahead of whoever reads them, in about the order in which they will come; what
/// comes is in that order exactly. Memory does not grow with the DAG but for the CIDs that came
/// already (see [`WalkOptions::dups`]). Nothing is recursive. Identity CIDs are walked through, and
/// their blocks do not come.
///
/// # Errors
/// The first error is the end of the stream (but see [`WalkOptions::past_missing`]), and every
/// block before it came: [`DagError::Missing`](crate::DagError::Missing) for a block that is not in
/// the store, [`DagError::Store`](crate::DagError::Store) where it fails,
/// [`DagError::Malformed`](crate::DagError::Malformed) and
/// [`DagError::UnknownCodec`](crate::DagError::UnknownCodec) where links cannot be read, in the
/// place of the block that has them, and [`DagError::Limit`](crate::DagError::Limit).
pub fn walk(
    store: &dyn Blockstore,
    roots: Vec<Cid>,
    options: WalkOptions,
) -> BoxStream<'_, Result<Block>> {
    let plan = Plan::new(store, roots, options);
    stream::unfold(plan, |mut plan| async move {
        let next = plan.next().await?;
        Some((next, plan))
    })
    .fuse()
    .boxed()
}
