//! Reclaims the chunks of instances that are gone.

use std::collections::HashMap;

use cidbucket_blockstore::{Error, Result};
use futures::{StreamExt, TryStreamExt};

use super::refund::restless;
use super::{Memory, PARALLEL, Sweeper, Swept};
use crate::clock::{random, unix};
use crate::lease::{Charge, Outcome};
use crate::lease_id::LeaseId;
use crate::ledger::damaged;
use crate::quota::{Chunk, ChunkId, QuotaRecord, RECLAIM, SKEW};
use crate::records::Tag;

/// How often a quota that others change too is tried.
const ATTEMPTS: u32 = 20;
/// How many quotas are remembered.
const REMEMBERED: usize = 100_000;

/// A quota with chunks of which their owners did not take care in time.
struct Dead {
    key: String,
    chunks: Vec<Chunk>,
}

impl Sweeper {
    /// Finds such chunks, adds up the leases that name them, and charges that.
    pub(super) async fn reclaim(&self, memory: &mut Memory, now: u64, swept: &mut Swept) {
        let dead = match self.find_dead(memory, now, swept).await {
            Ok(dead) if dead.is_empty() => return,
            Ok(dead) => dead,
            Err(error) => return swept.failed(&error),
        };
        let named = match self.add_up(&dead).await {
            Ok(named) => named,
            Err(error) => return swept.failed(&error),
        };
        for quota in dead {
            match self.charge(&quota, &named).await {
                Ok((chunks, bytes)) => {
                    swept.reclaimed += chunks;
                    swept.reclaimed_bytes += bytes;
                }
                Err(error) => swept.failed(&error),
            }
        }
    }

    /// Looks at the quotas that changed since the last time, and those whose chunks came to their end.
    async fn find_dead(
        &self,
        memory: &mut Memory,
        now: u64,
        swept: &mut Swept,
    ) -> Result<Vec<Dead>> {
        let prefix = self.control.quotas();
        let mut dead = Vec::new();
        let mut looked = 0;
        loop {
            let page = self.records.list(&prefix, memory.quotas.as_deref()).await?;
            let last = page.entries.last().map(|entry| entry.key.clone());
            let mut keys: Vec<(String, Option<Tag>)> = Vec::new();
            for entry in page.entries {
                looked += 1;
                let is_known = memory
                    .seen
                    .get(&entry.key)
                    .is_some_and(|(tag, from)| Some(tag) == entry.tag.as_ref() && now < *from);
                if !is_known {
                    keys.push((entry.key, entry.tag));
                }
            }
            let mut reads = futures::stream::iter(keys)
                .map(|(key, tag)| async move {
                    let found = self.records.get(&key).await;
                    (key, tag, found)
                })
                .buffer_unordered(PARALLEL);
            while let Some((key, tag, found)) = reads.next().await {
                let Some(found) = found? else {
                    continue;
                };
                let Some(record) = QuotaRecord::parse(&found.value) else {
                    swept.failed(&damaged(&key));
                    continue;
                };
                let (chunks, alive): (Vec<Chunk>, Vec<Chunk>) = record
                    .chunks
                    .into_iter()
                    .partition(|chunk| chunk.until + RECLAIM <= now);
                if !chunks.is_empty() {
                    memory.seen.remove(&key);
                    dead.push(Dead { key, chunks });
                } else if let Some(tag) = tag.filter(|tag| *tag == found.tag) {
                    let from = alive.iter().map(|chunk| chunk.until + RECLAIM).min();
                    if memory.seen.len() >= REMEMBERED {
                        memory.seen.clear();
                    }
                    memory.seen.insert(key, (tag, from.unwrap_or(u64::MAX)));
                }
            }
            drop(reads);
            if !page.more {
                memory.quotas = None;
                return Ok(dead);
            }
            memory.quotas = last;
            if looked >= self.limit {
                swept.more = true;
                return Ok(dead);
            }
        }
    }

    /// How many bytes the leases have that name each of these chunks.
    ///
    /// All of them are there: none can be written any more so that it counts, and none is removed
    /// while its chunk is in the quota.
    async fn add_up(&self, dead: &[Dead]) -> Result<HashMap<ChunkId, u64>> {
        let mut named: HashMap<ChunkId, u64> = dead
            .iter()
            .flat_map(|quota| &quota.chunks)
            .filter(|chunk| !chunk.proxied)
            .map(|chunk| (chunk.id, 0))
            .collect();
        let chunks = || dead.iter().flat_map(|quota| &quota.chunks);
        let first = chunks().map(|chunk| chunk.taken).min().unwrap_or(0);
        let last = chunks().map(|chunk| chunk.until).max().unwrap_or(0);
        if named.is_empty() {
            return Ok(named);
        }
        // A lease ends after it was opened, which was after its chunk was taken.
        let prefix = self.control.leases();
        let mut after = format!("{prefix}{}", LeaseId::first(first.saturating_sub(2 * SKEW)));
        let written = first.saturating_sub(2 * SKEW)..=last + SKEW;
        loop {
            let page = self.records.list(&prefix, Some(&after)).await?;
            let leases: Vec<(LeaseId, Option<u64>)> = page
                .entries
                .iter()
                .filter_map(|entry| {
                    let (id, is_end) = self.control.parse_lease(&entry.key)?;
                    let modified = entry.modified.map(unix);
                    let fits = modified.is_none_or(|modified| written.contains(&modified));
                    (!is_end && fits).then_some((id, modified))
                })
                .collect();
            let wanted = &named;
            let charges: Vec<Option<Charge>> = futures::stream::iter(leases)
                .map(|(id, modified)| async move {
                    let head = self.read_head(&id).await?;
                    let Some(charge) = head.and_then(|head| head.charge) else {
                        return Ok(None);
                    };
                    let counts = wanted.contains_key(&charge.chunk)
                        && !modified.is_some_and(|modified| charge.is_void(modified))
                        && self.leases.ending(&id).await? != Some(Outcome::Void);
                    Ok::<_, Error>(counts.then_some(charge))
                })
                .buffer_unordered(PARALLEL)
                .try_collect()
                .await?;
            for charge in charges.into_iter().flatten() {
                if let Some(sum) = named.get_mut(&charge.chunk) {
                    *sum = sum.saturating_add(charge.bytes);
                }
            }
            match page.entries.last() {
                Some(entry) if page.more => after.clone_from(&entry.key),
                _ => return Ok(named),
            }
        }
    }

    /// Ends the chunks that are still there; how many, and how many bytes were given back.
    async fn charge(&self, dead: &Dead, named: &HashMap<ChunkId, u64>) -> Result<(u64, u64)> {
        for _ in 0..ATTEMPTS {
            let Some(found) = self.records.get(&dead.key).await? else {
                return Ok((0, 0));
            };
            let mut record = QuotaRecord::parse(&found.value).ok_or_else(|| damaged(&dead.key))?;
            let (consumed, held) = (record.consumed(), record.chunks.len());
            for chunk in &dead.chunks {
                // What passed through the service left no lease: all of it may have been used.
                let spent = named.get(&chunk.id).copied().unwrap_or(u64::MAX);
                record.fold(chunk.id, spent);
            }
            let chunks = (held - record.chunks.len()) as u64;
            if chunks == 0 {
                return Ok((0, 0));
            }
            let bytes = consumed.saturating_sub(record.consumed());
            let value = record.encode(random()?);
            if self
                .records
                .replace(&dead.key, value, &found.tag)
                .await?
                .is_some()
            {
                return Ok((chunks, bytes));
            }
        }
        Err(restless(&dead.key))
    }
}
