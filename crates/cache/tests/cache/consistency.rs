//! What goes through the cache is seen at once, whatever else is under way.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use crate::gate::Gate;
use cidbucket_blockstore::{Block, Blockstore, Error};
use cidbucket_cache::{CacheOptions, CachedBlockstore};
use futures::FutureExt;
use futures::executor::block_on;
use futures::stream::{self, StreamExt};

/// Negative answers live for an hour of a clock that only the test moves.
fn clocked() -> (CachedBlockstore<Gate>, Arc<AtomicU64>) {
    let seconds = Arc::new(AtomicU64::new(0));
    let clock = Arc::clone(&seconds);
    let options = CacheOptions {
        negative_ttl: Duration::from_hours(1),
        ..CacheOptions::default()
    };
    let store = CachedBlockstore::with_clock(Gate::default(), options, move || {
        Duration::from_secs(clock.load(Ordering::SeqCst))
    });
    (store, seconds)
}

fn block(n: u8) -> Block {
    Block::raw(vec![n; 100])
}

#[test]
fn absence_is_remembered_for_a_while() {
    let (store, seconds) = clocked();
    let block = block(1);
    for _ in 0..3 {
        assert_eq!(block_on(store.get(block.cid())).unwrap(), None);
        assert_eq!(block_on(store.size(block.cid())).unwrap(), None);
        assert!(!block_on(store.has(block.cid())).unwrap());
    }
    assert_eq!(store.inner().requests(), 1);
    // Somebody else puts it.
    block_on(store.inner().memory.put(&block)).unwrap();
    seconds.store(3599, Ordering::SeqCst);
    assert_eq!(block_on(store.get(block.cid())).unwrap(), None);
    seconds.store(3600, Ordering::SeqCst);
    assert_eq!(block_on(store.get(block.cid())).unwrap(), Some(block));
    assert_eq!(store.inner().requests(), 2);
}

#[test]
fn a_clock_that_stands_still_or_jumps_back_does_no_harm() {
    let (store, seconds) = clocked();
    seconds.store(1_000_000, Ordering::SeqCst);
    assert!(!block_on(store.has(block(1).cid())).unwrap());
    seconds.store(0, Ordering::SeqCst);
    assert!(!block_on(store.has(block(1).cid())).unwrap());
    assert_eq!(store.inner().requests(), 1);
}

#[test]
fn invalidating_makes_the_next_read_ask() {
    let (store, _) = clocked();
    let block = block(1);
    assert_eq!(block_on(store.get(block.cid())).unwrap(), None);
    block_on(store.inner().memory.put(&block)).unwrap();
    store.invalidate(block.cid());
    assert_eq!(
        block_on(store.get(block.cid())).unwrap(),
        Some(block.clone())
    );
    block_on(store.inner().memory.delete(block.cid())).unwrap();
    store.invalidate(block.cid());
    assert_eq!(block_on(store.get(block.cid())).unwrap(), None);
}

#[test]
fn a_put_is_seen_after_a_remembered_absence() {
    let (store, _) = clocked();
    let (one, two) = (block(1), block(2));
    for block in [&one, &two] {
        assert_eq!(block_on(store.get(block.cid())).unwrap(), None);
        assert!(!block_on(store.has(block.cid())).unwrap());
    }
    block_on(store.put(&one)).unwrap();
    let batch = stream::iter([two.clone()]).boxed();
    block_on(store.put_many(batch).collect::<Vec<_>>());
    for block in [one, two] {
        assert!(block_on(store.has(block.cid())).unwrap());
        assert_eq!(block_on(store.get(block.cid())).unwrap(), Some(block));
    }
}

#[test]
fn a_read_that_began_before_a_put_leaves_no_stale_absence() {
    for by_size in [false, true] {
        let (store, _) = clocked();
        let block = block(1);
        store.inner().close();
        // The store underneath has already answered "absent"; the answer is on its way.
        let mut get = store.get(block.cid());
        let mut size = store.size(block.cid());
        if by_size {
            assert!((&mut size).now_or_never().is_none());
        } else {
            assert!((&mut get).now_or_never().is_none());
        }
        let mut put = store.put(&block);
        assert!((&mut put).now_or_never().is_none());
        store.inner().open();
        block_on(put).unwrap();
        // The late answer arrives after the put was acknowledged.
        if by_size {
            assert_eq!(block_on(size).unwrap(), None);
        } else {
            assert_eq!(block_on(get).unwrap(), None);
        }
        assert!(
            block_on(store.has(block.cid())).unwrap(),
            "by size: {by_size}"
        );
        let now = block_on(store.get(block.cid())).unwrap();
        assert_eq!(now.as_ref(), Some(&block));
    }
}

#[test]
fn a_read_that_began_before_a_deletion_brings_nothing_back() {
    let (store, _) = clocked();
    let block = block(1);
    block_on(store.inner().memory.put(&block)).unwrap();
    store.inner().close();
    let mut get = store.get(block.cid());
    let mut size = store.size(block.cid());
    assert!((&mut get).now_or_never().is_none());
    assert!((&mut size).now_or_never().is_none());
    let mut delete = store.delete(block.cid());
    assert!((&mut delete).now_or_never().is_none());
    store.inner().open();
    block_on(delete).unwrap();
    assert_eq!(
        block_on(get).unwrap(),
        Some(block.clone()),
        "asked before the deletion"
    );
    assert_eq!(block_on(size).unwrap(), Some(100));
    assert_eq!(store.hot(block.cid()), None);
    assert_eq!(block_on(store.get(block.cid())).unwrap(), None);
    assert_eq!(block_on(store.size(block.cid())).unwrap(), None);
}

