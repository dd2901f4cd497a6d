//! The blocking file operations: nothing here is seen half-done.

use std::collections::HashSet;
use std::fs::{self, File, Metadata};
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use super::Sharding;
use crate::{Block, Cid, Error, Limits, Multihash, Report, Result};

/// The file that says how the folder is sharded, and thereby that it is one of blocks.
pub(super) const SHARDING: &str = "SHARDING";
/// Where files are written before they have their name. Not in Kubo's `.temp`, which Kubo removes
/// when it starts; it passes over directories that begin with a dot.
pub(super) const TEMP: &str = ".cidbucket-temp";
/// A temporary file this old belongs to no write that is still under way.
const TEMP_AGE: Duration = Duration::from_hours(1);
/// How often a write starts again when a directory of it was removed meanwhile.
const WRITE_ATTEMPTS: u32 = 3;

/// A folder of blocks.
#[derive(Debug, Clone)]
pub(super) struct Files {
    root: PathBuf,
    sharding: Sharding,
    pub(super) limits: Limits,
    /// Shard directories whose own entry in the root is known to be on disk.
    durable_shards: Arc<Mutex<HashSet<PathBuf>>>,
}

impl Files {
    pub(super) fn open(path: &Path) -> Result<Self> {
        let missing = |message: String| {
            Error::NoStore(
                Report::new("open", message)
                    .with_key(path.display().to_string())
                    .into(),
            )
        };
        let root = match fs::canonicalize(path) {
            Ok(root) => root,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return Err(missing("there is no such folder; create it first".into()));
            }
            Err(error) => return Err(failed("open", path, error)),
        };
        let sharding = match read_sharding(&root) {
            Ok(Some(sharding)) => sharding,
            Ok(None) if root.join("blocks").join(SHARDING).exists() => {
                return Err(missing(format!(
                    "this is a Kubo repository; its blocks are in {}",
                    path.join("blocks").display()
                )));
            }
            Ok(None) => {
                return Err(missing(format!(
                    "no folder of blocks: it has no {SHARDING} file"
                )));
            }
            Err(error) => return Err(error),
        };
        remove_leftovers(&root.join(TEMP));
        Ok(Self {
            root,
            sharding,
            limits: Limits::default(),
            durable_shards: Arc::default(),
        })
    }

    pub(super) fn create(path: &Path, sharding: Option<Sharding>) -> Result<Self> {
        let wrap = |error| failed("create", path, error);
        fs::create_dir_all(path).map_err(wrap)?;
        if read_sharding(path)?.is_none() {
            let holds_other_things = fs::read_dir(path)
                .map_err(wrap)?
                .any(|entry| entry.is_ok_and(|entry| entry.file_name() != TEMP));
            if holds_other_things {
                return Err(invalid(
                    "create",
                    path,
                    format!(
                        "the folder is not empty and has no {SHARDING} file; choose an empty one"
                    ),
                ));
            }
            let text = format!("{}\n", sharding.unwrap_or_default());
            let temp = Temp::write(&path.join(TEMP), text.as_bytes()).map_err(wrap)?;
            temp.rename(&path.join(SHARDING)).map_err(wrap)?;
            sync_dir(path).map_err(wrap)?;
            if let Some(parent) = fs::canonicalize(path).map_err(wrap)?.parent() {
                sync_dir(parent).map_err(wrap)?;
            }
        }
        let files = Self::open(path)?;
        match sharding {
            Some(wanted) if wanted != files.sharding => Err(invalid(
                "create",
                path,
                format!("the folder is sharded by {} already", files.sharding),
            )),
            _ => Ok(files),
        }
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    pub(super) fn sharding(&self) -> Sharding {
        self.sharding
    }

    pub(super) fn read(&self, cid: &Cid) -> Result<Option<Block>> {
        let path = self.path(cid.hash());
        if self.metadata("get", &path)?.is_none() {
            return Ok(None);
        }
        let wrap = |error| failed("get", &path, error);
        let mut file = match File::open(&path) {
            Ok(file) => file,
            // Deleted since it was looked at.
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(wrap(error)),
        };
        let size = file.metadata().map_err(wrap)?.len();
        self.limits.check_size(cid, size)?;
        // One byte more than there should be room for shows a file that grows.
        let mut data = Vec::with_capacity(usize::try_from(size).unwrap_or(0) + 1);
        let limit = (self.limits.max_block as u64).saturating_add(1);
        (&mut file)
            .take(limit)
            .read_to_end(&mut data)
            .map_err(wrap)?;
        self.limits.check_size(cid, data.len() as u64)?;
        match Block::new(*cid, data) {
            Err(Error::Corrupt(report)) => Err(Error::Corrupt(
                Report::new(
                    "get",
                    format!(
                        "{} does not hold the block; put the block again, or delete it",
                        path.display()
                    ),
                )
                .with_key(cid.to_string())
                .with_source(*report)
                .into(),
            )),
            block => block.map(Some),
        }
    }

    pub(super) fn size(&self, cid: &Cid) -> Result<Option<u64>> {
        let metadata = self.metadata("size", &self.path(cid.hash()))?;
        Ok(metadata.map(|metadata| metadata.len()))
    }

    pub(super) fn write(&self, block: &Block) -> Result<()> {
        let path = self.path(block.multihash());
        let shard = parent(&path);
        let mut attempt = 1;
        loop {
            // Not into an empty mount point.
            self.require("put")?;
            match self.try_write(shard, &path, block.data()) {
                Err(error) if error.kind() == ErrorKind::NotFound && attempt < WRITE_ATTEMPTS => {
                    attempt += 1;
                }
                Err(error) => {
                    refuse_links("put", shard)?;
                    return Err(failed("put", &path, error));
                }
                Ok(()) => return Ok(()),
            }
        }
    }

    pub(super) fn remove(&self, cid: &Cid) -> Result<()> {
        let path = self.path(cid.hash());
        if self.metadata("delete", &path)?.is_none() {
            return Ok(());
        }
        match fs::remove_file(&path) {
            Ok(()) => sync_dir(parent(&path)).map_err(|error| failed("delete", &path, error)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            Err(error) => Err(failed("delete", &path, error)),
        }
    }

    /// Checks that the folder itself is there, so that a disk that was taken away does not look
    /// like a store without blocks.
    pub(super) fn require(&self, operation: &'static str) -> Result<()> {
        let path = self.root.join(SHARDING);
        match fs::metadata(&path) {
            Ok(_) => Ok(()),
            Err(error) if error.kind() == ErrorKind::NotFound => Err(Error::NoStore(
                Report::new(
                    operation,
                    format!("the folder is gone, or its {SHARDING} file"),
                )
                .with_key(self.root.display().to_string())
                .with_source(error)
                .into(),
            )),
            Err(error) => Err(failed(operation, &path, error)),
        }
    }

    fn path(&self, multihash: &Multihash) -> PathBuf {
        self.root.join(self.sharding.path(multihash))
    }

    /// The metadata of a block's file; `None` where it is absent.
    fn metadata(&self, operation: &'static str, path: &Path) -> Result<Option<Metadata>> {
        refuse_links(operation, parent(path))?;
        match fs::symlink_metadata(path) {
            Ok(metadata) if metadata.is_file() => Ok(Some(metadata)),
            Ok(_) => Err(invalid(
                operation,
                path,
                "something else than a regular file has a block's name; remove it",
            )),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                self.require(operation)?;
                Ok(None)
            }
            Err(error) => Err(failed(operation, path, error)),
        }
    }

    fn try_write(&self, shard: &Path, path: &Path, data: &[u8]) -> io::Result<()> {
        let made = make_dir(shard)?;
        let known = (self.durable_shards.lock())
            .unwrap_or_else(PoisonError::into_inner)
            .contains(shard);
        if made || !known {
            // Another process may have made the directory and not have synced it yet.
            sync_dir(&self.root)?;
            (self.durable_shards.lock())
                .unwrap_or_else(PoisonError::into_inner)
                .insert(shard.to_owned());
        }
        // Always anew: what lies there may be damaged, or not on disk yet.
        Temp::write(&self.root.join(TEMP), data)?.rename(path)?;
        sync_dir(shard)
    }
}

