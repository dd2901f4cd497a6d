//! A layer that fails on purpose, to test what stands on it.

use std::collections::BTreeMap;
use std::fmt;
use std::future::pending;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;

use async_trait::async_trait;
use futures::stream::{self, StreamExt};

use crate::{Block, Blockstore, Cid, Cursor, Error, Listing, Operation, Page, Result};

/// A store that fails as scripted, and otherwise is the store underneath.
///
/// A wrong answer cannot be scripted: a [`Block`] always has the bytes of its CID. What a broken
/// store can still do is refuse, stay silent, deny a block that it has, or do what it was asked and
/// lose the answer. Batches fail item by item, listings page by page.
///
/// ```
/// use cidbucket_blockstore::{
///     Block, Blockstore, Error, FailingBlockstore, MemoryBlockstore, Operation, Report,
/// };
///
/// # futures::executor::block_on(async {
/// let store = FailingBlockstore::new(MemoryBlockstore::new());
/// store.fail_nth(Operation::Put, 2, Error::Throttled(Report::new("put", "slow down").into()));
/// let block = Block::raw(&b"hello"[..]);
/// assert!(store.put(&block).await.is_ok());
/// assert!(store.put(&block).await.is_err());
/// assert!(store.put(&block).await.is_ok());
/// assert_eq!(store.calls(Operation::Put), 3);
/// # });
/// ```
pub struct FailingBlockstore<B> {
    store: B,
    script: Mutex<Script>,
}

/// A call that a script decides on.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Call<'a> {
    /// What is asked for.
    pub operation: Operation,
    /// The how-manieth call of this operation it is, from 1.
    pub nth: u64,
    /// The block asked for; `None` for a listing.
    pub cid: Option<&'a Cid>,
}

/// What becomes of a call.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub enum Fault {
    /// Nothing: the store underneath answers.
    #[default]
    None,
    /// The error is the answer; the store underneath is not asked.
    Fail(Error),
    /// The store underneath does it, but its answer is lost: the caller gets the error.
    LoseAnswer(Error),
    /// "Not there", whatever the store underneath has. A write is dropped and reported as done; a
    /// listing ends.
    Absent,
    /// The future is pending this many times, waking itself at once, before the call goes on.
    Delay(u32),
    /// The future never completes.
    Hang,
}

