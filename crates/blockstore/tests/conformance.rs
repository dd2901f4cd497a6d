//! Every store and wrapper of this crate keeps the promises.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use cidbucket_blockstore::{
    Blockstore, CountingBlockstore, Error, FailingBlockstore, Fault, Limits, MemoryBlockstore,
    Operation, Report, conformance,
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
    for seed in 0..10 {
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

/// A suite that cannot fail proves nothing.
#[test]
fn broken_stores_are_found_out() {
    for operation in Operation::ALL {
        for fault in [
            Fault::Absent,
            Fault::Fail(lost()),
            Fault::LoseAnswer(lost()),
        ] {
            let store = FailingBlockstore::new(MemoryBlockstore::new());
            // Late enough that it is a check that finds it, not the suite's own preparation.
            let (at, broken) = (operation, fault.clone());
            store.fault_when(move |call| match call {
                call if call.operation == at && call.nth > 10 => broken.clone(),
                _ => Fault::None,
            });
            let run = AssertUnwindSafe(|| block_on(conformance::all(&store)));
            assert!(catch_unwind(run).is_err(), "{operation:?} with {fault:?}");
        }
    }
}

fn lost() -> Error {
    Error::Unavailable(Report::new("test", "lost").into())
}

#[test]
fn every_check_is_named_where_the_promises_are_written_down() {
    let promises = include_str!("../../../docs/semantics.md");
    for check in conformance::CHECKS {
        let name = format!("`{}`", check.name());
        assert!(promises.contains(&name), "docs/semantics.md lacks {name}");
    }
}
