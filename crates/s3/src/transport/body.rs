//! Reads the body of an answer into one buffer.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes};
use http_body::Body;
use hyper::body::Incoming;
use tokio::time::Instant;

use super::TransportError;
use super::connection::{Connection, Driver};
use super::timer::Timer;

/// Slowest body that is waited for, in bytes per second.
const MIN_RATE: u64 = 1024;

/// What was read of a body.
#[derive(Debug)]
pub(super) struct Read {
    pub(super) bytes: Bytes,
    /// Whether the body was read to its end.
    pub(super) whole: bool,
}

/// What to do with a body above the limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Oversize {
    /// Fail, before reading where the length is declared.
    Fail,
    /// Keep what the limit allows: enough of an error page to say what it is.
    Cut,
}

/// Reads `body` from `connection`.
///
/// A body of declared length is read into one buffer of exactly that length. Each of hyper's
/// frames is copied and dropped before the next is taken, so that hyper can use its own buffer again.
pub(super) async fn read(
    connection: &mut Connection,
    mut body: Incoming,
    limit: usize,
    oversize: Oversize,
    stall: Duration,
    timer: &mut Timer<'_>,
) -> Result<Read, TransportError> {
    let declared = body.size_hint().exact();
    if declared == Some(0) {
        return Ok(Read {
            bytes: Bytes::new(),
            whole: true,
        });
    }
    if let Some(declared) = declared
        && declared > limit as u64
        && oversize == Oversize::Fail
    {
        return Err(TransportError::TooLarge {
            limit,
            declared: Some(declared),
        });
    }
    let expected = declared.and_then(|n| usize::try_from(n).ok());
    let mut buffer = Vec::with_capacity(expected.unwrap_or(0).min(limit));
    // Since when there was how much. Most bodies are there at once, and no clock is looked at.
    let mut window = None;
    let enough = usize::try_from(MIN_RATE * stall.as_secs().max(1)).unwrap_or(usize::MAX);
    let mut read = |driver: &mut Driver, cx: &mut Context<'_>, buffer: &mut Vec<u8>| {
        loop {
            driver.drive(cx);
            let frame = match ready!(Pin::new(&mut body).poll_frame(cx)) {
                None => return Poll::Ready(Ok(true)),
                Some(Ok(frame)) => frame,
                Some(Err(source)) => {
                    return Poll::Ready(Err(TransportError::Short {
                        read: buffer.len() as u64,
                        source: Arc::new(source),
                    }));
                }
            };
            let Ok(data) = frame.into_data() else {
                continue; // trailers say nothing that we use
            };
            let room = limit - buffer.len();
            if data.remaining() <= room {
                buffer.extend_from_slice(&data);
                continue;
            }
            if oversize == Oversize::Fail {
                return Poll::Ready(Err(TransportError::TooLarge {
                    limit,
                    declared: None,
                }));
            }
            buffer.extend_from_slice(&data[..room]);
            return Poll::Ready(Ok(false));
        }
    };
    let whole = poll_fn(|cx| {
        let polled = connection.poll(cx, |driver, cx| read(driver, cx, &mut buffer));
        if polled.is_ready() {
            return polled;
        }
        loop {
            let (since, before) = *window.get_or_insert_with(|| (Instant::now(), buffer.len()));
            match ready!(timer.poll(cx, since + stall)) {
                Some(deadline) => return Poll::Ready(Err(deadline)),
                None if buffer.len() - before < enough => {
                    return Poll::Ready(Err(TransportError::Stalled(buffer.len() as u64)));
                }
                None => window = None,
            }
        }
    })
    .await?;
    Ok(Read {
        bytes: Bytes::from(buffer),
        whole,
    })
}
