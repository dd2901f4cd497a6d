//! How much of a CAR is held in memory at once.

use cidbucket_blockstore::DEFAULT_MAX_BLOCK;

/// The longest CID in bytes, generously: version, codec and hash as varints, 64 bytes of digest.
const MAX_CID: usize = 96;

/// What a CAR may ask of its reader. A decoder never holds more than the largest of these and one
/// piece of input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CarLimits {
    /// Largest header, in bytes.
    pub max_header: usize,
    /// Largest section, CID and block together, in bytes.
    pub max_section: usize,
    /// Most roots.
    pub max_roots: usize,
}

impl Default for CarLimits {
    /// A header of 1 MiB, blocks of 2 MiB, 10,000 roots.
    fn default() -> Self {
        Self {
            max_header: 1 << 20,
            max_section: DEFAULT_MAX_BLOCK + MAX_CID,
            max_roots: 10_000,
        }
    }
}
