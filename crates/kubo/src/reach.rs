//! What can be reached from some roots, each CID once, without reading what has no links.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};

use cidbucket_blockstore::codec::RAW;
use cidbucket_blockstore::{Blockstore, BoxStream, Cid};
use cidbucket_dag::{DagError, links};
use futures::stream::{self, FuturesUnordered, StreamExt};

/// How many blocks are looked at at once.
const CONCURRENCY: usize = 32;
/// How many CIDs are remembered at most: 16 bytes each, so about a gigabyte.
const MAX_SEEN: usize = 48 << 20;

/// What is asked about blocks without links.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Leaves {
    /// Whether they are there, and their size.
    Look,
    /// Nothing.
    Trust,
}

/// A block that was reached.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reached {
    pub(crate) cid: Cid,
    /// Its size in bytes; 0 where it was not looked at.
    pub(crate) size: u64,
    /// The root from which it was reached first.
    pub(crate) root: Cid,
}

/// A link that was met: where it leads, from which block, under which root.
struct Link {
    cid: Cid,
    parent: Option<Cid>,
    root: Cid,
}

/// Every CID under `roots`, and these, in no order. The first error is the end.
pub(crate) fn reach<'a>(
    store: &'a dyn Blockstore,
    roots: BoxStream<'a, Result<Cid, DagError>>,
    leaves: Leaves,
) -> BoxStream<'a, Result<Reached, DagError>> {
    let begin = Reach {
        roots: Some(roots),
        seen: Seen::default(),
        pending: Vec::new(),
        running: FuturesUnordered::new(),
    };
    stream::try_unfold(begin, move |mut reach| async move {
        loop {
            while reach.running.len() < CONCURRENCY
                && let Some(link) = reach.pending.pop()
            {
                let Link { cid, parent, root } = link;
                reach.running.push(look(store, cid, parent, root, leaves));
            }
            // A root after the other: what is pending stays little.
            if reach.running.is_empty() {
                let Some(roots) = &mut reach.roots else {
                    return Ok(None);
                };
                match roots.next().await {
                    Some(root) => {
                        let cid = root?;
                        reach.push(cid, None, cid)?;
                    }
                    None => reach.roots = None,
                }
                continue;
            }
            if let Some(looked) = reach.running.next().await {
                let (reached, linked) = looked?;
                // The last one is looked at first: so they come about in order.
                for cid in linked.into_iter().rev() {
                    reach.push(cid, Some(reached.cid), reached.root)?;
                }
                return Ok(Some((reached, reach)));
            }
        }
    })
    .boxed()
}

struct Reach<'a, F> {
    roots: Option<BoxStream<'a, Result<Cid, DagError>>>,
    seen: Seen,
    pending: Vec<Link>,
    running: FuturesUnordered<F>,
}

impl<F> Reach<'_, F> {
    fn push(&mut self, cid: Cid, parent: Option<Cid>, root: Cid) -> Result<(), DagError> {
        if self.seen.insert(&cid)? {
            self.pending.push(Link { cid, parent, root });
        }
        Ok(())
    }
}

/// Looks at one block, and answers with its links.
async fn look(
    store: &dyn Blockstore,
    cid: Cid,
    parent: Option<Cid>,
    root: Cid,
    leaves: Leaves,
) -> Result<(Reached, Vec<Cid>), DagError> {
    let missing = || DagError::Missing { cid, parent };
    let (size, linked) = if cid.codec() == RAW {
        match leaves {
            Leaves::Trust => (0, Vec::new()),
            Leaves::Look => (store.size(&cid).await?.ok_or_else(missing)?, Vec::new()),
        }
    } else {
        let block = store.get(&cid).await?.ok_or_else(missing)?;
        (block.len() as u64, links(&cid, block.data())?)
    };
    Ok((Reached { cid, size, root }, linked))
}

/// The CIDs that were met, as 128 bits each, which nobody can make collide: the keys of the two
/// hashes are random and never leave the process.
#[derive(Default)]
struct Seen {
    keys: (RandomState, RandomState),
    met: HashSet<u128>,
}

impl Seen {
    /// Notes a CID, and answers whether it is new.
    fn insert(&mut self, cid: &Cid) -> Result<bool, DagError> {
        let half = |keys: &RandomState| u128::from(keys.hash_one(cid));
        let is_new = self
            .met
            .insert(half(&self.keys.0) << 64 | half(&self.keys.1));
        if self.met.len() > MAX_SEEN {
            return Err(DagError::Limit {
                what: "blocks",
                limit: MAX_SEEN as u64,
            });
        }
        Ok(is_new)
    }
}

#[cfg(test)]
mod tests {
    use cidbucket_blockstore::{Block, CountingBlockstore, Hash, MemoryBlockstore, Operation};
    use futures::TryStreamExt;
    use ipld_core::ipld::Ipld;

    use super::*;

    async fn node(store: &dyn Blockstore, links: &[Cid]) -> Cid {
        let list = Ipld::List(links.iter().copied().map(Ipld::Link).collect());
        let data = serde_ipld_dagcbor::to_vec(&list).unwrap();
        let block = Block::encode(0x71, Hash::Sha2_256, data).unwrap();
        store.put(&block).await.unwrap();
        *block.cid()
    }

    async fn all(
        store: &dyn Blockstore,
        roots: &[Cid],
        leaves: Leaves,
    ) -> Result<Vec<Reached>, DagError> {
        let roots = stream::iter(roots.to_vec()).map(Ok).boxed();
        reach(store, roots, leaves).try_collect().await
    }

    #[tokio::test]
    async fn each_block_once_and_leaves_only_looked_at() {
        let store = CountingBlockstore::new(MemoryBlockstore::new());
        let leaf = Block::raw("leaf");
        store.put(&leaf).await.unwrap();
        let low = node(&store, &[*leaf.cid(), *leaf.cid()]).await;
        let high = node(&store, &[low, *leaf.cid(), low]).await;
        let reached = all(&store, &[high, low], Leaves::Look).await.unwrap();
        let cids: HashSet<Cid> = reached.iter().map(|reached| reached.cid).collect();
        assert_eq!(cids, HashSet::from([*leaf.cid(), low, high]));
        assert_eq!(reached.len(), 3);
        assert!(
            reached
                .iter()
                .all(|reached| reached.root == high && reached.size > 0)
        );
        assert_eq!(
            store.snapshot().calls(Operation::Get),
            2,
            "the leaf is not read"
        );

        store.delete(leaf.cid()).await.unwrap();
        let missing = all(&store, &[high], Leaves::Look).await.unwrap_err();
        assert!(
            matches!(missing, DagError::Missing { cid, parent: Some(_) } if cid == *leaf.cid())
        );
        assert_eq!(all(&store, &[high], Leaves::Trust).await.unwrap().len(), 3);
        store.delete(&low).await.unwrap();
        assert!(all(&store, &[high], Leaves::Trust).await.is_err());
    }
}
