//! One bucket: a sorted index in memory over a folder of object files.
//!
//! The lock of the index is the order of all changes: a condition is checked, the file renamed into
//! place and the index changed while it is held. File names are the SHA-256 of the key, so that every
//! key is possible on every file system (`a` beside `a/b`, `..`, keys that differ in case only).

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io,
    ops::Bound,
    path::{Path, PathBuf},
    sync::Arc,
};

use data_encoding::HEXLOWER;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{
    error::{Error, Result, io},
    record::{self, Attributes, Meta},
    staged::Staged,
};
use crate::{clock, cors};

/// What must hold of the object already there for a change to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Condition {
    /// Nothing.
    None,
    /// `If-None-Match: *`: there is none.
    Absent,
    /// `If-Match`: there is one with this etag (no quotes), or any for `None`.
    Match(Option<String>),
}

/// A bucket's own settings, in `bucket.json`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Config {
    /// Milliseconds since 1970 UTC.
    pub(crate) created: u64,
    #[serde(default)]
    pub(crate) anonymous_read: bool,
    #[serde(default)]
    pub(crate) cors: Option<Vec<cors::Rule>>,
    #[serde(default)]
    pub(crate) policy: Option<String>,
}

#[derive(Debug)]
pub(crate) struct Bucket {
    pub(crate) name: String,
    pub(crate) dir: PathBuf,
    sync: bool,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    config: Arc<Config>,
    objects: BTreeMap<Vec<u8>, Arc<Meta>>,
    /// Set for good once the bucket has been deleted, for those who still hold it.
    deleted: bool,
}

const CONFIG: &str = "bucket.json";
const OBJECTS: &str = "objects";
pub(super) const UPLOADS: &str = "uploads";
pub(super) const UPLOAD: &str = "upload.json";

/// Writes the folders and settings of a new, empty bucket into `dir`.
pub(super) fn write_new(dir: &Path, config: &Config, sync: bool) -> Result<()> {
    for sub in [OBJECTS, UPLOADS] {
        let path = dir.join(sub);
        fs::create_dir(&path).map_err(io("cannot make the folder", &path))?;
    }
    write_config(dir, config, sync)
}

impl Bucket {
    /// Reads a bucket's settings and the metadata of all its objects.
    pub(super) fn open(name: &str, dir: PathBuf, sync: bool) -> Result<Self> {
        sweep(&dir).map_err(io("cannot sweep", &dir))?;
        let path = dir.join(CONFIG);
        let config = fs::read(&path)
            .and_then(|json| Ok(serde_json::from_slice(&json)?))
            .map_err(io("cannot read the bucket's settings", &path))?;
        let mut objects = BTreeMap::new();
        let folder = dir.join(OBJECTS);
        for entry in fs::read_dir(&folder).map_err(io("cannot list", &folder))? {
            let path = entry.map_err(io("cannot list", &folder))?.path();
            let meta = File::open(&path)
                .and_then(|mut file| record::read(&mut file))
                .map_err(io(
                    "damaged object file (move it away to start without it)",
                    &path,
                ))?;
            objects.insert(meta.key.clone().into_bytes(), Arc::new(meta));
        }
        Ok(Self {
            name: name.to_owned(),
            dir,
            sync,
            state: Mutex::new(State {
                config: Arc::new(config),
                objects,
                deleted: false,
            }),
        })
    }

    pub(crate) fn config(&self) -> Arc<Config> {
        Arc::clone(&self.state.lock().config)
    }

    /// Changes the settings, durably.
    pub(crate) fn configure(&self, change: impl FnOnce(&mut Config)) -> Result<()> {
        let mut state = self.state.lock();
        if state.deleted {
            return Err(Error::NoSuchBucket);
        }
        let mut config = (*state.config).clone();
        change(&mut config);
        write_config(&self.dir, &config, self.sync)?;
        state.config = Arc::new(config);
        Ok(())
    }

    pub(crate) fn meta(&self, key: &str) -> Result<Arc<Meta>> {
        let state = self.state.lock();
        state.find(key).cloned().ok_or(Error::NoSuchKey)
    }

    /// Metadata and file of an object, both of the same version of it.
    pub(crate) fn read(&self, key: &str) -> Result<(Arc<Meta>, File)> {
        let state = self.state.lock();
        let meta = state.find(key).ok_or(Error::NoSuchKey)?;
        let path = self.path(key);
        let file = File::open(&path).map_err(io("cannot open the object", &path))?;
        Ok((Arc::clone(meta), file))
    }

    /// Makes a received body the object at `key`. On return it is durable; what fails before the
    /// body is in its place changes nothing.
    pub(crate) fn put(
        &self,
        key: &str,
        mut staged: Staged,
        etag: String,
        attributes: Attributes,
        condition: &Condition,
    ) -> Result<Arc<Meta>> {
        let meta = Arc::new(Meta {
            key: key.to_owned(),
            size: staged.size,
            etag,
            modified: clock::now(),
            attributes,
            checksums: std::mem::take(&mut staged.checksums),
        });
        seal(&mut staged, &meta, self.sync)?;
        let path = self.path(key);
        {
            let mut state = self.state.lock();
            if state.deleted {
                return Err(Error::NoSuchBucket);
            }
            state.check(key, condition)?;
            staged
                .file
                .persist(&path)
                .map_err(|e| io("cannot put the object in its place", &path)(e.error))?;
            state
                .objects
                .insert(key.as_bytes().to_vec(), Arc::clone(&meta));
        }
        self.settle()?;
        Ok(meta)
    }

