//! Directories: named links, in one node or in shards.

use cidbucket_blockstore::Block;

use super::node::{self, Encoder};
use super::profile::{Sharding, SizeEstimate};
use super::{Added, Profile, shard};
use crate::unixfs::Metadata;
use crate::unixfs::hamt::Fanout;
use crate::unixfs::message::{Data, DataType};
use crate::{DagError, Result};

/// An entry of a directory.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) name: String,
    pub(super) to: Added,
}

/// Makes the blocks of one directory, which is sharded where the profile says that it is too large
/// for one node. The order of the entries makes no difference.
#[derive(Debug)]
pub struct DirectoryBuilder {
    encoder: Encoder,
    sharding: Sharding,
    fanout: Fanout,
    metadata: Metadata,
    entries: Vec<Entry>,
    /// The size of the entries, as the profile has it estimated.
    estimate: u64,
}

impl DirectoryBuilder {
    /// A directory without entries as yet.
    ///
    /// # Errors
    /// [`DagError::Invalid`] where the profile contradicts itself.
    pub fn new(profile: &Profile) -> Result<Self> {
        Ok(Self {
            encoder: profile.encoder()?,
            sharding: profile.sharding,
            fanout: profile.sharding.checked_fanout()?,
            metadata: Metadata::default(),
            entries: Vec::new(),
            estimate: 0,
        })
    }

    /// Keeps mode and time.
    #[must_use]
    pub fn with_metadata(mut self, metadata: Metadata) -> Self {
        self.metadata = metadata;
        self
    }

    /// Adds an entry.
    ///
    /// # Errors
    /// [`DagError::Invalid`] for what is no name: an empty one, `.`, `..`, or one with a `/`.
    pub fn add(&mut self, name: impl Into<String>, to: &Added) -> Result<()> {
        let name = name.into();
        if matches!(name.as_str(), "" | "." | "..") || name.contains('/') {
            return Err(DagError::Invalid(format!(
                "{name:?} cannot be the name of an entry"
            )));
        }
        self.estimate += match self.sharding.estimate {
            SizeEstimate::Links => name.len() + to.cid.encoded_len(),
            SizeEstimate::Block => node::link_len(&name, to),
        } as u64;
        self.entries.push(Entry { name, to: *to });
        Ok(())
    }

    /// The directory is whole: gives its blocks. The last one is the root.
    ///
    /// # Errors
    /// [`DagError::Invalid`] where a name is there twice, or where so many names have the same hash
    /// that no shard can tell them apart.
    pub fn finish(mut self, blocks: &mut Vec<Block>) -> Result<Added> {
        self.entries.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        let twice = self
            .entries
            .windows(2)
            .find(|two| two[0].name == two[1].name);
        if let Some([entry, _]) = twice {
            return Err(DagError::Invalid(format!(
                "two entries of a directory have the name {:?}",
                entry.name
            )));
        }
        let data = Data {
            r#type: DataType::Directory.into(),
            mode: self.metadata.mode.map(|mode| mode & 0o7777),
            mtime: self.metadata.mtime.map(Into::into),
            ..Data::default()
        };
        let own = match self.sharding.estimate {
            SizeEstimate::Links => 0,
            SizeEstimate::Block => node::data_len(&data) as u64,
        };
        if own + self.estimate > self.sharding.threshold {
            return shard::encode(self.encoder, self.fanout, self.entries, &data, blocks);
        }
        let (size, below) = sums(&self.entries);
        let links = self
            .entries
            .into_iter()
            .map(|entry| node::link(entry.name, &entry.to))
            .collect();
        let block = self.encoder.dag_pb(links, &data);
        let added = Added {
            cid: *block.cid(),
            size,
            tsize: block.len() as u64 + below,
        };
        blocks.push(block);
        Ok(added)
    }
}

/// Bytes of content, and bytes of blocks, below the entries.
fn sums(entries: &[Entry]) -> (u64, u64) {
    entries.iter().fold((0, 0), |(size, tsize), entry| {
        (size + entry.to.size, tsize + entry.to.tsize)
    })
}
