//! Profiles: everything that decides which CIDs a file gets.

use std::str::FromStr;

use cidbucket_blockstore::Hash;
use ipld_core::cid::Version;

use super::Chunker;
use super::node::Encoder;
use crate::unixfs::hamt::Fanout;
use crate::{DagError, Result};

/// Everything that decides which CIDs a file or a directory gets, by the names of [IPIP-499].
///
/// [IPIP-499]: https://specs.ipfs.tech/ipips/ipip-0499/
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Profile {
    /// The version of the CIDs of dag-pb nodes. `CIDv0` goes with sha2-256 only.
    pub cid_version: Version,
    /// Whether a file's chunks are blocks as they are, with a `CIDv1`, or are framed in dag-pb.
    pub raw_leaves: bool,
    /// The hash of all blocks, at its usual length. Not `identity`.
    pub hash: Hash,
    /// Where files are cut.
    pub chunker: Chunker,
    /// How many links a node of a file has at most: 2 to 16,384.
    pub max_links: usize,
    /// When directories are sharded, and how.
    pub sharding: Sharding,
}

/// When directories are sharded, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sharding {
    /// A directory is sharded if its size is above this number of bytes.
    pub threshold: u64,
    /// What is taken for a directory's size.
    pub estimate: SizeEstimate,
    /// The number of buckets of a shard: a power of two, 8 to 1,024.
    pub fanout: u64,
}

/// What is taken for a directory's size when it is decided whether to shard it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SizeEstimate {
    /// The bytes of all names and CIDs.
    Links,
    /// The bytes of the node that the directory would be.
    Block,
}

impl Profile {
    /// What `ipfs add` of Kubo (0.44) does unless told otherwise: `unixfs-v0-2015`.
    pub const fn kubo() -> Self {
        Self {
            cid_version: Version::V0,
            raw_leaves: false,
            hash: Hash::Sha2_256,
            chunker: Chunker::of_kib(256),
            max_links: 174,
            sharding: Sharding {
                threshold: 256 << 10,
                estimate: SizeEstimate::Links,
                fanout: 256,
            },
        }
    }

    /// What `ipfs add --cid-version=1` does: as [`Profile::kubo`], but with `CIDv1` and raw leaves.
    pub const fn v1() -> Self {
        Self {
            cid_version: Version::V1,
            raw_leaves: true,
            ..Self::kubo()
        }
    }

    /// `unixfs-v1-2025`: chunks of 1 MiB, 1,024 links a node, and directories sharded by the size of
    /// their block.
    pub const fn v1_2025() -> Self {
        Self {
            chunker: Chunker::of_kib(1024),
            max_links: 1024,
            sharding: Sharding {
                estimate: SizeEstimate::Block,
                ..Self::kubo().sharding
            },
            ..Self::v1()
        }
    }

    /// What makes blocks under this profile.
    pub(super) fn encoder(&self) -> Result<Encoder> {
        let invalid = |reason: String| Err(DagError::Invalid(reason));
        if self.cid_version == Version::V0 && self.hash != Hash::Sha2_256 {
            return invalid(format!(
                "CIDv0 has the hash sha2-256 only; {} needs CIDv1",
                self.hash.name()
            ));
        }
        if self.hash == Hash::Identity {
            return invalid(
                "files cannot be in their CIDs; choose another hash than identity".into(),
            );
        }
        if !(2..=16_384).contains(&self.max_links) {
            return invalid(format!(
                "{} links a node; 2 to 16384 are possible",
                self.max_links
            ));
        }
        Ok(Encoder {
            version: self.cid_version,
            hash: self.hash,
        })
    }
}

impl Sharding {
    pub(super) fn checked_fanout(&self) -> Result<Fanout> {
        Fanout::new(self.fanout).ok_or_else(|| {
            DagError::Invalid(format!(
                "shards of {} buckets; a power of two from 8 to 1024 is possible",
                self.fanout
            ))
        })
    }
}

/// Kubo's, with [`Profile::kubo`].
impl Default for Profile {
    fn default() -> Self {
        Self::kubo()
    }
}

/// The names that Kubo has for profiles of import: `unixfs-v0-2015` (or `legacy-cid-v0`) and
/// `unixfs-v1-2025`.
impl FromStr for Profile {
    type Err = DagError;

    fn from_str(name: &str) -> Result<Self> {
        match name {
            "unixfs-v0-2015" | "legacy-cid-v0" => Ok(Self::kubo()),
            "unixfs-v1-2025" => Ok(Self::v1_2025()),
            _ => Err(DagError::Invalid(format!(
                "no profile is called {name:?}; there are unixfs-v0-2015 and unixfs-v1-2025"
            ))),
        }
    }
}

/// The flags of `ipfs add` that decide about CIDs, each `None` where it was not given.
///
/// They depend on each other, and [`Flags::profile`] makes of them what Kubo makes of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Flags {
    /// The profile that the others change. Without one it is [`Profile::kubo`], but then a hash
    /// other than sha2-256 chooses `CIDv1`.
    pub profile: Option<Profile>,
    /// `--cid-version`: 0 or 1. 1 chooses raw leaves.
    pub cid_version: Option<u64>,
    /// `--raw-leaves`.
    pub raw_leaves: Option<bool>,
    /// `--hash`.
    pub hash: Option<Hash>,
    /// `--chunker`.
    pub chunker: Option<Chunker>,
    /// Whether modes or times are kept, for which leaves cannot be raw.
    pub metadata: bool,
}

impl Flags {
    /// The profile that these flags mean together.
    ///
    /// # Errors
    /// [`DagError::Invalid`] where they contradict each other.
    pub fn profile(&self) -> Result<Profile> {
        let base = self.profile.unwrap_or_default();
        let hash = self.hash.unwrap_or(base.hash);
        let cid_version = match self.cid_version {
            Some(0) => Version::V0,
            Some(1) => Version::V1,
            Some(other) => {
                return Err(DagError::Invalid(format!(
                    "there is no CID version {other}; there are 0 and 1"
                )));
            }
            None if self.profile.is_none() && hash != Hash::Sha2_256 => Version::V1,
            None => base.cid_version,
        };
        let raw_leaves = match self.raw_leaves.or(self.profile.map(|base| base.raw_leaves)) {
            Some(true) if self.metadata => {
                return Err(DagError::Invalid(
                    "mode and time cannot be kept with raw leaves; turn one of the two off".into(),
                ));
            }
            None => cid_version == Version::V1 && !self.metadata,
            Some(raw_leaves) => raw_leaves,
        };
        let profile = Profile {
            cid_version,
            raw_leaves,
            hash,
            chunker: self.chunker.unwrap_or(base.chunker),
            ..base
        };
        profile.encoder()?;
        Ok(profile)
    }
}
