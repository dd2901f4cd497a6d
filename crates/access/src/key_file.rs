//! A file of keys that is read again when it changes.

use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use parking_lot::{Mutex, RwLock};
use zeroize::Zeroizing;

use crate::{KeyError, TokenKeys};

/// How often it is looked whether the file has changed, at most.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// The largest file, in bytes.
const MAX_FILE: u64 = 1 << 20;

/// Keys, and how often they have changed.
#[derive(Debug, Clone)]
pub(crate) struct Edition {
    pub(crate) number: u64,
    pub(crate) keys: Arc<TokenKeys>,
}

/// The keys of a file.
#[derive(Debug)]
pub(crate) struct KeyFile {
    path: PathBuf,
    current: RwLock<Edition>,
    looked: Mutex<Looked>,
}

#[derive(Debug)]
struct Looked {
    at: SystemTime,
    /// What the file was like when it was last read, understood or not; `None`: it was not there.
    stamp: Option<Stamp>,
}

/// By what a changed file is known. The inode tells of a file that was put in the old one's place
/// within the clock's grain.
#[derive(Debug, PartialEq, Eq)]
struct Stamp {
    modified: Option<SystemTime>,
    length: u64,
    inode: u64,
}

impl KeyFile {
    pub(crate) fn open(path: &Path, now: SystemTime) -> Result<Self, KeyError> {
        // Before it is read: what comes in between is seen as a change later.
        let stamp = Stamp::of(path).map_err(|source| failed(path, source))?;
        Ok(Self {
            current: RwLock::new(Edition {
                number: 0,
                keys: Arc::new(TokenKeys::load(path)?),
            }),
            looked: Mutex::new(Looked {
                at: now,
                stamp: Some(stamp),
            }),
            path: path.into(),
        })
    }

    /// The keys as of `now`, or at most a second before it. One caller a second looks at the file;
    /// the others go on with the keys there are.
    pub(crate) fn keys(&self, now: SystemTime) -> Edition {
        if let Some(mut looked) = self.looked.try_lock() {
            // A clock that was set back is no reason to look no more.
            let since = now.duration_since(looked.at).unwrap_or(LOOK_EVERY);
            if since >= LOOK_EVERY {
                looked.at = now;
                self.look(&mut looked);
            }
        }
        self.current.read().clone()
    }

    fn look(&self, looked: &mut Looked) {
        let stamp = Stamp::of(&self.path);
        if stamp.as_ref().ok() == looked.stamp.as_ref() {
            return;
        }
        let keys = match stamp {
            Ok(stamp) => {
                looked.stamp = Some(stamp);
                TokenKeys::load(&self.path)
            }
            Err(source) => {
                looked.stamp = None;
                Err(failed(&self.path, source))
            }
        };
        match keys {
            Ok(keys) => {
                tracing::info!(path = %self.path.display(), ?keys, "read the token keys again");
                let mut current = self.current.write();
                *current = Edition {
                    number: current.number + 1,
                    keys: Arc::new(keys),
                };
            }
            Err(error) => {
                tracing::warn!(
                    path = %self.path.display(),
                    %error,
                    "the file of token keys cannot be used as it is now; the old keys stay in force"
                );
            }
        }
    }
}

impl Stamp {
    fn of(path: &Path) -> io::Result<Self> {
        let metadata = std::fs::metadata(path)?;
        Ok(Self {
            modified: metadata.modified().ok(),
            length: metadata.len(),
            inode: inode(&metadata),
        })
    }
}

#[cfg(unix)]
fn inode(metadata: &Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::ino(metadata)
}

#[cfg(not(unix))]
fn inode(_: &Metadata) -> u64 {
    0
}

/// The bytes of a file of keys, wiped when they are dropped.
pub(crate) fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let mut json = Zeroizing::new(Vec::new());
    let read = || -> io::Result<()> {
        File::open(path)?
            .take(MAX_FILE + 1)
            .read_to_end(&mut json)?;
        if json.len() as u64 > MAX_FILE {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "the file is larger than 1 MiB: no file of keys",
            ));
        }
        Ok(())
    };
    let mut read = read;
    read().map_err(|source| failed(path, source))?;
    Ok(json)
}

pub(crate) fn failed(path: &Path, source: io::Error) -> KeyError {
    KeyError::File {
        path: path.into(),
        source,
    }
}
