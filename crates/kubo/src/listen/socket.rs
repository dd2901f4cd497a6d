//! A socket that adds trailers to the answer that is being written, and that does not wait for ever.
//!
//! hyper sends trailers to those clients only that announce to want them (`TE: trailers`). Go's
//! server, and so Kubo, sends them to all, and Kubo's clients rely on it without announcing anything:
//! without the trailer an answer that broke off would look complete. So they are added here: once an
//! answer's body has ended with trailers, what is written last is the end of its last chunk, and
//! there they belong (RFC 9112, 7.1.2).

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http::HeaderMap;
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep};

/// The end of a body in chunks without trailers.
const END: &[u8] = b"0\r\n\r\n";

/// The trailers of the answer that is being written on a connection, once its body has ended.
#[derive(Debug, Clone, Default)]
pub(super) struct Late(Arc<Mutex<Option<HeaderMap>>>);

impl Late {
    pub(super) fn set(&self, trailers: HeaderMap) {
        *self.0.lock() = Some(trailers);
    }

    fn is_set(&self) -> bool {
        self.0.lock().is_some()
    }
}

/// The socket of a connection.
pub(super) struct Socket<S = TcpStream> {
    stream: S,
    late: Late,
    /// The end of an answer that gets trailers.
    held: Vec<u8>,
    patience: Duration,
    /// Since when the client takes nothing.
    stall: Option<Pin<Box<Sleep>>>,
}

impl<S> Socket<S> {
    pub(super) fn new(stream: S, late: Late, patience: Duration) -> Self {
        Self {
            stream,
            late,
            held: Vec::new(),
            patience,
            stall: None,
        }
    }
}

impl<S: AsyncWrite + Unpin> Socket<S> {
    /// What is held is whole: adds the trailers.
    fn add_trailers(&mut self) -> io::Result<()> {
        let Some(trailers) = self.late.0.lock().take() else {
            return Ok(());
        };
        if !self.held.ends_with(END) {
            return Err(io::Error::other(
                "the answer did not end with its last chunk",
            ));
        }
        self.held.truncate(self.held.len() - 2);
        for (name, value) in &trailers {
            self.held.extend_from_slice(name.as_str().as_bytes());
            self.held.extend_from_slice(b": ");
            self.held.extend_from_slice(value.as_bytes());
            self.held.extend_from_slice(b"\r\n");
        }
        self.held.extend_from_slice(b"\r\n");
        Ok(())
    }

    /// Writes what was held.
    fn poll_held(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.held.is_empty() {
            let polled = Pin::new(&mut self.stream).poll_write(cx, &self.held);
            let written = ready!(self.watch(cx, polled))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.held.drain(..written);
        }
        Poll::Ready(Ok(()))
    }

    /// Ends the connection of a client that takes nothing for too long.
    fn watch<T>(
        &mut self,
        cx: &mut Context<'_>,
        polled: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if polled.is_ready() {
            self.stall = None;
            return polled;
        }
        let patience = self.patience;
        let stall = self.stall.get_or_insert_with(|| Box::pin(sleep(patience)));
        if stall.deadline() <= Instant::now() {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        ready!(stall.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Socket<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Socket<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.late.is_set() {
            self.held.extend_from_slice(bytes);
            return Poll::Ready(Ok(bytes.len()));
        }
        ready!(self.poll_held(cx))?;
        let polled = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.watch(cx, polled)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.late.is_set() {
            for slice in slices {
                self.held.extend_from_slice(slice);
            }
            return Poll::Ready(Ok(slices.iter().map(|slice| slice.len()).sum()));
        }
        ready!(self.poll_held(cx))?;
        let polled = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.watch(cx, polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.add_trailers()?;
        ready!(self.poll_held(cx))?;
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.add_trailers()?;
        ready!(self.poll_held(cx))?;
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test]
    async fn trailers_stand_at_the_end_of_the_last_chunk() {
        let (ours, mut theirs) = tokio::io::duplex(16);
        let late = Late::default();
        let mut socket = Socket::new(ours, late.clone(), Duration::from_secs(9));
        let reading = tokio::spawn(async move {
            let mut read = String::new();
            theirs.read_to_string(&mut read).await.unwrap();
            read
        });
        socket.write_all(b"2\r\nab\r\n").await.unwrap();
        let mut trailers = HeaderMap::new();
        trailers.insert("x-stream-error", HeaderValue::from_static("it broke"));
        late.set(trailers);
        // hyper may write the last piece in pieces.
        socket.write_all(b"2\r\ncd\r\n0\r").await.unwrap();
        socket.write_all(b"\n\r\n").await.unwrap();
        socket.flush().await.unwrap();
        socket.write_all(b"HTTP/1.1 200").await.unwrap();
        socket.shutdown().await.unwrap();
        drop(socket);
        assert_eq!(
            reading.await.unwrap(),
            "2\r\nab\r\n2\r\ncd\r\n0\r\nx-stream-error: it broke\r\n\r\nHTTP/1.1 200"
        );
    }

    #[tokio::test]
    async fn what_has_no_such_end_is_cut_off() {
        let (ours, _theirs) = tokio::io::duplex(64);
        let late = Late::default();
        let mut socket = Socket::new(ours, late.clone(), Duration::from_secs(9));
        late.set(HeaderMap::new());
        socket.write_all(b"2\r\nab\r\n").await.unwrap();
        assert!(socket.flush().await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn who_takes_nothing_is_not_waited_for() {
        let (ours, _theirs) = tokio::io::duplex(4);
        let mut socket = Socket::new(ours, Late::default(), Duration::from_secs(9));
        let written = socket.write_all(b"more than there is room for").await;
        assert_eq!(written.unwrap_err().kind(), io::ErrorKind::TimedOut);
    }
}
