//! Probes, remembered.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use cidbucket_blockstore::Result;
use parking_lot::Mutex;

use super::Probe;
use crate::S3Client;

type Slot = Arc<tokio::sync::Mutex<Option<(Instant, Arc<Probe>)>>>;

/// Probes by endpoint, bucket and prefix, kept for a time. However many ask at once, a bucket is
/// probed once. Not kept is a probe that failed, or that could not write: another client of the
/// bucket may have the right to.
pub struct ProbeCache {
    lifetime: Duration,
    slots: Mutex<HashMap<String, Slot>>,
}

impl ProbeCache {
    /// Keeps each probe for `lifetime`. A server's nature changes when it is upgraded, so hours
    /// rather than days.
    pub fn new(lifetime: Duration) -> Self {
        Self {
            lifetime,
            slots: Mutex::default(),
        }
    }

    /// The probe of the client's bucket: the kept one, or a new one.
    ///
    /// # Errors
    /// As [`Probe::run`].
    pub async fn get(&self, client: &S3Client) -> Result<Arc<Probe>> {
        // The bucket as a URL names endpoint and bucket.
        let name = format!(
            "{}{}",
            client.config().bucket,
            client.config().keys.prefix()
        );
        let slot = self.slots.lock().entry(name).or_default().clone();
        let mut slot = slot.lock().await;
        if let Some((at, probe)) = &*slot
            && at.elapsed() < self.lifetime
        {
            return Ok(probe.clone());
        }
        let probe = Arc::new(Probe::run(client).await?);
        *slot = probe.wrote.then(|| (Instant::now(), probe.clone()));
        Ok(probe)
    }
}

/// Keeps probes for six hours.
impl Default for ProbeCache {
    fn default() -> Self {
        Self::new(Duration::from_hours(6))
    }
}

impl fmt::Debug for ProbeCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProbeCache")
            .field("lifetime", &self.lifetime)
            .finish_non_exhaustive()
    }
}
