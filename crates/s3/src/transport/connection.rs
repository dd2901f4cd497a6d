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
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_rustls::MaybeHttpsStream;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::TransportError;
use super::io::{Counted, Progress, Stream};
use super::timer::Timer;

/// A socket, with TLS or without.
pub(super) type Socket = MaybeHttpsStream<TokioIo<Counted<TcpStream>>>;

type Io = Stream<Socket>;

/// How much is read at once, in bytes. A larger buffer would be a fresh one for every answer.
const READ_BUFFER: usize = 64 << 10;
/// Largest head of an answer, in bytes.
const MAX_HEAD: usize = 64 << 10;

pub(super) struct Connection {
    sender: http1::SendRequest<Full<Bytes>>,
    driver: http1::Connection<Io, Full<Bytes>>,
    progress: Arc<Progress>,
    /// The driver has finished and must not be polled again.
    finished: bool,
    /// An answer was read whole: the connection was once in working order.
    pub(super) reused: bool,
    pub(super) idle_since: Instant,
}

/// A request that did not get an answer.
pub(super) struct Unanswered {
    pub(super) error: TransportError,
    /// The request, where nothing of it was written.
    pub(super) unsent: Option<Request<Full<Bytes>>>,
}

impl Connection {
    /// Begins HTTP/1.1 on a connected stream.
    pub(super) async fn begin(io: Socket) -> Result<Self, TransportError> {
        let (stream, progress) = Stream::new(io);
        let (sender, driver) = http1::Builder::new()
            .max_header_size(MAX_HEAD)
            .max_buf_size(READ_BUFFER)
            .handshake(stream)
            .await
            .map_err(|error| TransportError::Lost(Arc::new(error)))?;
        Ok(Self {
            sender,
            driver,
            progress,
            finished: false,
            reused: false,
            idle_since: Instant::now(),
        })
    }

    /// Sends a request and waits for the head of the answer.
    ///
    /// `patience` is how long the server may be silent, counted from the last byte it took.
    pub(super) async fn send(
        &mut self,
        request: Request<Full<Bytes>>,
        patience: Duration,
        timer: &mut Timer<'_>,
    ) -> Result<Response<Incoming>, Unanswered> {
        let mut answer = pin!(self.sender.try_send_request(request));
        let mut written = self.progress.written();
        let mut since = Instant::now();
        let reused = self.reused;
        poll_fn(|cx| {
            if !self.finished {
                self.finished = Pin::new(&mut self.driver).poll(cx).is_ready();
            }
            match answer.as_mut().poll(cx) {
                Poll::Ready(Ok(answer)) if answer.status() == StatusCode::SWITCHING_PROTOCOLS => {
                    return Poll::Ready(Err(Unanswered {
                        error: TransportError::Framing("the server switched protocols"),
                        unsent: None,
                    }));
                }
                Poll::Ready(Ok(answer)) => return Poll::Ready(Ok(answer)),
                Poll::Ready(Err(mut error)) => {
                    let unsent = error.take_message();
                    return Poll::Ready(Err(Unanswered {
                        error: TransportError::before_answer(error.into_error(), reused),
                        unsent,
                    }));
                }
                Poll::Pending => {}
            }
            let now_written = self.progress.written();
            if now_written != written {
                written = now_written;
                since = Instant::now();
            }
            match timer.poll(cx, since + patience) {
                Poll::Ready(expired) => Poll::Ready(Err(Unanswered {
                    error: expired.unwrap_or(TransportError::NoAnswer(patience)),
                    unsent: None,
                })),
                Poll::Pending => Poll::Pending,
            }
        })
        .await
    }

    /// Lets the connection work; whether it has come to its end.
    pub(super) fn drive(&mut self, cx: &mut Context<'_>) -> bool {
        if !self.finished {
            self.finished = Pin::new(&mut self.driver).poll(cx).is_ready();
        }
        self.finished
    }

    /// Whether another request can be sent: looks at the socket, so a connection that the server
    /// closed meanwhile, or on which it sent more than it should have, is found out.
    pub(super) async fn is_usable(&mut self) -> bool {
        poll_fn(|cx| {
            let usable = !self.drive(cx) && self.sender.is_ready() && !self.progress.write_failed();
            Poll::Ready(usable)
        })
        .await
    }
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection")
            .field("finished", &self.finished)
            .field("reused", &self.reused)
            .finish_non_exhaustive()
    }
}
