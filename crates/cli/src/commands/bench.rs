//! `cidbucket bench`: how fast is this store from here?

use std::fmt::Write;
use std::hash::{BuildHasher, RandomState};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use cidbucket::{Block, Blockstore, Cid, DEFAULT_MAX_BLOCK, Error};
use futures::stream::{self, StreamExt};
use indicatif::ProgressBar;
use serde_json::{Value, json};

use crate::failure::{Failure, Outcome, Stop};
use crate::interrupt::interrupted;
use crate::quantity;
use crate::session::Session;

/// Put, get and remove random blocks, and print how fast that was
///
/// The blocks are removed again, also after an error or an interrupt. A second interrupt does not
/// wait for that.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cidbucket bench
  cidbucket bench --blocks 2000 --size 64KiB --concurrency 64 --json")]
pub(crate) struct Args {
    /// How many blocks
    #[arg(long, value_name = "N", default_value_t = 256, value_parser = clap::value_parser!(u64).range(1..))]
    blocks: u64,
    /// Size of each, at most 2MiB
    #[arg(long, value_name = "SIZE", default_value = "256KiB", value_parser = quantity::parse_size)]
    size: u64,
    /// How many at once
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..))]
    concurrency: u16,
}

pub(crate) async fn run(args: Args, session: &mut Session<'_>) -> Outcome {
    // Too small for its number, and two blocks would be the same one.
    if args.size < 16 || args.size > DEFAULT_MAX_BLOCK as u64 {
        return Err(Failure::usage("--size must be from 16 bytes to 2MiB").into());
    }
    let bench = Bench {
        store: session.store_to_fill().await?,
        seed: RandomState::new().hash_one(0),
        size: usize::try_from(args.size).unwrap_or(DEFAULT_MAX_BLOCK),
        concurrency: args.concurrency.into(),
        stopped: AtomicBool::new(false),
    };
    let bar = session.bar("bench", Some(args.blocks * 3));
    let impatient = async {
        interrupted().await;
        interrupted().await
    };
    let measured = tokio::select! {
        measured = bench.run(args.blocks, &bar) => measured,
        code = impatient => Err(Stop::Code(code)),
    };
    bar.finish_and_clear();
    let (put, get) = measured?;

    if session.json {
        return session.json_line(&json!({
            "blocks": args.blocks,
            "size": args.size,
            "concurrency": args.concurrency,
            "put": put.to_json(args.size),
            "get": get.to_json(args.size),
        }));
    }
    session.line(format_args!(
        "{} blocks of {}, {} at once",
        args.blocks,
        quantity::size(args.size),
        args.concurrency
    ))?;
    session.line(table(&[("put", &put), ("get", &get)], args.size))
}

struct Bench {
    store: Arc<dyn Blockstore>,
    seed: u64,
    size: usize,
    concurrency: usize,
    /// No operation is begun any more.
    stopped: AtomicBool,
}

impl Bench {
    /// Measures, and removes what was put, also after an error or an interrupt.
    async fn run(&self, blocks: u64, bar: &ProgressBar) -> Outcome<(Phase, Phase)> {
        let mut cids = Vec::new();
        let measured = {
            let mut measure = pin!(self.measure(blocks, &mut cids, bar));
            tokio::select! {
                measured = &mut measure => measured.map_err(Stop::from),
                code = interrupted() => {
                    // What is under way ends first: a put cut off may arrive after its removal.
                    self.stopped.store(true, Relaxed);
                    measure.await.map_err(Stop::from).and(Err(Stop::Code(code)))
                }
            }
        };
        let removed = self.remove(cids, bar).await;
        let measured = measured?;
        removed?;
        Ok(measured)
    }

    /// Puts, then gets. `cids` holds all that may have been stored, whatever happens.
    async fn measure(
        &self,
        blocks: u64,
        cids: &mut Vec<Cid>,
        bar: &ProgressBar,
    ) -> Result<(Phase, Phase), Error> {
        let put = self
            .phase(
                (0..blocks).map(|number| {
                    let block = Block::raw(random(self.seed, number, self.size));
                    cids.push(*block.cid());
                    async move { self.store.put(&block).await }
                }),
                bar,
            )
            .await?;
        let get = self
            .phase(
                cids.iter().map(|cid| async move {
                    let found = self.store.get(cid).await?;
                    found.map(drop).ok_or_else(|| {
                        Error::Protocol(
                            cidbucket::Report::new("bench", "a block just put is not there")
                                .with_key(cid.to_string())
                                .into(),
                        )
                    })
                }),
                bar,
            )
            .await?;
        Ok((put, get))
    }

