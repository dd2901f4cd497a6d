//! A store in a folder, in the format of Kubo's flatfs: it opens the `blocks` folder of a Kubo
//! repository, and Kubo opens what it wrote.
//!
//! ```text
//! blocks/SHARDING                  /repo/flatfs/shard/v1/next-to-last/2
//! blocks/VT/CIQ….data              a block: base32 of its multihash, in the shard of that name
//! blocks/.cidbucket-temp/…         blocks that are being written
//! blocks/_README, diskUsage.cache, .temp/…  Kubo's; left alone
//! ```

mod files;
mod page;
mod sharding;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use futures::stream;

use self::files::Files;
use self::page::Walk;
pub use self::sharding::Sharding;
use crate::{Block, Blockstore, Cid, Cursor, Error, Limits, Listing, Report, Result};

/// A [`Blockstore`] in a folder on a local disk.
///
/// - A `put` writes a temporary file, syncs it, renames it into place and syncs the directories, so
///   a block is there whole or not at all, whatever crashes; and it is there when `put` returns.
/// - A `get` checks the bytes against the CID, and the file's length against the limit before it
///   reads.
/// - Several processes may use a folder at once, Kubo among them, as long as nobody else deletes
///   what a process relies on (Kubo's garbage collection does).
/// - Symbolic links are not followed inside the folder; the folder itself may be one.
///
/// Its methods need a Tokio runtime: files are read and written on its blocking threads.
#[derive(Debug, Clone)]
pub struct FolderBlockstore {
    files: Arc<Files>,
}

impl FolderBlockstore {
    /// Opens a folder that holds blocks already, such as the `blocks` folder of a Kubo repository.
    ///
    /// # Errors
    /// [`Error::NoStore`] where there is no such folder, or none with a `SHARDING` file;
    /// [`Error::Invalid`] where that file names no known sharding.
    pub async fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref().to_owned();
        Self::with(move || Files::open(&path)).await
    }

    /// Opens a folder, or makes it (with Kubo's sharding, `next-to-last/2`) where it is missing or
    /// empty.
    ///
    /// # Errors
    /// [`Error::Invalid`] where the folder holds something else than blocks.
    pub async fn create(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref().to_owned();
        Self::with(move || Files::create(&path, None)).await
    }

    /// [`create`](Self::create) with a sharding of one's own.
    ///
    /// # Errors
    /// [`Error::Invalid`] also where the folder has another sharding already.
    pub async fn create_sharded(path: impl AsRef<Path>, sharding: Sharding) -> Result<Self> {
        let path = path.as_ref().to_owned();
        Self::with(move || Files::create(&path, Some(sharding))).await
    }

    /// Sets what the store accepts.
    #[must_use]
    pub fn with_limits(mut self, limits: Limits) -> Self {
        Arc::make_mut(&mut self.files).limits = limits;
        self
    }

    /// The folder, as an absolute path.
    pub fn path(&self) -> &Path {
        self.files.root()
    }

    /// How the folder's blocks are spread over directories.
    pub fn sharding(&self) -> Sharding {
        self.files.sharding()
    }

    /// The file that a block is, or would be, in.
    pub fn file(&self, cid: &Cid) -> PathBuf {
        self.files.root().join(self.sharding().path(cid.hash()))
    }

    async fn with(open: impl FnOnce() -> Result<Files> + Send + 'static) -> Result<Self> {
        let files = blocking("open", open).await?;
        Ok(Self {
            files: Arc::new(files),
        })
    }

    /// Does blocking work on the files.
    async fn work<T: Send + 'static>(
        &self,
        operation: &'static str,
        work: impl FnOnce(&Files) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let files = Arc::clone(&self.files);
        blocking(operation, move || work(&files)).await
    }
}

#[async_trait]
impl Blockstore for FolderBlockstore {
    async fn get(&self, cid: &Cid) -> Result<Option<Block>> {
        if let Some(block) = Block::inline(cid)? {
            return Ok(Some(block));
        }
        let cid = *cid;
        self.work("get", move |files| files.read(&cid)).await
    }

    async fn put(&self, block: &Block) -> Result<()> {
        if block.is_inline() {
            return Ok(());
        }
        self.files.limits.check(block)?;
        let block = block.clone();
        self.work("put", move |files| files.write(&block)).await
    }

    async fn size(&self, cid: &Cid) -> Result<Option<u64>> {
        if let Some(block) = Block::inline(cid)? {
            return Ok(Some(block.len() as u64));
        }
        let cid = *cid;
        self.work("size", move |files| files.size(&cid)).await
    }

    async fn delete(&self, cid: &Cid) -> Result<()> {
        if Block::inline(cid)?.is_some() {
            return Ok(());
        }
        let cid = *cid;
        self.work("delete", move |files| files.remove(&cid)).await
    }

    fn list(&self, from: Cursor) -> Listing<'_> {
        let walk = match Walk::new(self.sharding(), &from) {
            Ok(walk) => walk,
            Err(error) => return Listing::new(from, stream::iter([Err(error)])),
        };
        let pages = stream::unfold(Some(walk), move |walk| async move {
            let mut walk = walk?;
            let page = self.work("list", move |files| {
                let page = walk.next_page(files)?;
                Ok(page.map(|page| (page, walk)))
            });
            match page.await {
                Ok(page) => page.map(|(page, walk)| (Ok(page), Some(walk))),
                Err(error) => Some((Err(error), None)),
            }
        });
        Listing::new(from, pages)
    }
}

/// Runs `work` where it may block.
async fn blocking<T: Send + 'static>(
    operation: &'static str,
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    let task = tokio::task::spawn_blocking(work);
    task.await.unwrap_or_else(|stopped| {
        let report = Report::new(operation, "the task was stopped before its end");
        Err(Error::Io(report.with_source(stopped).into()))
    })
}
