//! Which way each block of a request for writes goes. Pure.

use std::collections::{HashMap, HashSet};

use cidbucket_access::Capability;
use cidbucket_blockstore::Hash;
use cidbucket_direct::{Code, Granted, Limits, Problem, Write, Writes};
use cidbucket_presign::{Granter, Seal, Timestamp, Upload};
use cidbucket_records::{KeepSet, KeepSetBuilder, Way, sha256_cid};

use crate::reads::{check_count, check_covered, check_hash, expires, invalid, not_granted};

/// By what a request is checked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rules<'a> {
    pub(crate) limits: &'a Limits,
    pub(crate) capability: &'a Capability,
    /// Whether S3 can be written to directly.
    pub(crate) direct: bool,
}

/// A request that was checked.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) blocks: Vec<Write>,
    /// The way of each of them.
    pub(crate) ways: Vec<Way>,
    /// How long the grants live, in seconds.
    pub(crate) expires: u32,
    /// Blocks that are in the request before, by index: they are granted, and count once.
    repeated: HashSet<usize>,
}

impl Plan {
    /// Checks every block, and sends it its way.
    pub(crate) fn new(writes: Writes, rules: Rules<'_>) -> Result<Self, Problem> {
        check_count(writes.blocks.len(), rules.limits)?;
        let expires = expires(writes.expires, rules.limits.write_expires)?;
        let mut seen = HashMap::with_capacity(writes.blocks.len());
        let mut repeated = HashSet::new();
        let mut ways = Vec::with_capacity(writes.blocks.len());
        for (index, block) in writes.blocks.iter().enumerate() {
            ways.push(way(block, rules, index)?);
            if let Some(size) = seen.insert(block.cid.0.hash(), block.size) {
                if size != block.size {
                    return Err(invalid("the same block was named with another size").at(index));
                }
                repeated.insert(index);
            }
        }
        Ok(Self {
            blocks: writes.blocks,
            ways,
            expires,
            repeated,
        })
    }

    /// The bytes that are to be uploaded directly. What goes through the service is counted there.
    pub(crate) fn charge(&self) -> u64 {
        self.blocks
            .iter()
            .zip(&self.ways)
            .enumerate()
            .filter(|(index, (_, way))| {
                matches!(way, Way::Direct | Way::Staged { .. }) && !self.repeated.contains(index)
            })
            .fold(0, |sum, (_, (block, _))| sum.saturating_add(block.size))
    }

    /// What the lease keeps: all of it.
    pub(crate) fn keep(&self) -> KeepSet {
        let mut keep = KeepSetBuilder::with_capacity(self.blocks.len());
        for (block, way) in self.blocks.iter().zip(&self.ways) {
            keep.push(&block.cid.0, block.size, *way);
        }
        keep.finish()
    }

    /// Whether a block is staged.
    pub(crate) fn has_staged(&self) -> bool {
        self.ways
            .iter()
            .any(|way| matches!(way, Way::Staged { .. }))
    }

    /// Puts grants and lists into an answer; how many grants there are of each kind.
    pub(crate) fn grant(
        &self,
        granted: &mut Granted,
        granter: Option<&Granter>,
        staging: Option<&Granter>,
        now: Timestamp,
    ) -> Result<(usize, usize), Problem> {
        let (mut direct, mut staged) = (Vec::new(), Vec::new());
        if granter.is_some() {
            direct.reserve_exact(self.blocks.len());
        }
        for (index, (block, way)) in self.blocks.iter().zip(&self.ways).enumerate() {
            match way {
                Way::Direct => direct.push(Upload::new(block.cid.0, block.size)),
                Way::Stored => granted.stored.push(index),
                Way::Staged { sha256 } => {
                    granted.staged_blocks.push(index);
                    staged.push(Upload::new(sha256_cid(sha256), block.size));
                }
                Way::Proxied => granted.proxied.push(index),
            }
        }
        let counts = (direct.len(), staged.len());
        let life = self.expires;
        if let Some(granter) = granter.filter(|_| !direct.is_empty()) {
            if granter.policy().seal == Some(Seal::Header) {
                granted.direct_grants = singly(granter, &direct, life, now)?;
            } else {
                granted.direct = Some(batch(granter, &direct, life, now)?);
            }
        }
        if let Some(granter) = staging.filter(|_| !staged.is_empty()) {
            if granter.policy().seal == Some(Seal::Header) {
                granted.staged_grants = singly(granter, &staged, life, now)?;
            } else {
                granted.staged = Some(batch(granter, &staged, life, now)?);
            }
        }
        Ok(counts)
    }
}

