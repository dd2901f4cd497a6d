//! IPFS blocks in an S3 bucket.

mod location;

pub use cidbucket_blockstore::*;
pub use location::{Location, open};
