//! How much of a store's concurrency reading makes use of, in the clock of the test.

use std::time::Duration;

use cidbucket_blockstore::Cid;
use cidbucket_dag::{ContentPath, ExportOptions, Scope, export, unixfs};
use futures::stream::StreamExt;
use tokio::time::Instant;

use crate::ground::{FILE, Ground};

const LATENCY: Duration = Duration::from_millis(20);

/// A file of 2000 leaves, in three levels as Kubo has them, and its number of blocks.
fn file(ground: &Ground, raw_leaves: bool) -> (Cid, u32) {
    let leaf = |n: u32| {
        if raw_leaves {
            ground.block(0x55, n.to_le_bytes().to_vec())
        } else {
            ground.file(FILE, &n.to_le_bytes(), &[])
        }
    };
    let leaves: Vec<_> = (0..2000).map(|n| (leaf(n), 4)).collect();
    let inner: Vec<_> = leaves
        .chunks(174)
        .map(|leaves| (ground.file(FILE, b"", leaves), 4 * leaves.len() as u64))
        .collect();
    (ground.file(FILE, b"", &inner), 2000 + 12 + 1)
}

/// The least time in which so many blocks can be read.
fn ideal(blocks: u32) -> Duration {
    LATENCY * blocks.div_ceil(16)
}

fn assert_fast(what: &str, took: Duration, blocks: u32) {
    let share = ideal(blocks).as_secs_f64() / took.as_secs_f64();
    assert!(share >= 0.9, "{what}: {share:.2} of what the store can do");
}

#[tokio::test(start_paused = true)]
async fn files_are_read_about_as_fast_as_the_store_can() {
    for raw_leaves in [true, false] {
        let mut ground = Ground::default();
        let (cid, blocks) = file(&ground, raw_leaves);
        ground.latency = LATENCY;
        let start = Instant::now();
        let pieces = unixfs::cat(&ground, cid, 0..u64::MAX);
        assert_eq!(
            pieces
                .filter(|piece| std::future::ready(piece.is_ok()))
                .count()
                .await,
            2000
        );
        assert_fast("cat", start.elapsed(), blocks);
        for scope in [
            Scope::Entity(None),
            "0:*".parse().map(|all| Scope::Entity(Some(all))).unwrap(),
        ] {
            let start = Instant::now();
            let path = ContentPath::from(cid);
            let found = export(&ground, path, scope, ExportOptions::default());
            assert_eq!(found.count().await, blocks as usize);
            assert_fast("export", start.elapsed(), blocks);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn so_are_sharded_directories() {
    let mut ground = Ground::default();
    let x = ground.block(0x55, "x");
    let names: Vec<_> = (0..256).map(|n| format!("{n:02X}")).collect();
    let shard = |n: usize| {
        let names: Vec<_> = names.iter().map(|name| format!("{name}{n}")).collect();
        let links: Vec<_> = names.iter().map(|name| (&**name, x)).collect();
        ground.shard(256, &[0xff; 32], &links)
    };
    let shards: Vec<_> = (0..256).map(shard).collect();
    let links: Vec<_> = names
        .iter()
        .map(|name| &**name)
        .zip(shards.iter().copied())
        .collect();
    let cid = ground.shard(256, &[0xff; 32], &links);
    ground.latency = LATENCY;
    let start = Instant::now();
    assert_eq!(unixfs::entries(&ground, cid).count().await, 256 * 256);
    assert_fast("entries", start.elapsed(), 257);
    let start = Instant::now();
    let path = ContentPath::from(cid);
    let found = export(&ground, path, Scope::Entity(None), ExportOptions::default());
    assert_eq!(found.count().await, 257);
    assert_fast("export", start.elapsed(), 257);
}

#[tokio::test(start_paused = true)]
async fn a_slow_start_does_not_starve_what_comes_next() {
    // The first inner node takes long; what was fetched meanwhile must leave room for its leaves.
    let mut ground = Ground::default();
    let megabyte = |n: u8| (ground.block(0x55, vec![n; 1 << 20]), 1 << 20);
    let leaves: Vec<_> = (0..=255).map(megabyte).collect();
    let inner: Vec<_> = leaves
        .chunks(16)
        .map(|leaves| (ground.file(FILE, b"", leaves), (leaves.len() as u64) << 20))
        .collect();
    let cid = ground.file(FILE, b"", &inner);
    ground.latency = LATENCY;
    ground.slow = Some((inner[0].0, LATENCY * 20));
    let start = Instant::now();
    let pieces = unixfs::cat(&ground, cid, 0..u64::MAX);
    assert_eq!(pieces.count().await, 256);
    let took = start.elapsed();
    assert!(took < LATENCY * 21 + ideal(256) * 2, "{took:?}");
}
