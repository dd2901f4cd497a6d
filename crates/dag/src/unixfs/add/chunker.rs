//! Chunkers: where a file is cut.

use std::fmt;
use std::str::FromStr;

use bytes::{Bytes, BytesMut};

use crate::{DagError, Result};

/// The largest chunk: what is left of the 2 MiB of a block when it is framed. It is Kubo's limit.
const MAX_CHUNK: usize = (2 << 20) - 256;

/// Where files are cut: every `N` bytes, Kubo's `size-N`.
///
/// Kubo's `rabin` and `buzhash`, which cut by content, are refused: their cuts are those of Kubo's
/// own tables, which it reserves the right to change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chunker {
    /// Bytes in a chunk; of what is left, the last one has fewer.
    size: usize,
}

impl Chunker {
    /// Chunks of `size` bytes.
    ///
    /// # Errors
    /// [`DagError::Invalid`] unless it is 1 to 2,096,896: 2 MiB without 256 bytes.
    pub fn size(size: usize) -> Result<Self> {
        if (1..=MAX_CHUNK).contains(&size) {
            Ok(Self { size })
        } else {
            Err(DagError::Invalid(format!(
                "chunks of {size} bytes; 1 to {MAX_CHUNK} are possible"
            )))
        }
    }

    pub(super) const fn of_kib(kib: usize) -> Self {
        Self { size: kib << 10 }
    }
}

impl fmt::Display for Chunker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "size-{}", self.size)
    }
}

/// Kubo's way of writing it: `size-262144`. `default` is that too.
impl FromStr for Chunker {
    type Err = DagError;

    fn from_str(text: &str) -> Result<Self> {
        if text == "default" {
            return Ok(Self::of_kib(256));
        }
        let name = text.split('-').next().unwrap_or_default();
        if matches!(name, "rabin" | "buzhash") {
            return Err(DagError::Invalid(format!(
                "the chunker {name} is not supported; size-N is, such as size-262144"
            )));
        }
        text.strip_prefix("size-")
            .filter(|size| size.bytes().all(|byte| byte.is_ascii_digit()))
            .and_then(|size| size.parse().ok())
            .map_or_else(
                || {
                    Err(DagError::Invalid(format!(
                        "{text:?} is no chunker; write size-N with a number of bytes, such as size-262144"
                    )))
                },
                Self::size,
            )
    }
}

/// Cuts a stream of bytes into chunks. What lies in one piece is not copied.
#[derive(Debug)]
pub(super) struct Cutter {
    size: usize,
    /// What came and is no whole chunk yet.
    rest: Rest,
}

#[derive(Debug)]
enum Rest {
    /// In one piece, perhaps empty.
    Piece(Bytes),
    /// Put together of several pieces; with room for a chunk.
    Copied(BytesMut),
}

impl Cutter {
    pub(super) fn new(chunker: Chunker) -> Self {
        Self {
            size: chunker.size,
            rest: Rest::Piece(Bytes::new()),
        }
    }

    /// Takes of `data` up to the end of a chunk; answers with it where that end is in `data`.
    pub(super) fn next(&mut self, data: &mut Bytes) -> Option<Bytes> {
        match &mut self.rest {
            Rest::Piece(rest) if rest.is_empty() => {
                if data.len() >= self.size {
                    return Some(data.split_to(self.size));
                }
                *rest = std::mem::take(data);
                None
            }
            Rest::Piece(rest) => {
                if data.is_empty() {
                    return None;
                }
                let mut copied = BytesMut::with_capacity(self.size);
                copied.extend_from_slice(rest);
                self.rest = Rest::Copied(copied);
                self.next(data)
            }
            Rest::Copied(copied) => {
                let missing = self.size - copied.len();
                copied.extend_from_slice(&data.split_to(missing.min(data.len())));
                if copied.len() < self.size {
                    return None;
                }
                let chunk = std::mem::take(copied).freeze();
                self.rest = Rest::Piece(Bytes::new());
                Some(chunk)
            }
        }
    }

    /// The last chunk, where something is left for it.
    pub(super) fn finish(self) -> Option<Bytes> {
        let rest = match self.rest {
            Rest::Piece(rest) => rest,
            Rest::Copied(copied) => copied.freeze(),
        };
        (!rest.is_empty()).then_some(rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(size: usize, pieces: &[Bytes]) -> Vec<Bytes> {
        let mut cutter = Cutter::new(Chunker::size(size).unwrap());
        let mut chunks = Vec::new();
        for piece in pieces {
            let mut data = piece.clone();
            while let Some(chunk) = cutter.next(&mut data) {
                chunks.push(chunk);
            }
            assert!(data.is_empty(), "all of a piece is taken");
        }
        chunks.extend(cutter.finish());
        chunks
    }

    #[test]
    fn chunks_in_one_piece_are_not_copied() {
        let data = Bytes::from(vec![7; 25]);
        let chunks = cut(10, std::slice::from_ref(&data));
        assert_eq!(
            chunks.iter().map(Bytes::len).collect::<Vec<_>>(),
            [10, 10, 5]
        );
        for (i, chunk) in chunks.iter().enumerate() {
            assert_eq!(chunk.as_ptr(), data[10 * i..].as_ptr(), "chunk {i}");
        }
    }

    #[test]
    fn the_pieces_make_no_difference() {
        let data = Bytes::from((0..=255).collect::<Vec<u8>>());
        let whole = cut(10, std::slice::from_ref(&data));
        for size in 1..30 {
            let pieces: Vec<_> = data.chunks(size).map(Bytes::copy_from_slice).collect();
            assert_eq!(cut(10, &pieces), whole, "pieces of {size}");
        }
        assert_eq!(cut(10, &[]), Vec::<Bytes>::new());
        assert_eq!(cut(10, &[Bytes::new()]), Vec::<Bytes>::new());
    }

    #[test]
    fn chunkers_are_written_as_kubo_writes_them() {
        for (text, size) in [
            ("size-262144", 262_144),
            ("default", 262_144),
            ("size-1", 1),
            ("size-2096896", 2_096_896),
        ] {
            assert_eq!(text.parse::<Chunker>().unwrap().size, size);
        }
        assert_eq!(Chunker::of_kib(256).to_string(), "size-262144");
        for wrong in [
            "",
            "size",
            "size-",
            "size-0",
            "size--1",
            "size-+1",
            "size-2096897",
            "size-99999999999999999999999",
            "fast-1",
        ] {
            assert!(wrong.parse::<Chunker>().is_err(), "{wrong}");
        }
        for refused in ["rabin", "rabin-512-1024-2048", "buzhash"] {
            let error = refused.parse::<Chunker>().unwrap_err().to_string();
            assert!(error.contains("not supported"), "{error}");
        }
    }
}
