//! What ends a stream early, beside the stream.

use std::sync::{Arc, Mutex, PoisonError};

use cidbucket::BoxStream;
use futures::stream::StreamExt;

use crate::failure::{Failure, Outcome};

/// What ended a stream early, kept beside it: the batch methods of a store take plain items.
#[derive(Debug, Clone, Default)]
pub(crate) struct Trouble(Arc<Mutex<Option<Failure>>>);

impl Trouble {
    /// The good items up to the first bad one, which is kept.
    pub(crate) fn aside<'a, T: Send + 'a>(
        items: BoxStream<'a, Result<T, Failure>>,
    ) -> (BoxStream<'a, T>, Self) {
        let trouble = Self::default();
        let keep = trouble.clone();
        let good = items.scan((), move |(), item| {
            std::future::ready(item.map_err(|failure| keep.set(failure)).ok())
        });
        (good.boxed(), trouble)
    }

    /// Fails with what ended the stream, if it was more than its end.
    pub(crate) fn check(&self) -> Outcome {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.take().map_or(Ok(()), |failure| Err(failure.into()))
    }

    fn set(&self, failure: Failure) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(failure);
    }
}
