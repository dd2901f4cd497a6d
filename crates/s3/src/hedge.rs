//! Whether and when a slow read is sent a second time: decisions only. Times are arguments; the
//! waiting and sending is done by [`crate::S3Client`].
//!
//! Hedged requests are described in "The Tail at Scale" (Dean and Barroso, CACM 2013).

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// One read in so many may be sent twice. The delay aims at the same share: it is what all other
/// reads keep within.
const ONE_IN: u32 = 50;
/// Most hedges that can be saved up.
const MAX_SAVED: u32 = 10;
/// Below this, a second connection costs more than it can bring.
const MIN_DELAY: Duration = Duration::from_millis(50);
/// The delay until it is known how long reads take, and the longest: what AWS advises for objects
/// below 512 KB ("Performance design patterns for Amazon S3", timeouts and retries).
const MAX_DELAY: Duration = Duration::from_secs(2);

/// What kind of read: each takes its own time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Read {
    Get,
    Head,
}

/// What the reads of a client share.
#[derive(Debug, Default)]
pub(crate) struct Hedging {
    get: Times,
    head: Times,
    savings: Savings,
}

impl Hedging {
    /// A read is sent: it earns its share of a hedge. How long to wait for its answer before it is
    /// sent again.
    pub(crate) fn sent(&self, read: Read) -> Duration {
        self.savings.earn();
        self.times(read).delay()
    }

    /// Whether a hedge may be sent now. It is then paid for.
    pub(crate) fn take(&self) -> bool {
        self.savings.spend()
    }

    /// A read got its answer after `time`, be it the first or the second request's: what counts is
    /// whether the delay was exceeded, and leaving out the slowest would shorten it ever more.
    pub(crate) fn answered(&self, read: Read, time: Duration) {
        self.times(read).add(time);
    }

    fn times(&self, read: Read) -> &Times {
        match read {
            Read::Get => &self.get,
            Read::Head => &self.head,
        }
    }
}

/// Hedges earned and not spent, in parts of which a hedge costs [`ONE_IN`].
#[derive(Debug)]
struct Savings(AtomicU32);

impl Savings {
    const MAX: u32 = MAX_SAVED * ONE_IN;

    fn earn(&self) {
        // The common case, all saved up, needs no write to the shared cache line.
        if self.0.load(Ordering::Relaxed) < Self::MAX {
            self.0
                .update(Ordering::Relaxed, Ordering::Relaxed, |saved| {
                    (saved + 1).min(Self::MAX)
                });
        }
    }

    fn spend(&self) -> bool {
        self.0
            .try_update(Ordering::Relaxed, Ordering::Relaxed, |saved| {
                saved.checked_sub(ONE_IN)
            })
            .is_ok()
    }
}

/// All saved up: also a process that makes few reads may hedge them.
impl Default for Savings {
    fn default() -> Self {
        Self(AtomicU32::new(Self::MAX))
    }
}

/// Sub-divisions of each power of two, as a power of two: a bucket is 6 to 12 % wide.
const SUB_BITS: u32 = 3;
const SUBS: u32 = 1 << SUB_BITS;
/// The first bucket holds all times below 32 ms, which lead to the shortest delay anyway.
const FIRST_POWER: u32 = 5;
/// The last bucket holds all times from 2,048 ms.
const LAST_POWER: u32 = 11;
const BUCKETS: usize = ((LAST_POWER - FIRST_POWER) * SUBS) as usize + 1;
/// Fewest reads that say anything about the slowest one in fifty.
const MIN_READS: u32 = 64;
/// The delay is worked out once in so many reads.
const EVERY: u32 = 32;
/// With so many reads counted, the counts are halved: what was long ago counts less.
const MAX_READS: u32 = 512;

/// How long reads took lately: a histogram whose old counts fade.
///
/// Concurrent updates may miscount a few reads, which does no harm.
#[derive(Debug)]
struct Times {
    counts: [AtomicU32; BUCKETS],
    reads: AtomicU32,
    delay_ms: AtomicU32,
}

impl Default for Times {
    fn default() -> Self {
        Self {
            counts: [const { AtomicU32::new(0) }; BUCKETS],
            reads: AtomicU32::new(0),
            delay_ms: AtomicU32::new(millis(MAX_DELAY)),
        }
    }
}

impl Times {
    fn delay(&self) -> Duration {
        Duration::from_millis(self.delay_ms.load(Ordering::Relaxed).into())
    }

    fn add(&self, time: Duration) {
        self.counts[bucket(millis(time))].fetch_add(1, Ordering::Relaxed);
        let reads = self.reads.fetch_add(1, Ordering::Relaxed).wrapping_add(1);
        if reads.is_multiple_of(EVERY) {
            self.work_out();
        }
    }

