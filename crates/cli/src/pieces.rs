//! What is read from a file or pipe, piece by piece.

use std::io::{self, Read};

use bytes::Bytes;
use cidbucket::BoxStream;
use futures::stream::{self, StreamExt};
use tokio::sync::mpsc;

/// Size of a piece, in bytes: some blocks, which are then slices of it.
const PIECE: u64 = 1 << 20;

/// How many pieces are read ahead.
const AHEAD: usize = 4;

/// The bytes of `input` in pieces, read ahead on a thread of its own. An error is the end.
pub(crate) fn pieces(mut input: Box<dyn Read + Send>) -> BoxStream<'static, io::Result<Bytes>> {
    let (sender, mut receiver) = mpsc::channel(AHEAD);
    // Not a thread of the runtime: a read from a pipe may never return.
    std::thread::spawn(move || {
        loop {
            let mut piece = Vec::new();
            let read = (&mut input).take(PIECE).read_to_end(&mut piece);
            let last = !matches!(read, Ok(count) if count > 0);
            let piece = read.map(|_| piece.into());
            if sender.blocking_send(piece).is_err() || last {
                return;
            }
        }
    });
    stream::poll_fn(move |context| receiver.poll_recv(context)).boxed()
}

#[cfg(test)]
mod tests {
    use futures::stream::TryStreamExt;

    use super::*;

    #[tokio::test]
    async fn pieces_are_all_that_was_read() {
        let bytes: Vec<u8> = (0..3_000_000u32).map(|n| n.to_be_bytes()[3]).collect();
        let read: Vec<Bytes> = pieces(Box::new(io::Cursor::new(bytes.clone())))
            .try_collect()
            .await
            .unwrap();
        assert_eq!(read.concat(), bytes);
    }

    #[tokio::test]
    async fn an_error_is_the_end() {
        struct Broken;
        impl Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::ErrorKind::ConnectionReset.into())
            }
        }
        let read: Vec<_> = pieces(Box::new((&b"begun"[..]).chain(Broken)))
            .collect()
            .await;
        assert!(
            matches!(&read[..], [Err(error)] if error.kind() == io::ErrorKind::ConnectionReset)
        );
    }
}
