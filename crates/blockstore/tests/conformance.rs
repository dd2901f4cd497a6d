//! Every store and wrapper of this crate keeps the promises.

use std::sync::Arc;

use cidbucket_blockstore::{
    Blockstore, CountingBlockstore, FailingBlockstore, Fault, Limits, MemoryBlockstore, conformance,
};
use futures::executor::block_on;

#[test]
fn memory() {
    block_on(conformance::all(&MemoryBlockstore::new()));
}

#[test]
fn memory_with_small_pages() {
    for blocks in [1, 7] {
        let store = MemoryBlockstore::new().with_page_size(blocks);
        block_on(conformance::all(&store));
    }
}

#[test]
fn memory_with_another_limit() {
    let limits = Limits { max_block: 1000 };
    let store = MemoryBlockstore::new().with_limits(limits);
    block_on(conformance::limit_of(&store, 1000));
}

#[test]
fn a_pointer_to_a_store() {
    let store: Arc<dyn Blockstore> = Arc::new(MemoryBlockstore::new());
    block_on(conformance::all(&store));
    block_on(conformance::model(&store, 1, 200));
}

#[test]
fn counting() {
    let store = CountingBlockstore::new(MemoryBlockstore::new());
    block_on(conformance::all(&store));
    block_on(conformance::model(&store, 2, 200));
    assert_eq!(store.snapshot().in_flight(), 0, "dropped futures included");
}

#[test]
fn failing_with_nothing_scripted() {
    let store = FailingBlockstore::new(MemoryBlockstore::new());
    block_on(conformance::all(&store));
    block_on(conformance::model(&store, 3, 200));
}

#[test]
fn failing_with_delays() {
    let store = FailingBlockstore::new(MemoryBlockstore::new());
    store.fault_when(|call| Fault::Delay(u32::try_from(call.nth % 3).unwrap()));
    block_on(conformance::all(&store));
    block_on(conformance::model(&store, 4, 200));
}

#[test]
fn model() {
    for seed in 0..30 {
        block_on(conformance::model(&MemoryBlockstore::new(), seed, 300));
    }
}

#[test]
#[should_panic(expected = "needs an empty store")]
fn a_store_in_use_is_refused() {
    let store = MemoryBlockstore::new();
    block_on(store.put(&cidbucket_blockstore::Block::raw(&b"mine"[..]))).unwrap();
    block_on(conformance::all(&store));
}
