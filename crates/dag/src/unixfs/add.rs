//! Adding: files and directories become blocks, with the CIDs that Kubo gives them.
//!
//! Nothing here waits or knows a store: bytes and entries go in, blocks come out, children before
//! their parents. The same bytes under the same [`Profile`] give the same CIDs, however the bytes
//! were handed over.
//!
//! - [`Profile`]: everything that decides about CIDs; [`Flags`] are those of `ipfs add`.
//! - [`FileBuilder`]: bytes become chunks, and chunks a balanced DAG.
//! - [`DirectoryBuilder`]: entries become a directory, sharded where it is large.
//! - [`symlink`]: a symbolic link.

mod chunker;
mod directory;
mod file;
mod node;
mod profile;
mod shard;

use cidbucket_blockstore::{Block, Cid};

use super::Metadata;
use super::message::{Data, DataType};

pub use chunker::Chunker;
pub use directory::DirectoryBuilder;
pub use file::FileBuilder;
pub use profile::{Flags, Profile, Sharding, SizeEstimate};

/// The root of what was added, as its parent links to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Added {
    /// The CID of the root.
    pub cid: Cid,
    /// Bytes of content: a file's length; of a directory, what is below it.
    pub size: u64,
    /// Bytes of all blocks of the DAG, each as often as it is linked to: dag-pb's `Tsize`.
    pub tsize: u64,
}

/// A symbolic link to `target`, as its text stands in a file system. Of `metadata` a symlink keeps
/// the time only.
///
/// # Errors
/// [`DagError::Invalid`](crate::DagError::Invalid) where the profile contradicts itself.
pub fn symlink(
    profile: &Profile,
    target: &str,
    metadata: Metadata,
    blocks: &mut Vec<Block>,
) -> crate::Result<Added> {
    let encoder = profile.encoder()?;
    let block = encoder.dag_pb(
        Vec::new(),
        &Data {
            r#type: DataType::Symlink.into(),
            data: Some(bytes::Bytes::copy_from_slice(target.as_bytes())),
            mtime: metadata.mtime.map(Into::into),
            ..Data::default()
        },
    );
    let added = Added {
        cid: *block.cid(),
        size: target.len() as u64,
        tsize: block.len() as u64,
    };
    blocks.push(block);
    Ok(added)
}
