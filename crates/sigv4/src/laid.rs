//! Messages that differ in a few texts, hashed without writing the rest of them anew.

use std::ops::Range;

use crate::sha256::{Canonical, bytes, compress, pad, padded};

/// A message laid out in whole blocks, padding and all, with gaps for what varies: the next
/// message of the same lengths needs only its gaps filled.
#[derive(Default)]
pub(crate) struct Laid {
    /// The state before the blocks.
    state: [u32; 8],
    blocks: Vec<u8>,
    gaps: Vec<Range<usize>>,
}

impl Laid {
    /// Lays out what `start` has not hashed yet, the first of the `pieces`, and then the `texts`,
    /// each in a gap of its own, and each with the next piece after it. After an error, gaps are
    /// missing, so that they cannot be filled.
    pub(crate) fn lay_out<T: AsRef<str>, E>(
        &mut self,
        start: &Canonical,
        pieces: &[String],
        texts: impl Iterator<Item = Result<T, E>>,
    ) -> Result<(), E> {
        let (state, hashed, waiting) = start.parts();
        self.state = state;
        let Self { blocks, gaps, .. } = self;
        gaps.clear();
        blocks.clear();
        blocks.extend_from_slice(waiting);
        blocks.extend_from_slice(pieces[0].as_bytes());
        for (text, piece) in texts.zip(&pieces[1..]) {
            let begin = blocks.len();
            blocks.extend_from_slice(text?.as_ref().as_bytes());
            gaps.push(begin..blocks.len());
            blocks.extend_from_slice(piece.as_bytes());
        }
        let end = blocks.len();
        blocks.resize(padded(end), 0);
        pad(blocks, end, hashed + end as u64);
        Ok(())
    }

    /// Fills a gap, if there is one of this length.
    #[inline]
    pub(crate) fn fill(&mut self, gap: usize, text: &str) -> bool {
        let gap = match self.gaps.get(gap) {
            Some(gap) if gap.len() == text.len() => gap.clone(),
            _ => return false,
        };
        self.blocks[gap].copy_from_slice(text.as_bytes());
        true
    }
}

/// The hashes of messages laid out.
#[inline]
pub(crate) fn digests<const N: usize>(messages: [&Laid; N]) -> [[u8; 32]; N] {
    let mut states = messages.map(|message| message.state);
    compress(
        &mut states,
        messages.map(|message| message.blocks.as_chunks().0),
    );
    states.map(|state| bytes(&state))
}
