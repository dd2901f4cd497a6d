//! Records as files, beside the blocks of a folder.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use cidbucket_blockstore::{Error, Report, Result};
use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};

use crate::records::{Conditions, Entry, MAX_RECORD, Page, Record, Records, Tag};

/// How many records a page of a listing has. Each page reads the directory again.
const PAGE: usize = 10_000;
/// The file that is locked while a record is written, in the records' own folder.
const LOCK: &str = ".lock";
/// How the names of files begin that have no name yet. No record's does.
const TEMP: &str = ".temp-";

/// Records in a folder, each a file under its key.
///
/// A record is written to a file without a name first, and renamed: it is there whole, or not at
/// all, and on the disk once the write has returned. Writes wait for each other by an exclusive lock
/// on a file (`flock`, `LockFileEx`), so conditions hold between the threads and processes of one
/// machine. They hold between machines where the file system carries locks over the network, as
/// NFS 4 and SMB do; where it does not, two machines that write the same record at once may both
/// succeed.
#[derive(Debug, Clone)]
pub struct FolderRecords {
    root: Arc<Path>,
}

impl FolderRecords {
    /// Records under `root`, the folder of the blocks. Nothing is made before the first write.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self {
            root: root.into().into(),
        }
    }

    async fn blocking<T: Send + 'static>(
        &self,
        key: &str,
        work: impl FnOnce(&Path, &str) -> io::Result<T> + Send + 'static,
    ) -> Result<T> {
        if !is_key(key) {
            let report = Report::new("record", "no key of a record").with_key(key);
            return Err(Error::Invalid(report.into()));
        }
        let (root, owned) = (Arc::clone(&self.root), key.to_owned());
        let done = tokio::task::spawn_blocking(move || work(&root, &owned)).await;
        match done {
            Ok(Ok(done)) => Ok(done),
            Ok(Err(error)) => Err(failed(key, error)),
            Err(error) => Err(failed(key, io::Error::other(error))),
        }
    }
}

#[async_trait]
impl Records for FolderRecords {
    fn conditions(&self) -> Conditions {
        Conditions::ALL
    }

    async fn get(&self, key: &str) -> Result<Option<Record>> {
        self.blocking(key, |root, key| {
            let value = read(&root.join(key), MAX_RECORD)?;
            Ok(value.map(|value| Record {
                tag: tag(&value),
                value,
            }))
        })
        .await
    }

    async fn get_start(&self, key: &str, length: usize) -> Result<Option<Bytes>> {
        self.blocking(key, move |root, key| {
            let Some(file) = absent(File::open(root.join(key)))? else {
                return Ok(None);
            };
            let mut start = Vec::new();
            file.take(length as u64).read_to_end(&mut start)?;
            Ok(Some(start.into()))
        })
        .await
    }

    async fn create(&self, key: &str, value: Bytes) -> Result<Option<Tag>> {
        self.blocking(key, move |root, key| {
            let _locked = lock(root, key)?;
            let path = root.join(key);
            if let Some(found) = read(&path, MAX_RECORD)? {
                return Ok((found == value).then(|| tag(&value)));
            }
            write(&path, &value)?;
            Ok(Some(tag(&value)))
        })
        .await
    }

    async fn replace(&self, key: &str, value: Bytes, expected: &Tag) -> Result<Option<Tag>> {
        let expected = expected.clone();
        self.blocking(key, move |root, key| {
            let _locked = lock(root, key)?;
            let path = root.join(key);
            match read(&path, MAX_RECORD)? {
                Some(found) if found == value => {}
                Some(found) if tag(&found) == expected => write(&path, &value)?,
                _ => return Ok(None),
            }
            Ok(Some(tag(&value)))
        })
        .await
    }

    async fn put(&self, key: &str, value: Bytes) -> Result<()> {
        self.blocking(key, move |root, key| {
            let _locked = lock(root, key)?;
            write(&root.join(key), &value)
        })
        .await
    }

    async fn delete(&self, key: &str) -> Result<()> {
        self.blocking(key, |root, key| {
            let path = root.join(key);
            // Without it nothing is to be made, not even the file that is locked.
            if absent(fs::symlink_metadata(&path))?.is_none() {
                return Ok(());
            }
            let _locked = lock(root, key)?;
            if absent(fs::remove_file(&path))?.is_some() {
                sync_dir(path.parent().unwrap_or(root))?;
            }
            Ok(())
        })
        .await
    }

