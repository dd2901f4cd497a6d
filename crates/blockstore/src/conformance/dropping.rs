//! Futures that are dropped on the way: a caller gave up, a connection went, a task was aborted.
//!
//! A dropped write may still be carried out, also a little later; what is promised is that it is
//! carried out whole or not at all, and that the store works on.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

use futures::stream::{self, StreamExt};

use super::{block, blocks, clear, fill, must};
use crate::{Block, Blockstore, Cid, Cursor};

/// More polls than any single operation needs in practice; beyond it the rest is not tried.
const POLLS: usize = 32;

/// Runs `future` and drops it instead of polling it for the `polls + 1`-th time.
async fn drop_after<F: Future + Send>(polls: usize, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut polled = 0;
    poll_fn(|context| {
        if polled == polls {
            return Poll::Ready(None);
        }
        polled += 1;
        future.as_mut().poll(context).map(Some)
    })
    .await
}

/// A dropped `get`, `size` or `has` leaves the block, and its next reader, alone.
pub async fn dropped_reads(store: &dyn Blockstore) {
    let there = block("dropped_reads", 0);
    let absent = block("dropped_reads", 1);
    must("put", store.put(&there).await);
    for polls in 0..POLLS {
        let first = drop_after(polls, store.get(there.cid())).await;
        drop_after(polls, store.size(there.cid())).await;
        drop_after(polls, store.has(there.cid())).await;
        drop_after(polls, store.get(absent.cid())).await;
        assert_eq!(
            must("get after a dropped get", store.get(there.cid()).await).as_ref(),
            Some(&there)
        );
        assert_eq!(
            must("get after a dropped get", store.get(absent.cid()).await),
            None
        );
        if first.is_some() {
            break;
        }
    }
    must("delete", store.delete(there.cid()).await);
}

/// A dropped listing leaves nothing behind.
pub async fn dropped_listing(store: &dyn Blockstore) {
    let blocks = blocks("dropped_listing", 20);
    fill(store, &blocks).await;
    for polls in 0..POLLS {
        let mut listing = store.list(Cursor::start());
        if drop_after(polls, listing.next()).await.is_some() {
            break;
        }
    }
    assert_eq!(store.list(Cursor::start()).count().await, blocks.len());
    clear(store, &blocks).await;
}

/// After a dropped `delete` the block is there whole, or absent.
pub async fn dropped_deletes(store: &dyn Blockstore) {
    for polls in 0..POLLS {
        let block = Block::raw(vec![u8::try_from(polls).expect("small"); 70_000]);
        must("put", store.put(&block).await);
        let done = drop_after(polls, store.delete(block.cid())).await;
        whole_or_absent(store, &block).await;
        must("delete", store.delete(block.cid()).await);
        if done.is_some() {
            break;
        }
    }
}

/// After a dropped batch each of its blocks is there whole, or absent.
pub async fn dropped_batches(store: &dyn Blockstore) {
    for answered in [0, 1, 5] {
        let blocks = blocks(&format!("dropped_batches {answered}"), 40);
        let mut answers = store.put_many(stream::iter(blocks.clone()).boxed());
        for block in &blocks[..answered] {
            let (cid, answer) = answers.next().await.expect("an answer");
            assert_eq!(&cid, block.cid());
            must("put_many", answer);
        }
        // Some are under way now.
        drop_after(2, answers.next()).await;
        drop(answers);
        for (n, block) in blocks.iter().enumerate() {
            whole_or_absent(store, block).await;
            if n < answered {
                assert!(
                    must("has", store.has(block.cid()).await),
                    "what was answered is there"
                );
            }
        }

        fill(store, &blocks).await;
        let cids: Vec<Cid> = blocks.iter().map(|block| *block.cid()).collect();
        let mut gets = store.get_many(stream::iter(cids.clone()).boxed());
        drop_after(2, gets.next()).await;
        drop(gets);
        let mut deletes = store.delete_many(stream::iter(cids).boxed());
        drop_after(2, deletes.next()).await;
        drop(deletes);
        for block in &blocks {
            whole_or_absent(store, block).await;
        }
        clear(store, &blocks).await;
    }
}

/// After a dropped `put` the block is there whole, or absent, and can be put.
pub async fn dropped_puts(store: &dyn Blockstore) {
    for polls in 0..POLLS {
        let block = Block::raw(vec![u8::try_from(polls).expect("small"); 80_000]);
        let done = drop_after(polls, store.put(&block)).await;
        whole_or_absent(store, &block).await;
        must("put after a dropped put", store.put(&block).await);
        assert_eq!(
            must("get", store.get(block.cid()).await).as_ref(),
            Some(&block)
        );
        must("delete", store.delete(block.cid()).await);
        if done.is_some() {
            break;
        }
    }
}

async fn whole_or_absent(store: &dyn Blockstore, block: &Block) {
    let got = must("get after a dropped write", store.get(block.cid()).await);
    assert!(
        got.is_none_or(|got| &got == block),
        "a dropped write left a part"
    );
}
