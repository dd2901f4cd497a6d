//! What a cache may use.

use std::time::Duration;

use cidbucket_blockstore::DEFAULT_MAX_BLOCK;

/// What a [`CachedBlockstore`](crate::CachedBlockstore) may use, and what it keeps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheOptions {
    /// Bound on the memory of hot blocks in bytes, counting
    /// [`ENTRY_OVERHEAD`](crate::ENTRY_OVERHEAD) for each beside its data; 0 keeps none.
    /// By default 256 MiB.
    pub capacity: usize,
    /// Larger blocks, in bytes, are not kept. By default 2 MiB, the default block limit.
    pub max_block: usize,
    /// Number of blocks of which existence and size are remembered; 0 remembers none.
    /// By default 65,536, as in Kubo; each takes about 250 bytes.
    pub presence_entries: usize,
    /// How long an absent block is taken to be absent. A block that somebody else puts into the
    /// store underneath (through a signed URL, say) may stay unseen for so long. By default 1 s.
    pub negative_ttl: Duration,
    /// Whether a block that was put is kept as if it had been read. It costs a copy of the block,
    /// since the caller's buffer may be a slice of a larger one. By default true.
    pub keep_written: bool,
}

impl Default for CacheOptions {
    fn default() -> Self {
        Self {
            capacity: 256 << 20,
            max_block: DEFAULT_MAX_BLOCK,
            presence_entries: 1 << 16,
            negative_ttl: Duration::from_secs(1),
            keep_written: true,
        }
    }
}
