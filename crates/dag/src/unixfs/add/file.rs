//! Files: chunks become the leaves of a balanced DAG.

use bytes::Bytes;
use cidbucket_blockstore::Block;

use super::chunker::Cutter;
use super::node::{self, Encoder};
use super::{Added, Profile};
use crate::unixfs::Metadata;
use crate::unixfs::message::{Data, DataType};
use crate::{DagError, Result};

/// Makes the blocks of one file.
///
/// All leaves are equally deep, and every node but the last of its level has as many links as the
/// profile allows. A file of one chunk is that leaf alone.
///
/// It holds less than a chunk of bytes, and the links of one unfinished node a level.
#[derive(Debug)]
pub struct FileBuilder {
    encoder: Encoder,
    raw_leaves: bool,
    max_links: usize,
    metadata: Metadata,
    cutter: Cutter,
    /// The first chunk, as long as it may be the root, which has the metadata.
    first: Option<Bytes>,
    /// For each level, leaves first, what the node that is being filled will link to.
    levels: Vec<Vec<Added>>,
}

impl FileBuilder {
    /// A file without bytes as yet.
    ///
    /// # Errors
    /// [`DagError::Invalid`] where the profile contradicts itself.
    pub fn new(profile: &Profile) -> Result<Self> {
        Ok(Self {
            encoder: profile.encoder()?,
            raw_leaves: profile.raw_leaves,
            max_links: profile.max_links,
            metadata: Metadata::default(),
            cutter: Cutter::new(profile.chunker),
            first: None,
            levels: vec![Vec::new()],
        })
    }

    /// Keeps mode and time in the root.
    ///
    /// # Errors
    /// [`DagError::Invalid`] where leaves are raw: one that is the root has no room for them.
    pub fn with_metadata(mut self, metadata: Metadata) -> Result<Self> {
        if self.raw_leaves && !metadata.is_empty() {
            return Err(DagError::Invalid(
                "mode and time cannot be kept with raw leaves; choose one of the two".into(),
            ));
        }
        self.metadata = metadata;
        Ok(self)
    }

    /// Takes the next bytes of the file, and gives the blocks that are whole with them.
    pub fn push(&mut self, mut data: Bytes, blocks: &mut Vec<Block>) {
        while let Some(chunk) = self.cutter.next(&mut data) {
            self.chunk(chunk, blocks);
        }
    }

    /// The file is whole: gives the blocks that are left. The last one is the root.
    pub fn finish(mut self, blocks: &mut Vec<Block>) -> Added {
        let cutter = std::mem::replace(&mut self.cutter, Cutter::new(Profile::kubo().chunker));
        if let Some(chunk) = cutter.finish() {
            self.chunk(chunk, blocks);
        }
        if let Some(only) = self.first.take() {
            return self.leaf(only, self.metadata, blocks);
        }
        let mut level = 0;
        loop {
            let children = std::mem::take(&mut self.levels[level]);
            let is_top = level + 1 == self.levels.len();
            match children[..] {
                [] => return self.leaf(Bytes::new(), self.metadata, blocks),
                [root] if is_top => return root,
                _ if is_top => return self.parent(&children, self.metadata, blocks),
                _ => {
                    let node = self.parent(&children, Metadata::default(), blocks);
                    self.link(level + 1, node, blocks);
                }
            }
            level += 1;
        }
    }

    fn chunk(&mut self, chunk: Bytes, blocks: &mut Vec<Block>) {
        let nothing_yet = self.levels.len() == 1 && self.levels[0].is_empty();
        if let Some(first) = self.first.take() {
            let leaf = self.leaf(first, Metadata::default(), blocks);
            self.link(0, leaf, blocks);
        } else if nothing_yet && !self.metadata.is_empty() {
            self.first = Some(chunk);
            return;
        }
        let leaf = self.leaf(chunk, Metadata::default(), blocks);
        self.link(0, leaf, blocks);
    }

    /// Adds to the node of a level. One that is full is finished only now, when it is known that
    /// it is not the root.
    fn link(&mut self, level: usize, child: Added, blocks: &mut Vec<Block>) {
        if level == self.levels.len() {
            self.levels.push(Vec::new());
        }
        if self.levels[level].len() == self.max_links {
            let full = std::mem::take(&mut self.levels[level]);
            let node = self.parent(&full, Metadata::default(), blocks);
            self.link(level + 1, node, blocks);
        }
        self.levels[level].push(child);
    }

    fn leaf(&self, chunk: Bytes, metadata: Metadata, blocks: &mut Vec<Block>) -> Added {
        let size = chunk.len() as u64;
        let block = if self.raw_leaves {
            self.encoder.raw(chunk)
        } else {
            let data = (!chunk.is_empty()).then_some(chunk);
            self.encoder
                .dag_pb(Vec::new(), &file(data, size, Vec::new(), metadata))
        };
        let leaf = Added {
            cid: *block.cid(),
            size,
            tsize: block.len() as u64,
        };
        blocks.push(block);
        leaf
    }

    fn parent(&self, children: &[Added], metadata: Metadata, blocks: &mut Vec<Block>) -> Added {
        let sizes: Vec<u64> = children.iter().map(|child| child.size).collect();
        let size = sizes.iter().sum();
        let links = children
            .iter()
            .map(|child| node::link(String::new(), child))
            .collect();
        let block = self
            .encoder
            .dag_pb(links, &file(None, size, sizes, metadata));
        let node = Added {
            cid: *block.cid(),
            size,
            tsize: block.len() as u64 + children.iter().map(|child| child.tsize).sum::<u64>(),
        };
        blocks.push(block);
        node
    }
}

fn file(data: Option<Bytes>, size: u64, blocksizes: Vec<u64>, metadata: Metadata) -> Data {
    Data {
        // Leaves are `File` too, as Kubo has always written them.
        r#type: DataType::File.into(),
        data,
        filesize: Some(size),
        blocksizes,
        // Kubo takes a mode of 0 for none.
        mode: metadata
            .mode
            .map(|mode| mode & 0o7777)
            .filter(|&mode| mode != 0),
        mtime: metadata.mtime.map(Into::into),
        ..Data::default()
    }
}
