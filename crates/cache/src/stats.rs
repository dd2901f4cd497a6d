//! What a cache has done so far.

use std::ops::AddAssign;

/// Counters of a [`CachedBlockstore`](crate::CachedBlockstore) since it was made, and its present
/// size. A snapshot: shards are read one after the other.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CacheStats {
    /// Reads answered with a hot block.
    pub hits: u64,
    /// Bytes of those blocks.
    pub hit_bytes: u64,
    /// Reads that went to the store underneath.
    pub misses: u64,
    /// Reads and size queries that joined one under way instead.
    pub joined: u64,
    /// Reads and size queries answered from what is known of existence and size.
    pub presence_hits: u64,
    /// Size queries that went to the store underneath.
    pub presence_misses: u64,
    /// Blocks taken in.
    pub insertions: u64,
    /// Blocks pushed out by others.
    pub evictions: u64,
    /// Bytes of the blocks pushed out.
    pub evicted_bytes: u64,
    /// Hot blocks now.
    pub blocks: u64,
    /// Bytes they are counted with now, overhead included; never above the capacity.
    pub bytes: u64,
}

impl CacheStats {
    /// Share of reads answered with a hot block; 0 before the first.
    pub fn hit_ratio(&self) -> f64 {
        let reads = self.hits + self.misses;
        if reads == 0 {
            return 0.0;
        }
        #[allow(clippy::cast_precision_loss)] // a ratio for people
        {
            self.hits as f64 / reads as f64
        }
    }
}

impl AddAssign for CacheStats {
    fn add_assign(&mut self, other: Self) {
        self.hits += other.hits;
        self.hit_bytes += other.hit_bytes;
        self.misses += other.misses;
        self.joined += other.joined;
        self.presence_hits += other.presence_hits;
        self.presence_misses += other.presence_misses;
        self.insertions += other.insertions;
        self.evictions += other.evictions;
        self.evicted_bytes += other.evicted_bytes;
        self.blocks += other.blocks;
        self.bytes += other.bytes;
    }
}
