//! Hashing a digest for the tables of the cache.
//!
//! A digest is random already, so its bytes are read once and multiplied, with no second
//! cryptographic hash. They are keyed all the same: anybody may *ask* for CIDs whose digests agree
//! in most bits, and without a secret such questions would all fall into one slot.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, BuildHasherDefault, Hash, Hasher};

use cidbucket_blockstore::Multihash;

/// A block's identity with its hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Key {
    pub(crate) hash: u64,
    pub(crate) multihash: Multihash,
}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

/// The secret of one cache.
#[derive(Clone, Copy)]
pub(crate) struct Seed([u64; 4]);

impl Seed {
    pub(crate) fn random() -> Self {
        let random = RandomState::new();
        Self([0_u64, 1, 2, 3].map(|n| random.hash_one(n)))
    }

    pub(crate) fn key(&self, multihash: &Multihash) -> Key {
        Key {
            hash: self.hash(multihash),
            multihash: *multihash,
        }
    }

    /// Every byte of the digest counts, 16 at a time.
    #[inline]
    pub(crate) fn hash(&self, multihash: &Multihash) -> u64 {
        let digest = multihash.digest();
        let mut hash = self.0[2] ^ multihash.code();
        let (chunks, rest) = digest.as_chunks::<16>();
        for chunk in chunks {
            hash = self.mix(hash, chunk);
        }
        if !rest.is_empty() {
            let mut chunk = [0; 16];
            chunk[..rest.len()].copy_from_slice(rest);
            hash = self.mix(hash, &chunk);
        }
        hash
    }

    #[inline]
    fn mix(&self, hash: u64, chunk: &[u8; 16]) -> u64 {
        let value = u128::from_le_bytes(*chunk);
        let [low, high] = halves(value);
        let product = u128::from(low ^ self.0[0] ^ hash) * u128::from(high ^ self.0[1]);
        let [low, high] = halves(product);
        low ^ high ^ hash.wrapping_mul(self.0[3] | 1)
    }
}

#[allow(clippy::cast_possible_truncation)] // that is the point
fn halves(value: u128) -> [u64; 2] {
    [value as u64, (value >> 64) as u64]
}

/// Takes the hash that a key brings along.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct AsIs(u64);

pub(crate) type BuildAsIs = BuildHasherDefault<AsIs>;

impl Hasher for AsIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }

    fn write(&mut self, _bytes: &[u8]) {
        unreachable!("keys bring their hash along");
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_byte_of_a_digest_counts() {
        let seed = Seed::random();
        for length in [20, 28, 32, 48, 64] {
            let digest = [0x5a; 64];
            let mut hashes = HashSet::new();
            hashes.insert(seed.hash(&Multihash::wrap(0x12, &digest[..length]).unwrap()));
            for byte in 0..length {
                for bit in 0..8 {
                    let mut flipped = digest;
                    flipped[byte] ^= 1 << bit;
                    hashes.insert(seed.hash(&Multihash::wrap(0x12, &flipped[..length]).unwrap()));
                }
            }
            assert_eq!(hashes.len(), 8 * length + 1);
        }
    }

    #[test]
    fn look_alike_digests_spread_over_shards_and_slots() {
        // Chosen by somebody who knows everything but the seed: equal but for a counter.
        for place in [0, 8, 16, 24] {
            let seed = Seed::random();
            let (mut shards, mut low, mut tags) = ([0; 16], [0; 64], [0; 128]);
            for n in 0..16_384_u64 {
                let mut digest = [0; 32];
                digest[place..place + 8].copy_from_slice(&n.to_le_bytes());
                let hash = seed.hash(&Multihash::wrap(0x12, &digest).unwrap());
                shards[(hash >> 32 & 15) as usize] += 1;
                low[(hash & 63) as usize] += 1;
                tags[(hash >> 57) as usize] += 1;
            }
            for (counts, fair) in [(&shards[..], 1024), (&low[..], 256), (&tags[..], 128)] {
                assert!(counts.iter().all(|&count| count < 2 * fair), "{counts:?}");
            }
        }
    }

    #[test]
    fn two_caches_hash_differently() {
        let multihash = Multihash::wrap(0x12, &[1; 32]).unwrap();
        assert_ne!(
            Seed::random().hash(&multihash),
            Seed::random().hash(&multihash)
        );
    }
}
