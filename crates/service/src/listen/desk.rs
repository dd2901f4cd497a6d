//! Where the answers of one HTTP/1.1 connection are worked out, one after the other.

use std::future::{Ready, ready};
use std::pin::Pin;

use futures::FutureExt;
use futures::future::{BoxFuture, Either};
use parking_lot::Mutex;

/// What is answered without waiting is answered at once, at the same place in memory as the last.
///
/// At once means before the connection looks for more bytes: until the request's headers are gone, it
/// would have to look into a new buffer.
pub(super) struct Desk<F>(Mutex<Option<Pin<Box<F>>>>);

impl<F> Default for Desk<F> {
    fn default() -> Self {
        Self(Mutex::new(None))
    }
}

impl<F: Future + Send + 'static> Desk<F> {
    /// Begins to answer.
    pub(super) fn begin(&self, work: F) -> Either<Ready<F::Output>, BoxFuture<'static, F::Output>> {
        let place = self.0.lock().take();
        let mut work = match place {
            Some(mut place) => {
                place.set(work);
                place
            }
            None => Box::pin(work),
        };
        // Whoever gets the rest polls it before anything else, so nothing that wakes it is missed.
        match work.as_mut().now_or_never() {
            Some(answer) => {
                *self.0.lock() = Some(work);
                Either::Left(ready(answer))
            }
            None => Either::Right(work),
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn what_has_to_wait_is_waited_for() {
        let desk = Desk::default();
        let answer = |channel: Option<oneshot::Receiver<u8>>| async {
            match channel {
                Some(channel) => channel.await.unwrap(),
                None => 0,
            }
        };
        for _ in 0..2 {
            let at_once = desk.begin(answer(None));
            assert!(matches!(&at_once, Either::Left(_)));
            assert_eq!(at_once.await, 0);
            let (tell, told) = oneshot::channel();
            let later = desk.begin(answer(Some(told)));
            assert!(matches!(&later, Either::Right(_)));
            // Meanwhile others are answered.
            assert_eq!(desk.begin(answer(None)).await, 0);
            let later = tokio::spawn(later);
            tokio::task::yield_now().await;
            tell.send(7).unwrap();
            assert_eq!(later.await.unwrap(), 7);
        }
    }
}
