//! A layer that counts what goes through it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use futures::stream::{BoxStream, StreamExt};

use crate::{Block, Blockstore, Cid, Cursor, Listing, Operation, Result};

/// Counts the operations on a store: calls, errors by class, absences, bytes.
///
/// It passes batches on as batches, and counts each of their items.
#[derive(Debug, Default)]
pub struct CountingBlockstore<B> {
    store: B,
    counts: Arc<Mutex<Counts>>,
}

/// What a [`CountingBlockstore`] has counted so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    operations: BTreeMap<Operation, Tally>,
}

/// The counts of one operation.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Tally {
    /// Operations begun; of a batch and of a listing those answered.
    pub calls: u64,
    /// Answered without an error, absences included.
    pub answered: u64,
    /// Answered by "not there": `None` or `false`.
    pub absent: u64,
    /// Answered by an error, by its [`class`](crate::Error::class).
    pub errors: BTreeMap<&'static str, u64>,
    /// Bytes of blocks read (`get`) or stored (`put`).
    pub bytes: u64,
    /// Begun and neither answered nor dropped.
    pub in_flight: u64,
}

impl Counts {
    /// The counts of one operation.
    pub fn of(&self, operation: Operation) -> Tally {
        self.operations.get(&operation).cloned().unwrap_or_default()
    }

    /// Calls of one operation.
    pub fn calls(&self, operation: Operation) -> u64 {
        (self.operations.get(&operation)).map_or(0, |tally| tally.calls)
    }

    /// Errors of all operations and classes.
    pub fn errors(&self) -> u64 {
        (self.operations.values())
            .flat_map(|tally| tally.errors.values())
            .sum()
    }

    /// Operations under way. Zero when all futures have ended or were dropped.
    pub fn in_flight(&self) -> u64 {
        self.operations.values().map(|tally| tally.in_flight).sum()
    }
}

impl<B> CountingBlockstore<B> {
    /// Counts what goes to `store`.
    pub fn new(store: B) -> Self {
        Self {
            store,
            counts: Arc::default(),
        }
    }

    /// The counts so far.
    pub fn snapshot(&self) -> Counts {
        lock(&self.counts).clone()
    }

    /// Starts again from zero. What is in flight stays counted as such.
    pub fn reset(&self) {
        for tally in lock(&self.counts).operations.values_mut() {
            *tally = Tally {
                in_flight: tally.in_flight,
                ..Tally::default()
            };
        }
    }

    /// The store underneath.
    pub fn inner(&self) -> &B {
        &self.store
    }

    /// The store underneath, without the counts.
    pub fn into_inner(self) -> B {
        self.store
    }

    fn begin(&self, operation: Operation) -> InFlight<'_> {
        let mut counts = lock(&self.counts);
        let tally = counts.operations.entry(operation).or_default();
        tally.calls += 1;
        tally.in_flight += 1;
        InFlight {
            counts: &self.counts,
            operation,
        }
    }
}

/// What an answer adds to the counts.
enum Answer {
    Done { bytes: u64 },
    Absent,
    Error(&'static str),
}

impl Answer {
    fn got(result: &Result<Option<Block>>) -> Self {
        match result {
            Ok(Some(block)) => Self::Done {
                bytes: block.len() as u64,
            },
            Ok(None) => Self::Absent,
            Err(error) => Self::Error(error.class()),
        }
    }

    fn done(result: &Result<()>, bytes: u64) -> Self {
        match result {
            Ok(()) => Self::Done { bytes },
            Err(error) => Self::Error(error.class()),
        }
    }
}

impl Tally {
    fn add(&mut self, answer: &Answer) {
        match answer {
            Answer::Error(class) => *self.errors.entry(class).or_default() += 1,
            Answer::Absent => {
                self.answered += 1;
                self.absent += 1;
            }
            Answer::Done { bytes } => {
                self.answered += 1;
                self.bytes += bytes;
            }
        }
    }
}

/// An operation under way: dropped with its future, however that ends.
struct InFlight<'a> {
    counts: &'a Mutex<Counts>,
    operation: Operation,
}

