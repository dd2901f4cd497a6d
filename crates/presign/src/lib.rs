//! Grants: signed requests that let a client read or write one block at S3 itself.
//!
//! Pure functions: from a CID, a size, a policy, credentials and a time to a request that anybody
//! may send. Read in this order:
//!
//! - [`Bucket`]: where blocks lie and how they are addressed.
//! - [`Grant`]: a method, a URL, headers, and when they expire.
//! - [`Granter`]: makes grants within a [`Policy`]: [`Granter::read`] and [`Granter::write`].
//! - [`Seal`]: how a write grant makes S3 refuse other bytes than the block's.
//! - [`browser_headers`]: what a page sends with them, for a bucket's CORS rules.
//! - [`Batch`]: grants for many blocks in 32 bytes each.
//!
//! `docs/grants.md` specifies the forms on the wire.
//!
//! ```
//! use cidbucket_layout::{Keys, Layout, Prefix};
//! use cidbucket_presign::{Bucket, Credentials, Granter, Policy, Read, Seal, Timestamp, Upload};
//!
//! let granter = Granter::new(
//!     Bucket::aws("blocks", "eu-west-1")?,
//!     Keys::new(Prefix::new("ipfs")?, Layout::Kubo),
//!     Credentials::new("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"),
//!     Policy { seal: Some(Seal::Checksum), ..Policy::default() },
//! )?;
//! let cid = "bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy".parse()?;
//! let now = Timestamp::from_unix(1_369_353_600);
//!
//! let read = granter.read(&cid, &Read::default(), 300, now)?;
//! println!("curl '{}'", read.url);
//!
//! let write = granter.write(&Upload::new(cid, 11), 300, now)?;
//! assert!(write.headers.contains(&("content-length".into(), "11".into())));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod batch;
mod browser;
mod bucket;
mod error;
mod grant;
mod granter;
mod read;
mod seal;
mod wire;
mod write;

pub use batch::{AssembleError, Batch, MAX_BATCH};
pub use browser::browser_headers;
pub use bucket::{Bucket, BucketError, Style};
pub use cidbucket_sigv4::{Credentials, Timestamp};
pub use error::{Error, Result};
pub use grant::{Grant, Method};
pub use granter::{Granter, Policy};
pub use read::{ByteRange, Read};
pub use seal::Seal;
pub use wire::WireError;
pub use write::Upload;
