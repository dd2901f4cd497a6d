//! A store whose answers wait at a gate: each operation is carried out at once, and its answer held
//! back until the test lets it go. So every order of events can be played through.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use async_trait::async_trait;
use cidbucket_blockstore::{
    Block, Blockstore, Cid, Cursor, Error, Listing, MemoryBlockstore, Report, Result,
};
use futures::channel::oneshot;
use parking_lot::Mutex;

#[derive(Debug, Default)]
pub(crate) struct Gate {
    pub(crate) memory: MemoryBlockstore,
    closed: AtomicBool,
    failing: AtomicBool,
    panicking: AtomicBool,
    waiting: Mutex<VecDeque<oneshot::Sender<()>>>,
    requests: AtomicUsize,
    under_way: AtomicUsize,
}

impl Gate {
    /// From now on, answers are held back.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
    }

    /// From now on answers are given at once, and so are those held back.
    pub(crate) fn open(&self) {
        self.closed.store(false, Ordering::SeqCst);
        while self.let_one_go() {}
    }

    /// Lets the answer go that waits longest.
    pub(crate) fn let_one_go(&self) -> bool {
        loop {
            match self.waiting.lock().pop_front() {
                None => return false,
                // Nobody waits for it any more.
                Some(gone) if gone.is_canceled() => {}
                Some(waiting) => return waiting.send(()).is_ok(),
            }
        }
    }

    /// Whether every answer is an error.
    pub(crate) fn fail(&self, fail: bool) {
        self.failing.store(fail, Ordering::SeqCst);
    }

    /// Whether every operation panics.
    pub(crate) fn panic(&self, panic: bool) {
        self.panicking.store(panic, Ordering::SeqCst);
    }

    /// Operations so far.
    pub(crate) fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }

    /// Operations begun and neither answered nor dropped.
    pub(crate) fn under_way(&self) -> usize {
        self.under_way.load(Ordering::SeqCst)
    }

    async fn pass<T>(&self, answer: Result<T>) -> Result<T> {
        self.requests.fetch_add(1, Ordering::SeqCst);
        self.under_way.fetch_add(1, Ordering::SeqCst);
        let _leaving = Leaving(&self.under_way);
        if self.closed.load(Ordering::SeqCst) {
            let (sender, receiver) = oneshot::channel();
            self.waiting.lock().push_back(sender);
            receiver.await.expect("the gate outlives its operations");
        }
        assert!(!self.panicking.load(Ordering::SeqCst), "as scripted");
        if self.failing.load(Ordering::SeqCst) {
            return Err(Error::Throttled(Report::new("any", "as scripted").into()));
        }
        answer
    }
}

struct Leaving<'a>(&'a AtomicUsize);

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

#[async_trait]
impl Blockstore for Gate {
    async fn get(&self, cid: &Cid) -> Result<Option<Block>> {
        let answer = self.memory.get(cid).await;
        self.pass(answer).await
    }

    async fn put(&self, block: &Block) -> Result<()> {
        let answer = self.memory.put(block).await;
        self.pass(answer).await
    }

    async fn size(&self, cid: &Cid) -> Result<Option<u64>> {
        let answer = self.memory.size(cid).await;
        self.pass(answer).await
    }

    async fn delete(&self, cid: &Cid) -> Result<()> {
        let answer = self.memory.delete(cid).await;
        self.pass(answer).await
    }

    fn list(&self, from: Cursor) -> Listing<'_> {
        self.memory.list(from)
    }
}
