//! One HTTP/1.1 connection, driven by whoever uses it.
//!
//! hyper's connection future is usually spawned as a task of its own, and each request then costs
//! several hops between two tasks. Here the request polls the connection itself: no task, no
//! wake-up between tasks, and a dropped request closes its connection at once.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_rustls::MaybeHttpsStream;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::io::{Counted, Progress, Stream};
use super::timer::Timer;
use super::waker::OwnWaker;
use super::{Outgoing, TransportError};

/// A socket, with TLS or without.
pub(super) type Socket = MaybeHttpsStream<TokioIo<Counted<TcpStream>>>;

type Io = Stream<Socket>;

/// How much is read at once, in bytes: a block of 64 KiB with the head of its answer. A much larger
/// buffer would be a fresh one for every answer.
const READ_BUFFER: usize = 72 << 10;
/// Largest head of an answer, in bytes.
const MAX_HEAD: usize = 64 << 10;

pub(super) struct Connection {
    sender: http1::SendRequest<Full<Bytes>>,
    driver: Driver,
    waker: OwnWaker,
    progress: Arc<Progress>,
    /// An answer was read whole: the connection was once in working order.
    pub(super) reused: bool,
    pub(super) idle_since: Instant,
}

/// What lets a connection work.
pub(super) struct Driver {
    connection: http1::Connection<Io, Full<Bytes>>,
    /// It has finished and must not be polled again.
    finished: bool,
}

impl Driver {
    /// Lets the connection work; whether it has come to its end.
    pub(super) fn drive(&mut self, cx: &mut Context<'_>) -> bool {
        if !self.finished {
            self.finished = Pin::new(&mut self.connection).poll(cx).is_ready();
        }
        self.finished
    }
}

impl Connection {
    /// Begins HTTP/1.1 on a connected stream.
    pub(super) async fn begin(io: Socket) -> Result<Self, TransportError> {
        let (stream, progress) = Stream::new(io);
        let (sender, connection) = http1::Builder::new()
            .max_header_size(MAX_HEAD)
            .max_buf_size(READ_BUFFER)
            .handshake(stream)
            .await
            .map_err(|error| TransportError::Lost(Arc::new(error)))?;
        Ok(Self {
            sender,
            driver: Driver {
                connection,
                finished: false,
            },
            waker: OwnWaker::new(),
            progress,
            reused: false,
            idle_since: Instant::now(),
        })
    }

    /// Sends a request and waits for the head of the answer. Where nothing of it was written, the
    /// request is put back.
    ///
    /// `patience` is how long the server may be silent, counted from the last byte it took, or from
    /// `since`, which is now.
    pub(super) async fn send(
        &mut self,
        request: &mut Option<Outgoing>,
        mut since: Instant,
        patience: Duration,
        timer: &mut Timer<'_>,
    ) -> Result<Response<Incoming>, TransportError> {
        let Some(outgoing) = request.take() else {
            return Err(TransportError::Request("it was sent already"));
        };
        let sending = || self.sender.try_send_request(outgoing);
        let mut answer = pin!(self.waker.awake(sending));
        let mut written = None;
        let reused = self.reused;
        poll_fn(|cx| {
            let answered = self.waker.poll(cx, |cx| {
                self.driver.drive(cx);
                answer.as_mut().poll(cx)
            });
            match answered {
                Poll::Ready(Ok(answer)) if answer.status() == StatusCode::SWITCHING_PROTOCOLS => {
                    let error = TransportError::Framing("the server switched protocols");
                    return Poll::Ready(Err(error));
                }
                Poll::Ready(Ok(answer)) => return Poll::Ready(Ok(answer)),
                Poll::Ready(Err(mut error)) => {
                    *request = error.take_message();
                    let error = TransportError::before_answer(error.into_error(), reused);
                    return Poll::Ready(Err(error));
                }
                Poll::Pending => {}
            }
            let now_written = Some(self.progress.written());
            if now_written != written {
                // What is written at once is written now, as all of it mostly is.
                if written.is_some() {
                    since = Instant::now();
                }
                written = now_written;
            }
            match timer.poll(cx, since + patience) {
                Poll::Ready(expired) => {
                    Poll::Ready(Err(expired.unwrap_or(TransportError::NoAnswer(patience))))
                }
                Poll::Pending => Poll::Pending,
            }
        })
        .await
    }

    /// Polls something that the connection works for.
    pub(super) fn poll<T>(
        &mut self,
        cx: &mut Context<'_>,
        mut poll: impl FnMut(&mut Driver, &mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        let Self { driver, waker, .. } = self;
        waker.poll(cx, |cx| poll(driver, cx))
    }

    /// Whether another request can be sent: looks at the socket, so a connection that the server
    /// closed meanwhile, or on which it sent more than it should have, is found out.
    pub(super) async fn is_usable(&mut self) -> bool {
        let finished =
            poll_fn(|cx| self.poll(cx, |driver, cx| Poll::Ready(driver.drive(cx)))).await;
        !finished && self.sender.is_ready() && !self.progress.write_failed()
    }
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection")
            .field("finished", &self.driver.finished)
            .field("reused", &self.reused)
            .finish_non_exhaustive()
    }
}
