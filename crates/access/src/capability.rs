//! What the holder of a token may do.

use std::num::NonZeroU32;

use cidbucket_blockstore::{Cid, Hash};

use crate::{Operation, Operations, Tenant};

/// What somebody may do, as a token or an embedding program says. Every member narrows.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Capability {
    /// Who it is, for logs; may be empty.
    pub subject: String,
    /// The id of the token: not a secret. Quotas and rates are counted by it.
    pub token: String,
    /// What may be done.
    pub operations: Operations,
    /// Whose blocks: a tenant's own, or (`None`) those that all share.
    pub tenant: Option<Tenant>,
    /// The hash functions that blocks may have, as multicodec codes; `None`: every accepted one.
    pub hashes: Option<Vec<u64>>,
    /// The codecs that CIDs may have, as multicodec codes; `None`: every one.
    pub codecs: Option<Vec<u64>>,
    /// The largest block that may be written, in bytes.
    pub max_block: Option<u64>,
    /// How many bytes may be written.
    pub quota: Option<Quota>,
    /// Whether writes may be answered with "stored already", which tells that somebody has the
    /// block. `None` leaves it to the service's policy.
    pub answer_stored: Option<bool>,
    /// How many requests may be made.
    pub rate: Option<Rate>,
    /// When it ends, in seconds since 1970-01-01 UTC: from that second on it is of no use.
    pub expires: Option<u64>,
}

/// How many bytes may be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    /// In all, in bytes.
    pub total: Option<u64>,
    /// In a time.
    pub window: Option<Window>,
}

/// A number of bytes in a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Bytes.
    pub bytes: u64,
    /// Seconds; a token's are never 0.
    pub seconds: u64,
}

/// How many requests may be made: `burst` at once, and `per_second` for long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// Requests a second.
    pub per_second: NonZeroU32,
    /// Requests at once, after a pause.
    pub burst: NonZeroU32,
}

impl Capability {
    /// The operations, on all shared blocks and without limits; narrow it by its members.
    pub fn new(
        subject: impl Into<String>,
        token: impl Into<String>,
        operations: Operations,
    ) -> Self {
        Self {
            subject: subject.into(),
            token: token.into(),
            operations,
            tenant: None,
            hashes: None,
            codecs: None,
            max_block: None,
            quota: None,
            answer_stored: None,
            rate: None,
            expires: None,
        }
    }

    /// Whether `operation` may be done at all.
    pub const fn allows(&self, operation: Operation) -> bool {
        self.operations.contains(operation)
    }

    /// Whether a CID's hash and codec are among the allowed ones. A hash that no store accepts
    /// ([`Hash::of`]) never is.
    ///
    /// Blocks lie under their multihash, so the codec narrows which CIDs may be named, not which
    /// bytes can be reached: that is what tenants and hashes are for.
    pub fn covers(&self, cid: &Cid) -> bool {
        let among =
            |list: &Option<Vec<u64>>, code| list.as_ref().is_none_or(|list| list.contains(&code));
        Hash::of(cid).is_ok()
            && among(&self.hashes, cid.hash().code())
            && among(&self.codecs, cid.codec())
    }

    /// The largest block that may be written to a service whose own limit is `service`, in bytes.
    pub fn block_limit(&self, service: u64) -> u64 {
        self.max_block.map_or(service, |own| own.min(service))
    }
}

impl Rate {
    /// `per_second` requests a second, and at most as many at once.
    pub const fn per_second(per_second: NonZeroU32) -> Self {
        Self {
            per_second,
            burst: per_second,
        }
    }
}

#[cfg(test)]
mod tests {
    use cidbucket_blockstore::{Block, Multihash};

    use super::*;

    fn capability() -> Capability {
        Capability::new("alice", "t-1", Operations::from_iter([Operation::Read]))
    }

    #[test]
    fn operations() {
        assert!(capability().allows(Operation::Read));
        assert!(!capability().allows(Operation::Write));
    }

    #[test]
    fn without_lists_every_accepted_hash_is_covered() {
        for &hash in Hash::ALL {
            let block = Block::encode(0x71, hash, &b"x"[..]).unwrap();
            assert!(capability().covers(block.cid()), "{hash:?}");
        }
        let murmur = Cid::new_v1(0x55, Multihash::wrap(0x22, &[7; 20]).unwrap());
        let short = Cid::new_v1(0x55, Multihash::wrap(0x12, &[7; 19]).unwrap());
        assert!(!capability().covers(&murmur));
        assert!(!capability().covers(&short));
        let mut listed = capability();
        listed.hashes = Some(vec![0x22, 0x12]);
        assert!(!listed.covers(&murmur), "listed, and still not accepted");
        assert!(!listed.covers(&short));
    }

    #[test]
    fn lists_narrow() {
        let mut narrow = capability();
        narrow.hashes = Some(vec![0x12]);
        narrow.codecs = Some(vec![0x55, 0x70]);
        let cid = |codec, hash| *Block::encode(codec, hash, &b"x"[..]).unwrap().cid();
        assert!(narrow.covers(&cid(0x55, Hash::Sha2_256)));
        assert!(!narrow.covers(&cid(0x71, Hash::Sha2_256)));
        assert!(!narrow.covers(&cid(0x55, Hash::Blake3)));
        assert!(!narrow.covers(&cid(0x55, Hash::Identity)));
        let v0 = Cid::new_v0(*cid(0x70, Hash::Sha2_256).hash()).unwrap();
        assert!(narrow.covers(&v0), "CIDv0 is dag-pb");
        narrow.codecs = Some(Vec::new());
        assert!(!narrow.covers(&v0), "an empty list covers nothing");
    }

    #[test]
    fn the_smaller_limit_counts() {
        let mut small = capability();
        assert_eq!(small.block_limit(100), 100);
        small.max_block = Some(50);
        assert_eq!(small.block_limit(100), 50);
        small.max_block = Some(200);
        assert_eq!(small.block_limit(100), 100);
    }
}