impl InFlight<'_> {
    fn answer(self, answer: &Answer) {
        let mut counts = lock(self.counts);
        let tally = counts.operations.entry(self.operation).or_default();
        tally.add(answer);
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        let mut counts = lock(self.counts);
        let tally = counts.operations.entry(self.operation).or_default();
        tally.in_flight = tally.in_flight.saturating_sub(1);
    }
}

/// Counts an item of a batch, or a page: begun and answered in one.
fn count(counts: &Mutex<Counts>, operation: Operation, answer: &Answer) {
    let mut counts = lock(counts);
    let tally = counts.operations.entry(operation).or_default();
    tally.calls += 1;
    tally.add(answer);
}

fn lock(counts: &Mutex<Counts>) -> MutexGuard<'_, Counts> {
    counts.lock().unwrap_or_else(PoisonError::into_inner)
}

#[async_trait]
impl<B: Blockstore> Blockstore for CountingBlockstore<B> {
    async fn get(&self, cid: &Cid) -> Result<Option<Block>> {
        let call = self.begin(Operation::Get);
        let result = self.store.get(cid).await;
        call.answer(&Answer::got(&result));
        result
    }

    async fn put(&self, block: &Block) -> Result<()> {
        let call = self.begin(Operation::Put);
        let result = self.store.put(block).await;
        call.answer(&Answer::done(&result, block.len() as u64));
        result
    }

    async fn size(&self, cid: &Cid) -> Result<Option<u64>> {
        let call = self.begin(Operation::Size);
        let result = self.store.size(cid).await;
        call.answer(&match &result {
            Ok(Some(_)) => Answer::Done { bytes: 0 },
            Ok(None) => Answer::Absent,
            Err(error) => Answer::Error(error.class()),
        });
        result
    }

    async fn delete(&self, cid: &Cid) -> Result<()> {
        let call = self.begin(Operation::Delete);
        let result = self.store.delete(cid).await;
        call.answer(&Answer::done(&result, 0));
        result
    }

    fn list(&self, from: Cursor) -> Listing<'_> {
        let pages = self.store.list(from.clone()).into_pages();
        let pages = pages.inspect(|page| {
            let answer = match page {
                Ok(_) => Answer::Done { bytes: 0 },
                Err(error) => Answer::Error(error.class()),
            };
            count(&self.counts, Operation::List, &answer);
        });
        Listing::new(from, pages)
    }

    async fn has(&self, cid: &Cid) -> Result<bool> {
        let call = self.begin(Operation::Has);
        let result = self.store.has(cid).await;
        call.answer(&match &result {
            Ok(true) => Answer::Done { bytes: 0 },
            Ok(false) => Answer::Absent,
            Err(error) => Answer::Error(error.class()),
        });
        result
    }

    fn concurrency(&self) -> usize {
        self.store.concurrency()
    }

    fn get_many<'a>(
        &'a self,
        cids: BoxStream<'a, Cid>,
    ) -> BoxStream<'a, (Cid, Result<Option<Block>>)> {
        let answers = self.store.get_many(cids);
        answers
            .inspect(|(_, result)| count(&self.counts, Operation::Get, &Answer::got(result)))
            .boxed()
    }

    fn put_many<'a>(&'a self, blocks: BoxStream<'a, Block>) -> BoxStream<'a, (Cid, Result<()>)> {
        // Answers come in the order of the blocks, so the sizes wait for them in a queue.
        let sizes = Arc::new(Mutex::new(std::collections::VecDeque::new()));
        let queue = Arc::clone(&sizes);
        let blocks = blocks.inspect(move |block| {
            let mut queue = queue.lock().unwrap_or_else(PoisonError::into_inner);
            queue.push_back(block.len() as u64);
        });
        let answers = self.store.put_many(blocks.boxed());
        answers
            .inspect(move |(_, result)| {
                let mut sizes = sizes.lock().unwrap_or_else(PoisonError::into_inner);
                let bytes = sizes.pop_front().unwrap_or_default();
                count(&self.counts, Operation::Put, &Answer::done(result, bytes));
            })
            .boxed()
    }

    fn delete_many<'a>(&'a self, cids: BoxStream<'a, Cid>) -> BoxStream<'a, (Cid, Result<()>)> {
        let answers = self.store.delete_many(cids);
        answers
            .inspect(|(_, result)| count(&self.counts, Operation::Delete, &Answer::done(result, 0)))
            .boxed()
    }
}

