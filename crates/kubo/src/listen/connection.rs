//! One connection.

use std::convert::Infallible;
use std::io;

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream::{self, StreamExt};
use http::{Request, Version};
use http_body::Frame;
use http_body_util::{BodyStream, StreamBody};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::sync::watch;

use super::Bounds;
use super::socket::{Late, Socket};
use crate::node::Node;
use crate::wire::answer::Body;

/// Serves a connection until it ends.
pub(super) async fn serve(
    stream: TcpStream,
    node: Node,
    bounds: &Bounds,
    mut stop: watch::Receiver<bool>,
) {
    // Else head and body of an answer wait for each other's acknowledgement, 40 ms a time.
    if stream.set_nodelay(true).is_err() {
        return;
    }
    let late = Late::default();
    let socket = Socket::new(stream, late.clone(), bounds.patience);
    let service = service_fn(move |request: Request<Incoming>| {
        let (node, late) = (node.clone(), late.clone());
        let version = request.version();
        let answering: BoxFuture<'static, _> = Box::pin(async move {
            let answer = node.handle(request).await;
            Ok::<_, Infallible>(answer.map(|body| with_late_trailers(body, version, late)))
        });
        answering
    });
    let mut connection = std::pin::pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(bounds.idle_timeout)
            .max_buf_size(bounds.max_head.max(8 << 10))
            .serve_connection(TokioIo::new(socket), service)
    );
    loop {
        tokio::select! {
            ended = connection.as_mut() => {
                if let Err(error) = ended {
                    tracing::debug!(%error, "a connection ended");
                }
                return;
            }
            _ = stop.changed(), if !*stop.borrow() => {
                connection.as_mut().graceful_shutdown();
            }
        }
    }
}

/// A body whose trailers go by way of the socket. HTTP/1.0 has none: there the connection ends, which
/// is the end of every answer too.
fn with_late_trailers(
    body: Body,
    version: Version,
    late: Late,
) -> StreamBody<impl futures::Stream<Item = io::Result<Frame<Bytes>>>> {
    let frames = BodyStream::new(body);
    let frames = stream::unfold(Some((frames, late)), move |state| async move {
        let (mut frames, late) = state?;
        let Ok(frame) = frames.next().await?;
        match frame.into_trailers() {
            Ok(_) if version < Version::HTTP_11 => {
                Some((Err(io::ErrorKind::ConnectionAborted.into()), None))
            }
            Ok(trailers) => {
                late.set(trailers);
                None
            }
            Err(frame) => Some((Ok(frame), Some((frames, late)))),
        }
    });
    StreamBody::new(frames)
}
