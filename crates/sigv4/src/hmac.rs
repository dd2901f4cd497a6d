//! HMAC-SHA-256 of messages that end in a hash, as strings to sign do.

use sha2::block_api::compress256;
use zeroize::Zeroize;

use crate::sha256::{BLOCK, INITIAL, bytes, compress, hex, pad, padded};

/// A key of HMAC-SHA-256 (RFC 2104) whose two blocks are already hashed, which saves two of the
/// four blocks that a short message takes. Wiped on drop.
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

    /// The messages that begin with `start`, made ready to be signed.
    pub(crate) fn messages(&self, start: &str) -> Messages {
        let (whole, rest) = start.as_bytes().as_chunks::<BLOCK>();
        let mut inner = self.inner;
        compress256(&mut inner, whole);
        let end = rest.len() + HEX;
        let mut blocks = [[0; BLOCK]; _];
        let bytes = &mut blocks.as_flattened_mut()[..padded(end)];
        bytes[..rest.len()].copy_from_slice(rest);
        pad(bytes, end, (BLOCK + start.len() + HEX) as u64);
        Messages {
            inner,
            count: bytes.len() / BLOCK,
            blocks,
            gap: rest.len(),
            outer: self.outer,
        }
    }
}

/// Characters of a hash in hexadecimal.
const HEX: usize = 64;

/// Messages to sign that differ only in the hash, in hexadecimal, with which they end. Wiped on
/// drop.
pub(crate) struct Messages {
    /// The state of the inner hash before the blocks.
    inner: [u32; 8],
    /// The blocks that are left: the rest of the start, the hash, and the padding.
    blocks: [[u8; BLOCK]; 3],
    count: usize,
    /// Where in the blocks the hash goes.
    gap: usize,
    outer: [u32; 8],
}

impl Messages {
    /// The signatures of the messages with these hashes.
    #[inline]
    pub(crate) fn sign<const N: usize>(&self, hashes: &[[u8; 32]; N]) -> [[u8; 32]; N] {
        let mut messages = [self.blocks; N];
        for (message, hash) in messages.iter_mut().zip(hashes) {
            message.as_flattened_mut()[self.gap..self.gap + HEX].copy_from_slice(&hex(hash));
        }
        let mut states = [self.inner; N];
        compress(&mut states, messages.each_ref().map(|m| &m[..self.count]));
        let mut outer = [[[0; BLOCK]]; N];
        for ([block], state) in outer.iter_mut().zip(&states) {
            block[..32].copy_from_slice(&bytes(state));
            pad(block, 32, BLOCK as u64 + 32);
        }
        let mut states = [self.outer; N];
        compress(&mut states, outer.each_ref().map(|block| &block[..]));
        states.map(|state| bytes(&state))
    }
}

impl Drop for Messages {
    fn drop(&mut self) {
        self.inner.zeroize();
        self.outer.zeroize();
    }
}

impl Drop for HmacKey {
    fn drop(&mut self) {
        self.inner.zeroize();
        self.outer.zeroize();
    }
}

#[cfg(test)]
mod tests {
    use hmac::{Hmac, KeyInit, Mac};
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn hmac_is_hmac(key: [u8; 32], start in "[ -~]{0,200}", hashes: [[u8; 32]; 3]) {
            let ours = HmacKey::new(&key).messages(&start).sign(&hashes);
            for (ours, hash) in ours.iter().zip(&hashes) {
                let mut theirs = Hmac::<sha2::Sha256>::new_from_slice(&key).unwrap();
                theirs.update(start.as_bytes());
                theirs.update(&hex(hash));
                prop_assert_eq!(*ours, <[u8; 32]>::from(theirs.finalize().into_bytes()));
            }
        }
    }
}
