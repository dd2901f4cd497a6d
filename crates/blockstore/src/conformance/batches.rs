//! Batches: streams in, streams out.

use std::sync::atomic::{AtomicUsize, Ordering};

use futures::channel::mpsc;
use futures::stream::{self, StreamExt};

use super::{block, blocks, clear, fill, must};
use crate::{Block, Blockstore, Cid, DEFAULT_MAX_BLOCK, Error, Multihash};

/// More than any store works on at once, and not a multiple of it.
const BATCH: usize = 257;

/// `put_many` answers once per block, in order, and the blocks are there.
pub async fn put_many_in_order(store: &dyn Blockstore) {
    let mut blocks = blocks("put_many_in_order", BATCH);
    // Of different sizes, so that they end out of order, and one twice.
    blocks[3] = Block::raw(vec![1; 200_000]);
    blocks.push(blocks[3].clone());
    let mut answers = store.put_many(stream::iter(blocks.clone()).boxed());
    for block in &blocks {
        let (cid, answer) = answers.next().await.expect("one answer per block");
        assert_eq!(&cid, block.cid(), "answers come in the order of the blocks");
        must("put_many", answer);
    }
    assert!(answers.next().await.is_none(), "one answer per block");
    drop(answers);
    for block in &blocks {
        assert_eq!(
            must("get", store.get(block.cid()).await).as_ref(),
            Some(block)
        );
    }
    clear(store, &blocks).await;
}

/// `get_many` answers once per CID, in order; absent blocks are `None` in their place.
pub async fn get_many_in_order(store: &dyn Blockstore) {
    let blocks = blocks("get_many_in_order", BATCH);
    // Every third is absent, and the first is asked for twice.
    let there: Vec<Block> = (blocks.iter().enumerate())
        .filter_map(|(n, block)| (n % 3 != 1).then_some(block.clone()))
        .collect();
    fill(store, &there).await;
    let asked: Vec<&Block> = blocks.iter().chain(blocks.first()).collect();
    let cids: Vec<Cid> = asked.iter().map(|block| *block.cid()).collect();
    let mut answers = store.get_many(stream::iter(cids).boxed());
    for (n, block) in asked.into_iter().enumerate() {
        let (cid, got) = answers.next().await.expect("one answer per CID");
        assert_eq!(&cid, block.cid(), "answers come in the order of the CIDs");
        let expected = (n % 3 != 1 || n == blocks.len()).then_some(block);
        assert_eq!(must("get_many", got).as_ref(), expected);
    }
    assert!(answers.next().await.is_none(), "one answer per CID");
    drop(answers);
    clear(store, &there).await;
}

/// `delete_many` answers once per CID, in order, for absent blocks too.
pub async fn delete_many_in_order(store: &dyn Blockstore) {
    let blocks = blocks("delete_many_in_order", BATCH);
    let kept = block("delete_many_in_order, kept", 0);
    fill(store, &blocks[..BATCH / 2]).await;
    must("put", store.put(&kept).await);
    let cids: Vec<Cid> = (blocks.iter().chain(&blocks[..2]))
        .map(|block| *block.cid())
        .collect();
    let mut answers = store.delete_many(stream::iter(cids.clone()).boxed());
    for expected in &cids {
        let (cid, answer) = answers.next().await.expect("one answer per CID");
        assert_eq!(&cid, expected, "answers come in the order of the CIDs");
        must("delete_many", answer);
    }
    assert!(answers.next().await.is_none(), "one answer per CID");
    drop(answers);
    for block in &blocks {
        assert!(!must("has", store.has(block.cid()).await));
    }
    assert!(
        must("has", store.has(kept.cid()).await),
        "only what was named is deleted"
    );
    must("delete", store.delete(kept.cid()).await);
}

/// A batch of nothing answers nothing, and ends.
pub async fn empty_batches(store: &dyn Blockstore) {
    assert_eq!(store.get_many(stream::empty().boxed()).count().await, 0);
    assert_eq!(store.put_many(stream::empty().boxed()).count().await, 0);
    assert_eq!(store.delete_many(stream::empty().boxed()).count().await, 0);
}

