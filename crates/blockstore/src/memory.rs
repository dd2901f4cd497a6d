//! A store in memory: for tests, and for nodes that keep nothing.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Bound;
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use async_trait::async_trait;
use futures::stream;

use crate::{
    Block, Blockstore, Bytes, Cid, Cursor, Error, Limits, Listed, Listing, Multihash, Page, Report,
    Result, raw_cid,
};

/// Blocks per page of a listing, as S3 has it.
const PAGE: usize = 1000;

/// A [`Blockstore`] in memory. What it holds ends with it.
///
/// It never waits for anything: its futures are ready at the first poll.
pub struct MemoryBlockstore {
    // Sorted, so that a listing resumes in the middle while blocks come and go.
    blocks: RwLock<BTreeMap<Multihash, Bytes>>,
    limits: Limits,
    page: usize,
}

impl MemoryBlockstore {
    /// An empty store with the default limits.
    pub fn new() -> Self {
        Self {
            blocks: RwLock::default(),
            limits: Limits::default(),
            page: PAGE,
        }
    }

    /// Sets what the store accepts.
    #[must_use]
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Sets how many blocks make a page of a listing; 1000 by default, at least 1.
    #[must_use]
    pub fn with_page_size(mut self, blocks: usize) -> Self {
        self.page = blocks.max(1);
        self
    }

    /// Number of blocks.
    pub fn len(&self) -> usize {
        self.read().len()
    }

    /// Whether no block is there.
    pub fn is_empty(&self) -> bool {
        self.read().is_empty()
    }

    /// Bytes of all blocks together, without keys and overhead.
    pub fn bytes(&self) -> u64 {
        self.read().values().map(|data| data.len() as u64).sum()
    }

    // A panic while the lock is held leaves the map whole, so a poisoned lock is used on.
    fn read(&self) -> RwLockReadGuard<'_, BTreeMap<Multihash, Bytes>> {
        self.blocks.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, BTreeMap<Multihash, Bytes>> {
        self.blocks.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// The page after `after`; `None` where nothing is left.
    fn page(&self, after: Option<Multihash>) -> Option<(Page, Multihash)> {
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        let listed: Vec<_> = self
            .read()
            .range((start, Bound::Unbounded))
            .take(self.page)
            .map(|(multihash, data)| Listed {
                cid: raw_cid(*multihash),
                size: data.len() as u64,
                modified: None,
            })
            .collect();
        let last = listed.last()?.cid;
        let page = Page {
            blocks: listed,
            foreign: 0,
            cursor: Cursor::new(last.to_string()),
        };
        Some((page, *last.hash()))
    }
}

/// A cursor is the CID of the last block listed.
fn after(cursor: &Cursor) -> Result<Option<Multihash>> {
    if cursor.is_start() {
        return Ok(None);
    }
    match cursor.as_str().parse::<Cid>() {
        Ok(cid) if raw_cid(*cid.hash()).to_string() == cursor.as_str() => Ok(Some(*cid.hash())),
        _ => Err(Error::Invalid(
            Report::new("list", "not a cursor of this store; start without one")
                .with_key(cursor.as_str())
                .into(),
        )),
    }
}

#[async_trait]
impl Blockstore for MemoryBlockstore {
    async fn get(&self, cid: &Cid) -> Result<Option<Block>> {
        if let Some(block) = Block::inline(cid)? {
            return Ok(Some(block));
        }
        let Some(data) = self.read().get(cid.hash()).cloned() else {
            return Ok(None);
        };
        self.limits.check_size(cid, data.len() as u64)?;
        // It was checked on its way in; nothing but this store held it since.
        Block::new(*cid, data).map(Some)
    }

    async fn put(&self, block: &Block) -> Result<()> {
        if block.is_inline() {
            return Ok(());
        }
        self.limits.check(block)?;
        self.write()
            .insert(*block.multihash(), block.data().clone());
        Ok(())
    }

    async fn size(&self, cid: &Cid) -> Result<Option<u64>> {
        if let Some(block) = Block::inline(cid)? {
            return Ok(Some(block.len() as u64));
        }
        Ok(self.read().get(cid.hash()).map(|data| data.len() as u64))
    }

    async fn delete(&self, cid: &Cid) -> Result<()> {
        if Block::inline(cid)?.is_none() {
            self.write().remove(cid.hash());
        }
        Ok(())
    }

    fn list(&self, from: Cursor) -> Listing<'_> {
        match after(&from) {
            Ok(after) => Listing::new(
                from,
                stream::unfold(after, move |after| async move {
                    let (page, last) = self.page(after)?;
                    Some((Ok(page), Some(last)))
                }),
            ),
            Err(error) => Listing::new(from, stream::iter([Err(error)])),
        }
    }
}

impl Default for MemoryBlockstore {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for MemoryBlockstore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryBlockstore")
            .field("blocks", &self.len())
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use futures::StreamExt;
    use futures::executor::block_on;

    use super::*;

    #[test]
    fn counts_blocks_and_bytes() {
        let store = MemoryBlockstore::new();
        for data in [&b"one"[..], b"three", b"three"] {
            block_on(store.put(&Block::raw(data))).unwrap();
        }
        assert_eq!((store.len(), store.bytes()), (2, 8));
    }

    #[test]
    fn lists_by_pages_of_the_size_that_was_set() {
        let store = MemoryBlockstore::new().with_page_size(3);
        for n in 0..7_u8 {
            block_on(store.put(&Block::raw(vec![n]))).unwrap();
        }
        let pages: Vec<_> = block_on(store.list(Cursor::start()).into_pages().collect());
        let sizes: Vec<_> = pages
            .into_iter()
            .map(|page| page.unwrap().blocks.len())
            .collect();
        assert_eq!(sizes, [3, 3, 1]);
    }

    #[test]
    fn the_limit_can_be_set() {
        let store = MemoryBlockstore::new().with_limits(Limits { max_block: 4 });
        block_on(store.put(&Block::raw(&b"four"[..]))).unwrap();
        assert!(matches!(
            block_on(store.put(&Block::raw(&b"fives"[..]))),
            Err(Error::TooLarge(_))
        ));
    }
}
