//! Buckets and objects in a folder.
//!
//! ```text
//! DATA_DIR/lock                            held by the one server that uses the folder
//! DATA_DIR/tmp/                            bodies on their way in; emptied at start
//! DATA_DIR/buckets/NAME/bucket.json        settings: CORS, policy
//! DATA_DIR/buckets/NAME/objects/SHA256     one object, see `record`
//! DATA_DIR/buckets/NAME/uploads/ID/…       multipart uploads, see `multipart`
//! ```
//!
//! Everything appears by rename and leaves by unlink or rename, so a crash at any point leaves only
//! whole objects and leftovers in `tmp`. All functions here block.

mod bucket;
mod error;
mod list;
mod multipart;
mod record;
mod staged;

use std::{
    collections::BTreeMap,
    fs::{self, File, TryLockError},
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::RwLock;

pub(crate) use self::{
    bucket::{Bucket, Condition, Config},
    error::{Error, Result, io as error_io},
    list::{Page, Query, list},
    multipart::Part,
    record::{Attributes, Meta},
    staged::{Algorithm, Digests, Staged, Staging},
};
use crate::clock;

#[derive(Debug)]
pub(crate) struct Store {
    root: PathBuf,
    sync: bool,
    buckets: RwLock<BTreeMap<String, Arc<Bucket>>>,
    _lock: File,
}

/// How long to wait for a server that is just stopping to let go of the folder.
const LOCK_PATIENCE: Duration = Duration::from_secs(3);

impl Store {
    /// Opens or makes the folder, sweeps what crashes left, and reads what is there.
    pub(crate) fn open(root: &Path, sync: bool) -> Result<Self> {
        let make = |path: &Path| {
            fs::create_dir_all(path).map_err(error_io("cannot make the data folder", path))
        };
        make(root)?;
        let lock = lock(&root.join("lock"))?;
        let tmp = root.join("tmp");
        if tmp.exists() {
            fs::remove_dir_all(&tmp).map_err(error_io("cannot sweep", &tmp))?;
        }
        make(&tmp)?;
        let folder = root.join("buckets");
        make(&folder)?;
        let mut buckets = BTreeMap::new();
        for entry in fs::read_dir(&folder).map_err(error_io("cannot list", &folder))? {
            let entry = entry.map_err(error_io("cannot list", &folder))?;
            let name = entry.file_name().into_string().unwrap_or_default();
            if !s3s::path::check_bucket_name(&name) {
                continue; // what file managers leave, such as .DS_Store
            }
            let bucket = Bucket::open(&name, entry.path(), sync)?;
            buckets.insert(name, Arc::new(bucket));
        }
        Ok(Self {
            root: root.to_owned(),
            sync,
            buckets: RwLock::new(buckets),
            _lock: lock,
        })
    }

    pub(crate) fn bucket(&self, name: &str) -> Result<Arc<Bucket>> {
        let buckets = self.buckets.read();
        buckets.get(name).cloned().ok_or(Error::NoSuchBucket)
    }

    pub(crate) fn buckets(&self) -> Vec<Arc<Bucket>> {
        self.buckets.read().values().cloned().collect()
    }

    /// Makes an empty bucket. The name must be a valid bucket name.
    pub(crate) fn create_bucket(&self, name: &str) -> Result<Arc<Bucket>> {
        let mut buckets = self.buckets.write();
        if buckets.contains_key(name) {
            return Err(Error::BucketExists);
        }
        let tmp = self.tmp();
        let fresh =
            tempfile::tempdir_in(&tmp).map_err(error_io("cannot make a folder in", &tmp))?;
        let config = Config {
            created: clock::now(),
            ..Config::default()
        };
        bucket::write_new(fresh.path(), &config, self.sync)?;
        let folder = self.root.join("buckets");
        let dir = folder.join(name);
        fs::rename(fresh.keep(), &dir).map_err(error_io("cannot make the bucket", &dir))?;
        bucket::sync_dir(&folder, self.sync)?;
        let bucket = Arc::new(Bucket::open(name, dir, self.sync)?);
        buckets.insert(name.to_owned(), Arc::clone(&bucket));
        Ok(bucket)
    }

    pub(crate) fn delete_bucket(&self, name: &str) -> Result<()> {
        let mut buckets = self.buckets.write();
        let bucket = buckets.get(name).ok_or(Error::NoSuchBucket)?;
        let tmp = self.tmp();
        let grave =
            tempfile::tempdir_in(&tmp).map_err(error_io("cannot make a folder in", &tmp))?;
        bucket.retire(&grave.path().join("bucket"))?;
        buckets.remove(name);
        bucket::sync_dir(&self.root.join("buckets"), self.sync)
    }

    /// Where bodies are received.
    pub(crate) fn tmp(&self) -> PathBuf {
        self.root.join("tmp")
    }
}

fn lock(path: &Path) -> Result<File> {
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)
        .map_err(error_io("cannot open", path))?;
    let since = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) if since.elapsed() < LOCK_PATIENCE => {
                std::thread::sleep(Duration::from_millis(10));
            }
            Err(TryLockError::WouldBlock) => {
                let taken = std::io::Error::other("another server uses this data folder");
                return Err(error_io("cannot lock", path)(taken));
            }
            Err(TryLockError::Error(e)) => return Err(error_io("cannot lock", path)(e)),
        }
    }
}
