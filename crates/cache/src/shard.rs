//! What is known and what is under way, kept consistent with one another.
//!
//! The state is cut into shards by the hash of the digest. A shard has two locks: `hot`, which a
//! hit takes and nothing else, and `control`, under which reads and writes begin and end. Whoever
//! needs both takes `control` first. No lock is held over an `await`, a drop of a block or anything
//! of the store underneath.

use std::sync::Arc;
use std::time::Duration;

use cidbucket_blockstore::{Block, Bytes, Cid, Result};
use parking_lot::Mutex;

use crate::hot::Hot;
use crate::key::{Key, Seed};
use crate::presence::{Existence, Presence};
use crate::reads::{Flight, Reads, Writes};
use crate::{CacheOptions, CacheStats, ENTRY_OVERHEAD};

/// Shards at most: enough for the threads of one machine to seldom meet.
const MAX_SHARDS: usize = 16;
/// A shard has room for so many of the largest blocks at least, or there are fewer shards.
const BLOCKS_PER_SHARD: usize = 4;

/// Time since some fixed moment; never runs backwards.
pub(crate) type Clock = Arc<dyn Fn() -> Duration + Send + Sync>;

/// Everything a cache knows.
pub(crate) struct State {
    shards: Box<[Shard]>,
    seed: Seed,
    options: CacheOptions,
    clock: Clock,
}

/// Neighbours in memory are used by different threads: no two share a cache line.
#[repr(align(128))]
struct Shard {
    hot: Mutex<Hot>,
    control: Mutex<Control>,
}

struct Control {
    presence: Presence,
    reads: Reads,
    writes: Writes,
    counters: CacheStats,
}

/// What a reader is to do.
pub(crate) enum Reading<T, N> {
    /// Nothing: this is the answer.
    Known(Option<T>),
    /// The block has to be asked for.
    Unknown(N),
}

impl State {
    pub(crate) fn new(options: CacheOptions, clock: Clock) -> Self {
        let largest = options.max_block.saturating_add(ENTRY_OVERHEAD);
        let mut shards = MAX_SHARDS;
        while shards > 1 && options.capacity / shards < largest.saturating_mul(BLOCKS_PER_SHARD) {
            shards /= 2;
        }
        Self {
            shards: (0..shards)
                .map(|_| Shard {
                    hot: Mutex::new(Hot::new(options.capacity / shards)),
                    control: Mutex::new(Control {
                        presence: Presence::new(
                            options.presence_entries.div_ceil(shards),
                            options.negative_ttl,
                        ),
                        reads: Reads::default(),
                        writes: Writes::default(),
                        counters: CacheStats::default(),
                    }),
                })
                .collect(),
            seed: Seed::random(),
            options,
            clock,
        }
    }

    pub(crate) fn options(&self) -> &CacheOptions {
        &self.options
    }

    pub(crate) fn stats(&self) -> CacheStats {
        let mut stats = CacheStats::default();
        for shard in &self.shards {
            stats += shard.hot.lock().stats();
            stats += shard.control.lock().counters;
        }
        stats
    }

    /// The hot block, under the CID asked for.
    #[inline]
    pub(crate) fn hot(&self, cid: &Cid) -> Option<Block> {
        let hash = self.seed.hash(cid.hash());
        self.shard(hash).hot.lock().get(hash, cid)
    }

    /// The bytes of a hot block.
    #[inline]
    pub(crate) fn hot_data(&self, cid: &Cid) -> Option<Bytes> {
        let hash = self.seed.hash(cid.hash());
        self.shard(hash).hot.lock().data(hash, cid.hash())
    }

    /// Begins to read a block that is not hot (or was not, just before): joins the request under
    /// way, or makes one of the ticket.
    pub(crate) fn join_get(
        self: &Arc<Self>,
        cid: &Cid,
        request: impl FnOnce(Ticket) -> Flight<Block>,
    ) -> Reading<Block, Flight<Block>> {
        let key = self.seed.key(cid.hash());
        let shard = self.shard(key.hash);
        let mut control = shard.control.lock();
        // Under this lock no request ends: if the block is not hot now, then either one is under
        // way or a new one is needed.
        if let Reading::Known(block) = self.known(shard, &mut control, &key, cid) {
            return Reading::Known(block);
        }
        if let Some(flight) = control.reads.get_flight(&key) {
            control.counters.joined += 1;
            return Reading::Unknown(flight);
        }
        control.counters.misses += 1;
        let flight = request(self.ticket(&mut control, key));
        control.reads.set_get_flight(&key, Some(&flight));
        Reading::Unknown(flight)
    }

    /// Begins to read a block as one of a batch, which nobody joins: a batch goes on only as fast
    /// as its caller takes it.
    pub(crate) fn begin_get(self: &Arc<Self>, cid: &Cid) -> Reading<Block, Ticket> {
        let key = self.seed.key(cid.hash());
        let shard = self.shard(key.hash);
        let mut control = shard.control.lock();
        if let Reading::Known(block) = self.known(shard, &mut control, &key, cid) {
            return Reading::Known(block);
        }
        control.counters.misses += 1;
        Reading::Unknown(self.ticket(&mut control, key))
    }

