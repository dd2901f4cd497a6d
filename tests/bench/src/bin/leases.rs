//! What a lease costs for each of its blocks: the row, the record's bytes, and their SHA-256, which is
//! signed. It is on the way of every write grant.
//!
//! `cargo run --release --bin leases` in `tests/bench`.

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use cidbucket_blockstore::{Block, Cid};
use cidbucket_layout::{Keys, Layout, Prefix};
use cidbucket_records::{
    Control, KeepSet, KeepSetBuilder, Leases, MemoryRecords, NewLease, Records, Way,
};
use sha2::{Digest, Sha256};

const ROUNDS: usize = 50;

fn main() {
    println!("ns per block       rows   sha256   open (all but S3)   read");
    for blocks in [100_usize, 1_000, 65_536] {
        let cids: Vec<Cid> = (0..blocks)
            .map(|n| *Block::raw(n.to_be_bytes().to_vec()).cid())
            .collect();
        let keep = keep(&cids);
        let bytes = vec![7; blocks * 40];
        let rows = best(blocks, || _ = black_box(self::keep(&cids)));
        let hash = best(blocks, || _ = black_box(Sha256::digest(&bytes)));
        let read = best(blocks, || {
            for kept in keep.iter() {
                black_box(kept);
            }
        });
        let open = best(blocks, || open(&cids));
        println!("{blocks:>6} blocks {rows:>9.1} {hash:>8.1} {open:>12.1} {read:>13.1}");
    }
}

fn keep(cids: &[Cid]) -> KeepSet {
    let mut keep = KeepSetBuilder::with_capacity(cids.len());
    for cid in cids {
        keep.push(cid, 256 << 10, Way::Direct);
    }
    keep.finish()
}

/// A whole lease into memory: the rows, the record, and the tasks.
fn open(cids: &[Cid]) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime");
    let records: Arc<dyn Records> = Arc::new(MemoryRecords::new());
    let control = Control::new(&Keys::new(Prefix::default(), Layout::Kubo));
    let leases = Leases::new(records, control, Arc::new(SystemTime::now));
    let new = NewLease {
        token: "token".into(),
        tenant: None,
        expires: u64::from(u32::MAX),
        keep: keep(cids),
    };
    black_box(runtime.block_on(leases.open(new, None)).expect("memory"));
}

/// The best of the rounds, in nanoseconds per block.
fn best(blocks: usize, mut run: impl FnMut()) -> f64 {
    let times = (0..ROUNDS).map(|_| {
        let start = Instant::now();
        run();
        start.elapsed().as_nanos()
    });
    let best = times.min().expect("some rounds");
    best as f64 / blocks as f64
}
