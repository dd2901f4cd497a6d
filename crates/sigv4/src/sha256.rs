//! SHA-256 by blocks: a hash whose state after a common prefix can be kept and reused.
//!
//! The `sha2` crate does the work, 64 bytes at a time. What is added here is the bookkeeping of a
//! hash function (FIPS 180-4, section 5), because the general one costs as much as several blocks
//! on inputs this short and zeroizes its buffer each time.

use sha2::block_api::compress256;
use zeroize::Zeroize;

/// The initial state of SHA-256 (FIPS 180-4, section 5.3.3).
const INITIAL: [u32; 8] = [
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
const BLOCK: usize = 64;
/// Bytes that the length takes at the end of the last block.
const LENGTH: usize = 8;

/// A SHA-256 in progress. Cloning it keeps the work done so far.
#[derive(Clone)]
pub(crate) struct Sha256 {
    state: [u32; 8],
    buffer: [u8; BLOCK],
    buffered: usize,
    total: u64,
}

impl Sha256 {
    pub(crate) fn new() -> Self {
        Self::resume(INITIAL, 0)
    }

    /// Goes on from the state after `total` bytes, which fill whole blocks.
    fn resume(state: [u32; 8], total: u64) -> Self {
        Self {
            state,
            buffer: [0; BLOCK],
            buffered: 0,
            total,
        }
    }

    #[inline]
    pub(crate) fn update(&mut self, mut data: &[u8]) {
        self.total += data.len() as u64;
        let free = BLOCK - self.buffered;
        if data.len() < free {
            self.buffer[self.buffered..][..data.len()].copy_from_slice(data);
            self.buffered += data.len();
            return;
        }
        if self.buffered > 0 {
            let (first, rest) = data.split_at(free);
            self.buffer[self.buffered..].copy_from_slice(first);
            compress256(&mut self.state, &[self.buffer]);
            data = rest;
        }
        let (blocks, rest) = data.as_chunks::<BLOCK>();
        if !blocks.is_empty() {
            compress256(&mut self.state, blocks);
        }
        self.buffer[..rest.len()].copy_from_slice(rest);
        self.buffered = rest.len();
    }

    #[inline]
    pub(crate) fn finish(mut self) -> [u8; 32] {
        self.buffer[self.buffered] = 0x80;
        self.buffer[self.buffered + 1..].fill(0);
        if self.buffered + 1 > BLOCK - LENGTH {
            compress256(&mut self.state, &[self.buffer]);
            self.buffer = [0; BLOCK];
        }
        self.buffer[BLOCK - LENGTH..].copy_from_slice(&(self.total * 8).to_be_bytes());
        compress256(&mut self.state, &[self.buffer]);
        bytes(&self.state)
    }
}

/// Wipes the state; the buffer only ever holds what is signed, which is no secret.
impl Zeroize for Sha256 {
    fn zeroize(&mut self) {
        self.state.zeroize();
    }
}

/// HMAC-SHA-256 (RFC 2104) with a key whose two blocks are already hashed, which saves two of
/// the four blocks that a short message takes. Wiped on drop.
#[derive(Clone)]
pub(crate) struct HmacKey {
    inner: [u32; 8],
    outer: [u32; 8],
}

impl HmacKey {
    pub(crate) fn new(key: &[u8; 32]) -> Self {
        let padded = |pad: u8| {
            let mut block = [pad; BLOCK];
            for (byte, key) in block.iter_mut().zip(key) {
                *byte ^= key;
            }
            let mut state = INITIAL;
            compress256(&mut state, &[block]);
            block.zeroize();
            state
        };
        Self {
            inner: padded(0x36),
            outer: padded(0x5c),
        }
    }

    /// Begins a message.
    #[inline]
    pub(crate) fn message(&self) -> Sha256 {
        Sha256::resume(self.inner, BLOCK as u64)
    }

    /// Ends a message that [`Self::message`] began.
    #[inline]
    pub(crate) fn finish(&self, message: Sha256) -> [u8; 32] {
        let mut outer = Sha256::resume(self.outer, BLOCK as u64);
        outer.update(&message.finish());
        outer.finish()
    }
}

impl Drop for HmacKey {
    fn drop(&mut self) {
        self.inner.zeroize();
        self.outer.zeroize();
    }
}

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
fn bytes(state: &[u32; 8]) -> [u8; 32] {
    let mut out = [0; 32];
    for (chunk, word) in out.as_chunks_mut().0.iter_mut().zip(state) {
        *chunk = word.to_be_bytes();
    }
    out
}

#[cfg(test)]
mod tests {
    use hmac::{Hmac, KeyInit, Mac};
    use proptest::prelude::*;
    use sha2::Digest;

    use super::*;

    #[test]
    fn every_length_around_the_block_edges() {
        let data: Vec<u8> = (0..=255).cycle().take(300).collect();
        for length in 0..data.len() {
            let mut hash = Sha256::new();
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
        fn any_pieces(pieces in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..200), 0..8)) {
            let mut ours = Sha256::new();
            for piece in &pieces {
                ours.update(piece);
            }
            prop_assert_eq!(ours.finish(), <[u8; 32]>::from(sha2::Sha256::digest(pieces.concat())));
        }

        #[test]
        fn hmac_is_hmac(key: [u8; 32], message in proptest::collection::vec(any::<u8>(), 0..300)) {
            let ours = HmacKey::new(&key);
            let mut hash = ours.message();
            hash.update(&message);
            let mut theirs = Hmac::<sha2::Sha256>::new_from_slice(&key).unwrap();
            theirs.update(&message);
            prop_assert_eq!(ours.finish(hash), <[u8; 32]>::from(theirs.finalize().into_bytes()));
        }

        #[test]
        fn hex_is_hex(digest: [u8; 32]) {
            let expected = data_encoding::HEXLOWER.encode(&digest);
            prop_assert_eq!(String::from_utf8(hex(&digest).to_vec()).unwrap(), expected);
        }
    }
}
