//! What adding to UnixFS costs beside the SHA-256 that no importer can avoid.
//!
//! `cargo run --release --bin add` in `tests/bench`.
//!
//! CPU times of the thread, in turns; the best of the rounds.

use std::hint::black_box;

use async_trait::async_trait;
use bytes::Bytes;
use cidbucket_blockstore::{Block, Blockstore, Cid, Cursor, Listing, MemoryBlockstore, Result};
use cidbucket_dag::unixfs::add::{FileBuilder, Profile};
use cidbucket_dag::unixfs::{Content, ImportEvent, ImportOptions, Item, Metadata, import};
use futures::executor::block_on;
use futures::stream::{self, StreamExt};
use rustix::time::{ClockId, clock_gettime};
use sha2::{Digest, Sha256};

const ROUNDS: usize = 7;
/// Bytes of the large file.
const LARGE: usize = 1 << 30;
/// The pieces that it comes in.
const PIECE: usize = 1 << 20;
/// Small files of 1 to 16 KiB, in one folder.
const SMALL: usize = 10_000;

fn main() {
    let large = bytes(LARGE);
    large_file(&large);
    small_files(&large);
}

fn large_file(file: &Bytes) {
    println!("1 GiB from memory, {ROUNDS} rounds          GiB/s   × SHA-256");
    let profiles = [
        ("unixfs-v0-2015", Profile::kubo(), 256 << 10),
        ("--cid-version 1", Profile::v1(), 256 << 10),
        ("unixfs-v1-2025", Profile::v1_2025(), 1 << 20),
    ];
    let mut times = [[f64::MAX; 3]; 3];
    for _ in 0..ROUNDS {
        for (times, (_, profile, chunk)) in times.iter_mut().zip(profiles) {
            let floor = seconds(|| {
                for chunk in file.chunks(chunk) {
                    black_box(Sha256::digest(chunk));
                }
            });
            let built = seconds(|| build(&profile, file));
            let imported = seconds(|| {
                let pieces = pieces(file).map(Ok);
                let item = item("file".into(), stream::iter(pieces));
                run(vec![item], profile);
            });
            for (best, time) in times.iter_mut().zip([floor, built, imported]) {
                *best = best.min(time);
            }
        }
    }
    for ((name, ..), [floor, built, imported]) in profiles.iter().zip(times) {
        println!("{name}");
        for (what, time) in [
            ("SHA-256 of the chunks", floor),
            ("FileBuilder", built),
            ("import, store drops", imported),
        ] {
            println!("  {what:<36} {:>6.2} {:>8.2}", 1.0 / time, floor / time);
        }
    }
}

/// Blocks are dropped as they come.
fn build(profile: &Profile, file: &Bytes) {
    let mut builder = FileBuilder::new(profile).expect("a profile");
    let mut blocks = Vec::new();
    for piece in pieces(file) {
        builder.push(piece, &mut blocks);
        black_box(&blocks);
        blocks.clear();
    }
    black_box(builder.finish(&mut blocks));
}

fn pieces(file: &Bytes) -> impl Iterator<Item = Bytes> + Send + use<> {
    let file = file.clone();
    (0..file.len().div_ceil(PIECE))
        .map(move |n| file.slice(n * PIECE..file.len().min((n + 1) * PIECE)))
}

fn small_files(bytes: &Bytes) {
    let mut offset = 0;
    let files: Vec<Bytes> = (0..SMALL)
        .map(|n| {
            let file = bytes.slice(offset..offset + 1024 + n * 15 * 1024 / SMALL);
            offset += file.len();
            file
        })
        .collect();
    let mut times = [f64::MAX; 2];
    for _ in 0..ROUNDS {
        let floor = seconds(|| {
            for file in &files {
                black_box(Sha256::digest(file));
            }
        });
        let imported = seconds(|| {
            let items = files.iter().enumerate().map(|(n, file)| {
                let content = stream::iter([Ok(file.clone())]);
                item(format!("folder/file number {n}"), content)
            });
            run(items.collect(), Profile::v1());
        });
        for (best, time) in times.iter_mut().zip([floor, imported]) {
            *best = best.min(time);
        }
    }
    let each = |time: f64| time * 1e9 / SMALL as f64;
    println!("\n10,000 files of 1 to 16 KiB          µs each   × SHA-256");
    for (what, time) in [
        ("SHA-256 of the files", times[0]),
        ("import, store drops", times[1]),
    ] {
        println!(
            "  {what:<36} {:>6.2} {:>8.2}",
            each(time) / 1e3,
            times[0] / time
        );
    }
}

fn item(
    path: String,
    content: impl futures::Stream<Item = cidbucket_dag::Result<Bytes>> + Send + 'static,
) -> Item<'static> {
    Item {
        path,
        metadata: Metadata::default(),
        content: Content::File(content.boxed()),
    }
}

fn run(items: Vec<Item<'static>>, profile: Profile) {
    let options = ImportOptions {
        profile,
        ..ImportOptions::default()
    };
    let store = Dropping::default();
    let items = stream::iter(items).map(Ok).boxed();
    let mut events = import(Some(&store), items, options);
    let mut last = None;
    while let Some(event) = block_on(events.next()) {
        if let ImportEvent::Added { added, .. } = event.expect("nothing fails") {
            last = Some(added);
        }
    }
    black_box(last.expect("a root"));
}

/// A store that has everything at once, and nothing.
#[derive(Debug, Default)]
struct Dropping(MemoryBlockstore);

#[async_trait]
impl Blockstore for Dropping {
    async fn get(&self, cid: &Cid) -> Result<Option<Block>> {
        self.0.get(cid).await
    }

    async fn put(&self, block: &Block) -> Result<()> {
        black_box(block);
        Ok(())
    }

    async fn size(&self, cid: &Cid) -> Result<Option<u64>> {
        self.0.size(cid).await
    }

    async fn delete(&self, cid: &Cid) -> Result<()> {
        self.0.delete(cid).await
    }

    fn list(&self, from: Cursor) -> Listing<'_> {
        self.0.list(from)
    }
}

/// CPU time of the thread.
fn seconds(run: impl FnOnce()) -> f64 {
    let now = || {
        let time = clock_gettime(ClockId::ThreadCPUTime);
        time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
    };
    let start = now();
    run();
    now() - start
}

fn bytes(length: usize) -> Bytes {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut bytes = Vec::with_capacity(length);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.into()
}