    /// Removes an object, if there is one. Durable after [`settle`](Self::settle).
    pub(crate) fn delete(&self, key: &str, condition: &Condition) -> Result<()> {
        let mut state = self.state.lock();
        if state.deleted {
            return Err(Error::NoSuchBucket);
        }
        state.check(key, condition)?;
        if state.find(key).is_some() {
            let path = self.path(key);
            fs::remove_file(&path).map_err(io("cannot remove the object", &path))?;
            state.objects.remove(key.as_bytes());
        }
        Ok(())
    }

    /// Makes all changes so far survive a loss of power.
    pub(crate) fn settle(&self) -> Result<()> {
        sync_dir(&self.dir.join(OBJECTS), self.sync)
    }

    /// Up to `limit` objects from a bound on, in the order of the bytes of the keys.
    pub(super) fn some(&self, from: Bound<&[u8]>, limit: usize) -> Vec<Arc<Meta>> {
        let state = self.state.lock();
        let found = state.objects.range::<[u8], _>((from, Bound::Unbounded));
        found
            .take(limit)
            .map(|(_, meta)| Arc::clone(meta))
            .collect()
    }

    /// Takes the folder away by renaming it to `to`, if the bucket is empty.
    pub(super) fn retire(&self, to: &Path) -> Result<()> {
        let mut state = self.state.lock();
        if state.deleted {
            return Err(Error::NoSuchBucket);
        }
        if !state.objects.is_empty() {
            return Err(Error::BucketNotEmpty);
        }
        fs::rename(&self.dir, to).map_err(io("cannot remove the bucket", &self.dir))?;
        state.deleted = true;
        Ok(())
    }

    fn path(&self, key: &str) -> PathBuf {
        let name = HEXLOWER.encode(&Sha256::digest(key.as_bytes()));
        self.dir.join(OBJECTS).join(name)
    }

    pub(super) fn sync(&self) -> bool {
        self.sync
    }
}

impl State {
    fn find(&self, key: &str) -> Option<&Arc<Meta>> {
        self.objects.get(key.as_bytes())
    }

    fn check(&self, key: &str, condition: &Condition) -> Result<()> {
        match (condition, self.find(key)) {
            (Condition::Absent, Some(_)) => Err(Error::PreconditionFailed),
            (Condition::Match(_), None) => Err(Error::NoSuchKey),
            (Condition::Match(Some(etag)), Some(meta)) if *etag != meta.etag => {
                Err(Error::PreconditionFailed)
            }
            _ => Ok(()),
        }
    }
}

/// Completes a received file with its metadata and brings it to the disk.
pub(super) fn seal(staged: &mut Staged, meta: &Meta, sync: bool) -> Result<()> {
    let path = staged.file.path().to_owned();
    let file = staged.file.as_file_mut();
    record::finish(file, meta)
        .and_then(|()| if sync { file.sync_all() } else { Ok(()) })
        .map_err(io("cannot write", path))
}

/// Makes renames and removals in a folder survive a loss of power.
pub(super) fn sync_dir(dir: &Path, sync: bool) -> Result<()> {
    // Only Unix can open a folder to sync it; elsewhere a rename is durable with the file system's journal.
    if sync && cfg!(unix) {
        File::open(dir)
            .and_then(|dir| dir.sync_all())
            .map_err(io("cannot sync the folder", dir))?;
    }
    Ok(())
}

fn write_config(dir: &Path, config: &Config, sync: bool) -> Result<()> {
    let path = dir.join(CONFIG);
    write_json(dir, &path, config, sync).map_err(io("cannot write", &path))?;
    sync_dir(dir, sync)
}

/// Removes what crashes left: half-written settings, uploads half-made or half-removed.
fn sweep(dir: &Path) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_name().as_encoded_bytes().starts_with(b".") {
            fs::remove_file(entry.path())?;
        }
    }
    for entry in fs::read_dir(dir.join(UPLOADS))? {
        let upload = entry?.path();
        if !upload.join(UPLOAD).exists() {
            fs::remove_dir_all(upload)?;
        }
    }
    Ok(())
}

/// Replaces a small file at once.
pub(super) fn write_json(
    dir: &Path,
    path: &Path,
    value: &impl Serialize,
    sync: bool,
) -> io::Result<()> {
    let mut file = tempfile::Builder::new().prefix(".").tempfile_in(dir)?;
    serde_json::to_writer(file.as_file_mut(), value)?;
    if sync {
        file.as_file().sync_all()?;
    }
    file.persist(path)?;
    Ok(())
}
