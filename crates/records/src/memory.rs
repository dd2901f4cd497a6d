//! Records in memory, for tests of what is built on them.

use std::collections::BTreeMap;
use std::fmt;
use std::time::SystemTime;

use async_trait::async_trait;
use bytes::Bytes;
use cidbucket_blockstore::Result;
use cidbucket_s3::credentials::{Clock, system_clock};
use parking_lot::Mutex;

use crate::records::{Conditions, Entry, Page, Record, Records, Tag};

/// How many records a page of a listing has.
const PAGE: usize = 100;

/// Records in memory. They do what a server does that honours all conditions.
pub struct MemoryRecords {
    clock: Clock,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    objects: BTreeMap<String, Object>,
    writes: u64,
}

struct Object {
    value: Bytes,
    tag: Tag,
    modified: SystemTime,
}

impl MemoryRecords {
    /// No records, written by this machine's clock.
    pub fn new() -> Self {
        Self::with_clock(system_clock())
    }

    /// No records, written by this clock.
    pub fn with_clock(clock: Clock) -> Self {
        Self {
            clock,
            state: Mutex::default(),
        }
    }
}

impl State {
    fn write(&mut self, key: &str, value: Bytes, now: SystemTime) -> Tag {
        self.writes += 1;
        let tag = Tag(format!("\"{}\"", self.writes));
        let object = Object {
            value,
            tag: tag.clone(),
            modified: now,
        };
        self.objects.insert(key.to_owned(), object);
        tag
    }
}

#[async_trait]
impl Records for MemoryRecords {
    fn conditions(&self) -> Conditions {
        Conditions::ALL
    }

    async fn get(&self, key: &str) -> Result<Option<Record>> {
        let state = self.state.lock();
        Ok(state.objects.get(key).map(|object| Record {
            value: object.value.clone(),
            tag: object.tag.clone(),
        }))
    }

    async fn get_start(&self, key: &str, length: usize) -> Result<Option<Bytes>> {
        let found = self.get(key).await?;
        Ok(found.map(|found| found.value.slice(..length.min(found.value.len()))))
    }

    async fn create(&self, key: &str, value: Bytes) -> Result<Option<Tag>> {
        let mut state = self.state.lock();
        if let Some(found) = state.objects.get(key) {
            return Ok((found.value == value).then(|| found.tag.clone()));
        }
        Ok(Some(state.write(key, value, (self.clock)())))
    }

    async fn replace(&self, key: &str, value: Bytes, tag: &Tag) -> Result<Option<Tag>> {
        let mut state = self.state.lock();
        match state.objects.get(key) {
            Some(found) if found.value == value => Ok(Some(found.tag.clone())),
            Some(found) if found.tag == *tag => Ok(Some(state.write(key, value, (self.clock)()))),
            _ => Ok(None),
        }
    }

    async fn put(&self, key: &str, value: Bytes) -> Result<()> {
        self.state.lock().write(key, value, (self.clock)());
        Ok(())
    }

    async fn delete(&self, key: &str) -> Result<()> {
        self.state.lock().objects.remove(key);
        Ok(())
    }

    async fn list(&self, prefix: &str, after: Option<&str>) -> Result<Page> {
        let state = self.state.lock();
        let mut found = state
            .objects
            .range(prefix.to_owned()..)
            .take_while(|(key, _)| key.starts_with(prefix))
            .filter(|(key, _)| after.is_none_or(|after| after < key.as_str()))
            .map(|(key, object)| Entry {
                key: key.clone(),
                size: object.value.len() as u64,
                modified: Some(object.modified),
                tag: Some(object.tag.clone()),
            });
        let entries = found.by_ref().take(PAGE).collect();
        Ok(Page {
            entries,
            more: found.next().is_some(),
        })
    }
}

impl Default for MemoryRecords {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for MemoryRecords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryRecords")
            .field("records", &self.state.lock().objects.len())
            .finish_non_exhaustive()
    }
}