    async fn list(&self, prefix: &str, after: Option<&str>) -> Result<Page> {
        let (folder, _) = prefix.rsplit_once('/').unwrap_or(("", prefix));
        let folder = folder.to_owned();
        let (prefix, after) = (prefix.to_owned(), after.map(str::to_owned));
        self.blocking(&folder, move |root, folder| {
            let mut keys = Vec::new();
            collect(root, folder, &mut keys)?;
            keys.retain(|key| {
                key.starts_with(&prefix) && after.as_ref().is_none_or(|after| after < key)
            });
            keys.sort_unstable();
            let mut page = Page {
                more: keys.len() > PAGE,
                ..Page::default()
            };
            keys.truncate(PAGE);
            for key in keys {
                // It may have been deleted since.
                if let Some(metadata) = absent(fs::metadata(root.join(&key)))? {
                    page.entries.push(Entry {
                        key,
                        size: metadata.len(),
                        modified: metadata.modified().ok(),
                        tag: None,
                    });
                }
            }
            Ok(page)
        })
        .await
    }
}

/// Whether a key is a path within the folder: of letters, digits, `-`, `_` and `.`, and no name in
/// it begins with a dot but the first.
fn is_key(key: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
    key.split('/').enumerate().all(|(n, name)| {
        !name.is_empty()
            && name.bytes().all(allowed)
            && (!name.starts_with('.') || (n == 0 && name.len() > 2))
    })
}

/// The exclusive lock on the records' folder, held until it is dropped.
fn lock(root: &Path, key: &str) -> io::Result<File> {
    let folder = root.join(key.split('/').next().unwrap_or_default());
    fs::create_dir_all(&folder)?;
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(folder.join(LOCK))?;
    file.lock()?;
    Ok(file)
}

fn read(path: &Path, limit: usize) -> io::Result<Option<Bytes>> {
    let Some(file) = absent(File::open(path))? else {
        return Ok(None);
    };
    let mut value = Vec::new();
    file.take(limit as u64 + 1).read_to_end(&mut value)?;
    if value.len() > limit {
        return Err(io::Error::new(
            ErrorKind::FileTooLarge,
            "no record is so large",
        ));
    }
    Ok(Some(value.into()))
}

/// Writes a file whole, and durably with its directories.
fn write(path: &Path, value: &[u8]) -> io::Result<()> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let folder = path.parent().unwrap_or(Path::new("."));
    make_dirs(folder)?;
    let n = NEXT.fetch_add(1, Ordering::Relaxed);
    let temp = folder.join(format!("{TEMP}{}-{n}", std::process::id()));
    let written = (|| {
        // The lock is held: one that is there was left by a process that died.
        let mut file = File::create(&temp)?;
        file.write_all(value)?;
        file.sync_all()?;
        fs::rename(&temp, path)
    })();
    if written.is_err() {
        // The write has failed already, which is what gets reported.
        let _ = fs::remove_file(&temp);
    }
    written?;
    sync_dir(folder)
}

/// Makes a directory and those above it, each durably.
fn make_dirs(folder: &Path) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    if let Some(parent) = folder.parent() {
        make_dirs(parent)?;
        match fs::create_dir(folder) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(error),
            _ => sync_dir(parent)?,
        }
    }
    Ok(())
}

fn sync_dir(folder: &Path) -> io::Result<()> {
    // Windows opens no directories, and writes their changes through.
    if cfg!(unix) {
        File::open(folder)?.sync_all()?;
    }
    Ok(())
}

/// The keys under a folder, in no order.
fn collect(root: &Path, folder: &str, keys: &mut Vec<String>) -> io::Result<()> {
    let Some(entries) = absent(fs::read_dir(root.join(folder)))? else {
        return Ok(());
    };
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name();
        let Some(name) = name.to_str().filter(|name| !name.starts_with('.')) else {
            continue;
        };
        let key = format!("{folder}/{name}");
        if entry.file_type()?.is_dir() {
            collect(root, &key, keys)?;
        } else {
            keys.push(key);
        }
    }
    Ok(())
}