type Rule = Arc<dyn Fn(&Call<'_>) -> Fault + Send + Sync>;

#[derive(Default)]
struct Script {
    calls: BTreeMap<Operation, u64>,
    nth: BTreeMap<(Operation, u64), Fault>,
    rule: Option<Rule>,
}

impl<B> FailingBlockstore<B> {
    /// `store`, with nothing scripted yet.
    pub fn new(store: B) -> Self {
        Self {
            store,
            script: Mutex::default(),
        }
    }

    /// Fails the `nth` call of an operation from now on (the next is 1).
    pub fn fail_nth(&self, operation: Operation, nth: u64, error: Error) {
        self.fault_nth(operation, nth, Fault::Fail(error));
    }

    /// Never completes the `nth` call of an operation from now on (the next is 1).
    pub fn hang_nth(&self, operation: Operation, nth: u64) {
        self.fault_nth(operation, nth, Fault::Hang);
    }

    /// Gives the `nth` call of an operation from now on (the next is 1) to `fault`.
    pub fn fault_nth(&self, operation: Operation, nth: u64, fault: Fault) {
        self.with_script(|script| {
            let made = script.calls.get(&operation).copied().unwrap_or(0);
            script.nth.insert((operation, made + nth), fault);
        });
    }

    /// Asks `rule` about every call that no `..._nth` was said about. It replaces an earlier rule.
    pub fn fault_when(&self, rule: impl Fn(&Call<'_>) -> Fault + Send + Sync + 'static) {
        self.with_script(|script| script.rule = Some(Arc::new(rule)));
    }

    /// Ends all faults. The counts of calls go on.
    pub fn heal(&self) {
        self.with_script(|script| {
            script.nth.clear();
            script.rule = None;
        });
    }

    /// How many calls of an operation there were, failed or not.
    pub fn calls(&self, operation: Operation) -> u64 {
        self.with_script(|script| script.calls.get(&operation).copied().unwrap_or(0))
    }

    /// The store underneath.
    pub fn inner(&self) -> &B {
        &self.store
    }

    fn with_script<T>(&self, act: impl FnOnce(&mut Script) -> T) -> T {
        act(&mut self.script.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Counts a call and says what becomes of it.
    fn call(&self, operation: Operation, cid: Option<&Cid>) -> Fault {
        let (nth, planned, rule) = self.with_script(|script| {
            let nth = script.calls.entry(operation).or_default();
            *nth += 1;
            let nth = *nth;
            (
                nth,
                script.nth.remove(&(operation, nth)),
                script.rule.clone(),
            )
        });
        // Out of the lock: a rule may look at the store's counts.
        planned.unwrap_or_else(|| {
            let call = Call {
                operation,
                nth,
                cid,
            };
            rule.map_or(Fault::None, |rule| rule(&call))
        })
    }
}

impl<B: Sync> FailingBlockstore<B> {
    /// `answer`, or what the script makes of it.
    async fn scripted<T: Send>(
        &self,
        operation: Operation,
        cid: Option<&Cid>,
        absent: T,
        answer: impl Future<Output = Result<T>> + Send,
    ) -> Result<T> {
        match self.call(operation, cid) {
            Fault::None => answer.await,
            Fault::Fail(error) => Err(error),
            Fault::LoseAnswer(error) => {
                answer.await?;
                Err(error)
            }
            Fault::Absent => Ok(absent),
            Fault::Delay(polls) => {
                delay(polls).await;
                answer.await
            }
            Fault::Hang => pending().await,
        }
    }
}

#[async_trait]
impl<B: Blockstore> Blockstore for FailingBlockstore<B> {
    async fn get(&self, cid: &Cid) -> Result<Option<Block>> {
        self.scripted(Operation::Get, Some(cid), None, self.store.get(cid))
            .await
    }

    async fn put(&self, block: &Block) -> Result<()> {
        let cid = Some(block.cid());
        self.scripted(Operation::Put, cid, (), self.store.put(block))
            .await
    }

    async fn size(&self, cid: &Cid) -> Result<Option<u64>> {
        self.scripted(Operation::Size, Some(cid), None, self.store.size(cid))
            .await
    }

    async fn delete(&self, cid: &Cid) -> Result<()> {
        self.scripted(Operation::Delete, Some(cid), (), self.store.delete(cid))
            .await
    }

    fn list(&self, from: Cursor) -> Listing<'_> {
        let pages = self.store.list(from.clone()).into_pages();
        let pages = stream::unfold(Some(pages), move |pages| async move {
            let mut pages = pages?;
            let page = async { pages.next().await.transpose() };
            let page: Result<Option<Page>> = self.scripted(Operation::List, None, None, page).await;
            match page {
                Ok(page) => page.map(|page| (Ok(page), Some(pages))),
                Err(error) => Some((Err(error), None)),
            }
        });
        Listing::new(from, pages)
    }

    async fn has(&self, cid: &Cid) -> Result<bool> {
        self.scripted(Operation::Has, Some(cid), false, self.store.has(cid))
            .await
    }

    fn concurrency(&self) -> usize {
        self.store.concurrency()
    }
}

impl<B: fmt::Debug> fmt::Debug for FailingBlockstore<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FailingBlockstore")
            .field("store", &self.store)
            .field("calls", &self.with_script(|script| script.calls.clone()))
            .finish_non_exhaustive()
    }
}

/// Is pending `polls` times.
async fn delay(mut polls: u32) {
    std::future::poll_fn(|context| {
        if polls == 0 {
            return Poll::Ready(());
        }
        polls -= 1;
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

#[cfg(test)]
mod tests {
    use futures::executor::block_on;
    use futures::future::poll_immediate;

    use super::*;
    use crate::{MemoryBlockstore, Report};

    fn down() -> Error {
        Error::Unavailable(Report::new("test", "down").into())
    }

    fn store_with(block: &Block) -> FailingBlockstore<MemoryBlockstore> {
        let store = FailingBlockstore::new(MemoryBlockstore::new());
        block_on(store.inner().put(block)).unwrap();
        store
    }

    #[test]
    fn the_nth_call_counts_from_when_it_was_scripted() {
        let block = Block::raw(&b"x"[..]);
        let store = store_with(&block);
        block_on(async {
            assert!(store.get(block.cid()).await.is_ok());
            store.fail_nth(Operation::Get, 1, down());
            assert!(store.get(block.cid()).await.is_err());
            assert!(store.get(block.cid()).await.is_ok());
        });
        assert_eq!(store.calls(Operation::Get), 3);
        assert_eq!(store.calls(Operation::Put), 0);
    }

    #[test]
    fn every_kind_of_fault() {
        let block = Block::raw(&b"x"[..]);
        let store = store_with(&block);
        block_on(async {
            store.fault_nth(Operation::Get, 1, Fault::Absent);
            assert_eq!(store.get(block.cid()).await.unwrap(), None);

            store.fault_nth(Operation::Delete, 1, Fault::LoseAnswer(down()));
            store.delete(block.cid()).await.unwrap_err();
            assert!(store.inner().is_empty(), "it was carried out all the same");

            store.fault_nth(Operation::Put, 1, Fault::Absent);
            store.put(&block).await.unwrap();
            assert!(store.inner().is_empty(), "it was dropped");

            store.fault_nth(Operation::Put, 1, Fault::Delay(2));
            let mut put = store.put(&block);
            assert!(poll_immediate(&mut put).await.is_none());
            assert!(poll_immediate(&mut put).await.is_none());
            assert!(poll_immediate(&mut put).await.is_some());

            store.hang_nth(Operation::Has, 1);
            assert!(poll_immediate(store.has(block.cid())).await.is_none());
            assert!(store.has(block.cid()).await.unwrap());
        });
    }

    #[test]
    fn a_rule_fails_items_and_pages_until_healed() {
        let blocks: Vec<_> = (0..4_u8).map(|n| Block::raw(vec![n])).collect();
        let store = FailingBlockstore::new(MemoryBlockstore::new().with_page_size(1));
        let bad = *blocks[2].cid();
        store.fault_when(move |call| match (call.operation, call.nth) {
            (Operation::Put, _) if call.cid == Some(&bad) => Fault::Fail(down()),
            (Operation::List, 3) => Fault::Fail(down()),
            _ => Fault::None,
        });
        block_on(async {
            let puts = store.put_many(stream::iter(blocks.clone()).boxed());
            let failed: Vec<_> = puts.map(|(_, put)| put.is_err()).collect().await;
            assert_eq!(failed, [false, false, true, false]);

            let listed: Vec<_> = store.list(Cursor::start()).collect().await;
            assert_eq!(listed.len(), 3);
            assert!(listed[2].is_err());

            store.heal();
            assert!(store.put(&blocks[2]).await.is_ok());
            assert_eq!(store.list(Cursor::start()).count().await, 4);
        });
    }
}
