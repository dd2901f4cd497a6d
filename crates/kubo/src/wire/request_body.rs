//! The body of a request, which a command reads while it answers.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures::stream::{BoxStream, Stream, StreamExt};
use parking_lot::Mutex;
use tokio::time::{Instant, timeout_at};

/// How much more is read of a body that the command did not want to the end, in bytes and time. A
/// client that is still sending would not see the answer otherwise.
const LEFTOVER: u64 = 16 << 20;
const LEFTOVER_TIME: Duration = Duration::from_secs(5);
/// How much may come before the head of a part is complete, in bytes: beside the head itself what
/// the connection has read ahead.
const HEAD: u64 = 2 << 20;

/// A request's body, shared by the command that reads it and whoever reads what it left.
#[derive(Clone)]
pub(crate) struct RequestBody {
    chunks: Arc<Mutex<BoxStream<'static, Result<Bytes, BodyError>>>>,
    /// Bytes read so far, and how far it may be read.
    read: Arc<AtomicU64>,
    bound: Arc<AtomicU64>,
}

/// Why no more comes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BodyError {
    #[error("the body of the request broke off: {0}")]
    Broken(String),
    #[error("nothing of the body came for {} s", .0.as_secs())]
    Stalled(Duration),
    #[error("the head of a part is too long")]
    Head,
}

impl RequestBody {
    /// A body, of which something must come within `patience` each time.
    pub(crate) fn new<B>(body: B, patience: Duration) -> Self
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: std::fmt::Display,
    {
        let frames = http_body_util::BodyStream::new(body);
        let chunks = futures::stream::unfold(Some(Box::pin(frames)), move |frames| async move {
            let mut frames = frames?;
            loop {
                let next = timeout_at(Instant::now() + patience, frames.next()).await;
                return match next {
                    Ok(None) => None,
                    Ok(Some(Ok(frame))) => match frame.into_data() {
                        Ok(data) => Some((Ok(data), Some(frames))),
                        Err(_) => continue, // trailers
                    },
                    Ok(Some(Err(error))) => Some((Err(BodyError::Broken(error.to_string())), None)),
                    Err(_) => Some((Err(BodyError::Stalled(patience)), None)),
                };
            }
        });
        Self {
            chunks: Arc::new(Mutex::new(chunks.fuse().boxed())),
            read: Arc::default(),
            bound: Arc::new(AtomicU64::new(u64::MAX)),
        }
    }

    /// Bounds what is read from now on to the length of a part's head, or not at all.
    pub(crate) fn bound_head(&self, bounded: bool) {
        let bound = if bounded {
            self.read.load(Ordering::Relaxed).saturating_add(HEAD)
        } else {
            u64::MAX
        };
        self.bound.store(bound, Ordering::Relaxed);
    }

    /// Reads what is left, up to a bound.
    pub(crate) async fn drain(mut self) {
        let end = self.read.load(Ordering::Relaxed).saturating_add(LEFTOVER);
        self.bound.store(u64::MAX, Ordering::Relaxed);
        let until = Instant::now() + LEFTOVER_TIME;
        while let Ok(Some(Ok(_))) = timeout_at(until, self.next()).await {
            if self.read.load(Ordering::Relaxed) > end {
                return;
            }
        }
    }
}

impl Stream for RequestBody {
    type Item = Result<Bytes, BodyError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.read.load(Ordering::Relaxed) > self.bound.load(Ordering::Relaxed) {
            return Poll::Ready(Some(Err(BodyError::Head)));
        }
        let polled = self.chunks.lock().poll_next_unpin(cx);
        if let Poll::Ready(Some(Ok(data))) = &polled {
            self.read.fetch_add(data.len() as u64, Ordering::Relaxed);
        }
        polled
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::{Full, StreamBody};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_body_that_stalls_ends() {
        let silent = StreamBody::new(futures::stream::pending::<
            Result<http_body::Frame<Bytes>, std::convert::Infallible>,
        >());
        let patience = Duration::from_secs(9);
        let mut body = RequestBody::new(silent, patience);
        let next = body.next().await;
        assert_eq!(next, Some(Err(BodyError::Stalled(patience))));
        assert_eq!(body.next().await, None);
    }

    #[tokio::test]
    async fn heads_are_bounded_and_what_is_left_is_read() {
        let chunk = Bytes::from(vec![0; 1 << 20]);
        let chunks = (0..20)
            .map(move |_| Ok::<_, std::convert::Infallible>(http_body::Frame::data(chunk.clone())));
        let body = StreamBody::new(futures::stream::iter(chunks));
        let mut body = RequestBody::new(body, Duration::from_secs(9));
        body.bound_head(true);
        let mut read = 0;
        while let Some(Ok(data)) = body.next().await {
            read += data.len();
        }
        assert_eq!(read, 3 << 20);
        body.clone().drain().await;
        assert!(body.read.load(Ordering::Relaxed) >= 19 << 20);

        let short = RequestBody::new(Full::new(Bytes::from("abc")), Duration::from_secs(9));
        short.drain().await;
    }
}
