//! SHA-256 by blocks: a hash whose state after a common prefix can be kept and reused.
//!
//! The `sha2` crate does the work, 64 bytes at a time. What is added here is the bookkeeping of a
//! hash function (FIPS 180-4, section 5), because the general one costs as much as several blocks
//! on inputs this short and zeroizes its buffer each time.

use sha2::block_api::compress256;

/// The initial state of SHA-256 (FIPS 180-4, section 5.3.3).
pub(crate) const INITIAL: [u32; 8] = [
    0x6a09_e667,
    0xbb67_ae85,
    0x3c6e_f372,
    0xa54f_f53a,
    0x510e_527f,
    0x9b05_688c,
    0x1f83_d9ab,
    0x5be0_cd19,
];

/// Bytes in a block.
pub(crate) const BLOCK: usize = 64;
/// Bytes that the length takes at the end of the last block.
const LENGTH: usize = 8;

/// A SHA-256 in progress, hashed by `BLOCKS` blocks at a time. Cloning it keeps the work done so
/// far.
#[derive(Clone)]
pub(crate) struct Sha256<const BLOCKS: usize> {
    state: [u32; 8],
    buffer: [[u8; BLOCK]; BLOCKS],
    buffered: usize,
    /// Bytes hashed already.
    hashed: u64,
}

impl<const BLOCKS: usize> Sha256<BLOCKS> {
    pub(crate) fn new() -> Self {
        Self {
            state: INITIAL,
            buffer: [[0; BLOCK]; BLOCKS],
            buffered: 0,
            hashed: 0,
        }
    }

    #[inline]
    pub(crate) fn update(&mut self, mut data: &[u8]) {
        loop {
            let free = &mut self.buffer.as_flattened_mut()[self.buffered..];
            if data.len() < free.len() {
                free[..data.len()].copy_from_slice(data);
                self.buffered += data.len();
                return;
            }
            let (first, rest) = data.split_at(free.len());
            free.copy_from_slice(first);
            compress256(&mut self.state, &self.buffer);
            self.hashed += (BLOCKS * BLOCK) as u64;
            self.buffered = 0;
            data = rest;
        }
    }

    /// The state, the bytes hashed so far, and those that wait to be.
    pub(crate) fn parts(&self) -> ([u32; 8], u64, &[u8]) {
        let waiting = &self.buffer.as_flattened()[..self.buffered];
        (self.state, self.hashed, waiting)
    }

    /// Hashes all whole blocks now, so that clones need not.
    pub(crate) fn settle(&mut self) {
        let (whole, rest) = (self.buffered / BLOCK, self.buffered % BLOCK);
        compress256(&mut self.state, &self.buffer[..whole]);
        self.hashed += (whole * BLOCK) as u64;
        self.buffer
            .as_flattened_mut()
            .copy_within(whole * BLOCK..whole * BLOCK + rest, 0);
        self.buffered = rest;
    }

    /// One byte more.
    #[inline]
    pub(crate) fn update_byte(&mut self, byte: u8) {
        self.buffer.as_flattened_mut()[self.buffered] = byte;
        self.buffered += 1;
        if self.buffered == BLOCKS * BLOCK {
            compress256(&mut self.state, &self.buffer);
            self.hashed += (BLOCKS * BLOCK) as u64;
            self.buffered = 0;
        }
    }

    /// Ends the hash. By reference, because it is large and moving it would cost as much as a
    /// block; it is of no use afterwards.
    #[inline]
    pub(crate) fn finish(&mut self) -> [u8; 32] {
        let bits = (self.hashed + self.buffered as u64) * 8;
        let mut blocks = self.buffered / BLOCK + 1;
        let buffer = self.buffer.as_flattened_mut();
        buffer[self.buffered] = 0x80;
        buffer[self.buffered + 1..blocks * BLOCK].fill(0);
        if self.buffered % BLOCK >= BLOCK - LENGTH {
            if blocks == BLOCKS {
                compress256(&mut self.state, &self.buffer);
                blocks = 0;
            }
            self.buffer[blocks] = [0; BLOCK];
            blocks += 1;
        }
        self.buffer[blocks - 1][BLOCK - LENGTH..].copy_from_slice(&bits.to_be_bytes());
        compress256(&mut self.state, &self.buffer[..blocks]);
        bytes(&self.state)
    }
}

