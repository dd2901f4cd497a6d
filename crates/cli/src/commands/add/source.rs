//! Files and folders as items to import, read on a thread of their own.

use std::fs::{self, File, FileType};
use std::io::{self, Read};
use std::path::{Component, Path};
use std::time::SystemTime;

use cidbucket::{BoxStream, Bytes, Error, Report};
use cidbucket_dag::unixfs::{Content, Item, Metadata, Mtime};
use cidbucket_dag::{DagError, Result};
use futures::stream::{self, StreamExt};
use tokio::sync::mpsc;
use walkdir::{DirEntry, WalkDir};

use super::root::{Root, utf8};

/// Bytes that are read at once. What chunks of this size or its parts are cut from is not copied.
const PIECE: usize = 1 << 20;
/// How many items are read ahead: small files whole, large ones up to two pieces.
const ITEMS_AHEAD: usize = 8;

/// What is kept of files and folders.
#[derive(Debug, Clone, Copy)]
pub(super) struct Keep {
    /// Those in folders whose names begin with a dot.
    pub(super) hidden: bool,
    /// Their permissions.
    pub(super) mode: bool,
    /// When they were changed last.
    pub(super) mtime: bool,
}

/// Reads the roots, and what is in them in the order of names. It ends with the first error.
pub(super) fn read(roots: Vec<Root>, keep: Keep) -> BoxStream<'static, Result<Item<'static>>> {
    let (items, receiver) = mpsc::channel(ITEMS_AHEAD);
    tokio::task::spawn_blocking(move || {
        let reader = Reader { items, keep };
        for root in roots {
            match reader.root(root) {
                Ok(()) => {}
                Err(Ended::Failed(error)) => {
                    return drop(reader.items.blocking_send(Err(error)));
                }
                Err(Ended::Unwanted) => return,
            }
        }
    });
    received(receiver)
}

struct Reader {
    items: mpsc::Sender<Result<Item<'static>>>,
    keep: Keep,
}

/// Why reading ended before its end.
enum Ended {
    Failed(DagError),
    /// It was told already, or nobody listens any more.
    Unwanted,
}

impl From<DagError> for Ended {
    fn from(error: DagError) -> Self {
        Self::Failed(error)
    }
}

impl Reader {
    fn root(&self, root: Root) -> Result<(), Ended> {
        match root {
            Root::Stdin(stdin) => self.content(
                String::new(),
                Metadata::default(),
                Path::new("standard input"),
                stdin,
                None,
            ),
            Root::Path {
                path,
                name,
                metadata,
            } if metadata.is_dir() => self.folder(&path, &name, &metadata),
            Root::Path {
                path,
                name,
                metadata,
            } => self.single(&path, name, &metadata),
        }
    }

    fn folder(&self, path: &Path, name: &str, metadata: &fs::Metadata) -> Result<(), Ended> {
        self.item(name.to_owned(), self.kept(metadata), Content::Directory)?;
        let is_wanted = |entry: &DirEntry| {
            let is_hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
            // The folder itself is what was asked for.
            entry.depth() == 0 || self.keep.hidden || !is_hidden
        };
        let walk = WalkDir::new(path)
            .min_depth(1)
            .sort_by_file_name()
            .into_iter()
            .filter_entry(is_wanted);
        for entry in walk {
            let entry = entry.map_err(|error| {
                let at = error.path().unwrap_or(path).to_owned();
                unreadable(&at, &error.into())
            })?;
            let metadata = entry
                .metadata()
                .map_err(|error| unreadable(entry.path(), &error.into()))?;
            let below = below(name, path, entry.path())?;
            if metadata.is_dir() {
                self.item(below, self.kept(&metadata), Content::Directory)?;
            } else {
                self.single(entry.path(), below, &metadata)?;
            }
        }
        Ok(())
    }

    /// A file or a link.
    fn single(&self, path: &Path, name: String, metadata: &fs::Metadata) -> Result<(), Ended> {
        let kind = metadata.file_type();
        if kind.is_symlink() {
            let target = fs::read_link(path).map_err(|error| unreadable(path, &error))?;
            let target = target.to_str().map(ToOwned::to_owned).ok_or_else(|| {
                DagError::Invalid(format!(
                    "{} leads to a name that is not UTF-8, as UnixFS wants names to be",
                    path.display()
                ))
            })?;
            return self.item(name, self.kept(metadata), Content::Symlink(target));
        }
        if !kind.is_file() {
            return Err(special(path, kind).into());
        }
        let file = File::open(path).map_err(|error| unreadable(path, &error))?;
        let before = State::of(path, &file)?;
        let metadata = self.kept(metadata);
        let unchanged = file.try_clone().map_err(|error| unreadable(path, &error))?;
        self.content(name, metadata, path, file, Some((unchanged, before)))
    }

    fn item(
        &self,
        path: String,
        metadata: Metadata,
        content: Content<'static>,
    ) -> Result<(), Ended> {
        let item = Item {
            path,
            metadata,
            content,
        };
        let sent = self.items.blocking_send(Ok(item));
        sent.map_err(|_| Ended::Unwanted)
    }

