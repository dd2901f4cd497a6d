//! The hot cache beside its rivals: nanoseconds of a hit, scaling over two threads, hit ratio.
//!
//! `cargo run --release --features cache-rivals --bin cache` in `tests/bench`; with `costs` behind it
//! (after `--`), without the hit ratios.
//!
//! All contenders take turns in every round, so that they meet the same noise; the best round of
//! each counts. Blocks of 1 KiB are held by multihash. A hit hands out either a clone of the `Bytes`
//! or a `Block` under the CID asked for, which copies the CID too; like is compared with like.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::hint::black_box;
use std::sync::Barrier;
use std::time::Instant;

use async_trait::async_trait;
use bytes::Bytes;
use cidbucket_blockstore::{Block, Blockstore, Cid, Cursor, Listing, Multihash, Result};
use cidbucket_cache::{CacheOptions, CachedBlockstore, ENTRY_OVERHEAD};
use futures::FutureExt;
use lru::LruCache;
use parking_lot::Mutex;

const KEYS: usize = 100_000;
const BLOCK: usize = 1024;
const ROUNDS: usize = 150;
const TURN: usize = 4_000;
const READS: usize = 1_000_000;

fn main() {
    let blocks = blocks();
    let zipf = Zipf::new(KEYS, 0.99);
    if std::env::args().all(|argument| argument != "costs") {
        hit_ratios(&blocks, &zipf);
    }
    hit_costs(&blocks, &zipf);
}

/// What a contender does: `read` answers whether it was a hit, and takes the block in if not.
trait Contender: Sync {
    fn hit(&self, n: usize) -> bool;
    fn read(&self, n: usize) -> bool;
}

type Make = for<'a> fn(&'a [Block], usize) -> Box<dyn Contender + 'a>;

const CONTENDERS: &[(&str, Make)] = &[
    ("cidbucket-cache, bytes: hot_data()", |blocks, capacity| {
        Box::new(OursData(Ours::new(blocks, capacity)))
    }),
    ("cidbucket-cache, block: hot()", |blocks, capacity| {
        Box::new(Ours::new(blocks, capacity))
    }),
    ("cidbucket-cache, block: async get()", |blocks, capacity| {
        Box::new(OursAsync(Ours::new(blocks, capacity)))
    }),
    ("quick_cache, bytes", |blocks, capacity| {
        Box::new(Quick {
            blocks,
            cache: quick_cache::sync::Cache::new(capacity),
        })
    }),
    ("quick_cache, bytes, digest as hash", |blocks, capacity| {
        let cache = quick_cache::sync::Cache::with(
            capacity,
            capacity as u64,
            quick_cache::UnitWeighter,
            DigestAsHash::default(),
            quick_cache::sync::DefaultLifecycle::default(),
        );
        Box::new(QuickDigest { blocks, cache })
    }),
    (
        "quick_cache, block under the CID asked for",
        |blocks, capacity| {
            let cache = quick_cache::sync::Cache::new(capacity);
            Box::new(QuickBlocks { blocks, cache })
        },
    ),
    ("moka sync, bytes", |blocks, capacity| {
        Box::new(Moka {
            blocks,
            cache: moka::sync::Cache::new(capacity as u64),
        })
    }),
    ("lru behind one Mutex, bytes", |blocks, capacity| {
        let cache = Mutex::new(LruCache::new(capacity.try_into().expect("not zero")));
        Box::new(Lru { blocks, cache })
    }),
];

fn hit_ratios(blocks: &[Block], zipf: &Zipf) {
    let mut random = Random(1);
    let plain: Vec<u32> = (0..READS).map(|_| zipf.next(&mut random)).collect();
    // One read in ten is of a block never read again, and now and then 10,000 are read in a row.
    let (popular, mut once) = (KEYS / 2, KEYS / 2);
    let half = Zipf::new(popular, 0.99);
    let mut mixed = Vec::new();
    for n in 0..READS {
        mixed.push(half.next(&mut random));
        if n % 20 == 0 && once < KEYS - 10_000 {
            mixed.push(u32::try_from(once).expect("fits"));
            once += 1;
        }
        if n % 200_000 == 100_000 {
            mixed.extend((KEYS - 10_000..KEYS).map(|n| u32::try_from(n).expect("fits")));
        }
    }
    println!("hit ratio, capacity 10 % of {KEYS} keys\n");
    println!("| | Zipf 0.99 | Zipf 0.99 with one-offs and scans |\n|---|---|---|");
    for (name, make) in CONTENDERS {
        let ratio = |trace: &[u32]| {
            let cache = make(blocks, KEYS / 10);
            let hits = trace.iter().filter(|&&n| cache.read(n as usize)).count();
            100.0 * hits as f64 / trace.len() as f64
        };
        println!(
            "| {name} | {:.1} % | {:.1} % |",
            ratio(&plain),
            ratio(&mixed)
        );
    }
    println!();
}

