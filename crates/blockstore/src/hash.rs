//! The hash functions a CID may use.
//!
//! The list is Kubo's (`boxo/verifcid`): secure functions only, digests of 20 to 128 bytes
//! (`identity` at most 128), so that a block accepted here is accepted by every IPFS node and
//! a weak or truncated digest is refused at the door.

use std::ops::RangeInclusive;

use sha2::Digest;

use crate::{Cid, Error, Multihash, Report, Result};

/// Shortest digest accepted, in bytes, except for [`Hash::Identity`].
const MIN_DIGEST: usize = 20;
/// Longest identity digest accepted, in bytes.
const MAX_IDENTITY: usize = 128;

/// A hash function of Kubo's allow-list, named as in the multicodec table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Hash {
    /// `identity`: the "digest" is the block itself.
    Identity,
    /// `sha1`: kept for git objects. Collisions are known; Kubo still accepts it.
    Sha1,
    /// `sha2-256`: IPFS's default, and the one that S3 can check.
    Sha2_256,
    /// `sha2-512`.
    Sha2_512,
    /// `sha3-224`.
    Sha3_224,
    /// `sha3-256`.
    Sha3_256,
    /// `sha3-384`.
    Sha3_384,
    /// `sha3-512`.
    Sha3_512,
    /// `shake-256` with 64 bytes of output.
    Shake256,
    /// `keccak-224`.
    Keccak224,
    /// `keccak-256`.
    Keccak256,
    /// `keccak-384`.
    Keccak384,
    /// `keccak-512`.
    Keccak512,
    /// `blake3`, 32 bytes unless the CID asks for another length.
    Blake3,
    /// `dbl-sha2-256`: SHA-256 of SHA-256.
    DblSha2_256,
    /// `blake2b-N` with the given number of bytes, 20 to 64.
    Blake2b(u8),
    /// `blake2s-N` with the given number of bytes, 20 to 32.
    Blake2s(u8),
}

