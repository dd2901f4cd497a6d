//! What the service keeps beside the blocks: leases and quotas.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use cidbucket_access::Capability;
use cidbucket_blockstore::{Error, Result};
use cidbucket_direct::Problem;
use cidbucket_layout::{Keys, Layout, Prefix};
use cidbucket_records::{
    Control, Leases, Ledger, LedgerError, MemoryRecords, Purpose, Quota, Records, Reservation,
    S3Records, Staging, Sweeper, TIDY_EVERY, Window,
};
use cidbucket_s3::S3Client;
use cidbucket_s3::credentials::{Clock, system_clock};
use tokio::time::{MissedTickBehavior, interval};

use crate::builder::Enforced;
use crate::failure;

/// How often what is left over is swept.
const SWEEP_EVERY: Duration = Duration::from_mins(1);

/// Leases, quotas and staged uploads.
pub(crate) struct Books {
    pub(crate) leases: Leases,
    pub(crate) control: Control,
    /// Where blocks are in S3.
    pub(crate) staging: Option<Staging>,
    /// Where bytes can be counted.
    ledger: Option<Ledger>,
    sweeper: Sweeper,
    clock: Clock,
}

impl Books {
    /// The books of a bucket, in it.
    pub(crate) fn of_bucket(client: &S3Client, enforced: Enforced, instance: &str) -> Self {
        let control = Control::new(&client.config().keys);
        let own = client.clone();
        let clock: Clock = Arc::new(move || own.now());
        let records: Arc<dyn Records> =
            Arc::new(S3Records::new(client.clone(), enforced.conditions));
        let staging = Staging::new(client.clone(), control.clone(), enforced.conditional_copy);
        let ledger = Ledger::new(
            Arc::clone(&records),
            control.clone(),
            Arc::clone(&clock),
            instance,
        );
        Self::new(records, control, clock, Some(staging), Some(ledger))
    }

    /// The books of a store that is not in S3: leases in this process's memory, and no quotas.
    pub(crate) fn in_memory() -> Self {
        let root = Prefix::new("").expect("the root is a prefix");
        let control = Control::new(&Keys::new(root, Layout::Kubo));
        let records = Arc::new(MemoryRecords::new());
        Self::new(records, control, system_clock(), None, None)
    }

    fn new(
        records: Arc<dyn Records>,
        control: Control,
        clock: Clock,
        staging: Option<Staging>,
        ledger: Option<Ledger>,
    ) -> Self {
        Self {
            leases: Leases::new(Arc::clone(&records), control.clone(), Arc::clone(&clock)),
            sweeper: Sweeper::new(records, control.clone(), Arc::clone(&clock)),
            control,
            staging,
            ledger,
            clock,
        }
    }

    /// The time, by S3's clock as far as it is known.
    pub(crate) fn now(&self) -> SystemTime {
        (self.clock)()
    }

    /// Reserves bytes of a token's quota; `None` where it has none.
    pub(crate) async fn reserve(
        &self,
        capability: &Capability,
        bytes: u64,
        purpose: Purpose,
    ) -> Result<Option<Reservation>, Reserved> {
        let Some(quota) = &capability.quota else {
            return Ok(None);
        };
        let Some(ledger) = &self.ledger else {
            return Err(Reserved {
                problem: failure::no_quotas(),
                exceeded: false,
            });
        };
        let quota = Quota {
            total: quota.total,
            window: quota.window.map(|window| Window {
                bytes: window.bytes,
                seconds: window.seconds,
            }),
        };
        let reserving = ledger.reserve(&capability.token, &quota, bytes, purpose);
        match reserving.await {
            Ok(reservation) => Ok(Some(reservation)),
            Err(error) => Err(Reserved {
                problem: failure::quota(&error),
                exceeded: matches!(error, LedgerError::Exceeded(_)),
            }),
        }
    }

    /// Keeps the books tidy, for as long as it is polled.
    pub(crate) async fn upkeep(&self) {
        let every = |period| {
            let mut ticks = interval(period);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            ticks
        };
        let tidy = async {
            let Some(ledger) = &self.ledger else {
                return std::future::pending().await;
            };
            let mut ticks = every(TIDY_EVERY);
            loop {
                ticks.tick().await;
                if let Err(error) = ledger.tidy().await {
                    tracing::warn!(%error, "quotas could not be settled; this is tried again");
                }
            }
        };
        let sweep = async {
            let mut ticks = every(SWEEP_EVERY);
            loop {
                ticks.tick().await;
                while self.sweeper.sweep(self.now()).await.more {}
            }
        };
        futures::future::join(tidy, sweep).await;
    }

    /// Hands back what is held of quotas.
    pub(crate) async fn close(&self) -> Result<(), Error> {
        match &self.ledger {
            Some(ledger) => ledger.close().await,
            None => Ok(()),
        }
    }
}

/// Why nothing was reserved.
#[derive(Debug)]
pub(crate) struct Reserved {
    pub(crate) problem: Problem,
    /// It would have been more than the quota.
    pub(crate) exceeded: bool,
}

impl fmt::Debug for Books {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Books")
            .field("leases", &self.leases)
            .field("ledger", &self.ledger)
            .finish_non_exhaustive()
    }
}
