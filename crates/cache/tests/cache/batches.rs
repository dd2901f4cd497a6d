//! Batches stay batches, and answer in order.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use cidbucket_blockstore::{
    Block, Blockstore, BoxStream, Cid, CountingBlockstore, Cursor, Error, Listing,
    MemoryBlockstore, Multihash, Operation, Result,
};
use cidbucket_cache::{CacheOptions, CachedBlockstore};
use futures::FutureExt;
use futures::executor::block_on;
use futures::stream::{self, StreamExt};

use crate::gate::Gate;

/// Counts batches, where `CountingBlockstore` counts their items.
#[derive(Debug, Default)]
struct Batches {
    store: CountingBlockstore<MemoryBlockstore>,
    reads: AtomicUsize,
    writes: AtomicUsize,
    deletions: AtomicUsize,
}

#[async_trait]
impl Blockstore for Batches {
    async fn get(&self, cid: &Cid) -> Result<Option<Block>> {
        self.store.get(cid).await
    }
    async fn put(&self, block: &Block) -> Result<()> {
        self.store.put(block).await
    }
    async fn size(&self, cid: &Cid) -> Result<Option<u64>> {
        self.store.size(cid).await
    }
    async fn delete(&self, cid: &Cid) -> Result<()> {
        self.store.delete(cid).await
    }
    fn list(&self, from: Cursor) -> Listing<'_> {
        self.store.list(from)
    }
    fn concurrency(&self) -> usize {
        7
    }
    fn get_many<'a>(
        &'a self,
        cids: BoxStream<'a, Cid>,
    ) -> BoxStream<'a, (Cid, Result<Option<Block>>)> {
        self.reads.fetch_add(1, Ordering::SeqCst);
        self.store.get_many(cids)
    }
    fn put_many<'a>(&'a self, blocks: BoxStream<'a, Block>) -> BoxStream<'a, (Cid, Result<()>)> {
        self.writes.fetch_add(1, Ordering::SeqCst);
        self.store.put_many(blocks)
    }
    fn delete_many<'a>(&'a self, cids: BoxStream<'a, Cid>) -> BoxStream<'a, (Cid, Result<()>)> {
        self.deletions.fetch_add(1, Ordering::SeqCst);
        self.store.delete_many(cids)
    }
}

fn block(n: usize) -> Block {
    Block::raw(format!("block {n}").into_bytes())
}

#[test]
fn batches_are_passed_on_as_batches() {
    let store = CachedBlockstore::new(Batches::default(), CacheOptions::default());
    assert_eq!(store.concurrency(), 7);
    let blocks: Vec<Block> = (0..100).map(block).collect();

    let put: Vec<_> = block_on(
        store
            .put_many(stream::iter(blocks.clone()).boxed())
            .collect(),
    );
    assert!(
        put.iter()
            .zip(&blocks)
            .all(|((cid, result), block)| cid == block.cid() && result.is_ok())
    );

    // Every second one is forgotten.
    for block in blocks.iter().step_by(2) {
        store.invalidate(block.cid());
    }
    let cids: Vec<Cid> = blocks.iter().map(|block| *block.cid()).collect();
    let got: Vec<_> = block_on(store.get_many(stream::iter(cids.clone()).boxed()).collect());
    assert_eq!(got.len(), 100);
    for ((cid, got), block) in got.into_iter().zip(&blocks) {
        assert_eq!(&cid, block.cid());
        assert_eq!(got.unwrap().as_ref(), Some(block));
    }
    let counts = store.inner().store.snapshot();
    assert_eq!(
        counts.calls(Operation::Get),
        50,
        "hits are answered by the cache"
    );

    // What the batch brought is hot now.
    block_on(
        store
            .get_many(stream::iter(cids.clone()).boxed())
            .collect::<Vec<_>>(),
    );
    let counts = store.inner().store.snapshot();
    assert_eq!(counts.calls(Operation::Get), 50);

    let gone: Vec<_> = block_on(
        store
            .delete_many(stream::iter(cids.clone()).boxed())
            .collect(),
    );
    assert!(
        gone.iter()
            .zip(&cids)
            .all(|((cid, result), asked)| cid == asked && result.is_ok())
    );
    for cid in &cids {
        assert_eq!(store.hot(cid), None);
        assert_eq!(block_on(store.get(cid)).unwrap(), None);
    }
    for batches in [&store.inner().writes, &store.inner().deletions] {
        assert_eq!(batches.load(Ordering::SeqCst), 1);
    }
    assert_eq!(store.inner().reads.load(Ordering::SeqCst), 2);
}

