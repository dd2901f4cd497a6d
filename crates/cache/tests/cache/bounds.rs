//! What the cache keeps, and how much.

use cidbucket_blockstore::{Block, Blockstore, Bytes, MemoryBlockstore};
use cidbucket_cache::{CacheOptions, CachedBlockstore, ENTRY_OVERHEAD};
use futures::executor::block_on;
use proptest::prelude::*;

fn cache(capacity: usize) -> CachedBlockstore<MemoryBlockstore> {
    let options = CacheOptions {
        capacity,
        max_block: 4_000,
        ..CacheOptions::default()
    };
    CachedBlockstore::new(MemoryBlockstore::new(), options)
}

fn block(n: u64, size: usize) -> Block {
    let mut data = vec![0; size.max(8)];
    data[..8].copy_from_slice(&n.to_le_bytes());
    Block::raw(data)
}

#[test]
fn a_hit_shares_the_bytes_and_has_the_cid_asked_for() {
    let store = cache(1 << 20);
    let block = block(1, 1000);
    block_on(store.inner().put(&block)).unwrap();
    let v0 = cidbucket_blockstore::Cid::new_v0(*block.multihash()).unwrap();
    let first = block_on(store.get(&v0)).unwrap().unwrap();
    let second = block_on(store.get(block.cid())).unwrap().unwrap();
    let third = store.hot(&v0).unwrap();
    assert_eq!(
        (first.cid(), second.cid(), third.cid()),
        (&v0, block.cid(), &v0)
    );
    assert_eq!(store.hot_data(&v0).as_ref(), Some(first.data()));
    assert_eq!(store.hot_data(self::block(2, 1000).cid()), None);
    for hit in [second, third] {
        assert_eq!(hit.data().as_ptr(), first.data().as_ptr());
    }
    let stats = store.stats();
    assert_eq!((stats.hits, stats.misses, stats.hit_bytes), (3, 1, 3000));
    assert_eq!(
        (stats.blocks, stats.bytes),
        (1, 1000 + ENTRY_OVERHEAD as u64)
    );
    assert!((stats.hit_ratio() - 3.0 / 4.0).abs() < 1e-9);
}

#[test]
fn a_block_that_was_put_does_not_keep_the_buffer_it_was_cut_from() {
    let store = cache(1 << 20);
    let buffer = Bytes::from(vec![3; 1 << 20]);
    let block = Block::raw(buffer.slice(5000..6000));
    block_on(store.put(&block)).unwrap();
    let hot = store.hot(block.cid()).unwrap();
    assert_eq!(hot, block);
    let inside = buffer.as_ptr_range();
    assert!(!inside.contains(&hot.data().as_ptr()));
}

#[test]
fn what_is_read_again_stays_while_a_scan_goes_by() {
    // Four times the hot blocks: which shard a block falls into is chance, and none is to overflow.
    let store = cache(400 * (1000 + ENTRY_OVERHEAD));
    let hot: Vec<Block> = (0..100).map(|n| block(n, 1000)).collect();
    for block in &hot {
        block_on(store.inner().put(block)).unwrap();
    }
    for _ in 0..4 {
        for block in &hot {
            block_on(store.get(block.cid())).unwrap();
        }
    }
    for n in 1000..6000 {
        let once = block(n, 1000);
        block_on(store.inner().put(&once)).unwrap();
        block_on(store.get(once.cid())).unwrap();
    }
    let kept = hot
        .iter()
        .filter(|block| store.hot(block.cid()).is_some())
        .count();
    assert!(kept >= 95, "{kept} of 100 are left");
    assert!(store.stats().evictions > 4000);
}

#[test]
fn parts_can_be_switched_off() {
    let block = block(1, 1000);
    for (options, hot) in [
        (CacheOptions::default(), true),
        (
            CacheOptions {
                capacity: 0,
                ..CacheOptions::default()
            },
            false,
        ),
        (
            CacheOptions {
                max_block: 999,
                ..CacheOptions::default()
            },
            false,
        ),
        (
            CacheOptions {
                keep_written: false,
                ..CacheOptions::default()
            },
            false,
        ),
    ] {
        let store = CachedBlockstore::new(MemoryBlockstore::new(), options.clone());
        block_on(store.put(&block)).unwrap();
        assert_eq!(store.hot(block.cid()).is_some(), hot, "{options:?}");
        assert_eq!(block_on(store.size(block.cid())).unwrap(), Some(1000));
        assert_eq!(store.stats().presence_misses, 0, "a put tells the size");
    }
    let options = CacheOptions {
        presence_entries: 0,
        capacity: 0,
        ..CacheOptions::default()
    };
    let store = CachedBlockstore::new(MemoryBlockstore::new(), options);
    block_on(store.put(&block)).unwrap();
    assert!(block_on(store.has(block.cid())).unwrap());
    assert_eq!(store.stats().presence_misses, 1);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_bound_holds_at_every_step(
        capacity in 0_usize..60_000,
        steps in proptest::collection::vec((0_usize..60, 0_usize..5_000, 0_u8..10), 1..400),
    ) {
        let store = cache(capacity);
        let blocks: Vec<Block> = (0_u64..60).zip(steps.iter().cycle()).map(|(n, step)| block(n, step.1)).collect();
        for &(n, _, action) in &steps {
            let block = &blocks[n];
            match action {
                0 => block_on(store.delete(block.cid())).unwrap(),
                1..=4 => block_on(store.put(block)).unwrap(),
                _ => {
                    let truth = block_on(store.inner().get(block.cid())).unwrap();
                    prop_assert_eq!(block_on(store.get(block.cid())).unwrap(), truth);
                }
            }
            prop_assert!(store.stats().bytes <= capacity as u64);
        }
        // The counters agree with what is there.
        let hot: Vec<Block> = blocks.iter().filter_map(|block| store.hot(block.cid())).collect();
        let stats = store.stats();
        prop_assert_eq!(hot.len() as u64, stats.blocks);
        let bytes: usize = hot.iter().map(|block| block.len() + ENTRY_OVERHEAD).sum();
        prop_assert_eq!(bytes as u64, stats.bytes);
        prop_assert!(stats.insertions >= stats.evictions + stats.blocks);
    }
}
