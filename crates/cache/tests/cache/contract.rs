//! The layer keeps the contract of the store underneath.

use std::sync::Arc;
use std::time::Duration;

use cidbucket_blockstore::{
    Blockstore, CountingBlockstore, FailingBlockstore, Fault, MemoryBlockstore, conformance,
};
use cidbucket_cache::{CacheOptions, CachedBlockstore};
use futures::executor::block_on;

/// Caches of every shape: with room, with next to none, and with parts switched off.
fn shapes() -> Vec<CacheOptions> {
    let roomy = CacheOptions::default();
    vec![
        CacheOptions {
            capacity: 4_000,
            presence_entries: 3,
            ..roomy.clone()
        },
        CacheOptions {
            capacity: 0,
            ..roomy.clone()
        },
        CacheOptions {
            presence_entries: 0,
            keep_written: false,
            ..roomy.clone()
        },
        CacheOptions {
            negative_ttl: Duration::from_hours(1),
            max_block: 20,
            ..roomy.clone()
        },
        roomy,
    ]
}

#[test]
fn conformance_over_memory() {
    for options in shapes() {
        let store = CachedBlockstore::new(MemoryBlockstore::new(), options);
        block_on(conformance::all(&store));
    }
}

#[test]
fn conformance_over_a_store_that_makes_callers_wait() {
    for options in shapes() {
        let slow = FailingBlockstore::new(MemoryBlockstore::new());
        slow.fault_when(|call| Fault::Delay(u32::try_from(call.nth % 4).unwrap()));
        block_on(conformance::all(&CachedBlockstore::new(slow, options)));
    }
}

#[test]
fn it_agrees_with_the_reference_model() {
    for (seed, options) in shapes().into_iter().enumerate() {
        let store = CachedBlockstore::new(MemoryBlockstore::new(), options);
        block_on(conformance::model(&store, seed as u64, 2_000));
    }
}

#[test]
fn a_cache_over_a_cache_over_a_shared_store_is_a_store() {
    let shared: Arc<dyn Blockstore> = Arc::new(CountingBlockstore::new(MemoryBlockstore::new()));
    let inner = CachedBlockstore::new(shared, CacheOptions::default());
    let outer: Box<dyn Blockstore> =
        Box::new(CachedBlockstore::new(inner, CacheOptions::default()));
    block_on(conformance::all(&*outer));
}