impl Hash {
    /// Every accepted function, with the variable ones at their common lengths.
    pub const ALL: &'static [Self] = &[
        Self::Identity,
        Self::Sha1,
        Self::Sha2_256,
        Self::Sha2_512,
        Self::Sha3_224,
        Self::Sha3_256,
        Self::Sha3_384,
        Self::Sha3_512,
        Self::Shake256,
        Self::Keccak224,
        Self::Keccak256,
        Self::Keccak384,
        Self::Keccak512,
        Self::Blake3,
        Self::DblSha2_256,
        Self::Blake2b(20),
        Self::Blake2b(32),
        Self::Blake2b(64),
        Self::Blake2s(20),
        Self::Blake2s(32),
    ];

    /// The function of a multicodec `code`, or `None` where it is not on the allow-list.
    pub fn from_code(code: u64) -> Option<Self> {
        Some(match code {
            0x00 => Self::Identity,
            0x11 => Self::Sha1,
            0x12 => Self::Sha2_256,
            0x13 => Self::Sha2_512,
            0x14 => Self::Sha3_512,
            0x15 => Self::Sha3_384,
            0x16 => Self::Sha3_256,
            0x17 => Self::Sha3_224,
            0x19 => Self::Shake256,
            0x1a => Self::Keccak224,
            0x1b => Self::Keccak256,
            0x1c => Self::Keccak384,
            0x1d => Self::Keccak512,
            0x1e => Self::Blake3,
            0x56 => Self::DblSha2_256,
            // blake2b-8 is 0xb201; every code after it is 8 bits longer. Below 160 bits is weak.
            0xb214..=0xb240 => Self::Blake2b(u8::try_from(code - 0xb200).ok()?),
            0xb254..=0xb260 => Self::Blake2s(u8::try_from(code - 0xb240).ok()?),
            _ => return None,
        })
    }

    /// Every accepted function, with the variable ones at every length.
    pub fn every() -> impl Iterator<Item = Self> {
        (0..=0xffff).filter_map(Self::from_code)
    }

    /// The function's multicodec code.
    pub fn code(self) -> u64 {
        match self {
            Self::Identity => 0x00,
            Self::Sha1 => 0x11,
            Self::Sha2_256 => 0x12,
            Self::Sha2_512 => 0x13,
            Self::Sha3_512 => 0x14,
            Self::Sha3_384 => 0x15,
            Self::Sha3_256 => 0x16,
            Self::Sha3_224 => 0x17,
            Self::Shake256 => 0x19,
            Self::Keccak224 => 0x1a,
            Self::Keccak256 => 0x1b,
            Self::Keccak384 => 0x1c,
            Self::Keccak512 => 0x1d,
            Self::Blake3 => 0x1e,
            Self::DblSha2_256 => 0x56,
            Self::Blake2b(bytes) => 0xb200 + u64::from(bytes),
            Self::Blake2s(bytes) => 0xb240 + u64::from(bytes),
        }
    }

    /// The function of a name in the multicodec table, such as `sha2-256` or `blake2b-256`.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .copied()
            .find(|hash| hash.name() == name)
            .or_else(|| {
                let (family, bits) = name.rsplit_once('-')?;
                let bits: u64 = bits.parse().ok()?;
                let base = match family {
                    "blake2b" => 0xb200,
                    "blake2s" => 0xb240,
                    _ => return None,
                };
                // The two families' codes adjoin: only the name says which one was meant.
                Self::from_code(base + bits / 8).filter(|hash| hash.name() == name)
            })
    }

    /// The name in the multicodec table.
    pub fn name(self) -> String {
        match self {
            Self::Identity => "identity".into(),
            Self::Sha1 => "sha1".into(),
            Self::Sha2_256 => "sha2-256".into(),
            Self::Sha2_512 => "sha2-512".into(),
            Self::Sha3_224 => "sha3-224".into(),
            Self::Sha3_256 => "sha3-256".into(),
            Self::Sha3_384 => "sha3-384".into(),
            Self::Sha3_512 => "sha3-512".into(),
            Self::Shake256 => "shake-256".into(),
            Self::Keccak224 => "keccak-224".into(),
            Self::Keccak256 => "keccak-256".into(),
            Self::Keccak384 => "keccak-384".into(),
            Self::Keccak512 => "keccak-512".into(),
            Self::Blake3 => "blake3".into(),
            Self::DblSha2_256 => "dbl-sha2-256".into(),
            Self::Blake2b(bytes) => format!("blake2b-{}", u32::from(bytes) * 8),
            Self::Blake2s(bytes) => format!("blake2s-{}", u32::from(bytes) * 8),
        }
    }

    /// The allowed function of a CID.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a function that is not on the list, or a digest of another length
    /// than the function can give or Kubo accepts.
    pub fn of(cid: &Cid) -> Result<Self> {
        let multihash = cid.hash();
        let refuse = |message: String| {
            Error::Invalid(
                Report::new("check CID", message)
                    .with_key(cid.to_string())
                    .into(),
            )
        };
        let hash = Self::from_code(multihash.code()).ok_or_else(|| {
            refuse(format!(
                "hash function {:#x} is not on the list of secure functions",
                multihash.code()
            ))
        })?;
        let length = usize::from(multihash.size());
        let accepted = hash.digest_lengths();
        if !accepted.contains(&length) {
            return Err(refuse(format!(
                "a {} digest of {length} bytes is outside the accepted {} to {}",
                hash.name(),
                accepted.start(),
                accepted.end()
            )));
        }
        Ok(hash)
    }

    /// The multihash of `data` at the function's usual length.
    ///
    /// # Errors
    /// [`Error::Invalid`] where `data` is too long for an identity multihash (64 bytes here).
    pub fn digest(self, data: &[u8]) -> Result<Multihash> {
        let length = match self {
            Self::Identity => data.len(),
            _ => self.usual_length(),
        };
        let mut out = [0; 64];
        if length > out.len() {
            return Err(Error::Invalid(
                Report::new(
                    "hash",
                    format!("{length} bytes are too many for an identity CID (at most 64)"),
                )
                .into(),
            ));
        }
        self.fill(data, &mut out[..length]);
        Multihash::wrap(self.code(), &out[..length]).map_err(|e| {
            Error::Invalid(Report::new("hash", "not a multihash").with_source(e).into())
        })
    }

    /// Whether `data` hashes to the digest in `multihash`, which must be of this function.
    pub(crate) fn matches(self, data: &[u8], multihash: &Multihash) -> bool {
        let digest = multihash.digest();
        match self {
            Self::Identity => digest == data,
            Self::Sha2_256 => sha2::Sha256::digest(data).starts_with(digest),
            _ => {
                let mut out = [0; 64];
                let out = &mut out[..digest.len()];
                self.fill(data, out);
                out == digest
            }
        }
    }

    /// Fills `out`, of a length within [`Self::digest_lengths`], with the (truncated) digest.
    fn fill(self, data: &[u8], out: &mut [u8]) {
        fn short<D: Digest>(data: &[u8], out: &mut [u8]) {
            let digest = D::digest(data);
            let length = out.len();
            out.copy_from_slice(&digest[..length]);
        }
        match self {
            Self::Identity => out.copy_from_slice(&data[..out.len()]),
            Self::Sha1 => short::<sha1::Sha1>(data, out),
            Self::Sha2_256 => short::<sha2::Sha256>(data, out),
            Self::Sha2_512 => short::<sha2::Sha512>(data, out),
            Self::Sha3_224 => short::<sha3::Sha3_224>(data, out),
            Self::Sha3_256 => short::<sha3::Sha3_256>(data, out),
            Self::Sha3_384 => short::<sha3::Sha3_384>(data, out),
            Self::Sha3_512 => short::<sha3::Sha3_512>(data, out),
            Self::Shake256 => {
                use shake::digest::{ExtendableOutput, Update, XofReader};
                let mut hasher = shake::Shake256::default();
                hasher.update(data);
                hasher.finalize_xof().read(out);
            }
            Self::Keccak224 => short::<sha3::Keccak224>(data, out),
            Self::Keccak256 => short::<sha3::Keccak256>(data, out),
            Self::Keccak384 => short::<sha3::Keccak384>(data, out),
            Self::Keccak512 => short::<sha3::Keccak512>(data, out),
            Self::Blake3 => {
                let mut hasher = blake3::Hasher::new();
                hasher.update(data);
                hasher.finalize_xof().fill(out);
            }
            Self::DblSha2_256 => short::<sha2::Sha256>(&sha2::Sha256::digest(data), out),
            Self::Blake2b(bytes) => {
                let mut params = blake2b_simd::Params::new();
                let digest = params.hash_length(usize::from(bytes)).hash(data);
                out.copy_from_slice(&digest.as_bytes()[..out.len()]);
            }
            Self::Blake2s(bytes) => {
                let mut params = blake2s_simd::Params::new();
                let digest = params.hash_length(usize::from(bytes)).hash(data);
                out.copy_from_slice(&digest.as_bytes()[..out.len()]);
            }
        }
    }

    /// The lengths of digest that are accepted, in bytes.
    pub fn digest_lengths(self) -> RangeInclusive<usize> {
        match self {
            Self::Identity => 0..=MAX_IDENTITY,
            // An extendable-output function: any length that fits a multihash of 64 bytes.
            Self::Blake3 | Self::Shake256 => MIN_DIGEST..=64,
            _ => MIN_DIGEST..=self.usual_length(),
        }
    }

    fn usual_length(self) -> usize {
        match self {
            Self::Identity => 0,
            Self::Sha1 => 20,
            Self::Sha3_224 | Self::Keccak224 => 28,
            Self::Sha2_256
            | Self::Sha3_256
            | Self::Keccak256
            | Self::Blake3
            | Self::DblSha2_256 => 32,
            Self::Sha3_384 | Self::Keccak384 => 48,
            Self::Sha2_512 | Self::Sha3_512 | Self::Keccak512 | Self::Shake256 => 64,
            Self::Blake2b(bytes) | Self::Blake2s(bytes) => usize::from(bytes),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_and_names_go_both_ways() {
        for &hash in Hash::ALL {
            assert_eq!(Hash::from_code(hash.code()), Some(hash));
            assert_eq!(Hash::from_name(&hash.name()), Some(hash));
        }
        assert_eq!(Hash::from_name("blake2b-160"), Some(Hash::Blake2b(20)));
        assert_eq!(
            Hash::from_name("blake2b-152"),
            None,
            "below 160 bits is weak"
        );
        for wrong in ["blake2b-161", "blake2b-672", "blake2s-0", "blake2b-+256"] {
            assert_eq!(Hash::from_name(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn known_digests_of_the_empty_string() {
        // Published by each function's specification.
        let cases: &[(Hash, &str)] = &[
            (Hash::Sha1, "da39a3ee5e6b4b0d3255bfef95601890afd80709"),
            (
                Hash::Sha2_256,
                "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
            ),
            (
                Hash::Sha3_256,
                "a7ffc6f8bf1ed76651c14756a061d662f580ff4de43b49fa82d80a4b80f8434a",
            ),
            (
                Hash::Keccak256,
                "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470",
            ),
            (
                Hash::Blake3,
                "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262",
            ),
            (
                Hash::DblSha2_256,
                "5df6e0e2761359d30a8275058e299fcc0381534545f55cf43e41983f5d4c9456",
            ),
            (
                Hash::Blake2b(32),
                "0e5751c026e543b2e8ab2eb06099daa1d1e5df47778f7787faab45cdf12fe3a8",
            ),
            (
                Hash::Blake2s(32),
                "69217a3079908094e11121d042354a7c1f55b6482ca1a51e1b250dfd1ed0eef9",
            ),
        ];
        for (hash, expected) in cases {
            let multihash = hash.digest(b"").unwrap();
            let hex = cid::multibase::Base::Base16Lower.encode(multihash.digest());
            assert_eq!(&hex, expected, "{hash:?}");
        }
    }

    #[test]
    fn weak_and_truncated_digests_are_refused() {
        let cid =
            |code, length| Cid::new_v1(0x55, Multihash::wrap(code, &[7; 64][..length]).unwrap());
        for (code, length) in [
            (0x12, 19),   // truncated below 160 bits
            (0x12, 33),   // longer than the function gives
            (0xd4, 32),   // md5-like codes are not on the list
            (0x22, 16),   // murmur3
            (0xb213, 19), // blake2b-152
            (0x1e, 19),
        ] {
            assert!(
                matches!(Hash::of(&cid(code, length)), Err(Error::Invalid(_))),
                "{code:#x}/{length}"
            );
        }
        assert_eq!(Hash::of(&cid(0x12, 20)).unwrap(), Hash::Sha2_256);
    }

    #[test]
    fn a_truncated_digest_is_still_checked() {
        let full = Hash::Sha2_256.digest(b"abc").unwrap();
        let short = Multihash::wrap(0x12, &full.digest()[..20]).unwrap();
        assert!(Hash::Sha2_256.matches(b"abc", &short));
        assert!(!Hash::Sha2_256.matches(b"abd", &short));
    }
}
