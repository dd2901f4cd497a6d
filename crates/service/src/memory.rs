//! The memory that requests may use: each takes its share before it uses any.

use std::sync::Arc;
use std::time::Duration;

use cidbucket_direct::{Code, Problem};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

/// Shares are counted in so many bytes.
const UNIT: usize = 1 << 10;

/// What requests may use in all. Whoever asks first is served first.
#[derive(Debug)]
pub(crate) struct Memory {
    units: Arc<Semaphore>,
    total: usize,
    patience: Duration,
}

/// A share of the memory, given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Share(OwnedSemaphorePermit);

impl Memory {
    pub(crate) fn new(bytes: usize, patience: Duration) -> Self {
        let total = bytes.div_ceil(UNIT).clamp(1, u32::MAX as usize);
        Self {
            units: Arc::new(Semaphore::new(total)),
            total,
            patience,
        }
    }

    /// Waits for a share. One that is larger than all there is gets all there is.
    pub(crate) async fn take(&self, bytes: usize) -> Result<Share, Problem> {
        let units = bytes.div_ceil(UNIT).clamp(1, self.total);
        let units = u32::try_from(units).unwrap_or(u32::MAX);
        // Fails while others wait, so nobody is overtaken.
        if let Ok(permit) = Arc::clone(&self.units).try_acquire_many_owned(units) {
            return Ok(Share(permit));
        }
        let taking = Arc::clone(&self.units).acquire_many_owned(units);
        // As a box, since a timer makes whatever holds it large.
        match Box::pin(timeout(self.patience, taking)).await {
            Ok(Ok(permit)) => Ok(Share(permit)),
            _ => Err(
                Problem::new(Code::Unavailable, "the service is busy with other requests").after(1),
            ),
        }
    }

    /// Bytes in use.
    pub(crate) fn used(&self) -> usize {
        (self.total - self.units.available_permits().min(self.total)) * UNIT
    }
}

impl Share {
    /// Gives back all but so many bytes.
    pub(crate) fn shrink(&mut self, bytes: usize) {
        let keep = bytes.div_ceil(UNIT);
        let excess = self.0.num_permits().saturating_sub(keep);
        drop(self.0.split(excess));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn shares_come_back() {
        let memory = Memory::new(8 << 10, Duration::from_secs(1));
        let mut first = memory.take(5 << 10).await.unwrap();
        assert_eq!(memory.used(), 5 << 10);
        let refused = memory.take(4 << 10).await.unwrap_err();
        assert_eq!(
            (refused.code, refused.retry_after),
            (Code::Unavailable, Some(1))
        );
        first.shrink(1);
        assert_eq!(memory.used(), 1 << 10);
        let second = memory.take(4 << 10).await.unwrap();
        drop(first);
        assert_eq!(memory.used(), 4 << 10);
        drop(second);
        assert_eq!(memory.used(), 0);
        // Nobody overtakes who waits for more than there is at present.
        let first = memory.take(5 << 10).await.unwrap();
        let mut second = Box::pin(memory.take(8 << 10));
        assert!(futures::poll!(second.as_mut()).is_pending());
        let mut third = Box::pin(memory.take(1));
        assert!(futures::poll!(third.as_mut()).is_pending());
        drop(first);
        assert!(futures::poll!(third.as_mut()).is_pending());
        drop(second.await.unwrap());
        drop(third.await.unwrap());
        // More than there is gets all of it.
        let all = memory.take(usize::MAX).await.unwrap();
        assert_eq!(memory.used(), 8 << 10);
        drop(all);
    }
}
