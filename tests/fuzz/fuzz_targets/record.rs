//! Records of the service that lie damaged in the bucket: leases, their endings, quotas.
//!
//! The first byte chooses where the rest of the input lies.
#![no_main]

use std::sync::{Arc, LazyLock};
use std::time::{Duration, SystemTime};

use cidbucket_layout::{Keys, Layout, Prefix};
use cidbucket_records::{
    Control, KeepSet, Leases, Ledger, MemoryRecords, NewLease, Purpose, Quota, Records, Sweeper,
};
use libfuzzer_sys::fuzz_target;
use tokio::runtime::Runtime;

const NOW: u64 = 1_800_000_000;
const HOUR: u64 = 3600;

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime")
});

fuzz_target!(|input: &[u8]| {
    if let Some((&place, bytes)) = input.split_first() {
        RUNTIME.block_on(work(place, bytes));
    }
});

async fn work(place: u8, bytes: &[u8]) {
    let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
    let clock: cidbucket_s3::credentials::Clock = Arc::new(move || at(NOW));
    let records: Arc<dyn Records> = Arc::new(MemoryRecords::with_clock(clock.clone()));
    let control = Control::new(&Keys::new(Prefix::default(), Layout::Kubo));
    let leases = Leases::new(records.clone(), control.clone(), clock.clone());
    let ledger = Ledger::new(records.clone(), control.clone(), clock.clone(), "fuzz");

    let new = NewLease {
        token: "t".into(),
        tenant: None,
        expires: NOW + HOUR,
        keep: KeepSet::default(),
    };
    let id = leases.open(new, None).await.expect("written").id;
    let quota = Quota {
        total: Some(1 << 40),
        window: None,
    };
    let reserved = ledger.reserve("t", &quota, 1, Purpose::Lease).await;
    reserved.expect("there is enough").keep();

    // In the place of one of them, or beside it.
    let lease = format!(".cidbucket/leases/{id}");
    let page = records
        .list(".cidbucket/quotas/", None)
        .await
        .expect("in memory");
    let key = match place % 3 {
        0 => lease,
        1 => format!("{lease}.end"),
        _ => page.entries[0].key.clone(),
    };
    records.delete(&key).await.expect("in memory");
    let value = bytes::Bytes::copy_from_slice(bytes);
    records.create(&key, value).await.expect("in memory");

    // Errors, and no more: what cannot be read is left as it is.
    if let Ok((found, _)) = leases.get(&id, "t", None).await {
        assert_eq!(found.id, id);
        for kept in found.keep.iter().take(1000) {
            let _ = (kept.cid.to_string(), kept.size);
        }
    }
    let _ = leases.head(&id, "t", None).await;
    let _ = ledger.look("t").await;
    let other = Ledger::new(records.clone(), control.clone(), clock.clone(), "other");
    let _ = other.reserve("t", &quota, 1 << 30, Purpose::Proxied).await;
    let _ = other.tidy().await;
    let _ = leases.complete(&id).await;
    let sweeper = Sweeper::new(records, control, clock);
    for later in [2, 30, 100] {
        sweeper.sweep(at(NOW + later * HOUR)).await;
    }
}
