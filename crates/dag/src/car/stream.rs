//! CARs over streams: the decoder and the writer with I/O around them.

use bytes::Bytes;
use cidbucket_blockstore::{Block, Cid};
use futures::stream::{self, Stream, StreamExt, TryStreamExt};

use super::{CarDecoder, CarError, CarLimits, Event, header, section};

/// A block up to this many bytes is copied behind its section's prefix: one piece costs whoever
/// sends it less than two.
const JOINED: usize = 4 << 10;

/// Why a stream of events ended early.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ReadError<E> {
    /// The bytes could not be had.
    #[error("{0}")]
    Input(E),
    /// The bytes are not a CAR.
    #[error(transparent)]
    Car(#[from] CarError),
}

/// Reads a CAR: the header first, then the blocks, each checked. The first error is the end.
pub fn read<S, E>(
    input: S,
    limits: CarLimits,
) -> impl Stream<Item = Result<Event, ReadError<E>>> + use<S, E>
where
    S: Stream<Item = Result<Bytes, E>> + Unpin,
{
    let start = (input, CarDecoder::new(limits));
    stream::try_unfold(start, |(mut input, mut decoder)| async move {
        loop {
            if let Some(event) = decoder.next()? {
                return Ok(Some((event, (input, decoder))));
            }
            match input.next().await {
                Some(bytes) => decoder.feed(bytes.map_err(ReadError::Input)?),
                None => return Ok(decoder.finish().map(|()| None)?),
            }
        }
    })
}

/// Writes a `CARv1` of blocks, in pieces; the header is the first. An error among the blocks is
/// passed on and is the end.
pub fn write<S, E>(roots: &[Cid], blocks: S) -> impl Stream<Item = Result<Bytes, E>> + use<S, E>
where
    S: Stream<Item = Result<Block, E>> + Unpin,
{
    let start = (blocks, Some(header(roots)));
    stream::try_unfold(start, |(mut blocks, next)| async move {
        if let Some(piece) = next {
            return Ok(Some((piece, (blocks, None))));
        }
        Ok(blocks.try_next().await?.map(|block| {
            let [prefix, data] = section(&block);
            if data.len() <= JOINED {
                ([prefix, data].concat().into(), (blocks, None))
            } else {
                (prefix, (blocks, Some(data)))
            }
        }))
    })
}