#[cfg(test)]
mod tests {
    use futures::executor::block_on;
    use futures::stream;

    use super::*;
    use crate::{FailingBlockstore, Limits, MemoryBlockstore};

    #[test]
    fn counts_calls_absences_errors_and_bytes() {
        let memory = MemoryBlockstore::new().with_limits(Limits { max_block: 4 });
        let store = CountingBlockstore::new(memory);
        let block = Block::raw(&b"four"[..]);
        block_on(async {
            store.put(&block).await.unwrap();
            store.put(&Block::raw(&b"fives"[..])).await.unwrap_err();
            store.get(block.cid()).await.unwrap();
            store.get(Block::raw(&b"?"[..]).cid()).await.unwrap();
            store.has(block.cid()).await.unwrap();
            store.delete(block.cid()).await.unwrap();
            store.size(block.cid()).await.unwrap();
        });
        let counts = store.snapshot();
        let put = counts.of(Operation::Put);
        assert_eq!((put.calls, put.answered, put.bytes), (2, 1, 4));
        assert_eq!(put.errors, BTreeMap::from([("too-large", 1)]));
        let get = counts.of(Operation::Get);
        assert_eq!((get.calls, get.absent, get.bytes), (2, 1, 4));
        assert_eq!(counts.of(Operation::Size).absent, 1);
        assert_eq!(counts.calls(Operation::Has), 1);
        assert_eq!((counts.errors(), counts.in_flight()), (1, 0));
        store.reset();
        assert_eq!(store.snapshot().calls(Operation::Put), 0);
    }

    #[test]
    fn counts_each_item_of_a_batch_and_each_page() {
        let memory = MemoryBlockstore::new().with_page_size(2);
        let store = CountingBlockstore::new(memory);
        let blocks: Vec<_> = (1..=5_u8).map(|n| Block::raw(vec![n; 3])).collect();
        block_on(async {
            let puts = store.put_many(stream::iter(blocks.clone()).boxed());
            assert_eq!(puts.count().await, 5);
            assert_eq!(store.list(Cursor::start()).count().await, 5);
            let cids = stream::iter(blocks).map(|block| *block.cid()).boxed();
            assert_eq!(store.get_many(cids).count().await, 5);
        });
        let counts = store.snapshot();
        assert_eq!(counts.of(Operation::Put).bytes, 15);
        assert_eq!(counts.calls(Operation::Get), 5);
        assert_eq!(counts.calls(Operation::List), 3);
    }

    #[test]
    fn a_dropped_future_is_no_longer_in_flight() {
        let failing = FailingBlockstore::new(MemoryBlockstore::new());
        failing.hang_nth(Operation::Put, 1);
        let store = CountingBlockstore::new(failing);
        let block = Block::raw(&b"x"[..]);
        let mut put = store.put(&block);
        assert!(block_on(futures::future::poll_immediate(&mut put)).is_none());
        assert_eq!(store.snapshot().in_flight(), 1);
        drop(put);
        let put = store.snapshot().of(Operation::Put);
        assert_eq!((put.calls, put.answered, put.in_flight), (1, 0, 0));
    }
}
