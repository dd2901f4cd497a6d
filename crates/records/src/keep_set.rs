//! Which blocks a lease keeps: a row for each, one after the other.
//!
//! A row is the way (one byte), the size (a varint), the CID as a `CIDv1`, and for a staged block its
//! SHA-256. That of a sha2-256 block of up to 2 MiB has 40 bytes.

use bytes::{BufMut, Bytes, BytesMut};
use cidbucket_blockstore::Cid;

/// Longest CID in bytes: version (1), codec and hash code (10 each), digest length (1), digest (64).
const MAX_CID: usize = 86;

/// Which way a block of a lease goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Way {
    /// From the client to its key, with a grant.
    Direct,
    /// Nowhere: it was stored before.
    Stored,
    /// From the client to the lease's staging area, with a grant for this SHA-256.
    Staged {
        /// SHA-256 of the bytes, as the client declared it.
        sha256: [u8; 32],
    },
    /// Through the service.
    Proxied,
}

/// A block that a lease keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kept {
    /// Its CID, as it was asked for; a `CIDv0` is kept as a `CIDv1` of codec dag-pb.
    pub cid: Cid,
    /// Its size in bytes.
    pub size: u64,
    /// Which way it goes.
    pub way: Way,
}

/// The blocks that a lease keeps, in the order of the request. Clones share the bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeepSet {
    rows: Bytes,
    blocks: u64,
    bytes: u64,
}

impl KeepSet {
    /// How many blocks.
    pub fn blocks(&self) -> u64 {
        self.blocks
    }

    /// How many bytes the blocks have.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The blocks.
    #[expect(clippy::missing_panics_doc, reason = "it cannot panic")]
    pub fn iter(&self) -> impl Iterator<Item = Kept> + Send + '_ {
        let mut rest = &self.rows[..];
        std::iter::from_fn(move || {
            (!rest.is_empty()).then(|| take_row(&mut rest).expect("rows that were checked"))
        })
    }

    /// The rows.
    pub(crate) fn rows(&self) -> &Bytes {
        &self.rows
    }

    /// Reads rows; `None` where they are damaged.
    pub(crate) fn parse(rows: Bytes) -> Option<Self> {
        let mut rest = &rows[..];
        let (mut blocks, mut bytes) = (0, 0_u64);
        while !rest.is_empty() {
            let kept = take_row(&mut rest)?;
            blocks += 1;
            bytes = bytes.checked_add(kept.size)?;
        }
        Some(Self {
            rows,
            blocks,
            bytes,
        })
    }
}

/// Collects the blocks of a [`KeepSet`].
#[derive(Debug, Default)]
pub struct KeepSetBuilder {
    rows: BytesMut,
    blocks: u64,
    bytes: u64,
}

impl KeepSetBuilder {
    /// For about so many blocks.
    pub fn with_capacity(blocks: usize) -> Self {
        Self {
            rows: BytesMut::with_capacity(blocks.saturating_mul(40)),
            ..Self::default()
        }
    }

    /// Adds a block.
    #[expect(clippy::missing_panics_doc, reason = "it cannot panic")]
    pub fn push(&mut self, cid: &Cid, size: u64, way: Way) {
        let rows = &mut self.rows;
        rows.put_u8(match way {
            Way::Direct => 0,
            Way::Stored => 1,
            Way::Staged { .. } => 2,
            Way::Proxied => 3,
        });
        put_varint(rows, size);
        put_varint(rows, 1);
        put_varint(rows, cid.codec());
        let hash = cid.hash();
        put_varint(rows, hash.code());
        rows.put_u8(u8::try_from(hash.digest().len()).expect("at most 64"));
        rows.put_slice(hash.digest());
        if let Way::Staged { sha256 } = way {
            rows.put_slice(&sha256);
        }
        self.blocks += 1;
        self.bytes = self.bytes.saturating_add(size);
    }

    /// The collected blocks.
    pub fn finish(self) -> KeepSet {
        KeepSet {
            rows: self.rows.freeze(),
            blocks: self.blocks,
            bytes: self.bytes,
        }
    }
}

fn put_varint(out: &mut BytesMut, mut value: u64) {
    while value >= 0x80 {
        #[expect(clippy::cast_possible_truncation, reason = "the lowest seven bits")]
        out.put_u8(value as u8 | 0x80);
        value >>= 7;
    }
    #[expect(clippy::cast_possible_truncation, reason = "below 0x80")]
    out.put_u8(value as u8);
}

