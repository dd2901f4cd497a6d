//! A lease and its ending, as they lie in the bucket. Pure.

use std::io::Cursor;

use bytes::{BufMut, Bytes, BytesMut};
use serde::{Deserialize, Serialize};

use crate::{ChunkId, KeepSet, LeaseId};

/// The version of the format.
const VERSION: u64 = 1;
/// The beginning of a lease that is sure to have all but its keep-set, in bytes.
pub(crate) const HEAD: usize = 1024;
/// Longest id of a token, in bytes.
pub(crate) const MAX_TOKEN: usize = 512;

/// A lease: the pending record of an upload. It never changes; how it [ended](Ending) is a record of
/// its own.
///
/// In the bucket: DAG-CBOR, a list of the head (a map) and the [`KeepSet`]'s rows (a byte string). So
/// all but the keep-set can be read without it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// Its name.
    pub id: LeaseId,
    /// Everything but the blocks.
    pub head: LeaseHead,
    /// The blocks.
    pub keep: KeepSet,
}

/// Everything about a lease but its blocks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LeaseHead {
    #[serde(rename = "v")]
    version: u64,
    /// The id of the token it was opened with.
    pub token: String,
    /// Whose blocks they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// How many blocks it has.
    pub blocks: u64,
    /// How many bytes its blocks have.
    pub bytes: u64,
    /// When it was opened, in seconds since 1970.
    pub created: u64,
    /// When it ends unless completed, in seconds since 1970.
    pub expires: u64,
    /// What it took of the token's quota; `None` where the token has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub charge: Option<Charge>,
    #[serde(with = "serde_bytes")]
    nonce: [u8; 16],
}

/// What a lease took of a quota.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Charge {
    /// The chunk it is part of.
    pub chunk: ChunkId,
    /// When the chunk ends, in seconds since 1970. A lease that was written long after that is void:
    /// see [`Charge::is_void`].
    pub until: u64,
    /// How many bytes.
    pub bytes: u64,
}

impl Charge {
    /// Whether the lease was written (`modified`, by the server's clock, in seconds since 1970) so
    /// late that nothing was granted under it, and its chunk may have been counted without it.
    pub fn is_void(&self, modified: u64) -> bool {
        modified > self.until + crate::quota::SKEW
    }
}

impl LeaseHead {
    pub(crate) fn new(
        token: String,
        tenant: Option<String>,
        created: u64,
        expires: u64,
        keep: &KeepSet,
        charge: Option<Charge>,
        nonce: [u8; 16],
    ) -> Self {
        Self {
            version: VERSION,
            token,
            tenant,
            blocks: keep.blocks(),
            bytes: keep.bytes(),
            created,
            expires,
            charge,
            nonce,
        }
    }

    /// Reads the head off the beginning of a lease.
    pub(crate) fn parse(start: &[u8], id: &LeaseId) -> Option<Self> {
        Some(split(start, id)?.0)
    }
}

impl Lease {
    pub(crate) fn encode(head: &LeaseHead, keep: &KeepSet) -> Bytes {
        let rows = keep.rows();
        let head = serde_ipld_dagcbor::to_vec(head).expect("texts, numbers and bytes");
        let mut out = BytesMut::with_capacity(1 + head.len() + 9 + rows.len());
        out.put_u8(0x82); // a list of two
        out.put_slice(&head);
        put_bytes_header(&mut out, rows.len());
        out.put_slice(rows);
        out.freeze()
    }

    pub(crate) fn parse(bytes: &Bytes, id: LeaseId) -> Option<Self> {
        let (head, mut rest) = split(bytes, &id)?;
        let length = take_bytes_header(&mut rest)?;
        if rest.len() != length {
            return None;
        }
        let keep = KeepSet::parse(bytes.slice_ref(rest))?;
        let fits = keep.blocks() == head.blocks && keep.bytes() == head.bytes;
        fits.then_some(Self { id, head, keep })
    }
}

/// Head, and what follows it.
fn split<'a>(bytes: &'a [u8], id: &LeaseId) -> Option<(LeaseHead, &'a [u8])> {
    let bytes = bytes.strip_prefix(&[0x82])?;
    let mut reader = Cursor::new(bytes);
    let head: LeaseHead = serde_ipld_dagcbor::de::from_reader_once(&mut reader).ok()?;
    let length = usize::try_from(reader.position()).ok()?;
    let fits = head.version == VERSION && head.expires == id.expires();
    fits.then(|| (head, &bytes[length..]))
}

/// The head of a byte string, in its shortest form (RFC 8949 §3, major type 2).
fn put_bytes_header(out: &mut BytesMut, length: usize) {
    match length {
        0..24 => out.put_u8(0x40 | u8::try_from(length).expect("below 24")),
        24..0x100 => {
            out.put_u8(0x58);
            out.put_u8(u8::try_from(length).expect("one byte"));
        }
        0x100..0x1_0000 => {
            out.put_u8(0x59);
            out.put_u16(u16::try_from(length).expect("two bytes"));
        }
        _ => {
            out.put_u8(0x5a);
            out.put_u32(u32::try_from(length).expect("no record has 4 GiB"));
        }
    }
}

