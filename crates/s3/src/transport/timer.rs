//! One timer for all the limits of a request.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::time::{Instant, Sleep};

use super::TransportError;

/// A timer that is armed for whatever limit comes first.
///
/// A limit that moves away, as it does whenever bytes arrive, costs nothing: the timer fires early
/// once and is set anew.
pub(super) struct Timer<'a> {
    sleep: Pin<&'a mut Sleep>,
    deadline: Instant,
}

impl<'a> Timer<'a> {
    /// A timer on `sleep`, for an operation that ends at `deadline` in any case.
    pub(super) fn new(sleep: Pin<&'a mut Sleep>, deadline: Instant) -> Self {
        Self { sleep, deadline }
    }

    /// Ready at `limit` (`None`) or at the deadline (`Some(TransportError::Deadline)`).
    pub(super) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        limit: Instant,
    ) -> Poll<Option<TransportError>> {
        let target = limit.min(self.deadline);
        if self.sleep.deadline() > target {
            self.sleep.as_mut().reset(target);
        }
        loop {
            if self.sleep.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            if Instant::now() >= target {
                return Poll::Ready((target == self.deadline).then_some(TransportError::Deadline));
            }
            self.sleep.as_mut().reset(target);
        }
    }
}