fn hit_costs(blocks: &[Block], zipf: &Zipf) {
    let mut random = Random(2);
    let trace: Vec<u32> = (0..READS).map(|_| zipf.next(&mut random)).collect();
    // Room enough for every key: what is measured is hits only.
    let caches: Vec<_> = CONTENDERS
        .iter()
        .map(|(_, make)| {
            let cache = make(blocks, 2 * KEYS);
            for _ in 0..2 {
                for n in 0..KEYS {
                    cache.read(n);
                }
            }
            assert!((0..KEYS).all(|n| cache.hit(n)), "every read is a hit");
            cache
        })
        .collect();
    let mut best = vec![[f64::MAX; 2]; caches.len()];
    for round in 0..ROUNDS {
        // Short turns, so that some of them are not interrupted on a busy machine.
        let turn = &trace[round * TURN..][..TURN];
        for (cache, best) in caches.iter().zip(&mut best) {
            // Untimed: the turns of the others have emptied the processor's caches.
            time(&**cache, turn, 1);
            best[0] = best[0].min(time(&**cache, turn, 1));
            best[1] = best[1].min(time(&**cache, turn, 2));
        }
    }
    println!("a hit, Zipf 0.99 over {KEYS} resident keys, best of {ROUNDS} rounds\n");
    println!(
        "| | ns, 1 thread | × quick_cache of the same answer | M hits/s, 2 threads | × the same |"
    );
    println!("|---|---|---|---|---|");
    let quick = |name| best[CONTENDERS.iter().position(|c| c.0 == name).expect("listed")];
    let (bytes, block) = (
        quick("quick_cache, bytes"),
        quick("quick_cache, block under the CID asked for"),
    );
    for ((name, _), [one, two]) in CONTENDERS.iter().zip(&best) {
        let quick = if name.contains("block") { block } else { bytes };
        println!(
            "| {name} | {one:.0} | {:.2} | {:.1} | {:.2} |",
            one / quick[0],
            1000.0 / two,
            quick[1] / two
        );
    }
}

/// Wall-clock nanoseconds per hit, all threads together.
fn time(cache: &dyn Contender, trace: &[u32], threads: usize) -> f64 {
    if threads == 1 {
        let start = Instant::now();
        for &n in trace {
            black_box(cache.hit(n as usize));
        }
        return start.elapsed().as_nanos() as f64 / trace.len() as f64;
    }
    let barrier = Barrier::new(threads);
    let elapsed = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|thread| {
                let barrier = &barrier;
                scope.spawn(move || {
                    let (front, back) = trace.split_at(thread * trace.len() / threads);
                    barrier.wait();
                    let start = Instant::now();
                    for &n in back.iter().chain(front) {
                        black_box(cache.hit(n as usize));
                    }
                    start.elapsed()
                })
            })
            .collect();
        workers
            .into_iter()
            .map(|worker| worker.join().expect("no panic"))
            .max()
            .expect("a thread")
    });
    elapsed.as_nanos() as f64 / (trace.len() * threads) as f64
}

struct Ours<'a> {
    blocks: &'a [Block],
    store: CachedBlockstore<Ready>,
}

impl<'a> Ours<'a> {
    fn new(blocks: &'a [Block], capacity: usize) -> Self {
        let options = CacheOptions {
            capacity: capacity * (BLOCK + ENTRY_OVERHEAD),
            max_block: BLOCK,
            ..CacheOptions::default()
        };
        let ready = blocks
            .iter()
            .map(|block| (*block.multihash(), block.clone()));
        Self {
            blocks,
            store: CachedBlockstore::new(Ready(ready.collect()), options),
        }
    }
}

impl Contender for Ours<'_> {
    fn hit(&self, n: usize) -> bool {
        black_box(self.store.hot(self.blocks[n].cid())).is_some()
    }
    fn read(&self, n: usize) -> bool {
        if self.hit(n) {
            return true;
        }
        let block = self.store.get(self.blocks[n].cid()).now_or_never();
        black_box(block.expect("ready").expect("no error").expect("there"));
        false
    }
}

struct OursData<'a>(Ours<'a>);

impl Contender for OursData<'_> {
    fn hit(&self, n: usize) -> bool {
        black_box(self.0.store.hot_data(self.0.blocks[n].cid())).is_some()
    }
    fn read(&self, n: usize) -> bool {
        self.0.read(n)
    }
}

