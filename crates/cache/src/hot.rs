//! The hot blocks of one shard: two lists and a memory of what was let go.
//!
//! Plain LRU gives a place in the cache to everything that is read once. Here a new block starts in
//! a small list (5 % of the bytes) and moves to the main list only if it is read again while it is
//! there. A hit just counts (up to 3), it moves nothing; the main list, before it lets a block go,
//! takes one off its count and sends it round again. Blocks let go of unread are remembered by
//! their hash for a while: one that comes back goes to the main list at once. This is S3-FIFO
//! (Yang et al., SOSP 2023); the shares are those that did best on Zipf, scan-mixed and shifting
//! traces.

use cidbucket_blockstore::{Block, Cid, Multihash};
use lru::LruCache;

use crate::CacheStats;
use crate::key::BuildAsIs;

/// Bytes a hot block is counted with beside its data: entry, allocations and its share of the
/// tables.
pub const ENTRY_OVERHEAD: usize = 320;

/// The small list's share of the bytes is one in so many.
const SMALL_SHARE: usize = 20;
/// Reads that are counted.
const MAX_USES: u8 = 3;

pub(crate) struct Hot {
    // Keyed by the hash alone: the block knows its multihash, and two blocks of one hash merely
    // take each other's place.
    main: LruCache<u64, Entry, BuildAsIs>,
    small: LruCache<u64, Entry, BuildAsIs>,
    ghosts: LruCache<u64, (), BuildAsIs>,
    main_bytes: usize,
    small_bytes: usize,
    capacity: usize,
    counters: CacheStats,
}

struct Entry {
    block: Block,
    uses: u8,
}

impl Hot {
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            main: LruCache::unbounded_with_hasher(BuildAsIs::default()),
            small: LruCache::unbounded_with_hasher(BuildAsIs::default()),
            ghosts: LruCache::unbounded_with_hasher(BuildAsIs::default()),
            main_bytes: 0,
            small_bytes: 0,
            capacity,
            counters: CacheStats::default(),
        }
    }

    /// The block under the CID asked for. Counts as a use.
    pub(crate) fn get(&mut self, hash: u64, cid: &Cid) -> Option<Block> {
        let entry = match self.main.peek_mut(&hash) {
            Some(entry) => entry,
            None => self.small.peek_mut(&hash)?,
        };
        if entry.block.multihash() != cid.hash() {
            return None;
        }
        entry.uses = (entry.uses + 1).min(MAX_USES);
        self.counters.hits += 1;
        self.counters.hit_bytes += entry.block.len() as u64;
        entry.block.clone().with_cid(cid).ok()
    }

    /// The size of a hot block. No use of it.
    pub(crate) fn size(&self, hash: u64, multihash: &Multihash) -> Option<u64> {
        let entry = match self.main.peek(&hash) {
            Some(entry) => entry,
            None => self.small.peek(&hash)?,
        };
        (entry.block.multihash() == multihash).then(|| entry.block.len() as u64)
    }

    /// Takes a block in. The blocks that made room are given back, to be dropped where no lock is
    /// held.
    pub(crate) fn insert(&mut self, hash: u64, block: Block) -> Vec<Block> {
        let mut gone = Vec::new();
        if let Some(entry) = self.take(hash) {
            gone.push(entry.block);
        }
        let weight = weight(&block);
        if weight > self.capacity {
            gone.push(block);
            return gone;
        }
        let known = self.ghosts.pop(&hash).is_some();
        while self.bytes() + weight > self.capacity {
            gone.extend(self.make_room());
        }
        self.counters.insertions += 1;
        let entry = Entry { block, uses: 0 };
        if known {
            self.main_bytes += weight;
            self.main.push(hash, entry);
        } else {
            self.small_bytes += weight;
            self.small.push(hash, entry);
        }
        gone
    }

    /// Removes a block, as if it had never been there.
    pub(crate) fn remove(&mut self, hash: u64) -> Option<Block> {
        self.ghosts.pop(&hash);
        self.take(hash).map(|entry| entry.block)
    }

    pub(crate) fn stats(&self) -> CacheStats {
        CacheStats {
            blocks: (self.main.len() + self.small.len()) as u64,
            bytes: self.bytes() as u64,
            ..self.counters
        }
    }

    fn bytes(&self) -> usize {
        self.main_bytes + self.small_bytes
    }

    fn take(&mut self, hash: u64) -> Option<Entry> {
        if let Some(entry) = self.main.pop(&hash) {
            self.main_bytes -= weight(&entry.block);
            return Some(entry);
        }
        let entry = self.small.pop(&hash)?;
        self.small_bytes -= weight(&entry.block);
        Some(entry)
    }

    /// One step towards less: a block let go, moved to the main list, or taken a use off. Called
    /// while there is a block.
    fn make_room(&mut self) -> Option<Block> {
        if self.small_bytes > self.capacity / SMALL_SHARE || self.main.is_empty() {
            let (hash, entry) = self.small.pop_lru()?;
            let weight = weight(&entry.block);
            self.small_bytes -= weight;
            if entry.uses > 0 {
                self.main_bytes += weight;
                self.main.push(hash, Entry { uses: 0, ..entry });
                return None;
            }
            self.ghosts.push(hash, ());
            // Few enough to cost little; many enough to recognise what returns soon.
            let blocks = self.main.len() + self.small.len();
            while self.ghosts.len() > blocks / 2 + 16 {
                self.ghosts.pop_lru();
            }
            return Some(self.evicted(entry));
        }
        let (&hash, _) = self.main.peek_lru()?;
        if let Some(entry) = self.main.peek_mut(&hash)
            && entry.uses > 0
        {
            entry.uses -= 1;
            self.main.promote(&hash);
            return None;
        }
        let (_, entry) = self.main.pop_lru()?;
        self.main_bytes -= weight(&entry.block);
        Some(self.evicted(entry))
    }

    fn evicted(&mut self, entry: Entry) -> Block {
        self.counters.evictions += 1;
        self.counters.evicted_bytes += entry.block.len() as u64;
        entry.block
    }
}

fn weight(block: &Block) -> usize {
    block.len() + ENTRY_OVERHEAD
}
