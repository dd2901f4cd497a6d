//! One request for many readers, whoever of them goes away.

use std::sync::Arc;
use std::thread;

use crate::gate::Gate;
use cidbucket_blockstore::{Block, Blockstore, Error};
use cidbucket_cache::{CacheOptions, CachedBlockstore};
use futures::executor::block_on;
use futures::future::join_all;
use futures::{FutureExt, join};

fn gated(block: &Block) -> CachedBlockstore<Gate> {
    let store = CachedBlockstore::new(Gate::default(), CacheOptions::default());
    block_on(store.inner().memory.put(block)).unwrap();
    store.inner().close();
    store
}

#[test]
fn a_thousand_readers_make_one_request() {
    let block = Block::raw(&b"wanted"[..]);
    let store = gated(&block);
    let readers = join_all((0..1000).map(|_| store.get(block.cid())));
    let answers = block_on(async {
        join!(readers, async {
            assert_eq!(store.inner().under_way(), 1);
            store.inner().open();
        })
        .0
    });
    assert_eq!(answers.len(), 1000);
    for answer in answers {
        assert_eq!(answer.unwrap().as_ref(), Some(&block));
    }
    assert_eq!(store.inner().requests(), 1);
    let stats = store.stats();
    assert_eq!((stats.misses, stats.joined, stats.hits), (1, 999, 0));
}

#[test]
fn a_thousand_size_queries_make_one_request() {
    let block = Block::raw(&b"wanted"[..]);
    let store = gated(&block);
    let queries = join_all((0..1000).map(|_| store.has(block.cid())));
    let answers = block_on(async { join!(queries, async { store.inner().open() }).0 });
    assert!(answers.into_iter().all(|answer| answer.unwrap()));
    assert_eq!(store.inner().requests(), 1);
}

#[test]
fn readers_on_many_threads_make_one_request() {
    let block = Block::raw(&b"wanted"[..]);
    let store = Arc::new(gated(&block));
    let readers: Vec<_> = (0..16)
        .map(|_| {
            let (store, block) = (Arc::clone(&store), block.clone());
            thread::spawn(move || {
                let got = block_on(join_all((0..8).map(|_| store.get(block.cid()))));
                assert!(
                    got.iter()
                        .all(|got| got.as_ref().unwrap() == &Some(block.clone()))
                );
            })
        })
        .collect();
    while store.inner().under_way() == 0 {
        thread::yield_now();
    }
    store.inner().open();
    for reader in readers {
        reader.join().unwrap();
    }
    assert_eq!(store.inner().requests(), 1);
}

#[test]
fn the_request_goes_on_when_its_first_reader_leaves() {
    let block = Block::raw(&b"wanted"[..]);
    let store = gated(&block);
    let mut first = store.get(block.cid());
    let mut second = store.get(block.cid());
    assert!((&mut first).now_or_never().is_none());
    assert!((&mut second).now_or_never().is_none());
    drop(first);
    assert_eq!(store.inner().under_way(), 1, "not dropped with its reader");
    store.inner().open();
    assert_eq!(block_on(second).unwrap(), Some(block));
    assert_eq!(store.inner().requests(), 1);
}

#[test]
fn a_reader_that_is_not_polled_holds_nobody_up() {
    let block = Block::raw(&b"wanted"[..]);
    let store = gated(&block);
    let mut first = store.get(block.cid());
    assert!((&mut first).now_or_never().is_none());
    store.inner().open();
    // As a task does that awaits a block while a stream of its own is asking for it.
    assert_eq!(
        block_on(store.get(block.cid())).unwrap(),
        Some(block.clone())
    );
    assert_eq!(block_on(first).unwrap(), Some(block));
    assert_eq!(store.inner().requests(), 1);
}

#[test]
fn the_request_ends_when_its_last_reader_leaves() {
    let block = Block::raw(&b"wanted"[..]);
    let store = gated(&block);
    let mut first = store.get(block.cid());
    let mut second = store.get(block.cid());
    assert!((&mut first).now_or_never().is_none());
    assert!((&mut second).now_or_never().is_none());
    drop((first, second));
    assert_eq!(store.inner().under_way(), 0);
    store.inner().open();
    assert_eq!(block_on(store.get(block.cid())).unwrap(), Some(block));
    assert_eq!(store.inner().requests(), 2);
}

#[test]
fn an_error_goes_to_everybody_and_is_not_kept() {
    let block = Block::raw(&b"wanted"[..]);
    let store = gated(&block);
    store.inner().fail(true);
    let readers = join_all((0..10).map(|_| store.get(block.cid())));
    let answers = block_on(async { join!(readers, async { store.inner().open() }).0 });
    assert!(
        answers
            .iter()
            .all(|got| matches!(got, Err(Error::Throttled(_))))
    );
    assert_eq!(store.inner().requests(), 1);
    store.inner().fail(false);
    assert_eq!(block_on(store.get(block.cid())).unwrap(), Some(block));
}

#[test]
fn a_panic_underneath_hangs_nobody() {
    let block = Block::raw(&b"wanted"[..]);
    let store = gated(&block);
    store.inner().panic(true);
    let readers = join_all((0..10).map(|_| store.get(block.cid())));
    let sizes = join_all((0..10).map(|_| store.size(block.cid())));
    let (gets, sizes, ()) =
        block_on(async { join!(readers, sizes, async { store.inner().open() }) });
    assert!(
        gets.iter()
            .all(|got| matches!(got, Err(Error::Unavailable(_))))
    );
    assert!(
        sizes
            .iter()
            .all(|got| matches!(got, Err(Error::Unavailable(_))))
    );
    store.inner().panic(false);
    assert_eq!(block_on(store.get(block.cid())).unwrap(), Some(block));
}