struct OursAsync<'a>(Ours<'a>);

impl Contender for OursAsync<'_> {
    fn hit(&self, n: usize) -> bool {
        let block = self.0.store.get(self.0.blocks[n].cid()).now_or_never();
        black_box(block.expect("ready").expect("no error")).is_some()
    }
    fn read(&self, n: usize) -> bool {
        self.0.read(n)
    }
}

/// A store that costs nothing to speak of.
#[derive(Debug)]
struct Ready(HashMap<Multihash, Block>);

#[async_trait]
impl Blockstore for Ready {
    async fn get(&self, cid: &Cid) -> Result<Option<Block>> {
        Ok(self.0.get(cid.hash()).cloned())
    }
    async fn put(&self, _: &Block) -> Result<()> {
        Ok(())
    }
    async fn size(&self, _: &Cid) -> Result<Option<u64>> {
        Ok(None)
    }
    async fn delete(&self, _: &Cid) -> Result<()> {
        Ok(())
    }
    fn list(&self, from: Cursor) -> Listing<'_> {
        Listing::new(from, futures::stream::empty())
    }
}

/// The first bytes of the digest, as the last 8 that `Hash` writes of a multihash's array.
#[derive(Default, Clone)]
struct First8(u64);

type DigestAsHash = BuildHasherDefault<First8>;

impl Hasher for First8 {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        if let Some(first) = bytes.first_chunk() {
            self.0 = u64::from_le_bytes(*first);
        }
    }
    fn write_u64(&mut self, _: u64) {}
    fn write_u8(&mut self, _: u8) {}
    fn write_usize(&mut self, _: usize) {}
}

macro_rules! rival {
    ($name:ident, $cache:ty, |$this:ident, $key:ident| $get:expr, |$value:ident| $put:expr) => {
        struct $name<'a> {
            blocks: &'a [Block],
            cache: $cache,
        }

        impl Contender for $name<'_> {
            fn hit(&self, n: usize) -> bool {
                let ($this, $key) = (self, self.blocks[n].multihash());
                black_box($get).is_some()
            }
            fn read(&self, n: usize) -> bool {
                if self.hit(n) {
                    return true;
                }
                let ($this, $key) = (self, *self.blocks[n].multihash());
                let $value: Bytes = self.blocks[n].data().clone();
                $put;
                false
            }
        }
    };
}

rival!(Quick, quick_cache::sync::Cache<Multihash, Bytes>,
    |this, key| this.cache.get(key), |value| this.cache.insert(key, value));
rival!(QuickDigest,
    quick_cache::sync::Cache<Multihash, Bytes, quick_cache::UnitWeighter, DigestAsHash>,
    |this, key| this.cache.get(key), |value| this.cache.insert(key, value));
struct QuickBlocks<'a> {
    blocks: &'a [Block],
    cache: quick_cache::sync::Cache<Multihash, Block>,
}

impl Contender for QuickBlocks<'_> {
    fn hit(&self, n: usize) -> bool {
        let cid = self.blocks[n].cid();
        black_box(
            self.cache
                .get(cid.hash())
                .and_then(|block| block.under(cid)),
        )
        .is_some()
    }
    fn read(&self, n: usize) -> bool {
        if self.hit(n) {
            return true;
        }
        let block = self.blocks[n].clone();
        self.cache.insert(*block.multihash(), block);
        false
    }
}

rival!(Moka, moka::sync::Cache<Multihash, Bytes>,
    |this, key| this.cache.get(key), |value| this.cache.insert(key, value));
rival!(
    Lru,
    Mutex<LruCache<Multihash, Bytes>>,
    |this, key| this.cache.lock().get(key).cloned(),
    |value| this.cache.lock().put(key, value)
);

fn blocks() -> Vec<Block> {
    (0..KEYS as u64)
        .map(|n| {
            let mut data = vec![0; BLOCK];
            data[..8].copy_from_slice(&n.to_le_bytes());
            Block::raw(data)
        })
        .collect()
}

/// `SplitMix64`.
struct Random(u64);

impl Random {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((x ^ (x >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }
}

struct Zipf(Vec<f64>);

impl Zipf {
    fn new(keys: usize, exponent: f64) -> Self {
        let mut sum = 0.0;
        let mut shares: Vec<f64> = (1..=keys)
            .map(|rank| {
                sum += (rank as f64).powf(-exponent);
                sum
            })
            .collect();
        for share in &mut shares {
            *share /= sum;
        }
        Self(shares)
    }

    fn next(&self, random: &mut Random) -> u32 {
        let place = random.next();
        u32::try_from(self.0.partition_point(|&share| share < place)).expect("fits")
    }
}