/// One item's failure is that item's answer; the others are carried out.
pub async fn failures_stay_with_their_item(store: &dyn Blockstore) {
    let blocks = blocks("failures_stay_with_their_item", 40);
    let bad = 17;

    let mut written = blocks.clone();
    written[bad] = Block::raw(vec![2; DEFAULT_MAX_BLOCK + 1]);
    let answers: Vec<_> = store
        .put_many(stream::iter(written).boxed())
        .collect()
        .await;
    assert_eq!(answers.len(), blocks.len());
    for (n, (cid, answer)) in answers.into_iter().enumerate() {
        if n == bad {
            assert!(matches!(answer, Err(Error::TooLarge(_))), "{answer:?}");
        } else {
            must(&format!("put_many beside a failure, {cid}"), answer);
        }
    }

    let weak = Multihash::wrap(0x12, &[7; 19]).expect("it fits");
    let mut cids: Vec<Cid> = blocks.iter().map(|block| *block.cid()).collect();
    cids[bad] = Cid::new_v1(0x55, weak);
    let answers: Vec<_> = store
        .get_many(stream::iter(cids.clone()).boxed())
        .collect()
        .await;
    assert_eq!(answers.len(), blocks.len());
    for (n, (cid, answer)) in answers.into_iter().enumerate() {
        assert_eq!(cid, cids[n]);
        if n == bad {
            assert!(matches!(answer, Err(Error::Invalid(_))), "{answer:?}");
        } else {
            let got = must("get_many beside a failure", answer);
            assert_eq!(got.as_ref(), Some(&blocks[n]));
        }
    }

    let answers: Vec<_> = store
        .delete_many(stream::iter(cids.clone()).boxed())
        .collect()
        .await;
    assert_eq!(answers.len(), blocks.len());
    for (n, (cid, answer)) in answers.into_iter().enumerate() {
        assert_eq!(cid, cids[n]);
        if n == bad {
            assert!(matches!(answer, Err(Error::Invalid(_))), "{answer:?}");
        } else {
            must("delete_many beside a failure", answer);
            assert!(!must("has", store.has(&cid).await));
        }
    }
}

/// A batch answers the items it has: it does not wait for more of them to come.
///
/// Each item is only sent once the one before was answered, so a store that gathers items first
/// hangs here.
pub async fn batches_answer_as_they_go(store: &dyn Blockstore) {
    let blocks = blocks("batches_answer_as_they_go", 3);

    let (items, batch) = mpsc::unbounded();
    let mut answers = store.put_many(batch.boxed());
    for block in &blocks {
        items.unbounded_send(block.clone()).expect("still read");
        let (cid, answer) = answers.next().await.expect("an answer");
        assert_eq!(&cid, block.cid());
        must("put_many", answer);
    }
    drop(items);
    assert!(answers.next().await.is_none());
    drop(answers);

    let (items, batch) = mpsc::unbounded();
    let mut answers = store.get_many(batch.boxed());
    for block in &blocks {
        items.unbounded_send(*block.cid()).expect("still read");
        let (_, got) = answers.next().await.expect("an answer");
        assert_eq!(must("get_many", got).as_ref(), Some(block));
    }
    drop(items);
    assert!(answers.next().await.is_none());
    drop(answers);

    let (items, batch) = mpsc::unbounded();
    let mut answers = store.delete_many(batch.boxed());
    for block in &blocks {
        items.unbounded_send(*block.cid()).expect("still read");
        let (_, answer) = answers.next().await.expect("an answer");
        must("delete_many", answer);
    }
    drop(items);
    assert!(answers.next().await.is_none());
}

/// A batch without end is answered as far as it is read, and only a bounded part of it is taken.
pub async fn endless_batches(store: &dyn Blockstore) {
    // Room for a bulk delete of 1000 keys per request, several requests at once.
    const TAKEN: usize = 100_000;
    let block = block("endless_batches", 0);
    let taken = AtomicUsize::new(0);
    let count = || {
        let taken = taken.fetch_add(1, Ordering::Relaxed) + 1;
        assert!(taken <= TAKEN, "a batch is read without bound");
    };

    let endless = stream::repeat_with(|| {
        count();
        block.clone()
    });
    let answers = store.put_many(endless.boxed()).take(50).collect::<Vec<_>>();
    for (_, answer) in answers.await {
        must("put_many", answer);
    }

    taken.store(0, Ordering::Relaxed);
    let endless = stream::repeat_with(|| {
        count();
        *block.cid()
    });
    let answers = store.get_many(endless.boxed()).take(50).collect::<Vec<_>>();
    for (_, got) in answers.await {
        assert_eq!(must("get_many", got).as_ref(), Some(&block));
    }

    // Another block: of the puts, some were dropped under way, and may still be carried out.
    must("delete", store.delete(block.cid()).await);
    let block = self::block("endless_batches", 1);
    must("put", store.put(&block).await);
    taken.store(0, Ordering::Relaxed);
    let endless = stream::repeat_with(|| {
        count();
        *block.cid()
    });
    let answers = store
        .delete_many(endless.boxed())
        .take(50)
        .collect::<Vec<_>>();
    for (_, answer) in answers.await {
        must("delete_many", answer);
    }
    assert!(!must("has", store.has(block.cid()).await));
}
