//! Whether, when and how to try again: decisions only. Time and randomness are arguments; the
//! waiting is done by whoever sends: [`crate::S3Client`], [`crate::GrantClient`], and clients of
//! other protocols on the same transport.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use crate::config::Retry;

/// What a retry takes out of the [`Budget`].
const COST: u32 = 5;

/// What a failed attempt means for the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// A kept-alive connection was closed under the request: the server's habit, not a failure.
    Stale,
    /// The server or the network failed; likely not for long.
    Transient,
    /// The server asks to slow down.
    Throttled,
    /// Something on our side was put right after the answer said what: the clock, the region, the
    /// credentials.
    Corrected,
    /// Trying again will not help.
    Fatal,
}

/// What to do after a failed attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Try again after this pause, on a new connection.
    Again(Duration),
    /// Give up, for this reason.
    GiveUp(Reason),
}

/// Why an operation was given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// Trying again will not help.
    Fatal,
    /// The attempts are used up.
    Attempts,
    /// The client's retry budget is used up: too many operations fail.
    Budget,
    /// The next attempt would begin after the operation's deadline.
    Deadline,
    /// The attempt may have been carried out, and the operation must not be carried out twice.
    NotIdempotent,
}

/// The retry budget that all operations of a client share: a bucket of tokens.
///
/// A retry takes tokens, an operation that succeeds puts its own back and one more. So single
/// failures are retried freely, while in an outage, when nothing succeeds, the tokens run out
/// and every operation costs one request.
#[derive(Debug)]
pub struct Budget {
    tokens: AtomicU32,
    capacity: u32,
}

impl Budget {
    /// A full budget of so many tokens: [`Retry::budget`].
    pub fn new(capacity: u32) -> Self {
        Self {
            tokens: AtomicU32::new(capacity),
            capacity,
        }
    }

    fn take(&self) -> bool {
        self.tokens
            .try_update(Ordering::Relaxed, Ordering::Relaxed, |tokens| {
                tokens.checked_sub(COST)
            })
            .is_ok()
    }

    fn put_back(&self, tokens: u32) {
        // The common case, a full budget, needs no write to the shared cache line.
        if self.tokens.load(Ordering::Relaxed) < self.capacity {
            self.tokens
                .update(Ordering::Relaxed, Ordering::Relaxed, |have| {
                    have.saturating_add(tokens).min(self.capacity)
                });
        }
    }
}

/// The attempts at one operation.
#[derive(Debug)]
pub struct Attempts<'a> {
    policy: &'a Retry,
    budget: &'a Budget,
    deadline: Instant,
    idempotent: bool,
    /// Attempts made.
    made: u32,
    /// Of these, the ones that count against the limit.
    charged: u32,
    taken: u32,
    pause: Duration,
}

impl<'a> Attempts<'a> {
    /// No attempt was made yet. `idempotent`: carrying the operation out twice does no more than
    /// once.
    pub fn new(policy: &'a Retry, budget: &'a Budget, deadline: Instant, idempotent: bool) -> Self {
        Self {
            policy,
            budget,
            deadline,
            idempotent,
            made: 0,
            charged: 0,
            taken: 0,
            pause: policy.min_delay,
        }
    }

    /// Attempts begun, with the one under way.
    pub fn made(&self) -> u32 {
        self.made
    }

    /// Another attempt begins.
    pub fn begin(&mut self) {
        self.made += 1;
    }

    /// The operation succeeded.
    pub fn succeeded(&mut self) {
        self.budget.put_back(self.taken + 1);
        self.taken = 0;
    }

    /// The attempt failed.
    ///
    /// `carried_out`: the server may have done what was asked. `retry_after`: the pause it asks
    /// for. `random`: any number, all equally likely.
    pub fn failed(
        &mut self,
        class: Class,
        carried_out: bool,
        retry_after: Option<Duration>,
        now: Instant,
        random: u64,
    ) -> Verdict {
        if class == Class::Fatal {
            return Verdict::GiveUp(Reason::Fatal);
        }
        if carried_out && !self.idempotent {
            return Verdict::GiveUp(Reason::NotIdempotent);
        }
        if matches!(class, Class::Stale | Class::Corrected) {
            return if now >= self.deadline {
                Verdict::GiveUp(Reason::Deadline)
            } else {
                Verdict::Again(Duration::ZERO)
            };
        }
        self.charged += 1;
        if self.charged >= self.policy.max_attempts {
            return Verdict::GiveUp(Reason::Attempts);
        }
        let pause = self.pause(retry_after, random);
        if now + pause >= self.deadline {
            return Verdict::GiveUp(Reason::Deadline);
        }
        if !self.budget.take() {
            return Verdict::GiveUp(Reason::Budget);
        }
        self.taken += COST;
        Verdict::Again(pause)
    }

    /// Decorrelated jitter ("Exponential Backoff And Jitter", AWS Architecture Blog): evenly
    /// between the shortest pause and three times the last one. Not shorter than the server asks
    /// for, and in no case longer than the longest.
    fn pause(&mut self, retry_after: Option<Duration>, random: u64) -> Duration {
        let (min, max) = (self.policy.min_delay, self.policy.max_delay);
        let span = (self.pause * 3).saturating_sub(min);
        #[expect(clippy::cast_precision_loss, reason = "a fraction need not be exact")]
        let fraction = (random >> 11) as f64 / (1_u64 << 53) as f64;
        self.pause = (min + span.mul_f64(fraction)).min(max);
        self.pause.max(retry_after.unwrap_or_default()).min(max)
    }
}

