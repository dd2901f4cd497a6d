//! DAGs of IPFS blocks, over any `Blockstore`: what links make of blocks.
//!
//! Below this crate a block is bytes with a hash; here it has links. No runtime and no socket is
//! known here: bytes come and go as streams, and stores are `&dyn Blockstore`.
//!
//! - [`car`]: CAR files, read and written.
//! - [`links`](fn@links): the links of a block, by its codec.
//! - [`walk`](fn@walk): every block of a DAG, depth first.
//! - [`unixfs`]: files and directories.
//! - [`ContentPath`], [`resolve`](fn@resolve): a CID and names, and where they lead.
//! - [`export`](fn@export): the blocks of a path and of what it leads to, as a trustless gateway
//!   gives them.
//! - [`DagError`]: what can go wrong, by meaning.

mod ahead;
pub mod car;
mod error;
mod export;
mod links;
mod path;
mod resolve;
pub mod unixfs;
mod walk;

pub use error::{DagError, Result};
pub use export::{EntityBytes, ExportOptions, Scope, export};
pub use links::links;
pub use path::ContentPath;
pub use resolve::{Resolved, resolve};
pub use walk::{WalkOptions, walk};