/// Refuses a shard directory that is a link: what is behind it is outside of the store.
fn refuse_links(operation: &'static str, shard: &Path) -> Result<()> {
    match fs::symlink_metadata(shard) {
        Ok(metadata) if !metadata.is_dir() => Err(invalid(
            operation,
            shard,
            "a shard must be a directory, not a symbolic link or file; remove it",
        )),
        _ => Ok(()),
    }
}

/// A written and synced file without its final name; removed unless it gets one.
struct Temp(Option<PathBuf>);

impl Temp {
    fn write(dir: &Path, data: &[u8]) -> io::Result<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        make_dir(dir)?;
        loop {
            let n = NEXT.fetch_add(1, Ordering::Relaxed);
            let path = dir.join(format!("{}-{n}", std::process::id()));
            let mut file = match File::options().write(true).create_new(true).open(&path) {
                Ok(file) => file,
                // Two containers that share the folder may both be process 1.
                Err(error) if error.kind() == ErrorKind::AlreadyExists => continue,
                Err(error) => return Err(error),
            };
            let temp = Self(Some(path));
            file.write_all(data)?;
            file.sync_all()?;
            return Ok(temp);
        }
    }

    fn rename(mut self, to: &Path) -> io::Result<()> {
        if let Some(from) = &self.0 {
            fs::rename(from, to)?;
        }
        self.0 = None;
        Ok(())
    }
}