/// The bytes that whole blocks take with a message of `end` bytes and its padding.
pub(crate) const fn padded(end: usize) -> usize {
    (end + 1 + LENGTH).next_multiple_of(BLOCK)
}

/// Ends a message after `end` bytes in zeroed blocks, and `length` in all.
#[inline]
pub(crate) fn pad(blocks: &mut [u8], end: usize, length: u64) {
    blocks[end] = 0x80;
    let bits = blocks.len() - LENGTH;
    blocks[bits..].copy_from_slice(&(length * 8).to_be_bytes());
}

/// Hashes messages side by side: a block of a message has to wait for the one before, and the
/// processor fills the wait with a block of the other message.
#[inline]
pub(crate) fn compress<const N: usize>(states: &mut [[u32; 8]; N], messages: [&[[u8; BLOCK]]; N]) {
    if let ([state], [message]) = (&mut states[..], &messages[..]) {
        return compress256(state, message);
    }
    let longest = messages.iter().map(|message| message.len()).max();
    for index in 0..longest.unwrap_or(0) {
        for (state, message) in states.iter_mut().zip(messages) {
            if let Some(block) = message.get(index) {
                compress256(state, std::slice::from_ref(block));
            }
        }
    }
}

/// A canonical request in progress. Most fit into the buffer, and are hashed at one go.
pub(crate) type Canonical = Sha256<8>;

/// Lower-case hexadecimal.
#[inline]
pub(crate) fn hex(digest: &[u8; 32]) -> [u8; 64] {
    let mut out = [0; 64];
    // Arithmetic and no table, so that it compiles to vector instructions.
    let digit = |nibble: u8| nibble + b'0' + u8::from(nibble > 9) * (b'a' - b'9' - 1);
    for (pair, byte) in out.as_chunks_mut::<2>().0.iter_mut().zip(digest) {
        *pair = [digit(byte >> 4), digit(byte & 15)];
    }
    out
}

#[inline]
pub(crate) fn bytes(state: &[u32; 8]) -> [u8; 32] {
    let mut out = [0; 32];
    for (chunk, word) in out.as_chunks_mut().0.iter_mut().zip(state) {
        *chunk = word.to_be_bytes();
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use sha2::Digest;

    use super::*;

    #[test]
    fn every_length_around_the_block_edges() {
        let data: Vec<u8> = (0..=255).cycle().take(300).collect();
        for length in 0..data.len() {
            let mut hash = Sha256::<2>::new();
            hash.update(&data[..length]);
            assert_eq!(
                hash.finish(),
                <[u8; 32]>::from(sha2::Sha256::digest(&data[..length])),
                "{length}"
            );
        }
    }

    proptest! {
        #[test]
        fn any_pieces(settle in 0..8_usize, pieces in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..200), 0..8)) {
            let mut ours = Sha256::<3>::new();
            for (index, piece) in pieces.iter().enumerate() {
                ours.update(piece);
                ours.update_byte(b'x');
                if settle == index {
                    ours.settle();
                }
            }
            prop_assert_eq!(ours.finish(), <[u8; 32]>::from(sha2::Sha256::digest([pieces.join(&b'x'), vec![b'x'; usize::from(!pieces.is_empty())]].concat())));
        }

        #[test]
        fn hex_is_hex(digest: [u8; 32]) {
            let expected = data_encoding::HEXLOWER.encode(&digest);
            prop_assert_eq!(String::from_utf8(hex(&digest).to_vec()).unwrap(), expected);
        }
    }
}