    /// Runs operations, each timed from its own start, until they are done or one fails.
    async fn phase<F: Future<Output = Result<(), Error>> + Send>(
        &self,
        operations: impl Iterator<Item = F> + Send,
        bar: &ProgressBar,
    ) -> Result<Phase, Error> {
        let started = Instant::now();
        let latencies: Vec<_> = stream::iter(operations)
            .map(|operation| async move {
                let started = Instant::now();
                let outcome = operation.await;
                bar.inc(1);
                if outcome.is_err() {
                    self.stopped.store(true, Relaxed);
                }
                outcome.map(|()| started.elapsed())
            })
            .take_while(|_| std::future::ready(!self.stopped.load(Relaxed)))
            .buffer_unordered(self.concurrency)
            .collect()
            .await;
        let wall = started.elapsed();
        Ok(Phase::new(
            wall,
            latencies.into_iter().collect::<Result<_, _>>()?,
        ))
    }

    async fn remove(&self, cids: Vec<Cid>, bar: &ProgressBar) -> Result<(), Error> {
        let mut answers = self.store.delete_many(stream::iter(cids).boxed());
        let mut outcome = Ok(());
        while let Some((_, answer)) = answers.next().await {
            bar.inc(1);
            outcome = outcome.and(answer);
        }
        outcome
    }
}

/// What one phase took.
struct Phase {
    wall: Duration,
    /// Sorted, not empty.
    latencies: Vec<Duration>,
}

impl Phase {
    fn new(wall: Duration, mut latencies: Vec<Duration>) -> Self {
        latencies.sort_unstable();
        Self { wall, latencies }
    }

    #[allow(clippy::cast_precision_loss)] // a rate has no 53 significant bits
    fn per_second(&self) -> f64 {
        self.latencies.len() as f64 / self.wall.as_secs_f64().max(f64::EPSILON)
    }

    #[allow(clippy::cast_precision_loss)]
    fn megabytes_per_second(&self, size: u64) -> f64 {
        self.per_second() * size as f64 / 1e6
    }

    /// The latency that `percent` of the operations did not exceed, in milliseconds.
    fn percentile(&self, percent: usize) -> f64 {
        let rank = (self.latencies.len() * percent).div_ceil(100).max(1);
        self.latencies[rank - 1].as_secs_f64() * 1e3
    }

    fn to_json(&self, size: u64) -> Value {
        json!({
            "seconds": self.wall.as_secs_f64(),
            "mb_per_s": self.megabytes_per_second(size),
            "ops_per_s": self.per_second(),
            "p50_ms": self.percentile(50),
            "p99_ms": self.percentile(99),
        })
    }
}

fn table(phases: &[(&str, &Phase)], size: u64) -> String {
    let mut out = format!(
        "{:4}{:>10}{:>10}{:>12}{:>12}",
        "", "MB/s", "ops/s", "p50", "p99"
    );
    for (name, phase) in phases {
        let _ = write!(
            out,
            "\n{name:4}{:>10.1}{:>10.1}{:>9.2} ms{:>9.2} ms",
            phase.megabytes_per_second(size),
            phase.per_second(),
            phase.percentile(50),
            phase.percentile(99),
        );
    }
    out
}

/// Bytes no other run and no other block has: SplitMix64 from a seed and the block's number.
fn random(seed: u64, number: u64, size: usize) -> Vec<u8> {
    let mut state = seed ^ number.wrapping_mul(0xD134_2543_DE82_EF95);
    let mut data = Vec::with_capacity(size + 8);
    data.extend_from_slice(&seed.to_le_bytes());
    data.extend_from_slice(&number.to_le_bytes());
    while data.len() < size {
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut word = state;
        word = (word ^ (word >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        data.extend_from_slice(&(word ^ (word >> 31)).to_le_bytes());
    }
    data.truncate(size);
    data
}

#[cfg(test)]
mod tests {
    use cidbucket::MemoryBlockstore;

    use super::*;

    #[tokio::test]
    async fn measures_and_cleans_up() {
        let store = Arc::new(MemoryBlockstore::new());
        let bench = Bench {
            store: store.clone(),
            seed: 7,
            size: 1000,
            concurrency: 4,
            stopped: AtomicBool::new(false),
        };
        let bar = crate::progress::bar(false, "bench", None);
        let mut cids = Vec::new();
        let (put, get) = bench.measure(10, &mut cids, &bar).await.unwrap();
        assert_eq!((put.latencies.len(), get.latencies.len()), (10, 10));
        assert_eq!(store.len(), 10, "every block is its own");
        bench.remove(cids, &bar).await.unwrap();
        assert!(store.is_empty());
    }

    #[test]
    fn percentiles_are_of_the_nearest_rank() {
        let phase = Phase::new(
            Duration::from_secs(2),
            (1..=200).rev().map(Duration::from_millis).collect(),
        );
        assert!((phase.percentile(50) - 100.0).abs() < 1e-9);
        assert!((phase.percentile(99) - 198.0).abs() < 1e-9);
        assert!((phase.per_second() - 100.0).abs() < 1e-9);
        assert!((phase.megabytes_per_second(1_000_000) - 100.0).abs() < 1e-9);
    }

    #[test]
    fn random_blocks_have_their_size_and_differ() {
        for size in [16, 17, 1000] {
            assert_eq!(random(1, 2, size).len(), size);
            assert_ne!(random(1, 2, size), random(1, 3, size));
            assert_ne!(random(1, 2, size), random(2, 2, size));
        }
    }
}
