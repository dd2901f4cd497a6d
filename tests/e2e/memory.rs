//! What a batch keeps in memory: the blocks under way and no more, however many there are in all.
#![cfg(target_os = "linux")]

use cidbucket_blockstore::{Block, Blockstore};
use cidbucket_s3::{Env, S3Blockstore, S3Config};
use cidbucket_tests::Target;
use futures::stream::{self, StreamExt};

const CONCURRENCY: usize = 4;
const SIZE: usize = 1 << 20;
const BLOCKS: u64 = 160;
/// Connections and their buffers, code that was not touched before, what the allocator keeps.
const CONSTANT: usize = 24 << 20;

fn block(index: u64) -> Block {
    // Not zeroes: the system gives no memory for pages of zeroes until they are written.
    let mut data = vec![1; SIZE];
    data[..8].copy_from_slice(&index.to_be_bytes());
    Block::raw(data)
}

/// Alone in this file: it looks at the memory of the whole process.
#[tokio::test]
async fn batches_hold_what_is_under_way() {
    let target = Target::new();
    let env = Env::empty()
        .with("AWS_ACCESS_KEY_ID", &*target.access_key)
        .with("AWS_SECRET_ACCESS_KEY", &*target.secret_key);
    let mut config = S3Config::from_url(&target.store(), &env).expect("a store URL");
    config.concurrency = CONCURRENCY;
    let store = S3Blockstore::new(config).expect("a client");
    // A block is made when the store asks for it, so it is the store that decides how many there
    // are. One of each kind comes first: what it brings into memory is no part of the batch.
    let warm = block(BLOCKS);
    store.put(&warm).await.expect("put");
    store.get(warm.cid()).await.expect("get").expect("there");
    let before = peak();

    let blocks = stream::iter(0..BLOCKS).map(block).boxed();
    let mut cids = Vec::new();
    let mut puts = store.put_many(blocks);
    while let Some((cid, result)) = puts.next().await {
        result.expect("put");
        cids.push(cid);
    }
    drop(puts);
    let after_puts = peak();
    let mut gets = store.get_many(stream::iter(cids).boxed());
    while let Some((_, result)) = gets.next().await {
        result.expect("get").expect("there");
    }

    // What the store has, and one more that is just made or looked at.
    let bound = (CONCURRENCY + 1) * SIZE + CONSTANT;
    for (what, peak) in [("puts", after_puts), ("gets", peak())] {
        let grown = peak.saturating_sub(before);
        assert!(grown <= bound, "{what}: {grown} bytes, bound {bound}");
    }
}

/// The most memory that this process ever had, in bytes.
fn peak() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB"));
    kib.and_then(|kib| kib.parse::<usize>().ok())
        .expect("VmHWM in KiB")
        << 10
}
