//! Why there is no grant.

use cid::Cid;

/// Why there is no grant. No secret and no signature is ever part of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The block is in its CID, so no store holds it.
    #[error("{0} holds its block itself: there is nothing to read or write")]
    Inline(Cid),
    /// S3 can only check SHA-256, so other blocks are not written directly.
    #[error(
        "{0} has no full sha2-256 digest, so S3 cannot check its bytes: write it through the service"
    )]
    NotSha256(Cid),
    /// The block is larger than the policy allows.
    #[error("{cid} has {size} bytes, the limit is {limit}")]
    TooLarge {
        /// The block.
        cid: Cid,
        /// Its size in bytes.
        size: u64,
        /// The limit in bytes.
        limit: u64,
    },
    /// The life asked for is zero or above the policy's cap.
    #[error("a grant of {seconds} seconds, the policy allows 1 to {limit}")]
    Expires {
        /// What was asked for, in seconds.
        seconds: u32,
        /// The cap, in seconds.
        limit: u32,
    },
    /// The credentials themselves end before the grant would begin.
    #[error("the credentials have expired: renew them")]
    CredentialsExpired,
    /// The policy has no seal, because no seal is known to hold at the bucket.
    #[error(
        "no seal is known to hold at this bucket, so no direct write is granted: probe it, or \
         write through the service"
    )]
    NoSeal,
    /// The seal needs the block's MD5, which was not given.
    #[error("the seal checksum-md5 needs the MD5 of {0}")]
    NoMd5(Cid),
    /// A public bucket gives plain URLs to read from; all else needs credentials.
    #[error("without credentials there are only plain reads: no writes and no overrides")]
    Public,
    /// A range of bytes ends before it begins.
    #[error("a range that ends before it begins")]
    Range,
    /// An override of a response header, or a header of the policy, holds a control character.
    #[error("{0} holds a control character")]
    ControlCharacter(&'static str),
    /// The seal gives no signed URL, so it has no compact form.
    #[error("the seal header has no compact batches: ask for single grants")]
    NoBatch,
    /// More blocks than one batch holds.
    #[error("{blocks} blocks, the limit of a batch is {limit}")]
    TooManyBlocks {
        /// The number of blocks.
        blocks: usize,
        /// The limit.
        limit: usize,
    },
    /// There is no seal of this name.
    #[error("a seal is checksum, payload-hash, header or checksum-md5")]
    UnknownSeal,
    /// The request cannot be signed.
    #[error("cannot sign: {0}")]
    Sign(#[from] cidbucket_sigv4::Error),
}

/// The result of granting.
pub type Result<T, E = Error> = std::result::Result<T, E>;
