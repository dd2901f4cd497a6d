//! One connection: TLS, HTTP/1.1 or HTTP/2, and the times within which things have to happen.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::Either;
use http::Request;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use prometheus_client::metrics::gauge::Gauge;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_rustls::TlsAcceptor;

use super::Bounds;
use super::activity::Activity;
use super::desk::Desk;
use super::socket::Socket;
use crate::service::Service;

/// What an HTTP/2 client may send before any of it was read, in bytes: on one stream, and on the
/// connection.
const WINDOW: u32 = 256 << 10;
/// What is kept ready to be sent on one stream, in bytes.
const SEND_BUFFER: usize = 64 << 10;
/// Largest frame of HTTP/2, in bytes.
const FRAME: u32 = 64 << 10;
/// Streams that a client resets before we got to them, and such that broke the protocol: beyond so
/// many the connection ends (CVE-2023-44487, CVE-2019-9514).
const RESETS: usize = 32;
/// How long a connection has to end once it is told to.
const GOODBYE: Duration = Duration::from_secs(1);

/// What all connections share.
pub(super) struct Shared {
    pub(super) service: Service,
    bounds: Bounds,
    tls: Option<TlsAcceptor>,
    http: auto::Builder<TokioExecutor>,
}

impl Shared {
    pub(super) fn new(service: Service, bounds: Bounds, tls: Option<TlsAcceptor>) -> Self {
        let mut http = auto::Builder::new(TokioExecutor::new());
        http.http1()
            .timer(TokioTimer::new())
            // See `Activity`: this one would also end connections that wait.
            .header_read_timeout(None)
            .max_buf_size(bounds.max_head.max(8 << 10));
        http.http2()
            .timer(TokioTimer::new())
            .max_concurrent_streams(bounds.max_streams)
            .max_pending_accept_reset_streams(RESETS)
            .max_local_error_reset_streams(RESETS)
            .max_header_list_size(u32::try_from(bounds.max_head).unwrap_or(u32::MAX))
            .initial_stream_window_size(WINDOW)
            .initial_connection_window_size(WINDOW)
            .max_send_buf_size(SEND_BUFFER)
            .max_frame_size(FRAME);
        Self {
            service,
            bounds,
            tls,
            http,
        }
    }
}

/// Serves a connection until it ends.
pub(super) async fn serve(stream: TcpStream, shared: Arc<Shared>, stop: watch::Receiver<bool>) {
    // Else head and body of an answer wait for each other's acknowledgement, 40 ms a time.
    if stream.set_nodelay(true).is_err() {
        return;
    }
    let metrics = &shared.service.inner.metrics;
    metrics.connections.inc();
    let _counted = Counted(&metrics.connections);
    let activity = Arc::new(Activity::new(Instant::now()));
    let socket = Socket::new(
        stream,
        Arc::clone(&metrics.clients),
        Arc::clone(&activity),
        shared.bounds.pace,
    );
    match &shared.tls {
        None => speak(socket, &shared, &activity, stop).await,
        Some(tls) => match timeout(shared.bounds.head_timeout, tls.accept(socket)).await {
            Ok(Ok(socket)) => speak(socket, &shared, &activity, stop).await,
            Ok(Err(error)) => tracing::debug!(%error, "a TLS handshake failed"),
            Err(_) => tracing::debug!("a TLS handshake took too long"),
        },
    }
}

/// A connection is there until this is dropped.
struct Counted<'a>(&'a Gauge);

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.dec();
    }
}

async fn speak<S>(
    socket: S,
    shared: &Shared,
    activity: &Arc<Activity>,
    mut stop: watch::Receiver<bool>,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let desk = Desk::default();
    let service = service_fn(|request: Request<Incoming>| {
        let service = shared.service.clone();
        let http2 = request.version() == http::Version::HTTP_2;
        let under_way = activity.request(http2);
        let answering = async move {
            let answer = service.handle(request).await;
            // Under way until the connection has taken the answer.
            Ok::<_, Infallible>(answer.map(|body| under_way.until_taken(body)))
        };
        if http2 {
            // One answer is not to hold up the others of the connection.
            Either::Right(answering.boxed())
        } else {
            desk.begin(answering)
        }
    });
    let mut connection =
        std::pin::pin!(shared.http.serve_connection(TokioIo::new(socket), service));
    let bounds = &shared.bounds;
    let tick = bounds.head_timeout.min(bounds.idle_timeout) / 2;
    let mut ending = None;
    loop {
        let now = Instant::now();
        let deadline = match ending {
            Some(end) => Some(end),
            None => activity.deadline(bounds.head_timeout, bounds.idle_timeout),
        };
        let look = deadline.unwrap_or(now + tick).min(now + tick);
        tokio::select! {
            ended = connection.as_mut() => {
                if let Err(error) = ended {
                    tracing::debug!(%error, "a connection ended");
                }
                return;
            }
            () = sleep_until(look) => {
                if ending.is_some_and(|end| end <= look) {
                    return;
                }
                if activity.is_stalled(&bounds.pace, Instant::now()) {
                    tracing::debug!("a client does not take what it asked for");
                    return;
                }
                let late = activity
                    .deadline(bounds.head_timeout, bounds.idle_timeout)
                    .is_some_and(|deadline| deadline <= Instant::now());
                if ending.is_none() && late {
                    connection.as_mut().graceful_shutdown();
                    ending = Some(Instant::now() + GOODBYE);
                }
            }
            _ = stop.changed(), if !*stop.borrow() => {
                connection.as_mut().graceful_shutdown();
            }
        }
    }
}