/// The way of one block.
fn way(block: &Write, rules: Rules<'_>, index: usize) -> Result<Way, Problem> {
    let cid = &block.cid.0;
    let hash = check_hash(cid, index)?;
    check_covered(rules.capability, cid, index)?;
    let size = block.size;
    let limit = rules.limits.max_block;
    if size > limit {
        let text = format!("the block has {size} bytes, the limit is {limit}");
        return Err(Problem::new(Code::TooLarge, text).at(index));
    }
    let own = rules.capability.block_limit(limit);
    if size > own {
        let text = format!("the block has {size} bytes, the token allows {own}");
        return Err(Problem::new(Code::Denied, text).at(index));
    }
    let digest = cid.hash().digest();
    if hash == Hash::Identity {
        if digest.len() as u64 != size {
            return Err(invalid("the size is not that of the block in the CID").at(index));
        }
        return Ok(Way::Stored);
    }
    let declared = block.sha256;
    if hash == Hash::Sha2_256 && declared.is_some_and(|sha256| !sha256.starts_with(digest)) {
        return Err(invalid("`sha256` is not that of the CID").at(index));
    }
    if !rules.direct {
        return Ok(Way::Proxied);
    }
    if hash == Hash::Sha2_256 && digest.len() == 32 {
        return Ok(Way::Direct);
    }
    Ok(declared.map_or(Way::Proxied, |sha256| Way::Staged { sha256 }))
}

fn batch(
    granter: &Granter,
    uploads: &[Upload],
    life: u32,
    now: Timestamp,
) -> Result<cidbucket_presign::Batch, Problem> {
    let batch = granter.write_batch(uploads, life, now);
    batch.map_err(|error| not_granted(&error))
}

fn singly(
    granter: &Granter,
    uploads: &[Upload],
    life: u32,
    now: Timestamp,
) -> Result<Vec<cidbucket_presign::Grant>, Problem> {
    uploads
        .iter()
        .map(|upload| granter.write(upload, life, now))
        .collect::<Result<_, _>>()
        .map_err(|error| not_granted(&error))
}

#[cfg(test)]
mod tests {
    use cidbucket_access::Operations;
    use cidbucket_blockstore::{Block, Cid, Multihash};
    use cidbucket_direct::Way as Told;
    use cidbucket_layout::{Keys, Layout, Prefix};
    use cidbucket_presign::{Bucket, Credentials, Policy};

    use super::*;

    fn everything() -> Capability {
        let operations = Operations {
            write: true,
            ..Operations::default()
        };
        Capability::new("", "", operations)
    }

    fn plan(blocks: Vec<Write>, capability: &Capability, direct: bool) -> Result<Plan, Problem> {
        let limits = Limits {
            max_block: 1000,
            max_blocks: 5,
            ..Limits::default()
        };
        let writes = Writes {
            blocks,
            expires: None,
        };
        Plan::new(
            writes,
            Rules {
                limits: &limits,
                capability,
                direct,
            },
        )
    }

    fn other(n: u8) -> Write {
        let block = Block::encode(0x55, Hash::Blake3, vec![n]).unwrap();
        Write::new(*block.cid(), 1)
    }

    fn cid(code: u64, digest: &[u8]) -> Cid {
        Cid::new_v1(0x55, Multihash::wrap(code, digest).unwrap())
    }

    #[test]
    fn every_way() {
        let raw = Block::raw("raw");
        let short = cid(0x12, &raw.sha256()[..20]);
        let sha256 = Some([7; 32]);
        let blocks = vec![
            Write::new(*raw.cid(), 3),
            Write::new(cid(0, b"abc"), 3),
            Write { sha256, ..other(1) },
            other(2),
            Write {
                sha256: Some(raw.sha256()),
                ..Write::new(short, 3)
            },
        ];
        let capability = everything();
        let refused = plan(blocks.clone(), &capability, true).map(|plan| plan.ways);
        let expected = [
            Way::Direct,
            Way::Stored,
            Way::Staged { sha256: [7; 32] },
            Way::Proxied,
            Way::Staged {
                sha256: raw.sha256(),
            },
        ];
        assert_eq!(refused.unwrap(), expected);
        let checked = plan(blocks.clone(), &capability, true).unwrap();
        assert_eq!((checked.charge(), checked.has_staged()), (7, true));
        assert_eq!((checked.keep().blocks(), checked.keep().bytes()), (5, 11));
        let proxied = plan(blocks, &capability, false).unwrap();
        assert_eq!(proxied.charge(), 0);
        assert_eq!(
            proxied
                .ways
                .iter()
                .filter(|way| **way == Way::Proxied)
                .count(),
            4
        );
    }

