//! A byte-bounded cache of hot blocks over any block store.
//!
//! [`CachedBlockstore`] is a layer: it has the whole contract of the store underneath, and adds
//!
//! - **hot blocks** in memory, within a bound of bytes. A hit clones a `Bytes`, copies nothing and
//!   never waits. Which blocks stay is decided by use, so a scan or a one-off does not push out
//!   what is read again and again;
//! - **one request** for a block that many ask for at once, whoever of them goes away;
//! - **existence and sizes**, also of absent blocks, these for a short while only;
//! - **counters** of it all: [`CacheStats`].
//!
//! What goes through the layer is seen at once: a block that was put is there for the next reader,
//! one that was deleted is not, whatever was under way meanwhile. What others do to the store
//! underneath is seen late: a new block after [`CacheOptions::negative_ttl`], a deletion when the
//! entry is evicted or given to [`CachedBlockstore::invalidate`].
//!
//! The crate's map: `store` (the layer) and `batch` (its batch reads) on top; `shard` keeps what is
//! known and what is under way, consistent with one another; `hot`, `presence` and `reads` are its
//! parts; `key` hashes a digest.

mod batch;
mod hot;
mod key;
mod options;
mod presence;
mod reads;
mod shard;
mod stats;
mod store;

pub use hot::ENTRY_OVERHEAD;
pub use options::CacheOptions;
pub use stats::CacheStats;
pub use store::CachedBlockstore;
