//! What is known of the existence and size of blocks.

use std::num::NonZeroUsize;
use std::time::Duration;

use lru::LruCache;

use crate::key::{BuildAsIs, Key};

/// Existence and sizes of one shard, the latest used.
pub(crate) struct Presence {
    /// With the time when it was learnt.
    known: Option<LruCache<Key, (Existence, Duration), BuildAsIs>>,
    negative_ttl: Duration,
}

/// Whether a block is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Existence {
    /// With this size in bytes.
    Present(u64),
    /// Not there, as of a moment not long ago.
    Absent,
}

impl Existence {
    /// As a store answers.
    pub(crate) fn size(self) -> Option<u64> {
        match self {
            Self::Present(size) => Some(size),
            Self::Absent => None,
        }
    }
}

impl Presence {
    pub(crate) fn new(entries: usize, negative_ttl: Duration) -> Self {
        Self {
            known: NonZeroUsize::new(entries)
                .map(|entries| LruCache::with_hasher(entries, BuildAsIs::default())),
            negative_ttl,
        }
    }

    /// What is known of a block.
    pub(crate) fn get(&mut self, key: &Key, now: Duration) -> Option<Existence> {
        let known = self.known.as_mut()?;
        let (existence, since) = *known.get(key)?;
        if existence == Existence::Absent && now.saturating_sub(since) >= self.negative_ttl {
            known.pop(key);
            return None;
        }
        Some(existence)
    }

    /// Learns what a store answered.
    pub(crate) fn set(&mut self, key: Key, size: Option<u64>, now: Duration) {
        let Some(known) = &mut self.known else { return };
        let existence = size.map_or(Existence::Absent, Existence::Present);
        known.put(key, (existence, now));
    }

    pub(crate) fn forget(&mut self, key: &Key) {
        if let Some(known) = &mut self.known {
            known.pop(key);
        }
    }
}