#[test]
fn a_read_during_a_deletion_brings_nothing_back() {
    for read_ends_first in [true, false] {
        let (store, _) = clocked();
        let block = block(1);
        block_on(store.put(&block)).unwrap();
        store.inner().close();
        // The read is answered while the deletion is under way but not carried out.
        let mut delete = store.delete(block.cid());
        assert!((&mut delete).now_or_never().is_none());
        block_on(store.inner().memory.put(&block)).unwrap();
        let mut get = store.get(block.cid());
        assert!((&mut get).now_or_never().is_none());
        block_on(store.inner().memory.delete(block.cid())).unwrap();
        store.inner().open();
        if read_ends_first {
            assert_eq!(block_on(get).unwrap().as_ref(), Some(&block));
            block_on(delete).unwrap();
        } else {
            block_on(delete).unwrap();
            assert_eq!(block_on(get).unwrap().as_ref(), Some(&block));
        }
        assert_eq!(block_on(store.get(block.cid())).unwrap(), None);
    }
}

#[test]
fn overlapping_writes_leave_the_last_word_to_the_store() {
    for put_ends_last in [false, true] {
        for deleted_last in [false, true] {
            let (store, _) = clocked();
            let block = block(1);
            store.inner().close();
            let mut put = store.put(&block);
            let mut delete = store.delete(block.cid());
            if deleted_last {
                assert!((&mut put).now_or_never().is_none());
                assert!((&mut delete).now_or_never().is_none());
            } else {
                assert!((&mut delete).now_or_never().is_none());
                assert!((&mut put).now_or_never().is_none());
            }
            store.inner().open();
            if put_ends_last {
                block_on(delete).unwrap();
                block_on(put).unwrap();
            } else {
                block_on(put).unwrap();
                block_on(delete).unwrap();
            }
            let expected = (!deleted_last).then_some(block.clone());
            assert_eq!(block_on(store.get(block.cid())).unwrap(), expected);
            assert_eq!(
                block_on(store.has(block.cid())).unwrap(),
                expected.is_some()
            );
        }
    }
}

#[test]
fn writes_that_were_dropped_or_failed_leave_nothing_believed() {
    let (store, _) = clocked();
    let block = block(1);
    assert_eq!(block_on(store.get(block.cid())).unwrap(), None);
    store.inner().close();
    let mut put = store.put(&block);
    assert!((&mut put).now_or_never().is_none());
    drop(put);
    store.inner().open();
    // The dropped put was carried out.
    assert_eq!(
        block_on(store.get(block.cid())).unwrap(),
        Some(block.clone())
    );

    store.inner().fail(true);
    assert!(matches!(
        block_on(store.delete(block.cid())),
        Err(Error::Throttled(_))
    ));
    store.inner().fail(false);
    // So was the deletion that failed.
    assert_eq!(block_on(store.get(block.cid())).unwrap(), None);

    store.inner().fail(true);
    let batch = stream::iter([block.clone()]).boxed();
    let results: Vec<_> = block_on(store.put_many(batch).collect());
    assert!(matches!(results[0].1, Err(Error::Throttled(_))));
    store.inner().fail(false);
    assert_eq!(
        block_on(store.get(block.cid())).unwrap(),
        Some(block.clone())
    );

    store.inner().fail(true);
    let batch = stream::iter([*block.cid()]).boxed();
    let results: Vec<_> = block_on(store.delete_many(batch).collect());
    assert!(matches!(results[0].1, Err(Error::Throttled(_))));
    store.inner().fail(false);
    assert_eq!(block_on(store.get(block.cid())).unwrap(), None);
}

#[test]
fn a_batch_read_that_began_before_a_put_leaves_no_stale_absence() {
    let (store, _) = clocked();
    let block = block(1);
    store.inner().close();
    let mut reads = store.get_many(stream::iter([*block.cid()]).boxed());
    assert!(reads.next().now_or_never().is_none());
    store.inner().open();
    block_on(store.put(&block)).unwrap();
    assert_eq!(block_on(reads.next()).unwrap().1.unwrap(), None);
    assert_eq!(block_on(store.get(block.cid())).unwrap(), Some(block));
}

#[test]
fn threads_that_write_and_read_the_same_blocks_leave_the_truth() {
    let (store, _) = clocked();
    let store = Arc::new(store);
    let blocks: Vec<Block> = (0..4).map(block).collect();
    for round in 0..20_u64 {
        let threads: Vec<_> = (0..4_u64)
            .map(|thread| {
                let (store, blocks) = (Arc::clone(&store), blocks.clone());
                thread::spawn(move || {
                    let mut state = round * 4 + thread + 1;
                    for _ in 0..200 {
                        state = state
                            .wrapping_mul(6_364_136_223_846_793_005)
                            .wrapping_add(1);
                        let block = &blocks[(state >> 40) as usize % blocks.len()];
                        block_on(async {
                            match state >> 60 {
                                0..=3 => store.put(block).await.unwrap(),
                                4..=6 => store.delete(block.cid()).await.unwrap(),
                                7..=11 => {
                                    if let Some(got) = store.get(block.cid()).await.unwrap() {
                                        assert_eq!(&got, block);
                                    }
                                }
                                _ => drop(store.has(block.cid()).await.unwrap()),
                            }
                        });
                    }
                })
            })
            .collect();
        for thread in threads {
            thread.join().unwrap();
        }
        for block in &blocks {
            let truth = block_on(store.inner().memory.get(block.cid())).unwrap();
            assert_eq!(block_on(store.has(block.cid())).unwrap(), truth.is_some());
            assert_eq!(block_on(store.get(block.cid())).unwrap(), truth);
        }
    }
}
