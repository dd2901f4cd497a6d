//! The body of an answer, and what a fault does to it.

use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt, combinators::UnsyncBoxBody};
use s3s::StdError;
use tokio::time::{Sleep, sleep};

use crate::fault::Fault;

pub(crate) type AnswerBody = UnsyncBoxBody<Bytes, StdError>;

/// Lets what was sent before an abrupt end reach the client: a reset discards what still waits.
const FLUSH: Duration = Duration::from_millis(20);

/// Applies a fault of the body; others leave it as it is.
pub(crate) fn spoil(body: AnswerBody, fault: &Fault, reset: Arc<AtomicBool>) -> AnswerBody {
    let way = match *fault {
        Fault::CutBody { after } => Way::End(after, None),
        Fault::ResetBody { after } => Way::End(after, Some(reset)),
        Fault::StallBody { after } => Way::Stall(after),
        Fault::SlowBody { piece, pause } => Way::Slow(piece.max(1), pause),
        Fault::CorruptBody => Way::Corrupt,
        _ => return body,
    };
    Spoiled {
        body,
        way,
        rest: Bytes::new(),
        timer: None,
    }
    .boxed_unsync()
}

struct Spoiled {
    body: AnswerBody,
    way: Way,
    /// Received from the true body and not yet passed on.
    rest: Bytes,
    timer: Option<Pin<Box<Sleep>>>,
}

enum Way {
    End(u64, Option<Arc<AtomicBool>>),
    Stall(u64),
    Slow(usize, Duration),
    Corrupt,
    Clean,
}

impl Spoiled {
    fn poll_timer(&mut self, length: Duration, cx: &mut Context<'_>) -> Poll<()> {
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep(length)));
        ready!(timer.as_mut().poll(cx));
        self.timer = None;
        Poll::Ready(())
    }
}

impl Body for Spoiled {
    type Data = Bytes;
    type Error = StdError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, StdError>>> {
        let this = &mut *self;
        match &this.way {
            Way::End(0, reset) => {
                let reset = reset.clone();
                ready!(this.poll_timer(FLUSH, cx));
                if let Some(reset) = reset {
                    reset.store(true, Ordering::Relaxed);
                }
                return Poll::Ready(Some(Err("the body ends here by a fault".into())));
            }
            Way::Stall(0) => return Poll::Pending,
            _ => {}
        }
        if this.rest.is_empty() {
            match ready!(Pin::new(&mut this.body).poll_frame(cx)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => this.rest = data,
                    Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
                },
                end => return Poll::Ready(end),
            }
        }
        let data = match &mut this.way {
            Way::End(left, _) | Way::Stall(left) => {
                let some =
                    usize::try_from(*left).map_or(this.rest.len(), |n| n.min(this.rest.len()));
                *left -= some as u64;
                this.rest.split_to(some)
            }
            Way::Slow(piece, pause) => {
                let (some, pause) = ((*piece).min(this.rest.len()), *pause);
                ready!(this.poll_timer(pause, cx));
                this.rest.split_to(some)
            }
            Way::Corrupt => {
                let mut wrong = BytesMut::from(&*std::mem::take(&mut this.rest));
                if let Some(byte) = wrong.first_mut() {
                    *byte ^= 0xff;
                    this.way = Way::Clean;
                }
                wrong.freeze()
            }
            Way::Clean => std::mem::take(&mut this.rest),
        };
        Poll::Ready(Some(Ok(Frame::data(data))))
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}