    #[test]
    fn the_answer_says_the_same() {
        let granter = |prefix: &str| {
            Granter::new(
                Bucket::aws("blocks", "eu-west-1").unwrap(),
                Keys::new(Prefix::new(prefix).unwrap(), Layout::Kubo),
                Credentials::new(
                    "AKIAIOSFODNN7EXAMPLE",
                    "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
                ),
                Policy {
                    seal: Some(Seal::Checksum),
                    ..Policy::default()
                },
            )
            .unwrap()
        };
        let now = Timestamp::from_unix(1_369_353_600);
        let (raw, more) = (Block::raw("raw"), Block::raw("more"));
        let blocks = vec![
            Write::new(*raw.cid(), 3),
            Write {
                sha256: Some([7; 32]),
                ..other(1)
            },
            other(2),
            Write::new(*more.cid(), 4),
        ];
        let plan = plan(blocks, &everything(), true).unwrap();
        let mut granted = Granted::new("lease", 1);
        let (own, staging) = (granter("p"), granter("s"));
        let counts = plan.grant(&mut granted, Some(&own), Some(&staging), now);
        assert_eq!(counts.unwrap(), (2, 1));
        let ways = granted.ways(4).unwrap().0;
        assert_eq!(
            ways,
            [
                Told::Direct(0),
                Told::Staged(0),
                Told::Proxied,
                Told::Direct(1)
            ]
        );
        let upload = Upload::new(*more.cid(), 4);
        assert_eq!(
            granted.direct.unwrap().write(1, &upload).unwrap(),
            own.write(&upload, 900, now).unwrap()
        );
        let upload = Upload::new(sha256_cid(&[7; 32]), 1);
        assert_eq!(
            granted.staged.unwrap().write(0, &upload).unwrap(),
            staging.write(&upload, 900, now).unwrap()
        );
    }

    #[test]
    fn what_is_refused_says_which() {
        let raw = Block::raw("raw");
        let fine = Write::new(*raw.cid(), 3);
        let mut narrow = everything();
        narrow.hashes = Some(vec![0x12]);
        narrow.max_block = Some(10);
        for (write, capability, code) in [
            (
                Write::new(cid(0x55, &[1; 32]), 1),
                &everything(),
                Code::Invalid,
            ),
            (
                Write::new(cid(0x12, &[1; 10]), 1),
                &everything(),
                Code::Invalid,
            ),
            (Write::new(cid(0, b"abc"), 4), &everything(), Code::Invalid),
            (
                Write::new(cid(0x12, &[1; 32]), 1001),
                &everything(),
                Code::TooLarge,
            ),
            (Write::new(cid(0x12, &[1; 32]), 11), &narrow, Code::Denied),
            (other(1), &narrow, Code::Denied),
            (
                Write {
                    sha256: Some([1; 32]),
                    ..Write::new(*Block::raw("x").cid(), 1)
                },
                &everything(),
                Code::Invalid,
            ),
            (
                Write::new(Cid::new_v1(0x70, *raw.multihash()), 4),
                &everything(),
                Code::Invalid,
            ),
        ] {
            let refused = plan(vec![fine, write], capability, true).unwrap_err();
            assert_eq!((refused.code, refused.index), (code, Some(1)), "{write:?}");
        }
        let again = Write::new(Cid::new_v1(0x70, *raw.multihash()), 3);
        let twice = plan(vec![fine, again, fine], &everything(), true).unwrap();
        assert_eq!((twice.ways.len(), twice.charge()), (3, 3));
        let none = plan(Vec::new(), &everything(), true).unwrap_err();
        assert_eq!((none.code, none.index), (Code::Invalid, None));
        let many = (0..6).map(other).collect();
        assert_eq!(
            plan(many, &everything(), true).unwrap_err().code,
            Code::TooLarge
        );
    }
}