/// A random number, from the keys that the standard library makes for its hash maps.
pub fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy() -> Retry {
        Retry {
            max_attempts: 4,
            min_delay: Duration::from_millis(100),
            max_delay: Duration::from_secs(15),
            budget: 50,
        }
    }

    fn far() -> Instant {
        Instant::now() + Duration::from_hours(1)
    }

    #[test]
    fn attempts_end() {
        let (policy, budget) = (policy(), Budget::new(50));
        let mut attempts = Attempts::new(&policy, &budget, far(), true);
        for _ in 0..3 {
            attempts.begin();
            let verdict = attempts.failed(Class::Transient, true, None, Instant::now(), 7);
            assert!(matches!(verdict, Verdict::Again(_)), "{verdict:?}");
        }
        attempts.begin();
        assert_eq!(
            attempts.failed(Class::Throttled, false, None, Instant::now(), 7),
            Verdict::GiveUp(Reason::Attempts)
        );
        assert_eq!(attempts.made(), 4);
    }

    #[test]
    fn pauses_grow_with_jitter_within_their_bounds() {
        let mut policy = policy();
        policy.max_attempts = 100;
        let budget = Budget::new(u32::MAX);
        for random in [0, 1 << 40, u64::MAX / 3, u64::MAX] {
            let mut attempts = Attempts::new(&policy, &budget, far(), true);
            let mut last = policy.min_delay;
            for _ in 0..50 {
                let Verdict::Again(pause) =
                    attempts.failed(Class::Transient, false, None, Instant::now(), random)
                else {
                    panic!("gave up");
                };
                assert!(pause >= policy.min_delay && pause <= policy.max_delay);
                assert!(pause <= last * 3);
                last = pause;
            }
            if random == u64::MAX {
                assert_eq!(last, policy.max_delay);
            }
        }
    }

    #[test]
    fn retry_after_is_honoured_up_to_the_longest_pause() {
        let (policy, budget) = (policy(), Budget::new(50));
        for (asked, expected) in [(2, 2), (15, 15), (3600, 15)] {
            let mut attempts = Attempts::new(&policy, &budget, far(), true);
            assert_eq!(
                attempts.failed(
                    Class::Throttled,
                    false,
                    Some(Duration::from_secs(asked)),
                    Instant::now(),
                    0
                ),
                Verdict::Again(Duration::from_secs(expected))
            );
        }
    }

    #[test]
    fn no_pause_outlasts_the_deadline() {
        let (policy, budget) = (policy(), Budget::new(50));
        let now = Instant::now();
        let mut attempts = Attempts::new(&policy, &budget, now + Duration::from_millis(99), true);
        assert_eq!(
            attempts.failed(Class::Transient, false, None, now, 0),
            Verdict::GiveUp(Reason::Deadline)
        );
    }

    #[test]
    fn stale_connections_and_corrections_are_free() {
        let (policy, budget) = (policy(), Budget::new(0));
        let mut attempts = Attempts::new(&policy, &budget, far(), true);
        for class in [Class::Stale, Class::Corrected, Class::Stale] {
            attempts.begin();
            assert_eq!(
                attempts.failed(class, false, None, Instant::now(), 0),
                Verdict::Again(Duration::ZERO)
            );
        }
        assert_eq!(
            attempts.failed(Class::Transient, false, None, Instant::now(), 0),
            Verdict::GiveUp(Reason::Budget)
        );
    }

    #[test]
    fn what_must_not_happen_twice_is_not_repeated_when_it_may_have_happened() {
        let (policy, budget) = (policy(), Budget::new(50));
        let mut attempts = Attempts::new(&policy, &budget, far(), false);
        assert!(matches!(
            attempts.failed(Class::Throttled, false, None, Instant::now(), 0),
            Verdict::Again(_)
        ));
        assert_eq!(
            attempts.failed(Class::Transient, true, None, Instant::now(), 0),
            Verdict::GiveUp(Reason::NotIdempotent)
        );
    }

    /// 10,000 operations in an outage, then recovery.
    #[test]
    fn an_outage_costs_one_request_per_operation() {
        let mut policy = policy();
        policy.max_attempts = 11;
        let budget = Budget::new(500);
        let operation = |fails: &dyn Fn(u32) -> bool| {
            let mut attempts = Attempts::new(&policy, &budget, far(), true);
            loop {
                attempts.begin();
                if !fails(attempts.made()) {
                    attempts.succeeded();
                    return (attempts.made(), true);
                }
                if let Verdict::GiveUp(_) =
                    attempts.failed(Class::Transient, false, None, Instant::now(), 3)
                {
                    return (attempts.made(), false);
                }
            }
        };
        let requests: u32 = (0..10_000).map(|_| operation(&|_| true).0).sum();
        assert!(
            requests <= 10_100,
            "{requests} requests for 10000 operations"
        );
        assert_eq!(
            operation(&|made| made < 2),
            (1, false),
            "the budget is empty"
        );
        for _ in 0..100 {
            assert_eq!(operation(&|_| false), (1, true));
        }
        assert_eq!(operation(&|made| made < 4), (4, true), "the budget is back");
    }

    /// Three of four requests fail, for ever: operations that get through in the end give their
    /// tokens back, so the budget does not run dry.
    #[test]
    fn a_brownout_does_not_empty_the_budget() {
        let mut policy = policy();
        policy.max_attempts = 60;
        let budget = Budget::new(500);
        let mut dice = 1_u64;
        for _ in 0..10_000 {
            let mut attempts = Attempts::new(&policy, &budget, far(), true);
            loop {
                dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                if dice >> 62 == 0 {
                    attempts.succeeded();
                    break;
                }
                let verdict = attempts.failed(Class::Throttled, false, None, Instant::now(), 0);
                assert!(matches!(verdict, Verdict::Again(_)), "{verdict:?}");
            }
        }
    }
}
