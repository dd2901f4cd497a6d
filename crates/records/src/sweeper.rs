//! Ends leases whose time has passed, gives back what they took, and removes what is left over.
//!
//! Every step can be made twice and by several sweepers at once, and each is safe by the order in
//! which the steps are made:
//!
//! 1. The ending is written before a lease is refunded, and the lease is read after that: one that
//!    was removed meanwhile is not refunded.
//! 2. A refund is noted in the quota with the bytes, by compare-and-swap, and the note is forgotten
//!    only after the lease was removed.
//! 3. A lease is removed only once nothing can bring it back, its refund is noted, and its chunk is no
//!    longer in the quota; its ending after it.
//! 4. A chunk whose owner is gone is charged with the leases that name it, which are all there still.

mod pass;
mod reclaim;
mod refund;

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use cidbucket_blockstore::Result;
use cidbucket_s3::credentials::Clock;
use futures::StreamExt;

use crate::clock::unix;
use crate::control::Control;
use crate::lease::{HEAD, LeaseHead, Outcome};
use crate::lease_id::LeaseId;
use crate::leases::Leases;
use crate::ledger::damaged;
use crate::records::{Records, Tag};

/// How long after its time a lease is let expire, in seconds: clocks differ, and whoever completes it
/// at the last moment may.
const GRACE: u64 = 120;
/// How long after its time nothing can write a lease or its staged blocks any more, in seconds: S3
/// takes requests for 15 minutes after they were signed, and clocks may be as far off.
const SETTLED: u64 = 60 * 60;
/// How long after its time a completed lease is kept, in seconds.
const RETENTION: u64 = 24 * 60 * 60;
/// After so long everything is looked at again, in seconds.
const AFRESH: u64 = 6 * 60 * 60;
/// How many leases are looked at in one sweep, unless set.
const LIMIT: usize = 10_000;
/// How many things are done at once.
const PARALLEL: usize = 16;

/// What a sweep did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Swept {
    /// Leases that were let expire.
    pub expired: u64,
    /// Leases whose bytes were given back.
    pub refunded: u64,
    /// The bytes that were given back.
    pub refunded_bytes: u64,
    /// Chunks that were reclaimed from instances that are gone.
    pub reclaimed: u64,
    /// The bytes of these chunks that were given back.
    pub reclaimed_bytes: u64,
    /// Leases that were removed.
    pub removed: u64,
    /// Staged uploads that were removed.
    pub staged: u64,
    /// Things that failed, and are left for the next sweep.
    pub failed: u64,
    /// Whether there is more to do at once, because the limit of one sweep was reached.
    pub more: bool,
}

/// Sweeps: every minute, say. Any number of sweepers may do so at once.
pub struct Sweeper {
    records: Arc<dyn Records>,
    control: Control,
    leases: Leases,
    limit: usize,
    memory: tokio::sync::Mutex<Memory>,
}

/// What a sweeper knows of its last sweeps. Without it everything is looked at again.
#[derive(Default)]
struct Memory {
    /// When it was empty last.
    since: u64,
    /// Behind which key each pass goes on.
    expire: Option<String>,
    settle: Option<String>,
    retire: Option<String>,
    quotas: Option<String>,
    /// Quotas by key: the tag that was seen, and from when on it may have a dead chunk.
    seen: HashMap<String, (Tag, u64)>,
}

impl Sweeper {
    /// A sweeper of these records.
    pub fn new(records: Arc<dyn Records>, control: Control, clock: Clock) -> Self {
        Self {
            leases: Leases::new(Arc::clone(&records), control.clone(), clock),
            records,
            control,
            limit: LIMIT,
            memory: tokio::sync::Mutex::default(),
        }
    }

    /// Sets how many leases, quotas and staged uploads one sweep looks at, of each: 10,000 unless set.
    #[must_use]
    pub fn with_limit(mut self, limit: usize) -> Self {
        self.limit = limit.max(1);
        self
    }

