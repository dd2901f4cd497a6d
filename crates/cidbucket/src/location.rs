//! Where a store is, written as a URL.

use std::fmt;
#[cfg(feature = "folder")]
use std::path::PathBuf;
use std::sync::Arc;

#[cfg(feature = "folder")]
use cidbucket_blockstore::FolderBlockstore;
use cidbucket_blockstore::{Blockstore, Error, MemoryBlockstore, Report, Result};

/// Opens the store that a URL names: [`Location::parse`], then [`Location::open`].
pub async fn open(url: &str) -> Result<Arc<dyn Blockstore>> {
    Location::parse(url)?.open().await
}

/// Where a store is.
///
/// | URL | store | feature |
/// |---|---|---|
/// | `dir:PATH` | a folder, as Kubo's `blocks` | `folder` |
/// | `memory:` | one of its own at every opening, gone with its last reference | |
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Location {
    /// `dir:PATH`.
    #[cfg(feature = "folder")]
    Folder(PathBuf),
    /// `memory:`.
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
            .ok_or_else(|| invalid(format!("not a store URL; known are {KNOWN}")))?;
        match (scheme, rest) {
            #[cfg(feature = "folder")]
            ("dir", "") => Err(invalid("dir: needs a path, as in dir:blocks".into())),
            #[cfg(feature = "folder")]
            ("dir", path) => Ok(Self::Folder(path.into())),
            ("memory", "" | "//") => Ok(Self::Memory),
            ("memory", _) => Err(invalid("nothing can follow memory:".into())),
            // The rest is not repeated: it may hold what its writer should not have put there.
            _ => Err(invalid(format!(
                "stores of the scheme {scheme}: are not supported; known are {KNOWN}"
            ))),
        }
    }

    /// Opens the store. Nothing is made and, but for a folder's format file, nothing is read.
    ///
    /// # Errors
    /// [`Error::NoStore`] where a folder is missing, or holds no blocks.
    pub async fn open(&self) -> Result<Arc<dyn Blockstore>> {
        Ok(match self {
            #[cfg(feature = "folder")]
            Self::Folder(path) => Arc::new(FolderBlockstore::open(path).await?),
            Self::Memory => Arc::new(MemoryBlockstore::new()),
        })
    }

    /// Opens the store, and makes a folder that is missing. (A bucket is never made.)
    ///
    /// # Errors
    /// [`Error::Invalid`] where the folder holds something else than blocks.
    pub async fn open_or_create(&self) -> Result<Arc<dyn Blockstore>> {
        match self {
            #[cfg(feature = "folder")]
            Self::Folder(path) => Ok(Arc::new(FolderBlockstore::create(path).await?)),
            Self::Memory => self.open().await,
        }
    }
}

/// The URL.
impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            #[cfg(feature = "folder")]
            Self::Folder(path) => write!(f, "dir:{}", path.display()),
            Self::Memory => f.write_str("memory:"),
        }
    }
}

const KNOWN: &str = "s3://BUCKET[/PREFIX], dir:PATH and memory:";

fn invalid(message: String) -> Error {
    Error::Invalid(Report::new("open store", message).into())
}
