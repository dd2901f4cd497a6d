//! An IPFS HTTP gateway over any block store.
//!
//! For programs it is a trustless gateway: `/ipfs/{cid}` is a block (`?format=raw`) or a CAR
//! (`?format=car`), which the client checks. For people it shows files and directories, where
//! [`Options`] allow it. `docs/gateway.md` has every rule with its source.
//!
//! - [`Gateway`]: [`Gateway::read`] understands a request, [`Gateway::answer`] answers it from a
//!   store; [`Gateway::handle`] does both.
//! - [`Ask`]: a request that was understood; what it takes can be looked up before it is answered.
//! - [`Body`]: bytes, or a stream of them that is cut off where it cannot be whole.
//! - [`Refusal`]: why something is not answered as asked.
//!
//! No runtime and no socket is known here. Inside, one file an idea: `content_path`, `query`,
//! `accept`, `negotiate`, `entity_tag`, `byte_range`, `headers` and `host` are pure; `raw`, `car`,
//! `file` and `directory` are the forms of content.

mod accept;
mod ask;
mod body;
mod byte_range;
mod car;
mod content_path;
mod directory;
mod entity_tag;
mod file;
mod gateway;
mod headers;
mod host;
mod media_type;
mod negotiate;
mod owned;
mod query;
mod raw;
mod refusal;
mod route;

pub use ask::Ask;
pub use body::{Body, CutOff, Seen};
use cidbucket_blockstore::Cid;
pub use gateway::{Audience, Gateway, Options};
pub use refusal::Refusal;