    /// Begins to ask for a size: joins the request under way, or makes one of the ticket.
    pub(crate) fn join_size(
        self: &Arc<Self>,
        cid: &Cid,
        request: impl FnOnce(Ticket) -> Flight<u64>,
    ) -> Reading<u64, Flight<u64>> {
        let key = self.seed.key(cid.hash());
        let shard = self.shard(key.hash);
        let now = (self.clock)();
        let mut control = shard.control.lock();
        let hot = shard.hot.lock().size(key.hash, &key.multihash);
        let known = match hot {
            Some(size) => Some(Existence::Present(size)),
            None => control.presence.get(&key, now),
        };
        if let Some(existence) = known {
            control.counters.presence_hits += 1;
            return Reading::Known(existence.size());
        }
        if let Some(flight) = control.reads.size_flight(&key) {
            control.counters.joined += 1;
            return Reading::Unknown(flight);
        }
        control.counters.presence_misses += 1;
        let flight = request(self.ticket(&mut control, key));
        control.reads.set_size_flight(&key, Some(&flight));
        Reading::Unknown(flight)
    }

    /// Begins to put or delete a block.
    pub(crate) fn begin_write(self: &Arc<Self>, cid: &Cid, is_deletion: bool) -> Write {
        let key = self.seed.key(cid.hash());
        let shard = self.shard(key.hash);
        let mut control = shard.control.lock();
        control.presence.forget(&key);
        control.writes.begin(key, is_deletion);
        let gone = is_deletion.then(|| shard.hot.lock().remove(key.hash));
        drop(control);
        drop(gone);
        Write {
            state: Arc::clone(self),
            key,
            ended: false,
        }
    }

    /// Forgets a block.
    pub(crate) fn invalidate(self: &Arc<Self>, cid: &Cid) {
        drop(self.begin_write(cid, true));
    }

    /// The block, or its absence, where that is known.
    fn known(
        &self,
        shard: &Shard,
        control: &mut Control,
        key: &Key,
        cid: &Cid,
    ) -> Reading<Block, ()> {
        if let Some(block) = shard.hot.lock().get(key.hash, cid) {
            return Reading::Known(Some(block));
        }
        if control.presence.get(key, (self.clock)()) == Some(Existence::Absent) {
            control.counters.presence_hits += 1;
            return Reading::Known(None);
        }
        Reading::Unknown(())
    }

    #[allow(clippy::cast_possible_truncation)] // any bits that the tables inside do not use
    #[inline]
    fn shard(&self, hash: u64) -> &Shard {
        &self.shards[(hash >> 32) as usize & (self.shards.len() - 1)]
    }

    fn ticket(self: &Arc<Self>, control: &mut Control, key: Key) -> Ticket {
        Ticket {
            number: control.reads.begin(key),
            state: Arc::clone(self),
            key,
        }
    }

    /// Whether a block of this size is kept at all.
    fn keeps(&self, size: usize) -> bool {
        size <= self.options.max_block && self.options.capacity > 0
    }
}

/// A read that is under way. Dropped, it is over.
pub(crate) struct Ticket {
    state: Arc<State>,
    key: Key,
    number: u64,
}

impl Ticket {
    /// Takes in what a get brought. The block should be compact.
    // The ticket itself, like every argument, is dropped after the lock.
    pub(crate) fn got(self, answer: &Result<Option<Block>>) {
        let shard = self.state.shard(self.key.hash);
        let now = (self.state.clock)();
        let mut control = shard.control.lock();
        if !control.reads.is_valid(&self.key, self.number) {
            return;
        }
        // What is known from here on is found without joining this request.
        control.reads.set_get_flight(&self.key, None);
        let mut gone = Vec::new();
        match answer {
            Ok(Some(block)) => {
                control
                    .presence
                    .set(self.key, Some(block.len() as u64), now);
                if self.state.keeps(block.len()) {
                    gone = shard.hot.lock().insert(self.key.hash, block.clone());
                }
            }
            Ok(None) => control.presence.set(self.key, None, now),
            Err(_) => {}
        }
        drop(control);
        drop(gone);
    }

    /// Takes in the size that was asked for.
    pub(crate) fn sized(self, answer: &Result<Option<u64>>) {
        let shard = self.state.shard(self.key.hash);
        let now = (self.state.clock)();
        let mut control = shard.control.lock();
        if control.reads.is_valid(&self.key, self.number) {
            control.reads.set_size_flight(&self.key, None);
            if let Ok(size) = answer {
                control.presence.set(self.key, *size, now);
            }
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let shard = self.state.shard(self.key.hash);
        shard.control.lock().reads.end(&self.key, self.number);
    }
}

/// A put or a deletion that is under way. Dropped, it may or may not have been carried out.
pub(crate) struct Write {
    state: Arc<State>,
    key: Key,
    ended: bool,
}

impl Write {
    /// The write was carried out; `put` is the block that was put.
    pub(crate) fn done(mut self, put: Option<&Block>) {
        self.end(put);
    }

    fn end(&mut self, put: Option<&Block>) {
        self.ended = true;
        let shard = self.state.shard(self.key.hash);
        let now = (self.state.clock)();
        let kept = put.filter(|block| {
            self.state.options.keep_written
                && self.state.keeps(block.len())
                && shard
                    .hot
                    .lock()
                    .size(self.key.hash, &self.key.multihash)
                    .is_none()
        });
        let kept = kept.map(|block| block.clone().compact());
        let mut gone = Vec::new();
        let mut control = shard.control.lock();
        control.reads.void(&self.key);
        let clean = control.writes.end(&self.key);
        control.presence.forget(&self.key);
        if clean {
            if let Some(block) = put {
                control
                    .presence
                    .set(self.key, Some(block.len() as u64), now);
            }
            if let Some(block) = kept {
                gone = shard.hot.lock().insert(self.key.hash, block);
            }
        } else {
            gone.extend(shard.hot.lock().remove(self.key.hash));
        }
        drop(control);
        drop(gone);
    }
}

impl Drop for Write {
    fn drop(&mut self) {
        if !self.ended {
            self.end(None);
        }
    }
}
