//! IPFS blocks in an S3 bucket, for whoever writes an IPFS node in Rust.
//!
//! A [`Blockstore`] keeps [`Block`]s: bytes that were checked against their [`Cid`]. [`open`] gives
//! the store that a URL names, and the code above it is the same for all of them:
//!
//! ```
//! use cidbucket::{Block, Blockstore};
//!
//! # #[tokio::main]
//! # async fn main() -> cidbucket::Result<()> {
//! // In a bucket: "s3://my-bucket/blocks?region=eu-central-1", with the credentials of the AWS tools.
//! let store = cidbucket::open("memory:").await?;
//!
//! let block = Block::raw("hello world\n");
//! store.put(&block).await?;
//!
//! let found = store.get(block.cid()).await?.expect("it was just put");
//! assert_eq!(found.data(), "hello world\n");
//! assert_eq!(
//!     block.cid().to_string(),
//!     "bafkreifjjcie6lypi6ny7amxnfftagclbuxndqonfipmb64f2km2devei4"
//! );
//! # Ok(())
//! # }
//! ```
//!
//! Read on at:
//!
//! - [`Blockstore`]: what every store does and promises; [`Error`]: what can go wrong.
//! - [`open`] and [`Location`]: stores by URL.
//! - [`s3`]: a bucket with every setting, its client, and the probe of what a server enforces;
//!   [`s3::S3Blockstore::probed`] is the store that makes use of that.
//! - [`direct`]: blocks by way of a service that signs, and whose URL is `https://HOST`.
//! - [`presign`] and [`granter`]: signed URLs with which others read and write single blocks.
//! - [`layout`]: which object key a block has; buckets of other IPFS software open as they are.
//! - [`cache`]: hot blocks in memory over any store.
//! - `adapters`: a store as the block store of another Rust project, such as a Bitswap node.
//!
//! Features that are on by default: `s3` (with `presign` and `layout`), `direct` and `folder`. Those
//! of the module `adapters` are not: `blockstore`, `wnfs` and `atrium`.

#[cfg(feature = "s3")]
mod granter;
mod location;

/// So that the README's example is compiled and run as a test.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
mod readme {}

#[cfg(any(feature = "atrium", feature = "blockstore", feature = "wnfs"))]
pub use cidbucket_adapters as adapters;
pub use cidbucket_blockstore::{
    Block, Blockstore, BoxStream, Bytes, CODECS, Cid, Cursor, DEFAULT_MAX_BLOCK, Error, Hash,
    Limits, Listed, Listing, MemoryBlockstore, Multihash, Page, Report, Result, codec, codec_code,
    codec_name, raw_cid,
};
#[cfg(feature = "folder")]
pub use cidbucket_blockstore::{FolderBlockstore, Sharding};
pub use cidbucket_cache as cache;
#[cfg(feature = "direct")]
pub use cidbucket_client as direct;
#[cfg(feature = "s3")]
pub use cidbucket_layout as layout;
#[cfg(feature = "s3")]
pub use cidbucket_presign as presign;
#[cfg(feature = "s3")]
pub use cidbucket_s3 as s3;
#[cfg(feature = "s3")]
pub use granter::granter;
pub use location::{Location, open};