    /// Reads a file to its end, and looks whether it still is what it was.
    fn content(
        &self,
        name: String,
        metadata: Metadata,
        path: &Path,
        mut content: impl Read,
        before: Option<(File, State)>,
    ) -> Result<(), Ended> {
        let (pieces, receiver) = mpsc::channel(1);
        self.item(name, metadata, Content::File(received(receiver)))?;
        let send = |piece| pieces.blocking_send(piece).map_err(|_| Ended::Unwanted);
        let mut read = 0;
        loop {
            let expected = before.as_ref().map_or(u64::MAX, |(_, state)| state.size);
            let room = usize::try_from(expected.saturating_sub(read)).unwrap_or(PIECE);
            match piece(&mut content, room.min(PIECE)) {
                Ok(piece) if piece.is_empty() => break,
                Ok(piece) => {
                    read += piece.len() as u64;
                    send(Ok(piece))?;
                }
                Err(error) => {
                    send(Err(unreadable(path, &error)))?;
                    return Err(Ended::Unwanted);
                }
            }
        }
        if let Some((file, before)) = before {
            match State::of(path, &file) {
                // Files of the system say that they are empty.
                Ok(after) if after == before && (read == after.size || after.size == 0) => {}
                Ok(_) => {
                    send(Err(changed(path)))?;
                    return Err(Ended::Unwanted);
                }
                Err(error) => {
                    send(Err(error))?;
                    return Err(Ended::Unwanted);
                }
            }
        }
        Ok(())
    }

    fn kept(&self, metadata: &fs::Metadata) -> Metadata {
        Metadata {
            mode: mode(metadata).filter(|_| self.keep.mode),
            mtime: metadata
                .modified()
                .ok()
                .filter(|_| self.keep.mtime)
                .map(mtime),
        }
    }
}

/// What a file is known by while it is read.
#[derive(PartialEq, Eq)]
struct State {
    size: u64,
    modified: Option<SystemTime>,
}

impl State {
    fn of(path: &Path, file: &File) -> Result<Self> {
        let metadata = file.metadata().map_err(|error| unreadable(path, &error))?;
        Ok(Self {
            size: metadata.len(),
            modified: metadata.modified().ok(),
        })
    }
}

/// The next bytes, at most [`PIECE`]; none at the end.
fn piece(content: &mut impl Read, room: usize) -> io::Result<Bytes> {
    let mut piece = Vec::with_capacity(room);
    content.take(PIECE as u64).read_to_end(&mut piece)?;
    Ok(piece.into())
}

/// The path of an entry below a folder that has a name.
fn below(name: &str, folder: &Path, entry: &Path) -> Result<String> {
    let mut below = name.to_owned();
    let rest = entry.strip_prefix(folder).unwrap_or(entry);
    for component in rest.components() {
        if let Component::Normal(name) = component {
            below.push('/');
            below.push_str(&utf8(entry, name)?);
        }
    }
    Ok(below)
}

#[cfg(unix)]
#[expect(clippy::unnecessary_wraps, reason = "elsewhere there are none")]
fn mode(metadata: &fs::Metadata) -> Option<u32> {
    use std::os::unix::fs::MetadataExt;
    Some(metadata.mode() & 0o7777)
}

#[cfg(not(unix))]
fn mode(_: &fs::Metadata) -> Option<u32> {
    None
}

fn mtime(time: SystemTime) -> Mtime {
    match time.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(after) => Mtime {
            seconds: i64::try_from(after.as_secs()).unwrap_or(i64::MAX),
            nanoseconds: after.subsec_nanos(),
        },
        Err(before) => {
            // A fraction counts forward from the whole second before it.
            let before = before.duration();
            let whole = i64::try_from(before.as_secs()).map_or(i64::MIN, |seconds| -seconds);
            match before.subsec_nanos() {
                0 => Mtime {
                    seconds: whole,
                    nanoseconds: 0,
                },
                fraction => Mtime {
                    seconds: whole.saturating_sub(1),
                    nanoseconds: 1_000_000_000 - fraction,
                },
            }
        }
    }
}

pub(super) fn unreadable(path: &Path, error: &io::Error) -> DagError {
    let report = Report::new("read", error.to_string()).with_key(path.display().to_string());
    DagError::Store(Error::Io(report.into()))
}

fn changed(path: &Path) -> DagError {
    let report = Report::new("read", "it was changed while it was read; add it again")
        .with_key(path.display().to_string());
    DagError::Store(Error::Io(report.into()))
}

fn special(path: &Path, kind: FileType) -> DagError {
    DagError::Invalid(format!(
        "{} is {}; only files, folders and symbolic links can be added",
        path.display(),
        name_of_kind(kind)
    ))
}

#[cfg(unix)]
fn name_of_kind(kind: FileType) -> &'static str {
    use std::os::unix::fs::FileTypeExt;
    if kind.is_fifo() {
        "a named pipe"
    } else if kind.is_socket() {
        "a socket"
    } else {
        "a device"
    }
}

#[cfg(not(unix))]
fn name_of_kind(_: FileType) -> &'static str {
    "a special file"
}

fn received<T: Send + 'static>(mut receiver: mpsc::Receiver<T>) -> BoxStream<'static, T> {
    stream::poll_fn(move |context| receiver.poll_recv(context)).boxed()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn times_before_1970_count_forward() {
        let epoch = SystemTime::UNIX_EPOCH;
        for (time, seconds, nanoseconds) in [
            (epoch, 0, 0),
            (epoch + Duration::new(5, 7), 5, 7),
            (epoch - Duration::from_secs(5), -5, 0),
            (epoch - Duration::new(5, 1), -6, 999_999_999),
        ] {
            let expected = Mtime {
                seconds,
                nanoseconds,
            };
            assert_eq!(mtime(time), expected);
        }
    }

    #[test]
    fn paths_below_a_folder() {
        for (folder, entry) in [("x/photos", "x/photos/a/b.jpg"), (".", "./a/b.jpg")] {
            let path = below("photos", Path::new(folder), Path::new(entry)).unwrap();
            assert_eq!(path, "photos/a/b.jpg");
        }
    }
}
