//! How a sharded directory (HAMT) places its names: hash, buckets, prefixes.
//!
//! A shard has `fanout` buckets. Each level takes `log2(fanout)` more bits of the name's hash, its
//! first bits first, as the number of a bucket. A link's name begins with that number in upper-case
//! hexadecimal, padded to the width of the last bucket's; after it comes the entry's name, or
//! nothing where the link leads to a shard of the next level. See the [UnixFS specification].
//!
//! [UnixFS specification]: https://specs.ipfs.tech/unixfs/#dag-pb-hamtdirectory

/// The multicodec code of `murmur3-x64-64`, the one hash that shards use.
pub(crate) const MURMUR3_X64_64: u64 = 0x22;

/// The widest shard: more buckets would let a small block ask for much memory (CVE-2023-23625).
pub(crate) const MAX_FANOUT: u64 = 1024;

/// The number of buckets of each shard of a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fanout {
    /// log2 of the number of buckets: 3 to 10.
    bits: u32,
}

impl Fanout {
    /// `None` unless it is a power of two, a multiple of 8 and at most [`MAX_FANOUT`].
    pub(crate) fn new(buckets: u64) -> Option<Self> {
        ((8..=MAX_FANOUT).contains(&buckets) && buckets.is_power_of_two()).then(|| Self {
            bits: buckets.trailing_zeros(),
        })
    }

    /// The number of buckets.
    pub(crate) fn buckets(self) -> usize {
        1 << self.bits
    }

    /// How many characters of a link's name are the bucket's number.
    pub(crate) fn prefix_len(self) -> usize {
        self.bits.div_ceil(4) as usize
    }

    /// What the names of the links in a bucket begin with.
    pub(crate) fn prefix(self, bucket: usize) -> String {
        format!("{bucket:0width$X}", width = self.prefix_len())
    }
}

/// The bits of a name's hash that are not used up yet.
#[derive(Debug, Clone)]
pub(crate) struct HashBits {
    rest: u64,
    left: u32,
}

impl HashBits {
    /// All bits of the hash of `name`.
    pub(crate) fn of(name: &str) -> Self {
        Self {
            rest: murmur3_x64_64(name.as_bytes()),
            left: u64::BITS,
        }
    }

    /// The bucket on the next level; `None` where the bits do not suffice: no directory is deeper.
    pub(crate) fn next(&mut self, fanout: Fanout) -> Option<usize> {
        self.left = self.left.checked_sub(fanout.bits)?;
        let bucket = self.rest >> (u64::BITS - fanout.bits);
        self.rest <<= fanout.bits;
        usize::try_from(bucket).ok()
    }
}

/// The first 64 bits of `MurmurHash3_x64_128` with seed 0, read as a number in big-endian order: as
/// the bits are taken from the first byte on, its highest bit first.
fn murmur3_x64_64(data: &[u8]) -> u64 {
    const C1: u64 = 0x87c3_7b91_1142_53d5;
    const C2: u64 = 0x4cf5_ad43_2745_937f;
    let mix1 = |k: u64| k.wrapping_mul(C1).rotate_left(31).wrapping_mul(C2);
    let mix2 = |k: u64| k.wrapping_mul(C2).rotate_left(33).wrapping_mul(C1);
    let word = |bytes: &[u8]| {
        let mut word = [0; 8];
        word[..bytes.len()].copy_from_slice(bytes);
        u64::from_le_bytes(word)
    };

    let (mut h1, mut h2) = (0_u64, 0_u64);
    let mut blocks = data.chunks_exact(16);
    for block in &mut blocks {
        h1 ^= mix1(word(&block[..8]));
        h1 = h1.rotate_left(27).wrapping_add(h2);
        h1 = h1.wrapping_mul(5).wrapping_add(0x52dc_e729);
        h2 ^= mix2(word(&block[8..]));
        h2 = h2.rotate_left(31).wrapping_add(h1);
        h2 = h2.wrapping_mul(5).wrapping_add(0x3849_5ab5);
    }
    let tail = blocks.remainder();
    h2 ^= mix2(word(&tail[tail.len().min(8)..]));
    h1 ^= mix1(word(&tail[..tail.len().min(8)]));

    let length = data.len() as u64;
    h1 ^= length;
    h2 ^= length;
    h1 = h1.wrapping_add(h2);
    h2 = h2.wrapping_add(h1);
    finish(h1).wrapping_add(finish(h2))
}

fn finish(mut k: u64) -> u64 {
    k ^= k >> 33;
    k = k.wrapping_mul(0xff51_afd7_ed55_8ccd);
    k ^= k >> 33;
    k = k.wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    k ^ (k >> 33)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_those_of_the_reference_implementation() {
        // The first half of MurmurHash3_x64_128, seed 0.
        for (text, hash) in [
            ("", 0),
            ("hello", 0xcbd8_a7b3_41bd_9b02),
            ("hello, world", 0x342f_ac62_3a5e_bc8e),
            ("19 Jan 2038 at 3:14:07 AM", 0xb89e_5988_b737_affc),
            (
                "The quick brown fox jumps over the lazy dog.",
                0xcd99_481f_9ee9_02c9,
            ),
        ] {
            assert_eq!(murmur3_x64_64(text.as_bytes()), hash, "{text}");
        }
    }

    #[test]
    fn a_name_is_where_the_specification_puts_it() {
        // The worked example of the UnixFS specification.
        let fanout = Fanout::new(256).unwrap();
        let mut bits = HashBits::of("470.txt");
        assert_eq!(bits.next(fanout), Some(0x00));
        assert_eq!(bits.next(fanout), Some(0x6e));
        assert_eq!(fanout.prefix(0x6e), "6E");
    }

    #[test]
    fn bits_run_out() {
        for (buckets, levels) in [(8, 21), (16, 16), (256, 8), (1024, 6)] {
            let fanout = Fanout::new(buckets).unwrap();
            let mut bits = HashBits::of("name");
            for _ in 0..levels {
                assert!(bits.next(fanout).unwrap() < fanout.buckets());
            }
            assert_eq!(bits.next(fanout), None);
        }
    }

    #[test]
    fn fanouts() {
        for bad in [0, 1, 2, 4, 7, 12, 255, 2048, u64::MAX] {
            assert_eq!(Fanout::new(bad), None, "{bad}");
        }
        for (buckets, last) in [(8, "7"), (16, "F"), (32, "1F"), (256, "FF"), (1024, "3FF")] {
            let fanout = Fanout::new(buckets).unwrap();
            assert_eq!(fanout.prefix(fanout.buckets() - 1), last);
            assert_eq!(fanout.prefix(0).len(), last.len());
        }
    }
}
