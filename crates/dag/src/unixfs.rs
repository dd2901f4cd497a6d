//! UnixFS: files and directories as DAGs.
//!
//! - [`Node`]: one node, read from one block; [`node()`] fetches it.
//! - [`cat`], [`cat_node`]: a file's bytes, or some of them.
//! - [`entries`]: a directory's names.
//! - [`same_content`]: whether a local file has these bytes already.
//! - [`add`]: files and directories become blocks.
//! - [`import()`]: trees of files become blocks in a store.

pub mod add;
mod cat;
mod compare;
mod directory;
mod hamt;
mod import;
mod message;
mod metadata;
mod node;

use cidbucket_blockstore::{Blockstore, Cid};

pub use cat::{cat, cat_node};
pub use compare::same_content;
pub use directory::{Entry, entries};
pub use import::{Content, ImportEvent, ImportOptions, Item, import};
pub use metadata::Metadata;
pub use node::{Kind, Link, Mtime, Node};

pub(crate) use cat::Part;
pub(crate) use directory::{Found, Search, find};
pub(crate) use node::{malformed, read};

use crate::{DagError, Result};

/// Fetches a node.
///
/// # Errors
/// [`DagError::Missing`], [`DagError::Store`], and [`DagError::Malformed`] as [`Node::of`].
pub async fn node(store: &dyn Blockstore, cid: &Cid) -> Result<Node> {
    match store.get(cid).await? {
        Some(block) => Node::of(&block),
        None => Err(DagError::Missing {
            cid: *cid,
            parent: None,
        }),
    }
}
