//! A CAR of a DAG, streamed out of S3, beside the same blocks got side by side by somebody who knows
//! all their CIDs beforehand.
//!
//! ```text
//! cargo build --release                       # at the top: the S3 server is `cidbucket serve --dev`
//! cargo run --release --bin car-export        # in tests/bench
//! ```
//!
//! A DAG is a file as Kubo makes it: leaves, and nodes of 174 links above them. Both take turns in
//! every round, and the best round of each counts. The CAR's bytes go nowhere but are all there. Memory is
//! the most that was allocated at once while a CAR was made, beyond what was before.

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use cidbucket_bench::alloc;
use cidbucket_bench::running::{Running, binary};
use cidbucket_blockstore::{Block, Blockstore, Cid, Hash};
use cidbucket_dag::{WalkOptions, car, walk};
use cidbucket_layout::{Keys, Layout, Prefix};
use cidbucket_presign::{Bucket, Style};
use cidbucket_s3::{CredentialsSource, S3Blockstore, S3Config};
use cidbucket_sigv4::Credentials;
use futures::stream::{self, StreamExt, TryStreamExt};

#[global_allocator]
static ALLOCATOR: alloc::Counting = alloc::Counting;

const ROUNDS: usize = 5;
const LINKS: usize = 174;

fn main() {
    let folder = tempfile::tempdir().expect("a folder");
    let s3 = Running::start(
        Command::new(binary())
            .args(["serve", "--dev", "--json", "--listen", "127.0.0.1:0"])
            .args([Path::new("--data-dir"), &folder.path().join("s3")]),
    );
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("runtime");
    println!("| leaves | `get_many`, MiB/s | CAR, MiB/s | ratio | memory, MiB |");
    println!("|---|---:|---:|---:|---:|");
    for (leaves, size) in [
        (256, 1 << 18),
        (2048, 1 << 18),
        (512, 1 << 20),
        (4096, 1 << 12),
    ] {
        runtime.block_on(row(&store(&s3), leaves, size));
    }
}

async fn row(store: &dyn Blockstore, leaves: usize, size: usize) {
    let (root, cids, bytes) = fill(store, leaves, size).await;
    let mut best = [0f64; 2];
    let mut memory = 0;
    for _ in 0..ROUNDS {
        let begun = Instant::now();
        let mut blocks = store.get_many(stream::iter(cids.clone()).boxed());
        let mut got = 0;
        while let Some((_, block)) = blocks.next().await {
            got += block.expect("a block").expect("it is there").len() as u64;
        }
        assert_eq!(got, bytes);
        let rate =
            |begun: Instant| bytes as f64 / f64::from(1 << 20) / begun.elapsed().as_secs_f64();
        best[0] = best[0].max(rate(begun));

        let begun = Instant::now();
        let (written, peak) = alloc::peak_of(export(store, root)).await;
        assert!(written > bytes);
        memory = memory.max(peak);
        best[1] = best[1].max(rate(begun));
    }
    println!(
        "| {leaves} × {} KiB | {:.0} | {:.0} | {:.2} | {} |",
        size >> 10,
        best[0],
        best[1],
        best[1] / best[0],
        memory >> 20,
    );
}

/// Makes a CAR, and answers how many bytes it has.
async fn export(store: &dyn Blockstore, root: Cid) -> u64 {
    let blocks = walk(store, vec![root], WalkOptions::default());
    let mut pieces = car::write(&[root], blocks).boxed();
    let mut written = 0;
    while let Some(piece) = pieces.try_next().await.expect("the DAG is whole") {
        written += piece.len() as u64;
    }
    written
}

/// Puts a file of random leaves, and answers with its root, the CIDs of all blocks in the order of
/// a walk, and their bytes.
async fn fill(store: &dyn Blockstore, leaves: usize, size: usize) -> (Cid, Vec<Cid>, u64) {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64 ^ (leaves * size) as u64;
    let mut random = move || {
        let mut data = Vec::with_capacity(size);
        while data.len() < size {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            data.extend(state.to_le_bytes());
        }
        data
    };
    let mut cids = Vec::new();
    let mut bytes = 0;
    let mut nodes = Vec::new();
    let mut left = leaves;
    while left > 0 {
        let here = left.min(LINKS);
        left -= here;
        let leaves: Vec<Block> = (0..here).map(|_| Block::raw(random())).collect();
        let links: Vec<Cid> = leaves.iter().map(|leaf| *leaf.cid()).collect();
        let node = list(&links);
        nodes.push(*node.cid());
        bytes += (here * size + node.len()) as u64;
        cids.push(*node.cid());
        cids.extend(links);
        let blocks = leaves.into_iter().chain([node]);
        let mut answers = store.put_many(stream::iter(blocks).boxed());
        while let Some((_, answer)) = answers.next().await {
            answer.expect("a put");
        }
    }
    let root = list(&nodes);
    store.put(&root).await.expect("a put");
    cids.insert(0, *root.cid());
    (*root.cid(), cids, bytes + root.len() as u64)
}

/// A DAG-CBOR list of at most 255 links.
fn list(links: &[Cid]) -> Block {
    let mut data = vec![0x98, u8::try_from(links.len()).expect("at most 255")];
    if links.len() < 24 {
        data = vec![0x80 + links.len() as u8];
    }
    for link in links {
        let link = link.to_bytes();
        data.extend([0xd8, 42, 0x58, link.len() as u8 + 1, 0]);
        data.extend(link);
    }
    Block::encode(0x71, Hash::Sha2_256, data).expect("not inline")
}

fn store(s3: &Running) -> S3Blockstore {
    let bucket = Bucket::new(
        &s3.field("endpoint"),
        &s3.field("bucket"),
        &s3.field("region"),
        Style::Path,
    );
    let keys = Keys::new(Prefix::default(), Layout::default());
    let mut config = S3Config::new(bucket.expect("a bucket"), keys);
    let credentials = Credentials::new(&s3.field("access_key"), &s3.field("secret_key"));
    config.credentials = CredentialsSource::Static(credentials);
    S3Blockstore::new(config).expect("a store")
}
