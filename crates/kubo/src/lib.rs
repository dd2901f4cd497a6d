//! The part of Kubo's RPC interface that is about blocks, DAGs, files and pins, over any block store.
//!
//! What talks to Kubo by `/api/v0` (the `ipfs` command line with `--api`, `kubo-rpc-client`,
//! `ipfshttpclient`) talks to a [`Node`] unchanged. `docs/kubo-rpc.md` lists the commands, and where
//! they differ.
//!
//! - [`Node`]: a store, its pins, and a name. [`Node::handle`] answers one request; no socket is
//!   needed.
//! - [`Authorizations`]: who may call what, in the form of Kubo's configuration.
//! - [`Server`]: listens, on this machine only unless there are authorizations.
//!
//! ```
//! use std::sync::Arc;
//!
//! use bytes::Bytes;
//! use cidbucket_blockstore::MemoryBlockstore;
//! use cidbucket_kubo::{Node, Settings};
//! use cidbucket_layout::{Keys, Layout, Prefix};
//! use cidbucket_records::{Control, MemoryRecords};
//! use http_body_util::Full;
//!
//! # #[tokio::main]
//! # async fn main() -> cidbucket_blockstore::Result<()> {
//! let store = Arc::new(MemoryBlockstore::new());
//! let records = Arc::new(MemoryRecords::new());
//! let control = Control::new(&Keys::new(Prefix::default(), Layout::Kubo));
//! let node = Node::new(store, records, control, Settings::default()).await?;
//! let call = http::Request::post("/api/v0/block/get?arg=bafkqaaa");
//! let answer = node.handle(call.body(Full::<Bytes>::default()).unwrap()).await;
//! assert_eq!(answer.status(), 200);
//! # Ok(())
//! # }
//! ```
//!
//! Inside, `wire` is the form of go-ipfs-cmds (paths, options, uploads, streams with trailers), and
//! `command` has the commands, a family a file, which say their answers value by value while they
//! run.

mod block_writer;
mod cid_text;
mod command;
mod listen;
mod node;
mod path;
mod peer;
mod pinner;
mod reach;
mod wire;

pub use listen::{Bounds, ListenError, Server};
pub use node::{Node, Settings};
pub use wire::answer::Body;
pub use wire::authorization::{Authorizations, AuthorizationsError};
