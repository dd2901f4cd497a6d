//! The promises of [`Blockstore`] as checks that every store and layer runs.
//!
//! A check is a plain async function over `&dyn Blockstore`; it panics where a promise is broken,
//! and the message says which. [`all`] runs them all; `docs/semantics.md` names the check that
//! guards each promise. Nothing here needs a runtime or a clock: whatever drives the store under
//! test drives the checks.
//!
//! ```
//! use cidbucket_blockstore::{MemoryBlockstore, conformance};
//!
//! # futures::executor::block_on(async {
//! conformance::all(&MemoryBlockstore::new()).await;
//! conformance::model(&MemoryBlockstore::new(), 1, 500).await;
//! # });
//! ```
//!
//! **The store must be empty**, and nobody else may use it meanwhile: the suite refuses to run
//! otherwise, so it deletes no block that it did not put. It removes what it put; only a `put` whose
//! future was dropped on purpose (the last check) may land late and stay behind. So give [`model`]
//! a store of its own.

// A check that panics is the point of every function here.
#![allow(clippy::missing_panics_doc)]

mod batches;
mod dropping;
mod identity;
mod listing;
mod model;
mod single;

use std::fmt;

use futures::future::BoxFuture;
use futures::stream::{self, StreamExt};

pub use batches::*;
pub use dropping::*;
pub use identity::*;
pub use listing::*;
pub use model::model;
pub use single::*;

use crate::{Block, Blockstore, Cid, Cursor, Result};

/// Runs every check of [`CHECKS`] in order, on an empty store with the default limits.
pub async fn all(store: &dyn Blockstore) {
    require_empty(store).await;
    for check in CHECKS {
        check.run(store).await;
    }
}

/// One check of the suite.
#[derive(Clone, Copy)]
pub struct Check {
    name: &'static str,
    run: for<'a> fn(&'a dyn Blockstore) -> BoxFuture<'a, ()>,
}

impl Check {
    /// The check's name, which is its function's too.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Runs the check; panics where the promise is broken.
    pub async fn run(&self, store: &dyn Blockstore) {
        let naming = NameOnPanic(self.name);
        (self.run)(store).await;
        drop(naming);
    }
}

impl fmt::Debug for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Check").field(&self.name).finish()
    }
}

macro_rules! checks {
    ($($module:ident: $($name:ident),+;)+) => {
        /// Every check. Those that can leave something behind come last.
        pub const CHECKS: &[Check] = &[
            $($(Check { name: stringify!($name), run: |store| Box::pin($module::$name(store)) },)+)+
        ];
    };
}

checks! {
    single: put_then_get, absent_is_no_error, delete_makes_absent, delete_is_idempotent, put_again,
        put_after_delete, zero_length_block, size_and_has_agree, limit_is_enforced, many_at_once,
        same_block_at_once;
    identity: multihash_is_the_identity, requested_cid_is_returned, identity_cids_are_inline,
        every_hash, refused_hashes, truncated_digest_is_a_block_of_its_own;
    batches: put_many_in_order, get_many_in_order, delete_many_in_order, empty_batches,
        failures_stay_with_their_item, batches_answer_as_they_go;
    listing: empty_listing, lists_every_block_once, listing_resumes_at_every_cursor,
        listing_names_blocks_as_raw_v1, foreign_cursors_are_refused, listing_while_blocks_change;
    dropping: dropped_reads, dropped_listing, dropped_deletes, dropped_batches, dropped_puts;
    batches: endless_batches;
}

/// Says which check it was: the panic itself only knows the line.
struct NameOnPanic(&'static str);

impl Drop for NameOnPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("conformance check `{}` found a broken promise", self.0);
        }
    }
}

/// The suite's guard: nothing here may touch blocks of somebody else's.
async fn require_empty(store: &dyn Blockstore) {
    let mut listing = store.list(Cursor::start());
    let first = must("list", listing.next().await.transpose());
    assert!(
        first.is_none(),
        "the conformance suite needs an empty store; {store:?} holds {first:?}"
    );
}

/// The `n`-th block of a check. No two checks share one.
fn block(check: &str, n: usize) -> Block {
    Block::raw(format!("conformance {check} {n}").into_bytes())
}

fn blocks(check: &str, count: usize) -> Vec<Block> {
    (0..count).map(|n| block(check, n)).collect()
}

/// The answer of an operation that has no reason to fail.
#[track_caller]
fn must<T>(what: &str, result: Result<T>) -> T {
    match result {
        Ok(value) => value,
        Err(error) => panic!("{what} must succeed: {error}"),
    }
}

/// Stores blocks that the check needs, many at once.
async fn fill(store: &dyn Blockstore, blocks: &[Block]) {
    let mut answers = store.put_many(stream::iter(blocks.to_vec()).boxed());
    while let Some((cid, answer)) = answers.next().await {
        must(&format!("put {cid}"), answer);
    }
}

/// Removes what the check stored.
async fn clear(store: &dyn Blockstore, blocks: &[Block]) {
    let cids: Vec<Cid> = blocks.iter().map(|block| *block.cid()).collect();
    let mut answers = store.delete_many(stream::iter(cids).boxed());
    while let Some((cid, answer)) = answers.next().await {
        must(&format!("delete {cid}"), answer);
    }
}
