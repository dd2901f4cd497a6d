//! An instance that stops before it writes a lease, and goes on when its chunk was reclaimed.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use cidbucket_blockstore::{Block, Bytes, Result};
use cidbucket_layout::Keys;
use cidbucket_records::{
    Conditions, Control, KeepSetBuilder, Leases, Ledger, MemoryRecords, NewLease, Page, Purpose,
    Quota, Record, Records, Sweeper, Tag, Way,
};
use tokio::sync::Semaphore;

/// Records whose creations wait until they are let through.
#[derive(Debug)]
struct Stalling {
    records: Arc<MemoryRecords>,
    creations: Semaphore,
}

#[async_trait]
impl Records for Stalling {
    fn conditions(&self) -> Conditions {
        self.records.conditions()
    }

    async fn get(&self, key: &str) -> Result<Option<Record>> {
        self.records.get(key).await
    }

    async fn get_start(&self, key: &str, length: usize) -> Result<Option<Bytes>> {
        self.records.get_start(key, length).await
    }

    async fn create(&self, key: &str, value: Bytes) -> Result<Option<Tag>> {
        self.creations.acquire().await.unwrap().forget();
        self.records.create(key, value).await
    }

    async fn replace(&self, key: &str, value: Bytes, tag: &Tag) -> Result<Option<Tag>> {
        self.records.replace(key, value, tag).await
    }

    async fn put(&self, key: &str, value: Bytes) -> Result<()> {
        self.records.put(key, value).await
    }

    async fn delete(&self, key: &str) -> Result<()> {
        self.records.delete(key).await
    }

    async fn list(&self, prefix: &str, after: Option<&str>) -> Result<Page> {
        self.records.list(prefix, after).await
    }
}

fn new_lease(bytes: u64, expires: u64) -> NewLease {
    let mut keep = KeepSetBuilder::default();
    keep.push(Block::raw("x").cid(), bytes, Way::Direct);
    NewLease {
        token: "alice".into(),
        tenant: None,
        expires,
        keep: keep.finish(),
    }
}

#[tokio::test]
async fn a_lease_that_was_written_too_late_is_not_refunded() {
    let time = Arc::new(AtomicU64::new(1_700_000_000));
    let clock = {
        let time = Arc::clone(&time);
        Arc::new(move || UNIX_EPOCH + Duration::from_secs(time.load(Ordering::Relaxed)))
    };
    let now = || clock() as SystemTime;
    let records = Arc::new(MemoryRecords::with_clock(clock.clone()));
    let control = Control::new(&Keys::new("".parse().unwrap(), "kubo".parse().unwrap()));
    let quota = Quota {
        total: Some(1_000),
        window: None,
    };
    let service = |records: Arc<dyn Records>| {
        (
            Ledger::new(Arc::clone(&records), control.clone(), clock.clone(), "one"),
            Leases::new(records, control.clone(), clock.clone()),
        )
    };
    // One creation for the quota, none for the lease.
    let stalling = Arc::new(Stalling {
        records: Arc::clone(&records),
        creations: Semaphore::new(1),
    });
    let (ledger, leases) = service(Arc::clone(&stalling) as Arc<dyn Records>);
    let reservation = ledger.reserve("alice", &quota, 100, Purpose::Lease).await;
    let expires = time.load(Ordering::Relaxed) + 1_800;
    let new = new_lease(100, expires);
    let opening = tokio::spawn(async move { leases.open(new, Some(reservation.unwrap())).await });
    while records
        .list(".cidbucket/quotas/", None)
        .await
        .unwrap()
        .entries
        .is_empty()
    {
        tokio::task::yield_now().await;
    }

    // An hour later its chunk is reclaimed, and no lease names it.
    time.fetch_add(3_600, Ordering::Relaxed);
    let sweeper = Sweeper::new(records.clone(), control.clone(), clock.clone());
    let swept = sweeper.sweep(now()).await;
    assert_eq!((swept.reclaimed, swept.reclaimed_bytes), (1, 125));
    // Another instance does its work.
    let (other, other_leases) = service(Arc::clone(&records) as Arc<dyn Records>);
    let reservation = other.reserve("alice", &quota, 300, Purpose::Lease).await;
    let expires = time.load(Ordering::Relaxed) + 900;
    let lease = other_leases
        .open(new_lease(300, expires), Some(reservation.unwrap()))
        .await
        .unwrap();
    other_leases.complete(&lease.id).await.unwrap();
    other.close().await.unwrap();
    assert_eq!(other.look("alice").await.unwrap().unwrap().consumed(), 300);

    // Now the first one writes its lease, and stops again before it says that it is void.
    stalling.creations.add_permits(1);
    let prefix = ".cidbucket/leases/";
    while records.list(prefix, None).await.unwrap().entries.len() < 3 {
        tokio::task::yield_now().await;
    }
    let swept = Sweeper::new(records.clone(), control.clone(), clock.clone())
        .sweep(now())
        .await;
    assert_eq!((swept.expired, swept.refunded, swept.failed), (1, 0, 0));
    assert_eq!(other.look("alice").await.unwrap().unwrap().consumed(), 300);
    // It goes on, and finds that nothing is to be given back.
    stalling.creations.add_permits(9);
    opening.await.unwrap().unwrap_err();
    ledger.close().await.unwrap();
    assert_eq!(other.look("alice").await.unwrap().unwrap().consumed(), 300);
}
