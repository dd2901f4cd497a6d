//! The reads and writes of one shard that are under way.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use cidbucket_blockstore::{Block, Result};
use futures::future::{BoxFuture, Shared, WeakShared};

use crate::key::{BuildAsIs, Key};

/// A request that any number of callers wait for. Each of them drives it, so it goes on whoever
/// leaves, and none can be held up by another that does not poll; it ends when the last one leaves.
pub(crate) type Flight<T> = Shared<BoxFuture<'static, Result<Option<T>>>>;
type WeakFlight<T> = WeakShared<BoxFuture<'static, Result<Option<T>>>>;

/// Reads under way, by block.
///
/// A read has a ticket; a write, when it ends, makes the tickets of its block void. What a read with a void ticket
/// brings may be older than the write, so it goes to its callers (who asked before the write was
/// done) and not into the cache.
#[derive(Default)]
pub(crate) struct Reads {
    blocks: HashMap<Key, Read, BuildAsIs>,
    last_ticket: u64,
}

struct Read {
    ticket: u64,
    readers: usize,
    get: Option<WeakFlight<Block>>,
    size: Option<WeakFlight<u64>>,
}

impl Reads {
    pub(crate) fn begin(&mut self, key: Key) -> u64 {
        let read = match self.blocks.entry(key) {
            Entry::Occupied(read) => read.into_mut(),
            Entry::Vacant(place) => {
                self.last_ticket += 1;
                place.insert(Read {
                    ticket: self.last_ticket,
                    readers: 0,
                    get: None,
                    size: None,
                })
            }
        };
        read.readers += 1;
        read.ticket
    }

    pub(crate) fn is_valid(&self, key: &Key, ticket: u64) -> bool {
        self.blocks
            .get(key)
            .is_some_and(|read| read.ticket == ticket)
    }

    pub(crate) fn end(&mut self, key: &Key, ticket: u64) {
        if let Some(read) = self.blocks.get_mut(key)
            && read.ticket == ticket
        {
            read.readers -= 1;
            if read.readers == 0 {
                self.blocks.remove(key);
            }
        }
    }

    /// Makes every ticket of the block void; its flights are joined no more.
    pub(crate) fn void(&mut self, key: &Key) {
        self.blocks.remove(key);
    }

    pub(crate) fn get_flight(&self, key: &Key) -> Option<Flight<Block>> {
        self.blocks.get(key)?.get.as_ref()?.upgrade()
    }

    pub(crate) fn size_flight(&self, key: &Key) -> Option<Flight<u64>> {
        self.blocks.get(key)?.size.as_ref()?.upgrade()
    }

    pub(crate) fn set_get_flight(&mut self, key: &Key, flight: Option<&Flight<Block>>) {
        if let Some(read) = self.blocks.get_mut(key) {
            read.get = flight.and_then(Shared::downgrade);
        }
    }

    pub(crate) fn set_size_flight(&mut self, key: &Key, flight: Option<&Flight<u64>>) {
        if let Some(read) = self.blocks.get_mut(key) {
            read.size = flight.and_then(Shared::downgrade);
        }
    }
}

/// Writes under way, by block.
#[derive(Default)]
pub(crate) struct Writes {
    blocks: HashMap<Key, Write, BuildAsIs>,
}

#[derive(Default)]
struct Write {
    active: usize,
    /// Whether one of the writes that overlap is a deletion: then nobody here knows which of them
    /// the store carried out last.
    with_deletion: bool,
}

impl Writes {
    pub(crate) fn begin(&mut self, key: Key, is_deletion: bool) {
        let write = self.blocks.entry(key).or_default();
        write.active += 1;
        write.with_deletion |= is_deletion;
    }

    /// Whether no deletion overlapped with the write that ends.
    pub(crate) fn end(&mut self, key: &Key) -> bool {
        let Some(write) = self.blocks.get_mut(key) else {
            return false;
        };
        write.active -= 1;
        let clean = !write.with_deletion;
        if write.active == 0 {
            self.blocks.remove(key);
        }
        clean
    }
}
