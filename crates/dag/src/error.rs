//! What can go wrong with a DAG, by meaning.

use cidbucket_blockstore::{Cid, Error};

/// The result of work on a DAG.
pub type Result<T, E = DagError> = std::result::Result<T, E>;

/// What went wrong with a DAG, by meaning: match on the variant, print the rest.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum DagError {
    /// The store failed; an absent block is [`DagError::Missing`].
    #[error(transparent)]
    Store(#[from] Error),
    /// A block of the DAG is not in the store.
    #[error("block {cid} is missing{}", within(*.parent))]
    Missing {
        /// The block.
        cid: Cid,
        /// The block that links to it; `None` for a root.
        parent: Option<Cid>,
    },
    /// A block is not what its codec, or UnixFS, says it is.
    #[error("block {cid} is not valid {format}: {reason}")]
    Malformed {
        /// The block.
        cid: Cid,
        /// What it should be: `dag-pb`, `dag-cbor`, `UnixFS`…
        format: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// The links of a block's codec are not known.
    #[error("codec {code:#x} of {cid} is not known, so its links are not")]
    UnknownCodec {
        /// The block.
        cid: Cid,
        /// Its codec, of the multicodec table.
        code: u64,
    },
    /// A path leads nowhere: every block of it is there, and none has that name.
    #[error("no link named {segment:?} under {cid}")]
    NoLink {
        /// The directory or node.
        cid: Cid,
        /// The name.
        segment: String,
    },
    /// A file was asked for, and this is none.
    #[error("{cid} is {found}, not a file")]
    NotAFile {
        /// What was asked for.
        cid: Cid,
        /// What it is: `a directory`, `a symlink`…
        found: &'static str,
    },
    /// A directory was asked for, and this is none.
    #[error("{cid} is {found}, not a directory")]
    NotADirectory {
        /// What was asked for.
        cid: Cid,
        /// What it is: `a file`, `a symlink`…
        found: &'static str,
    },
    /// More than the caller allows: depth, blocks, bytes, entries.
    #[error("more than {limit} {what}, the limit")]
    Limit {
        /// What there is too much of.
        what: &'static str,
        /// How much is allowed.
        limit: u64,
    },
    /// What the caller asks for makes no sense: a path, a range, a chunk size.
    #[error("invalid: {0}")]
    Invalid(String),
}

fn within(parent: Option<Cid>) -> String {
    parent.map_or_else(String::new, |parent| format!(" (linked by {parent})"))
}
