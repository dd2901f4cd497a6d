//! How often: a token bucket for every token.

use std::num::NonZeroUsize;
use std::time::{Duration, Instant};

use lru::LruCache;
use parking_lot::Mutex;

use crate::Capability;

/// How many tokens are remembered unless told otherwise; about 10 MB.
const DEFAULT_CAPACITY: NonZeroUsize = NonZeroUsize::new(65_536).unwrap();

/// Holds every token to its [`Rate`](crate::Rate), in this process.
///
/// Each token has a bucket of `burst` requests that fills at `per_second`. Memory is bounded: full
/// buckets are forgotten, and if there are too many others, those unused for longest are. Several
/// instances of a service each grant the rate.
#[derive(Debug)]
pub struct RateLimiter {
    /// By token id: when its bucket will be full again. The generic cell rate algorithm (ITU-T
    /// I.371) needs no more than this.
    full_at: Mutex<LruCache<Box<str>, Instant>>,
    capacity: NonZeroUsize,
}

impl RateLimiter {
    /// A limiter that remembers at most `capacity` tokens.
    pub fn with_capacity(capacity: NonZeroUsize) -> Self {
        Self {
            // Bounded by hand: a bounded table takes all its memory at once.
            full_at: Mutex::new(LruCache::unbounded()),
            capacity,
        }
    }

    /// Takes one request from the bucket of `capability`'s token.
    ///
    /// # Errors
    /// How long to wait until the next one is there. Nothing is taken then.
    pub fn take(&self, capability: &Capability, now: Instant) -> Result<(), Duration> {
        let Some(rate) = capability.rate else {
            return Ok(());
        };
        let each = Duration::from_secs(1) / rate.per_second.get();
        let ahead_at_most = each * (rate.burst.get() - 1);
        let mut full_at = self.full_at.lock();
        forget_full(&mut full_at, now);
        let known = full_at.get(capability.token.as_str()).copied();
        let ahead = known.map_or(Duration::ZERO, |at| at.saturating_duration_since(now));
        let wait = ahead.saturating_sub(ahead_at_most);
        if !wait.is_zero() {
            return Err(wait);
        }
        full_at.put(capability.token.as_str().into(), now + ahead + each);
        if full_at.len() > self.capacity.get() {
            full_at.pop_lru();
        }
        Ok(())
    }
}

impl Default for RateLimiter {
    fn default() -> Self {
        Self::with_capacity(DEFAULT_CAPACITY)
    }
}

/// Forgets the longest unused buckets while they are full: two at most, so that the work of a
/// request is bounded and forgetting is still faster than remembering.
fn forget_full(full_at: &mut LruCache<Box<str>, Instant>, now: Instant) {
    for _ in 0..2 {
        match full_at.peek_lru() {
            Some((_, at)) if *at <= now => full_at.pop_lru(),
            _ => return,
        };
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use proptest::prelude::*;

    use super::*;
    use crate::{Operations, Rate};

    fn capability(token: &str, per_second: u32, burst: u32) -> Capability {
        let mut capability = Capability::new("", token, Operations::ALL);
        capability.rate = Some(Rate {
            per_second: NonZeroU32::new(per_second).unwrap(),
            burst: NonZeroU32::new(burst).unwrap(),
        });
        capability
    }

    #[test]
    fn a_burst_and_then_the_rate() {
        let limiter = RateLimiter::default();
        let start = Instant::now();
        let alice = capability("a", 10, 3);
        for _ in 0..3 {
            assert_eq!(limiter.take(&alice, start), Ok(()));
        }
        let wait = limiter.take(&alice, start).unwrap_err();
        assert_eq!(wait, Duration::from_millis(100));
        let almost = start + Duration::from_nanos(99_999_999);
        assert_eq!(limiter.take(&alice, almost), Err(Duration::from_nanos(1)));
        assert_eq!(limiter.take(&alice, start + wait), Ok(()));
        assert!(limiter.take(&alice, start + wait).is_err());
        // Another token has its own bucket, and one without a rate has none.
        assert_eq!(limiter.take(&capability("b", 1, 1), start), Ok(()));
        let free = Capability::new("", "a", Operations::ALL);
        assert_eq!(limiter.take(&free, start), Ok(()));
    }

    #[test]
    fn a_clock_that_stands_or_jumps_is_no_way_round() {
        let limiter = RateLimiter::default();
        let before = Instant::now();
        let start = before + Duration::from_secs(5);
        let alice = capability("a", 1, 1);
        assert_eq!(limiter.take(&alice, start), Ok(()));
        assert_eq!(limiter.take(&alice, before), Err(Duration::from_secs(6)));
    }

    #[test]
    fn full_buckets_are_forgotten_and_the_rest_is_bounded() {
        let limiter = RateLimiter::with_capacity(NonZeroUsize::new(100).unwrap());
        let start = Instant::now();
        for i in 0..1000 {
            let _ = limiter.take(&capability(&format!("t{i}"), 1, 1), start);
        }
        assert_eq!(limiter.full_at.lock().len(), 100);
        let later = start + Duration::from_secs(2);
        for _ in 0..100 {
            let _ = limiter.take(&capability("last", 1000, 1000), later);
        }
        assert_eq!(limiter.full_at.lock().len(), 1);
    }

    proptest! {
        /// In any stretch of time no more than burst + rate × time is let through, and who waits
        /// as long as told is let through.
        #[test]
        fn never_more_than_promised(
            per_second in 1..1000u32,
            burst in 1..50u32,
            steps in prop::collection::vec(0..200u64, 1..200),
        ) {
            let limiter = RateLimiter::default();
            let alice = capability("a", per_second, burst);
            let start = Instant::now();
            let mut now = start;
            let mut taken = Vec::new();
            for step in steps {
                now += Duration::from_millis(step);
                match limiter.take(&alice, now) {
                    Ok(()) => taken.push((now - start).as_secs_f64()),
                    Err(wait) => {
                        now += wait;
                        prop_assert_eq!(limiter.take(&alice, now), Ok(()));
                        taken.push((now - start).as_secs_f64());
                    }
                }
            }
            for (i, from) in taken.iter().enumerate() {
                for (count, to) in (1u32..).zip(&taken[i..]) {
                    let allowed = f64::from(burst) + f64::from(per_second) * (to - from);
                    prop_assert!(f64::from(count) <= allowed + 1e-3);
                }
            }
        }
    }
}