    fn work_out(&self) {
        let counts = self
            .counts
            .each_ref()
            .map(|count| count.load(Ordering::Relaxed));
        let reads: u32 = counts.iter().sum();
        if reads < MIN_READS {
            return;
        }
        let mut slower = 0;
        let slowest = counts.iter().rposition(|count| {
            slower += count;
            slower > reads / ONE_IN
        });
        // A quarter more: times that all reads share need not be told apart to the millisecond.
        let delay = end(slowest.unwrap_or_default()) * 5 / 4;
        let delay = delay.clamp(millis(MIN_DELAY), millis(MAX_DELAY));
        self.delay_ms.store(delay, Ordering::Relaxed);
        if reads >= MAX_READS {
            for (count, was) in self.counts.iter().zip(counts) {
                count.fetch_sub(was / 2, Ordering::Relaxed);
            }
        }
    }
}

/// The bucket of a time in milliseconds.
fn bucket(ms: u32) -> usize {
    let power = ms.max(1).ilog2();
    if power < FIRST_POWER {
        return 0;
    }
    let sub = (ms >> (power - SUB_BITS)) - SUBS;
    (((power - FIRST_POWER) * SUBS + sub) as usize).min(BUCKETS - 1)
}

/// The time in milliseconds at which a bucket ends.
fn end(bucket: usize) -> u32 {
    let bucket = u32::try_from(bucket).unwrap_or(u32::MAX);
    let power = FIRST_POWER + bucket / SUBS;
    (SUBS + bucket % SUBS + 1) << (power - SUB_BITS)
}

fn millis(time: Duration) -> u32 {
    u32::try_from(time.as_millis()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    /// Numbers that look random, each time the same.
    fn dice(seed: u64) -> impl Iterator<Item = u32> {
        let mut state = seed;
        std::iter::repeat_with(move || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            (state >> 33) as u32
        })
    }

    #[test]
    fn buckets_cover_all_times_in_order() {
        for ms in 0..5000 {
            let bucket = bucket(ms);
            assert!(bucket < BUCKETS, "{ms}");
            if bucket + 1 < BUCKETS {
                assert!(ms < end(bucket), "{ms}");
            }
            if bucket > 0 {
                assert!(ms >= end(bucket - 1), "{ms}");
                assert!(end(bucket) * 8 <= end(bucket - 1) * 9, "{ms}");
            }
        }
        assert_eq!(bucket(u32::MAX), BUCKETS - 1);
        assert_eq!(bucket(2047), BUCKETS - 2);
    }

    #[test]
    fn until_enough_is_known_the_delay_is_fixed() {
        let hedging = Hedging::default();
        for _ in 1..MIN_READS {
            assert_eq!(hedging.sent(Read::Get), MAX_DELAY);
            hedging.answered(Read::Get, 100 * MS);
        }
        assert_eq!(hedging.sent(Read::Get), MAX_DELAY);
        hedging.answered(Read::Get, 100 * MS);
        let delay = hedging.sent(Read::Get);
        assert!((100 * MS..150 * MS).contains(&delay), "{delay:?}");
        assert_eq!(hedging.sent(Read::Head), MAX_DELAY, "a matter of its own");
    }

    #[test]
    fn the_delay_is_what_nearly_all_reads_keep_within() {
        // Evenly spread, with a long tail, and with stalls of five seconds.
        let spread = |dice: u32| 40 + dice % 100;
        let tail = |dice: u32| 20 + 20 * (dice | 1 << 20).leading_zeros();
        let stalls = |dice: u32| {
            if dice.is_multiple_of(100) {
                5000
            } else {
                60 + dice % 7
            }
        };
        for (name, time) in [
            ("spread", &spread as &dyn Fn(u32) -> u32),
            ("tail", &tail),
            ("stalls", &stalls),
        ] {
            let times = Times::default();
            let mut slower = 0;
            for (index, dice) in dice(7).take(20_000).enumerate() {
                let time = time(dice) * MS;
                if index >= 200 && time > times.delay() {
                    slower += 1;
                }
                times.add(time);
            }
            assert!(slower * ONE_IN <= 20_000, "{name}: {slower}");
            assert!(times.delay() < 400 * MS, "{name}: {:?}", times.delay());
        }
    }

    #[test]
    fn the_delay_follows_and_has_bounds() {
        let times = Times::default();
        let after = |ms: u32, reads: u32| {
            for _ in 0..reads {
                times.add(ms * MS);
            }
            times.delay()
        };
        assert_eq!(after(1, 100), MIN_DELAY);
        let slow = after(400, 64);
        assert!((400 * MS..600 * MS).contains(&slow), "{slow:?}");
        assert_eq!(after(30_000, 64), MAX_DELAY);
        let back = after(100, 3000);
        assert!((100 * MS..150 * MS).contains(&back), "{back:?}");
    }

    #[test]
    fn hedges_are_one_in_fifty_and_some_saved_up() {
        let hedging = Hedging::default();
        let hedges = (0..10_000)
            .filter(|_| {
                hedging.sent(Read::Get);
                hedging.take()
            })
            .count();
        assert_eq!(
            hedges,
            10 + 9_999 / 50,
            "the first read earns none: all is saved up"
        );
        for _ in 0..100_000 {
            hedging.sent(Read::Head);
        }
        let saved = std::iter::repeat_with(|| hedging.take())
            .take_while(|may| *may)
            .count();
        assert_eq!(saved, 10, "no more is saved up");
    }
}
