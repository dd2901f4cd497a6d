//! Where a store is, written as a URL.

use std::fmt;
use std::sync::Arc;

use cidbucket_blockstore::{Blockstore, Error, MemoryBlockstore, Report, Result};

/// Opens the store that a URL names: see [`Location`].
pub fn open(url: &str) -> Result<Arc<dyn Blockstore>> {
    Location::parse(url)?.open()
}

/// Where a store is.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Location {
    /// `memory:`: a store of its own, which ends with its last reference.
    Memory,
}

impl Location {
    /// Reads a store's URL.
    ///
    /// # Errors
    /// [`Error::Invalid`] for anything that is not such a URL.
    pub fn parse(url: &str) -> Result<Self> {
        let (scheme, rest) = url
            .split_once(':')
            .ok_or_else(|| invalid(url, "a store URL begins with its scheme".into()))?;
        match (scheme, rest) {
            ("memory", "" | "//") => Ok(Self::Memory),
            ("memory", _) => Err(invalid(url, "nothing follows memory:".into())),
            _ => Err(invalid(
                url,
                format!("the scheme {scheme}: is not supported"),
            )),
        }
    }

    /// Opens the store.
    pub fn open(&self) -> Result<Arc<dyn Blockstore>> {
        Ok(match self {
            Self::Memory => Arc::new(MemoryBlockstore::new()),
        })
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory => f.write_str("memory:"),
        }
    }
}

fn invalid(url: &str, message: String) -> Error {
    Error::Invalid(Report::new("open store", message).with_key(url).into())
}
