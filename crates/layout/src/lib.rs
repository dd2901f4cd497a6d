//! CID to object key and back, for every layout found in IPFS buckets.
//!
//! Pure functions: no I/O, no runtime. Read in this order:
//!
//! - [`Layout`]: who writes which keys, with the stable names used in store URLs
//!   (`s3://bucket/ipfs?layout=helia`).
//! - [`Prefix`]: the "folder" of the bucket under which a store keeps its blocks.
//! - [`Keys`]: prefix and layout together; writes keys, reads them back, says what to list.
//! - [`Keys::control_prefix`]: the service's own folder, beside the blocks and in no listing.
//! - [`KeyRange`]: a listing cut into ranges that can be read in parallel.
//! - [`Keys::public_patterns`]: what a bucket policy has to let through for blocks to be public.
//! - [`Keys::detect`]: which layout a sample of listed keys fits.
//!
//! # Worked examples
//!
//! One block in every layout, under the prefix `ipfs`:
//!
//! ```
//! use cidbucket_layout::{Keys, Prefix};
//!
//! let cid = "bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy".parse()?;
//! let examples = [
//!     ("kubo", "CIQMPUAUREEAQWGFAADFQNWGLD4EPJWKM7CIMRQZEEV6J6BABZF3VTQ"),
//!     ("kubo-unmounted", "blocks/CIQMPUAUREEAQWGFAADFQNWGLD4EPJWKM7CIMRQZEEV6J6BABZF3VTQ"),
//!     ("3box-identity", "CIQMPUAUREEAQWGFAADFQNWGLD4EPJWKM7CIMRQZEEV6J6BABZF3VTQ/\
//!                        CIQMPUAUREEAQWGFAADFQNWGLD4EPJWKM7CIMRQZEEV6J6BABZF3VTQ"),
//!     ("3box-prefix-5", "CIQMP/CIQMPUAUREEAQWGFAADFQNWGLD4EPJWKM7CIMRQZEEV6J6BABZF3VTQ"),
//!     ("3box-suffix-2", "TQ/CIQMPUAUREEAQWGFAADFQNWGLD4EPJWKM7CIMRQZEEV6J6BABZF3VTQ"),
//!     ("3box-next-to-last-2", "VT/CIQMPUAUREEAQWGFAADFQNWGLD4EPJWKM7CIMRQZEEV6J6BABZF3VTQ"),
//!     ("jclab-suffix", "CIQMPUAUREEAQWGFAADFQNWGLD4EPJWKM7CIMRQZEEV6J6BABZF3VTQ/data"),
//!     ("jclab-next-to-last-2", "VT/CIQMPUAUREEAQWGFAADFQNWGLD4EPJWKM7CIMRQZEEV6J6BABZF3VTQ"),
//!     ("flatfs", "VT/CIQMPUAUREEAQWGFAADFQNWGLD4EPJWKM7CIMRQZEEV6J6BABZF3VTQ.data"),
//!     ("flatfs-bare", "VT/CIQMPUAUREEAQWGFAADFQNWGLD4EPJWKM7CIMRQZEEV6J6BABZF3VTQ"),
//!     ("helia", "TQ/BCIQMPUAUREEAQWGFAADFQNWGLD4EPJWKM7CIMRQZEEV6J6BABZF3VTQ.data"),
//!     ("helia-flat", "BCIQMPUAUREEAQWGFAADFQNWGLD4EPJWKM7CIMRQZEEV6J6BABZF3VTQ.data"),
//!     ("peergos", "AFKREIGH2AKISCAILDCQABSYG3DFR6CHU3FGPREGIYMSCK7E7AQA4S52ZY"),
//!     ("peergos:alice", "alice/AFKREIGH2AKISCAILDCQABSYG3DFR6CHU3FGPREGIYMSCK7E7AQA4S52ZY"),
//!     ("piri", "vt/ciqmpuaureeaqwgfaadfqnwgld4epjwkm7cimrqzeev6j6babzf3vtq.data"),
//! ];
//! for (layout, key) in examples {
//!     let keys = Keys::new(Prefix::new("ipfs")?, layout.parse()?);
//!     assert_eq!(keys.key(&cid), format!("ipfs/{key}"), "{layout}");
//!     assert_eq!(keys.multihash(&format!("ipfs/{key}")), Some(*cid.hash()), "{layout}");
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What may be relied on
//!
//! - A key is made of the prefix, constants and a canonical encoding. No caller's text but the
//!   validated prefix (and Peergos user name) gets into it, so nothing can escape the prefix.
//! - Reading a key back is a strict inverse: a key that this layout would never look for is
//!   *foreign*, whatever it resembles (another case, padding, a wrong shard folder).

mod base32;
mod control;
mod detect;
mod keys;
mod layout;
mod prefix;
mod public;
mod ranges;

pub use cid::Cid;
pub use detect::Fit;
pub use keys::Keys;
pub use layout::{Layout, LayoutError, ShardLength, Username};
pub use prefix::{Prefix, PrefixError};
pub use public::PatternError;
pub use ranges::KeyRange;

/// A multihash of up to 64 digest bytes: the identity of a block.
pub type Multihash = multihash::Multihash<64>;