/// An unsigned varint in its shortest form.
fn take_varint(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (&byte, tail) = rest.split_first()?;
        *rest = tail;
        let bits = u64::from(byte & 0x7f);
        if shift == 63 && bits > 1 {
            return None;
        }
        value |= bits << shift;
        if byte < 0x80 {
            return (byte != 0 || shift == 0).then_some(value);
        }
    }
    None
}

fn take_row(rest: &mut &[u8]) -> Option<Kept> {
    let (&way, tail) = rest.split_first()?;
    *rest = tail;
    let size = take_varint(rest)?;
    if rest.first() != Some(&1) {
        return None;
    }
    let before = *rest;
    let cid = Cid::read_bytes(&mut *rest).ok()?;
    // The library reads some varints in more than one spelling; rows have one only.
    let mut spelling = [0; MAX_CID];
    let length = cid.write_bytes(&mut spelling[..]).ok()?;
    if spelling[..length] != before[..before.len() - rest.len()] {
        return None;
    }
    let way = match way {
        0 => Way::Direct,
        1 => Way::Stored,
        2 => {
            let (sha256, tail) = rest.split_first_chunk()?;
            *rest = tail;
            Way::Staged { sha256: *sha256 }
        }
        3 => Way::Proxied,
        _ => return None,
    };
    Some(Kept { cid, size, way })
}

#[cfg(test)]
mod tests {
    use cidbucket_blockstore::{Block, Multihash};
    use proptest::prelude::*;

    use super::*;

    fn built(blocks: &[Kept]) -> KeepSet {
        let mut builder = KeepSetBuilder::with_capacity(blocks.len());
        for kept in blocks {
            builder.push(&kept.cid, kept.size, kept.way);
        }
        builder.finish()
    }

    #[test]
    fn a_row_has_forty_bytes() {
        let cid = *Block::raw("x").cid();
        let set = built(&[Kept {
            cid,
            size: 256 << 10,
            way: Way::Direct,
        }]);
        assert_eq!(set.rows().len(), 40);
        assert_eq!(&set.rows()[4..], cid.to_bytes());
    }

    #[test]
    fn a_version_0_is_kept_as_version_1() {
        let v1 = Cid::new_v1(0x70, *Block::raw("x").multihash());
        let v0 = Cid::new_v0(*v1.hash()).unwrap();
        let mut builder = KeepSetBuilder::default();
        builder.push(&v0, 1, Way::Stored);
        assert_eq!(builder.finish().iter().next().unwrap().cid, v1);
    }

    fn any_kept() -> impl Strategy<Value = Kept> {
        let digest = proptest::collection::vec(any::<u8>(), 0..=64);
        let way = prop_oneof![
            Just(Way::Direct),
            Just(Way::Stored),
            Just(Way::Proxied),
            any::<[u8; 32]>().prop_map(|sha256| Way::Staged { sha256 }),
        ];
        let size = prop_oneof![0..5_000_000_u64, 0..=u64::MAX >> 8];
        (any::<u64>(), any::<u64>(), digest, size, way).prop_map(
            |(codec, code, digest, size, way)| Kept {
                cid: Cid::new_v1(codec, Multihash::wrap(code, &digest).unwrap()),
                size,
                way,
            },
        )
    }

    proptest! {
        #[test]
        fn rows_round_trip(blocks in proptest::collection::vec(any_kept(), 0..20)) {
            let set = built(&blocks);
            prop_assert_eq!(set.iter().collect::<Vec<_>>(), blocks.clone());
            let parsed = KeepSet::parse(set.rows().clone()).unwrap();
            prop_assert_eq!(&parsed, &set);
            prop_assert_eq!(parsed.blocks(), blocks.len() as u64);
            prop_assert_eq!(parsed.bytes(), blocks.iter().map(|kept| kept.size).sum::<u64>());
        }

        #[test]
        fn what_is_read_is_written_the_same(
            blocks in proptest::collection::vec(any_kept(), 1..3),
            at in any::<proptest::sample::Index>(),
            byte: u8,
        ) {
            let mut rows = built(&blocks).rows().to_vec();
            let at = at.index(rows.len());
            rows[at] = byte;
            for rows in [rows.clone(), rows[..at].to_vec()] {
                if let Some(set) = KeepSet::parse(rows.clone().into()) {
                    let again = built(&set.iter().collect::<Vec<_>>());
                    prop_assert_eq!(&again.rows()[..], &rows[..]);
                }
            }
        }
    }
}