impl Drop for Temp {
    fn drop(&mut self) {
        if let Some(path) = self.0.take() {
            // The write has failed already, which is what gets reported.
            let _ = fs::remove_file(path);
        }
    }
}

/// Makes a directory and answers whether it was missing. A link to a directory is none.
fn make_dir(path: &Path) -> io::Result<bool> {
    match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_dir() => Ok(false),
        Ok(_) => Err(io::Error::new(
            ErrorKind::NotADirectory,
            format!("{} is a link or a file, not a directory", path.display()),
        )),
        Err(error) if error.kind() == ErrorKind::NotFound => match fs::create_dir(path) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(error),
        },
        Err(error) => Err(error),
    }
}

/// Makes renames and removals in a directory durable.
fn sync_dir(path: &Path) -> io::Result<()> {
    // Windows opens no directories, and writes their changes through.
    if cfg!(unix) {
        File::open(path)?.sync_all()?;
    }
    Ok(())
}

/// The sharding of a folder; `None` where it has no such file.
fn read_sharding(root: &Path) -> Result<Option<Sharding>> {
    let path = root.join(SHARDING);
    let mut text = String::new();
    match File::open(&path).and_then(|file| file.take(1024).read_to_string(&mut text)) {
        Ok(_) => text.parse().map(Some),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed("open", &path, error)),
    }
}

/// Removes what crashed writes of ours left. Failing to is no reason not to open the folder.
fn remove_leftovers(dir: &Path) {
    let is_dir = fs::symlink_metadata(dir).is_ok_and(|metadata| metadata.is_dir());
    let Some(entries) = is_dir.then(|| fs::read_dir(dir).ok()).flatten() else {
        return;
    };
    for entry in entries.flatten() {
        let old = (entry.metadata().and_then(|metadata| metadata.modified())).is_ok_and(|at| {
            SystemTime::now()
                .duration_since(at)
                .is_ok_and(|age| age > TEMP_AGE)
        });
        if old {
            let _ = fs::remove_file(entry.path());
        }
    }
}

fn parent(path: &Path) -> &Path {
    path.parent().unwrap_or(path)
}

fn invalid(
    operation: &'static str,
    path: &Path,
    message: impl Into<std::borrow::Cow<'static, str>>,
) -> Error {
    Error::Invalid(
        Report::new(operation, message)
            .with_key(path.display().to_string())
            .into(),
    )
}

/// An error of the operating system, by meaning.
pub(super) fn failed(operation: &'static str, path: &Path, error: io::Error) -> Error {
    let report = |message: &'static str, error| {
        Report::new(operation, message)
            .with_key(path.display().to_string())
            .with_source(error)
            .into()
    };
    match error.kind() {
        ErrorKind::PermissionDenied => Error::Denied(report("no permission", error)),
        ErrorKind::ReadOnlyFilesystem => Error::Denied(report("the disk is read-only", error)),
        ErrorKind::StorageFull => Error::Io(report("the disk is full", error)),
        ErrorKind::QuotaExceeded => Error::Io(report("the disk quota is used up", error)),
        _ => Error::Io(report("the file system failed", error)),
    }
}