/// The names of values are their hashes: as each value is unlike every other, so are they.
fn tag(value: &[u8]) -> Tag {
    Tag(format!("\"{}\"", HEXLOWER.encode(&Sha256::digest(value))))
}

fn absent<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn failed(key: &str, error: io::Error) -> Error {
    let kind = error.kind();
    let report = Report::new("record", "the file system failed")
        .with_key(key)
        .with_source(error);
    match kind {
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => Error::Denied(report.into()),
        _ => Error::Io(report.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = ".cidbucket/pins/direct/bafy";

    #[tokio::test]
    async fn they_do_what_records_do() {
        let folder = tempfile::tempdir().unwrap();
        let records = FolderRecords::new(folder.path());
        assert_eq!(records.get(KEY).await.unwrap(), None);
        records.delete(KEY).await.unwrap();
        assert!(fs::read_dir(folder.path()).unwrap().next().is_none());
        let page = records.list(".cidbucket/pins/", None).await.unwrap();
        assert_eq!(page, Page::default());

        let first = records.create(KEY, "1".into()).await.unwrap().unwrap();
        assert_eq!(
            records.create(KEY, "1".into()).await.unwrap(),
            Some(first.clone())
        );
        assert_eq!(records.create(KEY, "2".into()).await.unwrap(), None);
        let second = records.replace(KEY, "2".into(), &first).await.unwrap();
        let second = second.unwrap();
        assert_eq!(
            records.replace(KEY, "3".into(), &first).await.unwrap(),
            None
        );
        let found = records.get(KEY).await.unwrap().unwrap();
        assert_eq!((found.value.as_ref(), found.tag), (&b"2"[..], second));
        records.put(KEY, "long".into()).await.unwrap();
        let start = records.get_start(KEY, 2).await.unwrap().unwrap();
        assert_eq!(start, "lo");
        records.delete(KEY).await.unwrap();
        assert_eq!(records.get(KEY).await.unwrap(), None);
    }

    #[tokio::test]
    async fn listings_go_on_after_a_key_and_show_records_only() {
        let folder = tempfile::tempdir().unwrap();
        let records = FolderRecords::new(folder.path());
        for key in ["a/x", "a/y", "a.b", "ab/z"] {
            let key = format!(".cidbucket/{key}");
            records.put(&key, key.clone().into()).await.unwrap();
        }
        fs::write(folder.path().join(".cidbucket/a/.temp-1-2"), "left").unwrap();
        let keys = |page: Page| -> Vec<String> {
            page.entries.into_iter().map(|entry| entry.key).collect()
        };
        let all = keys(records.list(".cidbucket/", None).await.unwrap());
        assert_eq!(
            all,
            [
                ".cidbucket/a.b",
                ".cidbucket/a/x",
                ".cidbucket/a/y",
                ".cidbucket/ab/z"
            ]
        );
        let rest = records.list(".cidbucket/a/", Some(".cidbucket/a/x")).await;
        assert_eq!(keys(rest.unwrap()), [".cidbucket/a/y"]);
    }

    #[tokio::test]
    async fn of_many_that_create_one_succeeds() {
        let folder = tempfile::tempdir().unwrap();
        // As processes would: each with an own one.
        let tries = (0..16).map(|n| {
            let records = FolderRecords::new(folder.path());
            tokio::spawn(async move { records.create(KEY, n.to_string().into()).await })
        });
        let mut created = 0;
        for attempt in tries.collect::<Vec<_>>() {
            created += usize::from(attempt.await.unwrap().unwrap().is_some());
        }
        assert_eq!(created, 1);
    }

    #[tokio::test]
    async fn no_key_leads_out_of_the_folder() {
        let folder = tempfile::tempdir().unwrap();
        let records = FolderRecords::new(folder.path().join("blocks"));
        for key in [
            "",
            "..",
            "../x",
            "a/../../x",
            "/etc/x",
            "a//b",
            ".",
            "a/.lock",
            "a\\b",
            "a b",
        ] {
            let error = records.put(key, "x".into()).await.unwrap_err();
            assert!(matches!(error, Error::Invalid(_)), "{key:?}");
        }
    }
}
