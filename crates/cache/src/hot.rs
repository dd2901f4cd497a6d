//! The hot blocks of one shard: two lists and a memory of what was let go.
//!
//! Plain LRU gives a place in the cache to everything that is read once. Here a new block starts in
//! a small list (5 % of the bytes) and moves to the main list only if it is read again while it is
//! there. A hit just counts (up to 3), it moves nothing; the main list, before it lets a block go,
//! takes one off its count and sends it round again. Blocks let go of unread are remembered by
//! their hash for a while: one that comes back goes to the main list at once. This is S3-FIFO
//! (Yang et al., SOSP 2023); the shares are those that did best on Zipf, scan-mixed and shifting
//! traces.

use std::collections::HashMap;

use cidbucket_blockstore::{Block, Bytes, Cid, Multihash};
use lru::LruCache;

use crate::CacheStats;
use crate::key::BuildAsIs;

/// Bytes a hot block is counted with beside its data: its places in the table (which is half empty
/// at worst) and in the list, and the allocator's share.
pub const ENTRY_OVERHEAD: usize = 448;

/// The small list's share of the bytes is one in so many.
const SMALL_SHARE: usize = 20;
/// Reads that are counted.
const MAX_USES: u8 = 3;

pub(crate) struct Hot {
    // One table without pointers, so that a hit touches few cache lines. Keyed by the hash alone:
    // the block knows its multihash, and two blocks of one hash merely take each other's place.
    entries: HashMap<u64, Entry, BuildAsIs>,
    main: LruCache<u64, (), BuildAsIs>,
    small: LruCache<u64, (), BuildAsIs>,
    ghosts: LruCache<u64, (), BuildAsIs>,
    main_bytes: usize,
    small_bytes: usize,
    capacity: usize,
    counters: CacheStats,
}

struct Entry {
    block: Block,
    uses: u8,
    in_main: bool,
}

impl Hot {
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            entries: HashMap::default(),
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
    #[inline]
    pub(crate) fn get(&mut self, hash: u64, cid: &Cid) -> Option<Block> {
        self.used(hash, |block| block.under(cid))
    }

    /// The block's bytes alone. Counts as a use.
    #[inline]
    pub(crate) fn data(&mut self, hash: u64, multihash: &Multihash) -> Option<Bytes> {
        self.used(hash, |block| {
            (block.multihash() == multihash).then(|| block.data().clone())
        })
    }

    /// What is made of the block with this hash; `None` where it is another one.
    #[inline]
    fn used<T>(&mut self, hash: u64, make: impl FnOnce(&Block) -> Option<T>) -> Option<T> {
        let entry = self.entries.get_mut(&hash)?;
        let made = make(&entry.block)?;
        // Not written without need: a clean cache line is cheaper to share and to give up.
        if entry.uses < MAX_USES {
            entry.uses += 1;
        }
        self.counters.hits += 1;
        self.counters.hit_bytes += entry.block.len() as u64;
        Some(made)
    }

    /// The size of a hot block. No use of it.
    pub(crate) fn size(&self, hash: u64, multihash: &Multihash) -> Option<u64> {
        let block = &self.entries.get(&hash)?.block;
        (block.multihash() == multihash).then(|| block.len() as u64)
    }

    /// Takes a block in. The blocks that made room are given back, to be dropped where no lock is
    /// held.
    pub(crate) fn insert(&mut self, hash: u64, block: Block) -> Vec<Block> {
        let mut gone: Vec<Block> = self.take(hash).into_iter().collect();
        let weight = weight(&block);
        if weight > self.capacity {
            gone.push(block);
            return gone;
        }
        // While there is room for all, nothing has to prove itself.
        let has_room = self.bytes() + weight <= self.capacity;
        let in_main = self.ghosts.pop(&hash).is_some() || has_room;
        while self.bytes() + weight > self.capacity {
            gone.extend(self.make_room());
        }
        if in_main {
            self.main_bytes += weight;
            self.main.push(hash, ());
        } else {
            self.small_bytes += weight;
            self.small.push(hash, ());
        }
        self.counters.insertions += 1;
        let uses = 0;
        self.entries.insert(
            hash,
            Entry {
                block,
                uses,
                in_main,
            },
        );
        gone
    }

    /// Removes a block, as if it had never been there.
    pub(crate) fn remove(&mut self, hash: u64) -> Option<Block> {
        self.ghosts.pop(&hash);
        self.take(hash)
    }

    pub(crate) fn stats(&self) -> CacheStats {
        CacheStats {
            blocks: self.entries.len() as u64,
            bytes: self.bytes() as u64,
            ..self.counters
        }
    }

    fn bytes(&self) -> usize {
        self.main_bytes + self.small_bytes
    }

    fn take(&mut self, hash: u64) -> Option<Block> {
        let entry = self.entries.remove(&hash)?;
        let weight = weight(&entry.block);
        if entry.in_main {
            self.main.pop(&hash);
            self.main_bytes -= weight;
        } else {
            self.small.pop(&hash);
            self.small_bytes -= weight;
        }
        Some(entry.block)
    }

    /// One step towards less: a block let go, moved to the main list, or taken a use off. Called
    /// while there is a block.
    fn make_room(&mut self) -> Option<Block> {
        let from_small = self.small_bytes > self.capacity / SMALL_SHARE || self.main.is_empty();
        let list = if from_small { &self.small } else { &self.main };
        let (&hash, ()) = list.peek_lru()?;
        let entry = self.entries.get_mut(&hash)?;
        if entry.uses > 0 && from_small {
            entry.uses = 0;
            entry.in_main = true;
            let weight = weight(&entry.block);
            self.small_bytes -= weight;
            self.main_bytes += weight;
            self.small.pop(&hash);
            self.main.push(hash, ());
            return None;
        }
        if entry.uses > 0 {
            entry.uses -= 1;
            self.main.promote(&hash);
            return None;
        }
        if from_small {
            self.ghosts.push(hash, ());
            // Few enough to cost little; many enough to recognise what returns soon.
            while self.ghosts.len() > self.entries.len() / 2 + 16 {
                self.ghosts.pop_lru();
            }
        }
        let block = self.take(hash)?;
        self.counters.evictions += 1;
        self.counters.evicted_bytes += block.len() as u64;
        Some(block)
    }
}

fn weight(block: &Block) -> usize {
    block.len() + ENTRY_OVERHEAD
}
