//! The waker with which a request polls its connection.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use futures::task::AtomicWaker;

/// Polled in a row at most, so that a connection that is always ready lets others have their turn.
const MAX_POLLS: usize = 4;

/// Wakes the task that polls, but not while it polls.
///
/// Request and connection talk through channels: what one sends wakes the other, which is the same
/// task. It would be put in line again to be polled for nothing, and whoever polls many futures at once
/// takes it for one that does not let others have their turn. So it is polled again on the spot.
pub(super) struct OwnWaker {
    shared: Arc<Shared>,
    waker: Waker,
}

struct Shared {
    task: AtomicWaker,
    state: AtomicU8,
}

/// Nobody polls: a wake is for the task.
const IDLE: u8 = 0;
/// Somebody polls.
const POLLING: u8 = 1;
/// Somebody polls, and was woken meanwhile.
const WOKEN: u8 = 2;

impl OwnWaker {
    pub(super) fn new() -> Self {
        let shared = Arc::new(Shared {
            task: AtomicWaker::new(),
            state: AtomicU8::new(IDLE),
        });
        Self {
            waker: Waker::from(Arc::clone(&shared)),
            shared,
        }
    }

    /// Does something on the task, which polls next: to be woken would be for nothing.
    pub(super) fn awake<T>(&self, work: impl FnOnce() -> T) -> T {
        self.shared.state.store(POLLING, Ordering::Release);
        let done = work();
        self.shared.state.store(IDLE, Ordering::Release);
        done
    }

    /// Polls until there is nothing more to do at once.
    pub(super) fn poll<T>(
        &self,
        cx: &mut Context<'_>,
        mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        let Shared { task, state } = &*self.shared;
        task.register(cx.waker());
        let mut own = Context::from_waker(&self.waker);
        for _ in 0..MAX_POLLS {
            state.store(POLLING, Ordering::Release);
            if let Poll::Ready(ready) = poll(&mut own) {
                state.store(IDLE, Ordering::Release);
                return Poll::Ready(ready);
            }
            let asleep = state.compare_exchange(POLLING, IDLE, Ordering::AcqRel, Ordering::Acquire);
            if asleep.is_ok() {
                return Poll::Pending;
            }
        }
        state.store(IDLE, Ordering::Release);
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl Wake for Shared {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let polling = |state| (state != IDLE).then_some(WOKEN);
        if self
            .state
            .try_update(Ordering::AcqRel, Ordering::Acquire, polling)
            .is_err()
        {
            self.task.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;
    use std::time::Duration;

    use futures::task::noop_waker_ref;

    use super::*;

    /// Counts how often its task is woken.
    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Count {
        fn woken(&self) -> usize {
            self.0.load(Ordering::Relaxed)
        }
    }

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How often is polled what wakes itself so many times, and how often its task is woken.
    fn polls(wakes: usize) -> (usize, usize) {
        let own = OwnWaker::new();
        let count = Arc::new(Count::default());
        let waker = Waker::from(Arc::clone(&count));
        let mut polls = 0;
        let polled = own.poll(&mut Context::from_waker(&waker), |cx| {
            polls += 1;
            if polls <= wakes {
                cx.waker().wake_by_ref();
            }
            Poll::<()>::Pending
        });
        assert!(polled.is_pending());
        let while_polling = count.woken();
        // Nobody polls now.
        own.waker.wake_by_ref();
        assert_eq!(count.woken(), while_polling + 1);
        (polls, while_polling)
    }

    #[test]
    fn a_wake_while_polling_is_another_poll() {
        assert_eq!(polls(0), (1, 0));
        assert_eq!(polls(2), (3, 0));
    }

    #[test]
    fn who_never_rests_lets_others_have_their_turn() {
        assert_eq!(polls(usize::MAX), (MAX_POLLS, 1));
    }

    #[test]
    fn whoever_polled_last_is_woken() {
        let own = OwnWaker::new();
        let count = Arc::new(Count::default());
        let waker = Waker::from(Arc::clone(&count));
        let pending = |cx: &mut Context<'_>| {
            let _ = own.poll(cx, |_| Poll::<()>::Pending);
        };
        pending(&mut Context::from_waker(noop_waker_ref()));
        pending(&mut Context::from_waker(&waker));
        own.waker.wake_by_ref();
        assert_eq!(count.woken(), 1);
    }

    #[tokio::test]
    async fn no_wake_of_another_thread_is_lost() {
        const ROUNDS: usize = 20_000;
        let own = OwnWaker::new();
        let (asked, told) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
        let teller = {
            let (waker, asked, told) = (own.waker.clone(), Arc::clone(&asked), Arc::clone(&told));
            move || {
                for round in 1..=ROUNDS {
                    while asked.load(Ordering::Acquire) < round {
                        std::thread::yield_now();
                    }
                    told.store(round, Ordering::Release);
                    waker.wake_by_ref();
                }
            }
        };
        let teller = std::thread::spawn(teller);
        let rounds = async {
            for round in 1..=ROUNDS {
                let polled = std::future::poll_fn(|cx| {
                    own.poll(cx, |_| {
                        let told = told.load(Ordering::Acquire) == round;
                        asked.store(round, Ordering::Release);
                        // So that the other thread wakes now while this one polls, now after.
                        (0..round % 512).for_each(|_| std::hint::spin_loop());
                        if told { Poll::Ready(()) } else { Poll::Pending }
                    })
                });
                polled.await;
            }
        };
        let rounds = tokio::time::timeout(Duration::from_mins(1), rounds).await;
        rounds.expect("nobody is left asleep");
        teller.join().unwrap();
    }
}
