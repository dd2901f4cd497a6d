//! Whether the store answers: from what came of the last request to it.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use cidbucket_blockstore::{Block, Blockstore, BoxStream, Cid, Cursor, Error, Listing, Result};
use parking_lot::Mutex;

/// For how long the last result is believed. Then the store is asked.
const BELIEVED: Duration = Duration::from_secs(10);
/// How long it may take to answer.
const PATIENCE: Duration = Duration::from_secs(3);

/// What the last request to the store came to.
#[derive(Debug, Default)]
pub(crate) struct Health {
    last: Mutex<Option<(Instant, bool)>>,
    asking: tokio::sync::Mutex<()>,
}

impl Health {
    /// Takes note of a result.
    pub(crate) fn saw<T>(&self, result: &Result<T, Error>) {
        let answers = match result {
            Ok(_) => true,
            Err(error) => !matches!(
                error,
                Error::Unavailable(_)
                    | Error::Throttled(_)
                    | Error::Denied(_)
                    | Error::NoStore(_)
                    | Error::Io(_)
            ),
        };
        *self.last.lock() = Some((Instant::now(), answers));
    }

    /// Whether the store answers. It is asked for `absent` where that is not known; however many
    /// want to know, once.
    pub(crate) async fn is_ready(&self, store: &dyn Blockstore, absent: &Cid) -> bool {
        if let Some(known) = self.known() {
            return known;
        }
        let _asking = self.asking.lock().await;
        if let Some(known) = self.known() {
            return known;
        }
        match tokio::time::timeout(PATIENCE, store.size(absent)).await {
            Ok(result) => self.saw(&result),
            Err(_) => *self.last.lock() = Some((Instant::now(), false)),
        }
        self.known().unwrap_or(false)
    }

    fn known(&self) -> Option<bool> {
        let (at, answers) = (*self.last.lock())?;
        // What failed is asked after sooner.
        let believed = if answers { BELIEVED } else { BELIEVED / 10 };
        (at.elapsed() < believed).then_some(answers)
    }
}

/// A store of which every result is taken note of.
pub(crate) struct Watched<S> {
    pub(crate) store: S,
    pub(crate) health: Arc<Health>,
}

#[async_trait]
impl<S: Blockstore> Blockstore for Watched<S> {
    async fn get(&self, cid: &Cid) -> Result<Option<Block>> {
        let result = self.store.get(cid).await;
        self.health.saw(&result);
        result
    }

    async fn put(&self, block: &Block) -> Result<()> {
        let result = self.store.put(block).await;
        self.health.saw(&result);
        result
    }

    async fn size(&self, cid: &Cid) -> Result<Option<u64>> {
        let result = self.store.size(cid).await;
        self.health.saw(&result);
        result
    }

    async fn delete(&self, cid: &Cid) -> Result<()> {
        let result = self.store.delete(cid).await;
        self.health.saw(&result);
        result
    }

    fn list(&self, from: Cursor) -> Listing<'_> {
        self.store.list(from)
    }

    fn concurrency(&self) -> usize {
        self.store.concurrency()
    }

    fn delete_many<'a>(&'a self, cids: BoxStream<'a, Cid>) -> BoxStream<'a, (Cid, Result<()>)> {
        self.store.delete_many(cids)
    }
}

impl<S: Blockstore> fmt::Debug for Watched<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.store.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use cidbucket_blockstore::{CountingBlockstore, MemoryBlockstore, Operation, Report};

    use super::*;

    #[tokio::test]
    async fn the_last_result_counts_and_an_idle_store_is_asked_once() {
        let health = Arc::new(Health::default());
        let store = CountingBlockstore::new(MemoryBlockstore::new());
        let absent = *Block::raw("absent").cid();
        assert!(health.is_ready(&store, &absent).await);
        assert!(health.is_ready(&store, &absent).await);
        assert_eq!(store.snapshot().calls(Operation::Size), 1);

        let outage: Result<()> = Err(Error::Unavailable(Report::new("get", "gone").into()));
        health.saw(&outage);
        assert!(!health.is_ready(&store, &absent).await);
        let absent_or_corrupt: Result<()> = Err(Error::Corrupt(Report::new("get", "bad").into()));
        health.saw(&absent_or_corrupt);
        assert!(health.is_ready(&store, &absent).await);

        let watched = Watched {
            store: MemoryBlockstore::new(),
            health: Arc::clone(&health),
        };
        health.saw(&outage);
        assert_eq!(watched.get(&absent).await.unwrap(), None);
        assert!(health.is_ready(&watched, &absent).await);
    }
}
