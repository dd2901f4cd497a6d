//! A block: bytes and the CID they were checked against.

use std::fmt;

use bytes::Bytes;
use sha2::Digest;

use crate::codec::RAW;
use crate::{Cid, Error, Hash, Multihash, Report, Result};

/// Default limit on a block's size in bytes: 2 MiB, as Kubo and Bitswap have it.
pub const DEFAULT_MAX_BLOCK: usize = 2 << 20;

/// Bytes together with the CID they were checked against.
///
/// There is no way to make a `Block` whose bytes do not hash to its CID. So a block that was
/// checked once, on its way in, is never hashed again by the layers it passes through, and its
/// SHA-256 is at hand for S3 to check without being computed.
///
/// Cloning is cheap: the bytes are shared.
#[derive(Clone, PartialEq, Eq)]
pub struct Block {
    cid: Cid,
    data: Bytes,
}

impl Block {
    /// Checks `data` against `cid`.
    ///
    /// # Errors
    /// [`Error::Corrupt`] where the bytes do not hash to the CID, [`Error::Invalid`] where the
    /// CID's hash is not accepted (see [`Hash::of`]).
    pub fn new(cid: Cid, data: impl Into<Bytes>) -> Result<Self> {
        let data = data.into();
        let hash = Hash::of(&cid)?;
        if hash.matches(&data, cid.hash()) {
            Ok(Self { cid, data })
        } else {
            Err(Error::Corrupt(
                Report::new(
                    "verify",
                    format!(
                        "{} bytes that do not have the CID's {} digest",
                        data.len(),
                        hash.name()
                    ),
                )
                .with_key(cid.to_string())
                .into(),
            ))
        }
    }

    /// Makes a block of `data`: hashes it and gives it a `CIDv1` of `codec`.
    ///
    /// # Errors
    /// [`Error::Invalid`] where `data` is too long for an identity CID.
    pub fn encode(codec: u64, hash: Hash, data: impl Into<Bytes>) -> Result<Self> {
        let data = data.into();
        let cid = Cid::new_v1(codec, hash.digest(&data)?);
        Ok(Self { cid, data })
    }

    /// A raw sha2-256 block: what most files are cut into.
    #[expect(clippy::missing_panics_doc, reason = "it cannot panic")]
    pub fn raw(data: impl Into<Bytes>) -> Self {
        Self::encode(RAW, Hash::Sha2_256, data).expect("only identity limits the length")
    }

    /// What every store does first with a CID it is asked for: refuses hashes that are not
    /// accepted, and answers identity CIDs, whose block is in the CID itself.
    ///
    /// # Errors
    /// [`Error::Invalid`] as [`Hash::of`].
    pub fn inline(cid: &Cid) -> Result<Option<Self>> {
        Ok(match Hash::of(cid)? {
            Hash::Identity => Some(Self {
                cid: *cid,
                data: Bytes::copy_from_slice(cid.hash().digest()),
            }),
            _ => None,
        })
    }

    /// The same block under another CID of the same multihash (another version or codec).
    ///
    /// # Errors
    /// [`Error::Invalid`] where the multihash differs.
    pub fn with_cid(mut self, cid: &Cid) -> Result<Self> {
        if cid.hash() != self.cid.hash() {
            return Err(Error::Invalid(
                Report::new("rename block", "the two CIDs have different multihashes")
                    .with_key(cid.to_string())
                    .into(),
            ));
        }
        self.cid = *cid;
        Ok(self)
    }

    /// A copy of the block under another CID of the same multihash; `None` where it differs.
    ///
    /// The bytes are shared. It is [`Block::with_cid`] for layers that answer from memory, where
    /// making an error and copying the old CID would be most of the cost.
    #[inline]
    pub fn under(&self, cid: &Cid) -> Option<Self> {
        (cid.hash() == self.cid.hash()).then(|| Self {
            cid: *cid,
            data: self.data.clone(),
        })
    }

    /// The block's CID.
    #[inline]
    pub fn cid(&self) -> &Cid {
        &self.cid
    }

    /// The block's multihash: its identity in every store.
    pub fn multihash(&self) -> &Multihash {
        self.cid.hash()
    }

    /// The block's bytes.
    pub fn data(&self) -> &Bytes {
        &self.data
    }

    /// The block's bytes, without the CID.
    pub fn into_data(self) -> Bytes {
        self.data
    }

    /// The same block in an allocation of about its own size, for whoever keeps it.
    ///
    /// [`Bytes`] may be a slice that keeps a much larger buffer alive. The bytes are copied where
    /// that is so, and where it cannot be told because the buffer is shared; never otherwise.
    #[must_use]
    pub fn compact(self) -> Self {
        let Self { cid, data } = self;
        let data = match data.try_into_mut() {
            Ok(mut own) => {
                // What can be reclaimed is what the buffer holds beside these bytes.
                if own.try_reclaim(own.len() / 4 + 64) {
                    Bytes::copy_from_slice(&own)
                } else {
                    own.freeze()
                }
            }
            Err(shared) => Bytes::copy_from_slice(&shared),
        };
        Self { cid, data }
    }

    /// Number of bytes.
    pub fn len(&self) -> usize {
        self.data.len()
    }

