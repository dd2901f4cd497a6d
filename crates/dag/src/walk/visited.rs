//! The CIDs that came already.

use std::collections::HashSet;

use cidbucket_blockstore::{Cid, Hash};
use ipld_core::cid::Version;

/// A set of CIDs. Most are of sha2-256 and take half the room of others.
#[derive(Debug, Default)]
pub(crate) struct Visited {
    sha2_256: HashSet<([u8; 32], u64, bool)>,
    other: HashSet<Cid>,
}

impl Visited {
    /// Whether it was not there yet.
    pub(crate) fn insert(&mut self, cid: &Cid) -> bool {
        match short(cid) {
            Some(short) => self.sha2_256.insert(short),
            None => self.other.insert(*cid),
        }
    }

    pub(crate) fn contains(&self, cid: &Cid) -> bool {
        match short(cid) {
            Some(short) => self.sha2_256.contains(&short),
            None => self.other.contains(cid),
        }
    }
}

fn short(cid: &Cid) -> Option<([u8; 32], u64, bool)> {
    let hash = cid.hash();
    if hash.code() != Hash::Sha2_256.code() {
        return None;
    }
    let digest = hash.digest().try_into().ok()?;
    Some((digest, cid.codec(), cid.version() == Version::V0))
}
