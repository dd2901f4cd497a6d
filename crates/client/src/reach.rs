//! Whether S3 can be reached from here: a circuit breaker. Decisions only; time is an argument.

use std::time::Duration;

use tokio::time::Instant;

/// How long blocks go through the service after S3 could not be reached. It doubles with every
/// trial that fails.
const FIRST_PAUSE: Duration = Duration::from_secs(10);
/// The longest such time.
const LONGEST_PAUSE: Duration = Duration::from_mins(5);

/// What is known of the way to S3.
#[derive(Debug, Default)]
pub(crate) struct Reach {
    /// S3 could not be reached.
    pause: Option<Pause>,
    /// Counts the times that the answer changed, so that late news is known as such.
    epoch: u64,
}

#[derive(Debug, Clone, Copy)]
struct Pause {
    until: Instant,
    length: Duration,
}

/// Leave to go straight to S3. Its holder says how that ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Leave(u64);

impl Reach {
    /// Whether a block that sets out now may go straight to S3. After a pause one block tries,
    /// and the others go through the service until it is known how that ended; where nobody tells,
    /// for another pause.
    pub(crate) fn leave(&mut self, now: Instant) -> Option<Leave> {
        if let Some(pause) = &mut self.pause {
            if now < pause.until {
                return None;
            }
            pause.until = now + pause.length;
        }
        Some(Leave(self.epoch))
    }

    /// Whether a block that set out now would have leave. This takes none.
    pub(crate) fn has_leave(&self, now: Instant) -> bool {
        self.pause.is_none_or(|pause| now >= pause.until)
    }

    /// S3 answered. Whether that is news.
    pub(crate) fn reached(&mut self) -> bool {
        let news = self.pause.take().is_some();
        self.epoch += u64::from(news);
        news
    }

    /// S3 could not be reached. How long it will not be tried, where that is news.
    pub(crate) fn not_reached(&mut self, leave: Leave, now: Instant) -> Option<Duration> {
        if leave.0 != self.epoch {
            return None;
        }
        let length = self
            .pause
            .map_or(FIRST_PAUSE, |pause| (pause.length * 2).min(LONGEST_PAUSE));
        self.epoch += 1;
        self.pause = Some(Pause {
            until: now + length,
            length,
        });
        Some(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_failure_closes_and_one_trial_opens() {
        let (mut reach, start) = (Reach::default(), Instant::now());
        let leaves = [reach.leave(start).unwrap(), reach.leave(start).unwrap()];
        assert_eq!(reach.not_reached(leaves[0], start), Some(FIRST_PAUSE));
        assert_eq!(
            reach.not_reached(leaves[1], start),
            None,
            "it set out before: nothing new"
        );
        assert_eq!(reach.leave(start + FIRST_PAUSE / 2), None);

        let later = start + FIRST_PAUSE;
        assert!(reach.has_leave(later) && !reach.has_leave(start));
        let trial = reach.leave(later).unwrap();
        assert_eq!(reach.leave(later), None, "one tries");
        assert!(!reach.has_leave(later));
        assert_eq!(reach.not_reached(trial, later), Some(FIRST_PAUSE * 2));
        assert_eq!(reach.leave(later + FIRST_PAUSE), None);

        let later = later + FIRST_PAUSE * 2;
        let trial = reach.leave(later).unwrap();
        assert!(reach.reached());
        assert!(!reach.reached());
        assert!(reach.leave(later).is_some());
        assert_eq!(reach.not_reached(trial, later), None);
    }

    #[test]
    fn a_trial_that_was_dropped_is_followed_by_another() {
        let (mut reach, start) = (Reach::default(), Instant::now());
        let leave = reach.leave(start).unwrap();
        reach.not_reached(leave, start);
        assert!(reach.leave(start + FIRST_PAUSE).is_some());
        assert!(reach.leave(start + FIRST_PAUSE * 2).is_some());
    }

    #[test]
    fn pauses_are_bounded() {
        let (mut reach, mut now) = (Reach::default(), Instant::now());
        for _ in 0..50 {
            let leave = reach.leave(now).unwrap();
            let pause = reach.not_reached(leave, now).unwrap();
            assert!(pause <= LONGEST_PAUSE);
            now += pause;
        }
    }
}