    /// Sweeps once. What fails is logged, counted, and left for the next time.
    pub async fn sweep(&self, now: SystemTime) -> Swept {
        let now = unix(now);
        let mut memory = self.memory.lock().await;
        if now >= memory.since + AFRESH {
            *memory = Memory {
                since: now,
                ..Memory::default()
            };
        }
        let mut swept = Swept::default();
        let memory = &mut *memory;
        self.pass(&mut memory.expire, GRACE, now, &mut swept).await;
        // Before any lease is removed: it may be part of a chunk.
        self.reclaim(memory, now, &mut swept).await;
        self.pass(&mut memory.settle, SETTLED, now, &mut swept)
            .await;
        self.pass(&mut memory.retire, RETENTION, now, &mut swept)
            .await;
        self.remove_strays(now, &mut swept).await;
        tracing::debug!(?swept, "swept");
        swept
    }

    /// Removes staged uploads of leases that ended, or that are gone.
    async fn remove_strays(&self, now: u64, swept: &mut Swept) {
        let prefix = self.control.stagings();
        let mut after: Option<String> = None;
        let mut looked = 0;
        loop {
            let page = match self.records.list(&prefix, after.as_deref()).await {
                Ok(page) => page,
                Err(error) => return swept.failed(&error),
            };
            // The names sort by the end of the lease.
            let mut keys: Vec<(LeaseId, Vec<String>)> = Vec::new();
            let mut more = page.more;
            for entry in page.entries {
                after = Some(entry.key.clone());
                let Some(id) = self.control.parse_staging(&entry.key) else {
                    continue;
                };
                if id.expires() + SETTLED > now {
                    more = false;
                    break;
                }
                match keys.last_mut() {
                    Some((last, keys)) if *last == id => keys.push(entry.key),
                    _ => keys.push((id, vec![entry.key])),
                }
                looked += 1;
            }
            for (id, keys) in keys {
                match self.is_pending(&id).await {
                    Ok(true) => {}
                    Ok(false) => match self.delete_all(keys).await {
                        Ok(count) => swept.staged += count,
                        Err(error) => swept.failed(&error),
                    },
                    Err(error) => swept.failed(&error),
                }
            }
            if !more {
                return;
            }
            if looked >= self.limit {
                swept.more = true;
                return;
            }
        }
    }

    /// Whether a lease is there that has not ended.
    async fn is_pending(&self, id: &LeaseId) -> Result<bool> {
        Ok(self.leases.ending(id).await?.is_none() && self.exists(id).await?)
    }

    async fn exists(&self, id: &LeaseId) -> Result<bool> {
        let key = self.control.lease(id);
        Ok(self.records.get_start(&key, 1).await?.is_some())
    }

    async fn read_head(&self, id: &LeaseId) -> Result<Option<LeaseHead>> {
        let key = self.control.lease(id);
        let start = self.records.get_start(&key, HEAD).await?;
        start
            .map(|start| LeaseHead::parse(&start, id).ok_or_else(|| damaged(&key)))
            .transpose()
    }

    /// Removes the staged uploads of a lease; how many.
    async fn remove_staged(&self, id: &LeaseId) -> Result<u64> {
        let prefix = format!("{}{id}/", self.control.stagings());
        let mut count = 0;
        let mut after: Option<String> = None;
        loop {
            let page = self.records.list(&prefix, after.as_deref()).await?;
            after = page.entries.last().map(|entry| entry.key.clone());
            let keys = page.entries.into_iter().map(|entry| entry.key).collect();
            count += self.delete_all(keys).await?;
            if !page.more {
                return Ok(count);
            }
        }
    }

    async fn delete_all(&self, keys: Vec<String>) -> Result<u64> {
        let count = keys.len() as u64;
        let mut deletes = futures::stream::iter(keys)
            .map(|key| async move { self.records.delete(&key).await })
            .buffer_unordered(PARALLEL);
        while let Some(deleted) = deletes.next().await {
            deleted?;
        }
        Ok(count)
    }
}

impl Swept {
    fn failed(&mut self, error: &cidbucket_blockstore::Error) {
        tracing::warn!(%error, "a sweep could not do all");
        self.failed += 1;
    }
}

impl fmt::Debug for Sweeper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sweeper")
            .field("records", &self.records)
            .field("limit", &self.limit)
            .finish_non_exhaustive()
    }
}

/// Until when a lease that ended must stay, in seconds since 1970.
fn stays_until(id: &LeaseId, outcome: Outcome) -> u64 {
    id.expires()
        + match outcome {
            Outcome::Complete => RETENTION,
            Outcome::Expired | Outcome::Void => SETTLED,
        }
}
