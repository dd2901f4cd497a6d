//! Why bytes are not a CAR.

use cidbucket_blockstore::{Cid, Error};

/// Why bytes are not a CAR, by meaning. `offset` is the first byte, counted from the beginning of
/// the input, of what is wrong.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum CarError {
    /// The header is none: wrong length, not DAG-CBOR, or not of the schema.
    #[error("byte {offset}: not the header of a CAR: {reason}")]
    Header {
        /// Where the header begins.
        offset: u64,
        /// What is wrong with it.
        reason: String,
    },
    /// A CAR of a version that is not known.
    #[error("byte {offset}: a CAR of version {version}; 1 and 2 are known")]
    Version {
        /// Where the header begins.
        offset: u64,
        /// The version.
        version: u64,
    },
    /// The 40 bytes after the pragma of a `CARv2` contradict themselves.
    #[error("byte {offset}: not the header of a CARv2: {reason}")]
    V2Header {
        /// Where the field is.
        offset: u64,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A header or section is larger than the limit.
    #[error("byte {offset}: a {what} of {size} bytes; at most {limit} are accepted")]
    TooLarge {
        /// Where it begins.
        offset: u64,
        /// What it is: `header`, `section`.
        what: &'static str,
        /// Its size in bytes.
        size: u64,
        /// The limit in bytes.
        limit: usize,
    },
    /// The header names more roots than the limit.
    #[error("byte {offset}: {count} roots; at most {limit} are accepted")]
    TooManyRoots {
        /// Where the header begins.
        offset: u64,
        /// How many there are.
        count: usize,
        /// How many are accepted.
        limit: usize,
    },
    /// A length is no minimal varint of at most 63 bits.
    #[error("byte {offset}: a length that is not a minimal varint")]
    Length {
        /// Where it begins.
        offset: u64,
    },
    /// A section of length zero, which cannot even hold a CID. CARs that were padded with zeroes,
    /// as pieces of Filecoin are, have them at their end.
    #[error("byte {offset}: an empty section; if the CAR was padded with zeroes, cut it here")]
    EmptySection {
        /// Where its length is.
        offset: u64,
    },
    /// A section reaches beyond the payload of its `CARv2`.
    #[error("byte {offset}: a section that reaches beyond the payload of the CARv2")]
    BeyondPayload {
        /// Where its length is.
        offset: u64,
    },
    /// A section does not begin with a CID.
    #[error("byte {offset}: not a CID: {reason}")]
    Cid {
        /// Where the section's CID begins.
        offset: u64,
        /// What is wrong with it.
        reason: String,
    },
    /// A section's block is not accepted: its bytes do not hash to its CID
    /// ([`Error::Corrupt`]), or the CID's hash is not accepted ([`Error::Invalid`]).
    #[error("byte {offset}: {source}")]
    Block {
        /// Where the section's CID begins.
        offset: u64,
        /// The CID.
        cid: Cid,
        /// Why it is not accepted.
        source: Error,
    },
    /// The input ends where the CAR does not.
    #[error("byte {offset}: the CAR ends in the middle of its {within}")]
    Truncated {
        /// How many bytes there were.
        offset: u64,
        /// What is incomplete: `header`, `section`, `payload`.
        within: &'static str,
    },
}

impl CarError {
    /// Where it is: the number of bytes before it.
    pub fn offset(&self) -> u64 {
        match self {
            Self::Header { offset, .. }
            | Self::Version { offset, .. }
            | Self::V2Header { offset, .. }
            | Self::TooLarge { offset, .. }
            | Self::TooManyRoots { offset, .. }
            | Self::Length { offset }
            | Self::EmptySection { offset }
            | Self::BeyondPayload { offset }
            | Self::Cid { offset, .. }
            | Self::Block { offset, .. }
            | Self::Truncated { offset, .. } => *offset,
        }
    }
}
