//! The contract of cidbucket: what a block is, and what a block store promises.
//!
//! Everything else in the workspace stands on this crate. Read it in this order:
//!
//! - [`Block`]: bytes with the CID they were *checked* against. A `Block` in your hand is the proof
//!   that the check was done, so no layer below hashes again.
//! - [`codec`]: the codecs a CID may have.
//! - [`Hash`](enum@Hash): the hash functions a CID may use (Kubo's allow-list).
//! - [`Blockstore`]: the trait: get, put, size, delete, list, and their batch forms.
//! - [`Listing`]: a listing that reports errors, counts foreign keys and can be resumed.
//! - [`Error`]: what can go wrong, by meaning.
//!
//! And, to store blocks or to test what does:
//!
//! - [`MemoryBlockstore`]: a store in memory.
//! - `FolderBlockstore` (feature `folder`, on by default): a store in a folder, which opens Kubo's.
//! - [`CountingBlockstore`] and [`FailingBlockstore`]: layers that count, and that fail as scripted.
//! - `conformance` (feature `conformance`): every promise as a check, for any store.
//!
//! The promises behind these types are written down in `docs/semantics.md`.

mod block;
pub mod codec;
#[cfg(feature = "conformance")]
pub mod conformance;
mod counting;
mod error;
mod failing;
#[cfg(feature = "folder")]
mod folder;
mod hash;
mod listing;
mod memory;
mod operation;
mod store;

pub use block::{Block, DEFAULT_MAX_BLOCK, Limits, raw_cid};
pub use bytes::Bytes;
pub use cid::Cid;
pub use codec::{CODECS, codec_code, codec_name};
pub use counting::{CountingBlockstore, Counts, Tally};
pub use error::{Error, Report, Result};
pub use failing::{Call, FailingBlockstore, Fault};
#[cfg(feature = "folder")]
pub use folder::{FolderBlockstore, Sharding};
pub use futures::stream::BoxStream;
pub use hash::Hash;
pub use listing::{Cursor, Listed, Listing, Page};
pub use memory::MemoryBlockstore;
pub use operation::Operation;
pub use store::{Blockstore, DEFAULT_CONCURRENCY};

/// A multihash of up to 64 digest bytes: the identity of a block.
pub type Multihash = multihash::Multihash<64>;
