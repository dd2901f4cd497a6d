//! A client's socket: its bytes are counted, and the client has to take what it is sent.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep_until};

use super::activity::Activity;
use crate::metrics::Traffic;
use crate::settings::Pace;

/// A client's socket.
#[derive(Debug)]
pub(super) struct Socket {
    stream: TcpStream,
    traffic: Arc<Traffic>,
    activity: Arc<Activity>,
    pace: Pace,
    stall: Option<Stall>,
}

/// The client does not take bytes as fast as there are some.
#[derive(Debug)]
struct Stall {
    since: Instant,
    taken: u64,
    patience: Pin<Box<Sleep>>,
}

impl Socket {
    pub(super) fn new(
        stream: TcpStream,
        traffic: Arc<Traffic>,
        activity: Arc<Activity>,
        pace: Pace,
    ) -> Self {
        Self {
            stream,
            traffic,
            activity,
            pace,
            stall: None,
        }
    }

    fn wrote(
        &mut self,
        cx: &mut Context<'_>,
        result: Poll<io::Result<usize>>,
        offered: usize,
    ) -> Poll<io::Result<usize>> {
        match result {
            Poll::Ready(Ok(taken)) => {
                self.traffic.sent.fetch_add(taken as u64, Ordering::Relaxed);
                if taken == offered {
                    self.stall = None;
                } else if let Some(stall) = &mut self.stall {
                    stall.taken += taken as u64;
                }
                Poll::Ready(Ok(taken))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => {
                let stall = self.stall.get_or_insert_with(|| Stall {
                    since: Instant::now(),
                    taken: 0,
                    patience: Box::pin(sleep_until(Instant::now())),
                });
                let until = stall.since + self.pace.allowance(stall.taken);
                if stall.patience.deadline() != until {
                    stall.patience.as_mut().reset(until);
                }
                ready!(stall.patience.as_mut().poll(cx));
                Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
            }
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let result = Pin::new(&mut self.stream).poll_read(cx, buffer);
        let read = buffer.filled().len() - before;
        if read > 0 {
            self.traffic
                .received
                .fetch_add(read as u64, Ordering::Relaxed);
            self.activity.received(Instant::now());
        }
        result
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.wrote(cx, result, bytes.len())
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        let offered = slices.iter().map(|slice| slice.len()).sum();
        self.wrote(cx, result, offered)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