#[test]
fn every_question_of_a_batch_has_its_own_answer() {
    let store = CachedBlockstore::new(MemoryBlockstore::new(), CacheOptions::default());
    let (hot, cold) = (block(1), block(2));
    block_on(store.put(&hot)).unwrap();
    block_on(store.inner().put(&cold)).unwrap();
    // murmur3-x64-64 is not on the list of accepted hashes.
    let refused = Cid::new_v1(0x55, Multihash::wrap(0x22, &[1; 8]).unwrap());
    let inline: Cid = "bafkqaaa".parse().unwrap();
    let v0 = Cid::new_v0(*hot.multihash()).unwrap();
    let asked = [
        *hot.cid(),
        refused,
        *cold.cid(),
        inline,
        *block(3).cid(),
        v0,
        *cold.cid(),
    ];
    let answers: Vec<_> = block_on(store.get_many(stream::iter(asked).boxed()).collect());
    assert_eq!(
        answers.iter().map(|(cid, _)| *cid).collect::<Vec<_>>(),
        asked
    );
    let answers: Vec<_> = answers.into_iter().map(|(_, answer)| answer).collect();
    assert_eq!(answers[0].as_ref().unwrap().as_ref(), Some(&hot));
    assert!(matches!(answers[1], Err(Error::Invalid(_))));
    assert_eq!(answers[2].as_ref().unwrap().as_ref(), Some(&cold));
    assert!(answers[3].as_ref().unwrap().as_ref().unwrap().is_empty());
    assert_eq!(answers[4].as_ref().unwrap(), &None);
    assert_eq!(answers[5].as_ref().unwrap().as_ref().unwrap().cid(), &v0);
    assert_eq!(answers[6].as_ref().unwrap().as_ref(), Some(&cold));
}

#[test]
fn hits_do_not_run_ahead_without_bound() {
    let store = CachedBlockstore::new(Gate::default(), CacheOptions::default());
    let (hot, cold) = (block(1), block(2));
    block_on(store.put(&hot)).unwrap();
    block_on(store.inner().memory.put(&cold)).unwrap();
    store.inner().close();
    // One miss, then hits without end.
    let taken = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&taken);
    let questions = stream::once(async move { *cold.cid() })
        .chain(stream::repeat(*hot.cid()))
        .inspect(move |_| {
            counter.fetch_add(1, Ordering::SeqCst);
        });
    let mut answers = store.get_many(questions.boxed());
    for _ in 0..3 {
        assert!(answers.next().now_or_never().is_none());
    }
    let ahead = taken.load(Ordering::SeqCst);
    assert!((2..500).contains(&ahead), "{ahead} questions taken");
    store.inner().open();
    let first: Vec<_> = block_on(answers.by_ref().take(2_000).collect());
    assert_eq!(first.len(), 2_000);
    assert!(
        first
            .iter()
            .all(|(_, answer)| matches!(answer, Ok(Some(_))))
    );
}

#[test]
fn hits_are_answered_while_nothing_else_is_asked() {
    let store = CachedBlockstore::new(Gate::default(), CacheOptions::default());
    block_on(store.put(&block(1))).unwrap();
    let (sender, receiver) = futures::channel::mpsc::unbounded();
    let mut answers = store.get_many(receiver.boxed());
    for _ in 0..3 {
        assert!(answers.next().now_or_never().is_none());
        sender.unbounded_send(*block(1).cid()).unwrap();
        let (_, answer) = answers.next().now_or_never().unwrap().unwrap();
        assert_eq!(answer.unwrap(), Some(block(1)));
    }
    drop(sender);
    assert!(answers.next().now_or_never().unwrap().is_none());
}

/// Answers fewer questions than it was asked.
#[derive(Debug, Default)]
struct Forgetful(MemoryBlockstore);

#[async_trait]
impl Blockstore for Forgetful {
    async fn get(&self, cid: &Cid) -> Result<Option<Block>> {
        self.0.get(cid).await
    }
    async fn put(&self, block: &Block) -> Result<()> {
        self.0.put(block).await
    }
    async fn size(&self, cid: &Cid) -> Result<Option<u64>> {
        self.0.size(cid).await
    }
    async fn delete(&self, cid: &Cid) -> Result<()> {
        self.0.delete(cid).await
    }
    fn list(&self, from: Cursor) -> Listing<'_> {
        self.0.list(from)
    }
    fn get_many<'a>(
        &'a self,
        cids: BoxStream<'a, Cid>,
    ) -> BoxStream<'a, (Cid, Result<Option<Block>>)> {
        // All are read, one is answered.
        self.0.get_many(
            cids.collect::<Vec<_>>()
                .map(stream::iter)
                .flatten_stream()
                .take(1)
                .boxed(),
        )
    }
}

#[test]
fn questions_that_the_store_forgets_are_answered_with_an_error() {
    let store = CachedBlockstore::new(Forgetful::default(), CacheOptions::default());
    let cids: Vec<Cid> = (0..3).map(|n| *block(n).cid()).collect();
    let answers: Vec<_> = block_on(store.get_many(stream::iter(cids.clone()).boxed()).collect());
    assert_eq!(
        answers.iter().map(|(cid, _)| *cid).collect::<Vec<_>>(),
        cids
    );
    assert!(matches!(answers[0].1, Ok(None)));
    assert!(matches!(answers[1].1, Err(Error::Protocol(_))));
    assert!(matches!(answers[2].1, Err(Error::Protocol(_))));
}