    /// Whether it is the empty block, which is as valid as any.
    pub fn is_empty(&self) -> bool {
        self.data.is_empty()
    }

    /// Whether the CID holds the block itself, so that no store stores it.
    pub fn is_inline(&self) -> bool {
        self.cid.hash().code() == Hash::Identity.code()
    }

    /// SHA-256 of the bytes: read off the CID of a sha2-256 block, computed for any other.
    pub fn sha256(&self) -> [u8; 32] {
        if self.cid.hash().code() == Hash::Sha2_256.code()
            && let Ok(digest) = self.cid.hash().digest().try_into()
        {
            return digest;
        }
        sha2::Sha256::digest(&self.data).into()
    }
}

impl fmt::Debug for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Block({}, {} bytes)", self.cid, self.data.len())
    }
}

/// What a store accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Largest block, in bytes.
    pub max_block: usize,
}

impl Limits {
    /// Refuses a block above the limit.
    ///
    /// # Errors
    /// [`Error::TooLarge`].
    pub fn check(&self, block: &Block) -> Result<()> {
        self.check_size(block.cid(), block.len() as u64)
    }

    /// Refuses a size above the limit, before anything of that size is read or sent.
    ///
    /// # Errors
    /// [`Error::TooLarge`].
    pub fn check_size(&self, cid: &Cid, size: u64) -> Result<()> {
        if size <= self.max_block as u64 {
            return Ok(());
        }
        Err(Error::TooLarge(
            Report::new(
                "check size",
                format!("{size} bytes, the limit is {}", self.max_block),
            )
            .with_key(cid.to_string())
            .into(),
        ))
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_block: DEFAULT_MAX_BLOCK,
        }
    }
}

/// The CID under which a listing names a multihash: `CIDv1`, codec `raw`.
pub fn raw_cid(multihash: Multihash) -> Cid {
    Cid::new_v1(RAW, multihash)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_is_checked() {
        let block = Block::raw(&b"hello"[..]);
        assert!(Block::new(*block.cid(), &b"hello"[..]).is_ok());
        assert!(matches!(
            Block::new(*block.cid(), &b"hellO"[..]),
            Err(Error::Corrupt(_))
        ));
    }

    #[test]
    fn the_empty_block_is_valid() {
        let block = Block::raw(Bytes::new());
        assert_eq!(
            block.cid().to_string(),
            "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku"
        );
        assert!(block.is_empty());
    }

    #[test]
    fn sha256_is_read_off_the_cid_or_computed() {
        let data = &b"some bytes"[..];
        for &hash in Hash::ALL {
            let block = Block::encode(RAW, hash, data).unwrap();
            assert_eq!(
                block.sha256(),
                <[u8; 32]>::from(sha2::Sha256::digest(data)),
                "{hash:?}"
            );
        }
    }

    #[test]
    fn every_hash_round_trips_and_detects_a_flip() {
        for &hash in Hash::ALL {
            let block = Block::encode(RAW, hash, &b"0123456789"[..]).unwrap();
            Block::new(*block.cid(), &b"0123456789"[..]).unwrap();
            assert!(
                matches!(
                    Block::new(*block.cid(), &b"0123456788"[..]),
                    Err(Error::Corrupt(_))
                ),
                "{hash:?}"
            );
        }
    }

    #[test]
    fn identity_is_inline() {
        let cid: Cid = "bafkqaaa".parse().unwrap();
        assert!(Block::inline(&cid).unwrap().unwrap().is_empty());
        assert!(
            Block::inline(Block::raw(&b"x"[..]).cid())
                .unwrap()
                .is_none()
        );
    }

    #[test]
    fn a_compact_block_keeps_no_larger_buffer_alive() {
        let exact = vec![7; 1000];
        let address = exact.as_ptr();
        let block = Block::raw(exact).compact();
        assert_eq!(block.data().as_ptr(), address, "nothing to gain by a copy");

        let buffer = Bytes::from(vec![7; 10_000]);
        for place in [0..1000, 4500..5500, 9000..10_000] {
            let large = Bytes::from(buffer.to_vec());
            let slice = large.slice(place);
            let address = slice.as_ptr();
            drop(large);
            let whole = Block::raw(slice);
            let compact = whole.clone().compact();
            assert_ne!(compact.data().as_ptr(), address, "shared");
            assert_eq!(compact, whole);
            let compact = whole.compact();
            assert_ne!(compact.data().as_ptr(), address, "of a large buffer");
        }
        assert!(Block::raw(Bytes::new()).compact().is_empty());
    }

    #[test]
    fn renaming_keeps_the_multihash() {
        let block = Block::raw(&b"x"[..]);
        let v0 = Cid::new_v0(*block.multihash()).unwrap();
        assert_eq!(block.clone().with_cid(&v0).unwrap().cid(), &v0);
        assert_eq!(block.under(&v0).unwrap().cid(), &v0);
        assert_eq!(block.under(&v0).unwrap().data(), block.data());
        assert_eq!(block.under(Block::raw(&b"y"[..]).cid()), None);
        assert!(block.with_cid(Block::raw(&b"y"[..]).cid()).is_err());
    }
}