fn take_bytes_header(rest: &mut &[u8]) -> Option<usize> {
    let (&first, tail) = rest.split_first()?;
    let (length, tail) = match first {
        0x40..0x58 => (usize::from(first & 0x1f), tail),
        0x58 => {
            let (&length, tail) = tail.split_first()?;
            (usize::from(length), tail)
        }
        0x59 => {
            let (length, tail) = tail.split_first_chunk()?;
            (usize::from(u16::from_be_bytes(*length)), tail)
        }
        0x5a => {
            let (length, tail) = tail.split_first_chunk()?;
            (usize::try_from(u32::from_be_bytes(*length)).ok()?, tail)
        }
        _ => return None,
    };
    let mut shortest = BytesMut::new();
    put_bytes_header(&mut shortest, length);
    let used = rest.len() - tail.len();
    (shortest.len() == used).then(|| *rest = tail)?;
    Some(length)
}

/// How a lease ended: a record beside it that is written once. Of all who try, one succeeds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ending {
    #[serde(rename = "v")]
    version: u64,
    /// How.
    pub outcome: Outcome,
    /// When, in seconds since 1970.
    pub at: u64,
    #[serde(with = "serde_bytes")]
    nonce: [u8; 16],
}

/// How a lease ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// Its blocks were uploaded, and all was well.
    Complete,
    /// Its time passed. What it took of the quota is given back.
    Expired,
    /// It was given up by whoever opened it, before anything was granted, and what it took of the
    /// quota was given back on the spot.
    Void,
}

impl Ending {
    pub(crate) fn new(outcome: Outcome, at: u64, nonce: [u8; 16]) -> Self {
        Self {
            version: VERSION,
            outcome,
            at,
            nonce,
        }
    }

    pub(crate) fn encode(&self) -> Bytes {
        let bytes = serde_ipld_dagcbor::to_vec(self).expect("texts, numbers and bytes");
        bytes.into()
    }

    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
        let ending: Self = serde_ipld_dagcbor::from_slice(bytes).ok()?;
        (ending.version == VERSION).then_some(ending)
    }
}

#[cfg(test)]
mod tests {
    use cidbucket_blockstore::Block;

    use super::*;
    use crate::{KeepSetBuilder, Way};

    fn lease(blocks: u32) -> (LeaseId, LeaseHead, KeepSet) {
        let mut builder = KeepSetBuilder::default();
        for n in 0..blocks {
            let block = Block::raw(n.to_be_bytes().to_vec());
            builder.push(block.cid(), 4, Way::Direct);
        }
        let keep = builder.finish();
        let charge = Charge {
            chunk: ChunkId::new([7; 16]),
            until: 1_000,
            bytes: keep.bytes(),
        };
        let head = LeaseHead::new(
            "t".repeat(MAX_TOKEN),
            Some("a".repeat(64)),
            900,
            1_800,
            &keep,
            Some(charge),
            [1; 16],
        );
        (LeaseId::new(1_800, [9; 16]), head, keep)
    }

    #[test]
    fn leases_round_trip_and_heads_are_read_from_the_start() {
        for blocks in [0, 1, 2, 5, 7, 1_000, 2_000] {
            let (id, head, keep) = lease(blocks);
            let bytes = Lease::encode(&head, &keep);
            let lease = Lease::parse(&bytes, id).unwrap();
            assert_eq!((&lease.head, &lease.keep), (&head, &keep));
            let start = &bytes[..bytes.len().min(HEAD)];
            assert_eq!(LeaseHead::parse(start, &id).as_ref(), Some(&head));
            // It is one value of DAG-CBOR.
            let value: (LeaseHead, serde_bytes::ByteBuf) =
                serde_ipld_dagcbor::from_slice(&bytes).unwrap();
            assert_eq!(value.0, head);
            assert_eq!(&value.1[..], &keep.rows()[..]);
        }
    }

    #[test]
    fn damaged_leases_are_none() {
        let (id, head, keep) = lease(3);
        let bytes = Lease::encode(&head, &keep);
        for length in 0..bytes.len() {
            assert_eq!(Lease::parse(&bytes.slice(..length), id), None, "{length}");
        }
        let longer: Bytes = [&bytes[..], &[0]].concat().into();
        assert_eq!(Lease::parse(&longer, id), None);
        assert_eq!(Lease::parse(&bytes, LeaseId::new(1_801, [9; 16])), None);
        let mut other = head.clone();
        other.blocks += 1;
        assert_eq!(Lease::parse(&Lease::encode(&other, &keep), id), None);
        other.blocks -= 1;
        other.version = 2;
        assert_eq!(Lease::parse(&Lease::encode(&other, &keep), id), None);
    }

    #[test]
    fn byte_strings_have_one_head() {
        for length in [0, 23, 24, 255, 256, 65_535, 65_536, 5 << 20] {
            let mut out = BytesMut::new();
            put_bytes_header(&mut out, length);
            let mut rest = &out[..];
            assert_eq!(take_bytes_header(&mut rest), Some(length));
            assert!(rest.is_empty());
        }
        for longer in [&[0x58, 23][..], &[0x59, 0, 255], &[0x5a, 0, 0, 255, 255]] {
            assert_eq!(take_bytes_header(&mut &*longer), None);
        }
    }

    #[test]
    fn endings_round_trip() {
        for outcome in [Outcome::Complete, Outcome::Expired, Outcome::Void] {
            let ending = Ending::new(outcome, 5, [3; 16]);
            assert_eq!(Ending::parse(&ending.encode()), Some(ending));
        }
        assert_eq!(Ending::parse(b""), None);
    }
}
