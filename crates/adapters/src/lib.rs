//! cidbucket's stores as the block stores of other Rust projects.
//!
//! Each adapter is a newtype over any [`Blockstore`](cidbucket_blockstore::Blockstore) (an
//! `Arc<dyn Blockstore>` too) that implements the other project's trait. Each has a feature of its
//! own, and none is on by default: a feature brings the dependencies of the project it is for.
//!
//! | adapter | implements | feature | for example |
//! |---|---|---|---|
//! | `AsBlockstore` | `blockstore::Blockstore` 0.8 | `blockstore` | beetswap (Bitswap), Lumina |
//! | `AsWnfs` | `wnfs_common::BlockStore` 0.3 | `wnfs` | WNFS |
//! | `AsAtrium` | `atrium_repo::blockstore::AsyncBlockStoreRead` and `…Write` 0.2 | `atrium` | AT Protocol repositories |
//!
//! What holds for all of them:
//!
//! - Blocks are checked on both ways. Bytes that do not match the CID they are put under are
//!   refused, also where the other trait leaves that to the store.
//! - A block's identity is its multihash, so what was put under a `CIDv0` is found under a `CIDv1`.
//! - Identity CIDs are answered from themselves.
//! - "Not there" is what the other trait has for it, and nothing else is: a refusal or an outage is
//!   an error.
//!
//! Newtypes, and not implementations on the stores themselves: two traits with `get`, `has` and
//! `put` on one type would make every call ambiguous.

#[cfg(feature = "atrium")]
mod as_atrium;
#[cfg(feature = "blockstore")]
mod as_blockstore;
#[cfg(feature = "wnfs")]
mod as_wnfs;

#[cfg(feature = "atrium")]
pub use as_atrium::AsAtrium;
#[cfg(feature = "blockstore")]
pub use as_blockstore::AsBlockstore;
#[cfg(feature = "wnfs")]
pub use as_wnfs::AsWnfs;
