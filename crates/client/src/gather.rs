//! One request of what callers ask for at once.
//!
//! Who comes while nothing is under way starts a request at once. Who comes while one is under way
//! joins the next, which starts when that has ended. So nobody waits for company, and many callers
//! make few requests.

use std::sync::Arc;

use cidbucket_blockstore::Result;
use futures::future::{BoxFuture, FutureExt, Shared, WeakShared};
use parking_lot::Mutex;

/// A request that any number of callers wait for. Each of them drives it, so it goes on whoever
/// leaves, and none can be held up by another that does not poll; it ends when the last one leaves.
pub(crate) type Flight<R> = Shared<BoxFuture<'static, Result<R>>>;
type WeakFlight<R> = WeakShared<BoxFuture<'static, Result<R>>>;

/// Gathers items of type `T` into requests with a result of type `R`.
pub(crate) struct Gather<T, R> {
    last: Mutex<Option<Last<T, R>>>,
}

/// The limits of one request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Room {
    /// Of its items.
    pub(crate) items: usize,
    /// Of their weight together.
    pub(crate) weight: usize,
}

/// The request that was made last.
struct Last<T, R> {
    flight: WeakFlight<R>,
    items: Items<T>,
    weight: usize,
}

/// What is asked for; `None` once the request has started.
type Items<T> = Arc<Mutex<Option<Vec<T>>>>;

impl<T, R> Gather<T, R>
where
    T: PartialEq + Send + 'static,
    R: Clone + Send + Sync + 'static,
{
    pub(crate) fn new() -> Self {
        Self {
            last: Mutex::default(),
        }
    }

    /// Joins the next request, or starts one: the request, and the place of the item in it. Items
    /// that are equal have one place. `ask` makes the request; where the item joined another's, it
    /// is not called.
    pub(crate) fn join<F>(
        &self,
        item: T,
        weight: usize,
        room: Room,
        ask: impl FnOnce(Vec<T>) -> F + Send + 'static,
    ) -> (Flight<R>, usize)
    where
        F: Future<Output = Result<R>> + Send + 'static,
    {
        let mut last = self.last.lock();
        let before = last.as_ref().and_then(|last| last.flight.upgrade());
        if let (Some(last), Some(flight)) = (last.as_mut(), &before)
            && let Some(items) = last.items.lock().as_mut()
        {
            if let Some(place) = items.iter().position(|known| *known == item) {
                return (flight.clone(), place);
            }
            if items.len() < room.items && last.weight + weight <= room.weight {
                items.push(item);
                last.weight += weight;
                return (flight.clone(), items.len() - 1);
            }
        }
        let items: Items<T> = Arc::new(Mutex::new(Some(vec![item])));
        let mine = Arc::clone(&items);
        let flight = async move {
            if let Some(before) = before {
                // How it ended is not our concern.
                let _ = before.await;
            }
            let items = mine.lock().take().unwrap_or_default();
            ask(items).await
        };
        let flight = flight.boxed().shared();
        *last = flight.downgrade().map(|flight| Last {
            flight,
            items,
            weight,
        });
        (flight, 0)
    }
}

impl<T, R> std::fmt::Debug for Gather<T, R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gather").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use futures::channel::oneshot;
    use futures::future::{join, poll_immediate};

    use super::*;

    const WIDE: Room = Room {
        items: 10,
        weight: 100,
    };
    const NARROW: Room = Room {
        items: 2,
        weight: 10,
    };

    /// A request that answers with its items once it may.
    fn after(
        gate: oneshot::Receiver<()>,
    ) -> impl FnOnce(Vec<u8>) -> BoxFuture<'static, Result<Vec<u8>>> + Send {
        move |items| {
            async move {
                gate.await.unwrap();
                Ok(items)
            }
            .boxed()
        }
    }

    fn at_once(items: Vec<u8>) -> BoxFuture<'static, Result<Vec<u8>>> {
        async { Ok(items) }.boxed()
    }

    fn never(_: Vec<u8>) -> BoxFuture<'static, Result<Vec<u8>>> {
        unreachable!("it joined another's request")
    }

    #[tokio::test]
    async fn the_first_starts_at_once_and_the_others_gather() {
        let gather = Gather::new();
        let (open, gate) = oneshot::channel();
        let (mut first, place) = gather.join(1, 1, WIDE, after(gate));
        assert_eq!(place, 0);
        assert!(poll_immediate(&mut first).await.is_none());

        let (second, place) = gather.join(2, 1, WIDE, at_once);
        assert_eq!(place, 0);
        let (third, place) = gather.join(3, 1, WIDE, never);
        assert_eq!(place, 1);
        assert_eq!(
            gather.join(2, 1, WIDE, never).1,
            0,
            "equal items have one place"
        );
        assert!(poll_immediate(&mut second.clone()).await.is_none());

        open.send(()).unwrap();
        assert_eq!(first.await.unwrap(), [1]);
        assert_eq!(second.await.unwrap(), [2, 3]);
        assert_eq!(third.await.unwrap(), [2, 3]);
        assert_eq!(gather.join(4, 1, WIDE, at_once).0.await.unwrap(), [4]);
    }

    #[tokio::test]
    async fn requests_are_bounded() {
        let gather = Gather::new();
        let (first, _) = gather.join(1, 1, NARROW, at_once);
        let (joined, place) = gather.join(2, 1, NARROW, never);
        assert_eq!(place, 1);
        let (second, place) = gather.join(3, 8, NARROW, at_once);
        assert_eq!(place, 0, "two are enough");
        let (third, place) = gather.join(4, 3, NARROW, at_once);
        assert_eq!(place, 0, "too heavy together");
        assert_eq!(third.await.unwrap(), [4]);
        assert_eq!(second.await.unwrap(), [3]);
        assert_eq!(join(first, joined).await.1.unwrap(), [1, 2]);
    }

    /// The first caller leaves, or is not polled any more: the others are not held up.
    #[tokio::test]
    async fn nobody_depends_on_another() {
        for leaves in [true, false] {
            let gather = Gather::new();
            let (open, gate) = oneshot::channel();
            let (mut first, _) = gather.join(1, 1, WIDE, after(gate));
            assert!(poll_immediate(&mut first).await.is_none());
            let (second, _) = gather.join(2, 1, WIDE, at_once);
            let held = (!leaves).then_some(first);
            open.send(()).unwrap();
            assert_eq!(second.await.unwrap(), [2]);
            drop(held);
        }
    }

    #[tokio::test]
    async fn a_request_that_nobody_waits_for_is_dropped() {
        let gather = Gather::new();
        let (mut open, gate) = oneshot::channel::<()>();
        let (mut flight, _) = gather.join(1, 1, WIDE, after(gate));
        assert!(poll_immediate(&mut flight).await.is_none());
        drop(flight);
        open.cancellation().await;
        assert_eq!(gather.join(2, 1, WIDE, at_once).0.await.unwrap(), [2]);
    }
}
