//! Bytes that were fed and not used yet.

use std::collections::VecDeque;

use bytes::{Buf, Bytes};

/// The longest varint, in bytes: 63 bits (<https://github.com/multiformats/unsigned-varint>).
const MAX_VARINT: usize = 9;

/// A first allocation for what is cut between two pieces. A length is only a claim: memory is
/// taken as bytes come.
const FIRST: usize = 64 << 10;

/// A queue of pieces, read from its front.
///
/// What was begun is ended: after [`Input::varint`] or [`Input::take`] answered that it needs
/// more, the next call is the same one.
#[derive(Debug, Default)]
pub(super) struct Input {
    /// What is left of each piece, and how large it was when it was fed.
    pieces: VecDeque<(Bytes, usize)>,
    /// The beginning of what is cut between two pieces.
    partial: Vec<u8>,
    /// Bytes used.
    offset: u64,
}

/// It is no minimal varint of at most 63 bits.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NotAVarint;

impl Input {
    pub(super) fn push(&mut self, piece: Bytes) {
        if !piece.is_empty() {
            let size = piece.len();
            self.pieces.push_back((piece, size));
        }
    }

    /// Number of bytes used so far.
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    /// Number of bytes used so far, without those of what was begun only.
    pub(super) fn begun_at(&self) -> u64 {
        self.offset - self.partial.len() as u64
    }

    pub(super) fn is_empty(&self) -> bool {
        self.pieces.is_empty() && self.partial.is_empty()
    }

    pub(super) fn clear(&mut self) {
        self.pieces.clear();
        self.partial = Vec::new();
    }

    /// A minimal varint.
    pub(super) fn varint(&mut self) -> Result<Option<u64>, NotAVarint> {
        while let Some((piece, _)) = self.pieces.front_mut() {
            let byte = piece.get_u8();
            self.offset += 1;
            self.drop_used();
            self.partial.push(byte);
            if byte < 0x80 {
                let varint = unsigned_varint::decode::u64(&self.partial);
                let varint = varint.map_err(|_| NotAVarint)?.0;
                self.partial.clear();
                return Ok(Some(varint));
            }
            if self.partial.len() == MAX_VARINT {
                return Err(NotAVarint);
            }
        }
        Ok(None)
    }

    /// The next `count` bytes. They are a slice of one piece where they are a good part of it, so
    /// that a small block does not keep a large piece alive; else a copy.
    pub(super) fn take(&mut self, count: usize) -> Option<Bytes> {
        if self.partial.is_empty()
            && let Some((piece, size)) = self.pieces.front_mut()
            && piece.len() >= count
        {
            let taken = piece.split_to(count);
            let taken = if count >= *size / 4 {
                taken
            } else {
                Bytes::copy_from_slice(&taken)
            };
            self.offset += count as u64;
            self.drop_used();
            return Some(taken);
        }
        while self.partial.len() < count
            && let Some((piece, _)) = self.pieces.front_mut()
        {
            let missing = count - self.partial.len();
            let used = missing.min(piece.len());
            if self.partial.capacity() - self.partial.len() < used {
                let wanted = (2 * self.partial.capacity()).max(FIRST).min(count);
                let wanted = wanted.max(self.partial.len() + used);
                self.partial.reserve_exact(wanted - self.partial.len());
            }
            self.partial.extend_from_slice(&piece.split_to(used));
            self.offset += used as u64;
            self.drop_used();
        }
        (self.partial.len() == count).then(|| std::mem::take(&mut self.partial).into())
    }

    /// Drops up to `count` bytes, and answers how many.
    pub(super) fn skip(&mut self, count: u64) -> u64 {
        let mut left = count;
        while left > 0
            && let Some((piece, _)) = self.pieces.front_mut()
        {
            let used = usize::try_from(left).map_or(piece.len(), |left| left.min(piece.len()));
            piece.advance(used);
            left -= used as u64;
            self.drop_used();
        }
        self.offset += count - left;
        count - left
    }

    fn drop_used(&mut self) {
        if self
            .pieces
            .front()
            .is_some_and(|(piece, _)| piece.is_empty())
        {
            self.pieces.pop_front();
        }
    }
}
