//! The layer.

use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use cidbucket_blockstore::{
    Block, Blockstore, BoxStream, Bytes, Cid, Cursor, Error, Listing, Report, Result,
};
use futures::FutureExt;
use futures::future::Future;
use futures::stream::StreamExt;

use crate::batch::{CachedReads, WritesInOrder};
use crate::shard::{Reading, State, Ticket};
use crate::{CacheOptions, CacheStats};

/// A cache of hot blocks over a store, itself a store.
///
/// ```
/// use cidbucket_blockstore::{Block, Blockstore, MemoryBlockstore};
/// use cidbucket_cache::{CacheOptions, CachedBlockstore};
///
/// # futures::executor::block_on(async {
/// let store = CachedBlockstore::new(MemoryBlockstore::new(), CacheOptions::default());
/// let block = Block::raw(&b"hello"[..]);
/// store.put(&block).await?;
/// assert_eq!(store.get(block.cid()).await?, Some(block));
/// assert_eq!(store.stats().hits, 1);
/// # Ok::<(), cidbucket_blockstore::Error>(())
/// # }).unwrap();
/// ```
pub struct CachedBlockstore<B> {
    store: Arc<B>,
    state: Arc<State>,
}

impl<B: Blockstore + 'static> CachedBlockstore<B> {
    /// A cache over `store`.
    pub fn new(store: B, options: CacheOptions) -> Self {
        let start = Instant::now();
        Self::with_clock(store, options, move || start.elapsed())
    }

    /// A cache with a clock of its own: the time since some fixed moment, never running backwards.
    pub fn with_clock(
        store: B,
        options: CacheOptions,
        clock: impl Fn() -> Duration + Send + Sync + 'static,
    ) -> Self {
        Self {
            store: Arc::new(store),
            state: Arc::new(State::new(options, Arc::new(clock))),
        }
    }

    /// The store underneath. What is written there directly, the cache does not see: see
    /// [`CachedBlockstore::invalidate`].
    pub fn inner(&self) -> &B {
        &self.store
    }

    /// A hot block, at once: no waiting, no request, no allocation. `None` says nothing about the
    /// store underneath.
    #[inline]
    pub fn hot(&self, cid: &Cid) -> Option<Block> {
        self.state.hot(cid)
    }

    /// The bytes of a hot block, for servers that have the CID already and need no [`Block`].
    /// Otherwise as [`CachedBlockstore::hot`], and cheaper by the copy of a CID.
    #[inline]
    pub fn hot_data(&self, cid: &Cid) -> Option<Bytes> {
        self.state.hot_data(cid)
    }

    /// Forgets all about a block, because it was written or deleted behind the cache's back. Reads
    /// that are under way are not kept either.
    pub fn invalidate(&self, cid: &Cid) {
        self.state.invalidate(cid);
    }

    /// Counters and present size.
    pub fn stats(&self) -> CacheStats {
        self.state.stats()
    }
}

#[async_trait]
impl<B: Blockstore + 'static> Blockstore for CachedBlockstore<B> {
    async fn get(&self, cid: &Cid) -> Result<Option<Block>> {
        if let Some(block) = self.state.hot(cid) {
            return Ok(Some(block));
        }
        if let Some(block) = Block::inline(cid)? {
            return Ok(Some(block));
        }
        let reading = self.state.join_get(cid, |ticket| {
            fetch(Arc::clone(&self.store), *cid, ticket)
                .boxed()
                .shared()
        });
        let block = match reading {
            Reading::Known(block) => block,
            Reading::Unknown(flight) => flight.await?,
        };
        block.map(|block| block.with_cid(cid)).transpose()
    }

    async fn put(&self, block: &Block) -> Result<()> {
        if block.is_inline() {
            return self.store.put(block).await;
        }
        let write = self.state.begin_write(block.cid(), false);
        self.store.put(block).await?;
        write.done(Some(block));
        Ok(())
    }

    async fn size(&self, cid: &Cid) -> Result<Option<u64>> {
        if let Some(block) = Block::inline(cid)? {
            return Ok(Some(block.len() as u64));
        }
        let reading = self.state.join_size(cid, |ticket| {
            fetch_size(Arc::clone(&self.store), *cid, ticket)
                .boxed()
                .shared()
        });
        match reading {
            Reading::Known(size) => Ok(size),
            Reading::Unknown(flight) => flight.await,
        }
    }

    async fn delete(&self, cid: &Cid) -> Result<()> {
        let write = self.state.begin_write(cid, true);
        self.store.delete(cid).await?;
        write.done(None);
        Ok(())
    }

    fn list(&self, from: Cursor) -> Listing<'_> {
        self.store.list(from)
    }

    fn concurrency(&self) -> usize {
        self.store.concurrency()
    }

    fn get_many<'a>(
        &'a self,
        cids: BoxStream<'a, Cid>,
    ) -> BoxStream<'a, (Cid, Result<Option<Block>>)> {
        CachedReads::new(&*self.store, &self.state, cids).boxed()
    }

    fn put_many<'a>(&'a self, blocks: BoxStream<'a, Block>) -> BoxStream<'a, (Cid, Result<()>)> {
        let writes = WritesInOrder::default();
        let begun = writes.clone();
        let blocks = blocks.inspect(move |block| {
            let write = self.state.begin_write(block.cid(), false);
            let put = (!block.is_inline()).then(|| block.clone());
            begun.push(*block.cid(), write, put);
        });
        self.store
            .put_many(blocks.boxed())
            .inspect(move |(cid, result)| writes.end(cid, result))
            .boxed()
    }

    fn delete_many<'a>(&'a self, cids: BoxStream<'a, Cid>) -> BoxStream<'a, (Cid, Result<()>)> {
        let writes = WritesInOrder::default();
        let begun = writes.clone();
        let cids =
            cids.inspect(move |cid| begun.push(*cid, self.state.begin_write(cid, true), None));
        self.store
            .delete_many(cids.boxed())
            .inspect(move |(cid, result)| writes.end(cid, result))
            .boxed()
    }
}

impl<B: fmt::Debug> fmt::Debug for CachedBlockstore<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CachedBlockstore")
            .field("store", &self.store)
            .field("options", self.state.options())
            .field("stats", &self.state.stats())
            .finish()
    }
}

async fn fetch<B: Blockstore>(store: Arc<B>, cid: Cid, ticket: Ticket) -> Result<Option<Block>> {
    let answer = caught("get", &cid, async { store.get(&cid).await }).await;
    let answer = answer.map(|block| block.map(Block::compact));
    ticket.got(&answer);
    answer
}

async fn fetch_size<B: Blockstore>(store: Arc<B>, cid: Cid, ticket: Ticket) -> Result<Option<u64>> {
    let answer = caught("size", &cid, async { store.size(&cid).await }).await;
    ticket.sized(&answer);
    answer
}

/// A panic becomes an error: others wait for the answer too.
async fn caught<T>(
    operation: &'static str,
    cid: &Cid,
    request: impl Future<Output = Result<T>> + Send,
) -> Result<T> {
    AssertUnwindSafe(request)
        .catch_unwind()
        .await
        .unwrap_or_else(|_panic| {
            Err(Error::Unavailable(
                Report::new(operation, "the store underneath panicked; see its message")
                    .with_key(cid.to_string())
                    .into(),
            ))
        })
}
