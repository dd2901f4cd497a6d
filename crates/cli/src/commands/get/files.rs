//! Files and folders out of UnixFS.
//!
//! Names and links in a DAG are foreign. Nothing is written outside the folder that was asked for:
//! names are checked (`names`), a folder is only entered where it is one and no link, and a link is
//! only made where it leads to a place in the folder. A file is written beside its place and renamed
//! into it, so it is there whole or not at all.

mod names;

use std::collections::HashSet;
use std::fs::{self, File, FileTimes, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use cidbucket::{Blockstore, Cid};
use cidbucket_dag::unixfs::{self, Entry, Kind, Node};
use cidbucket_dag::{ContentPath, resolve};
use futures::stream::{FuturesUnordered, StreamExt};
use indicatif::ProgressBar;
use serde_json::json;

use crate::content;
use crate::failure::{Exit, Failure, Outcome, Stop};
use crate::session::Session;
use crate::whole_file::beside;

/// How many files are written at once. Each reads its own blocks ahead.
const AT_ONCE: usize = 8;

/// Writes what a path leads to: a file to standard output or a file, a directory to a folder.
pub(super) async fn run(
    path: ContentPath,
    output: Option<PathBuf>,
    session: &mut Session<'_>,
) -> Outcome {
    let store = session.store().await?;
    let cid = resolve(&store, &path).await?.cid;
    let node = unixfs::node(&store, &cid).await?;
    let output = output.filter(|path| path.as_os_str() != "-");
    let Some(output) = output else {
        if node.kind().is_directory() {
            let failure = Failure::usage(format!("{path} is a directory"));
            return Err(failure
                .with_hint("for a folder to write it to: -o FOLDER")
                .into());
        }
        let bar = session.bytes_to_stdout("get", node.size());
        let failed = |error: io::Error| Stop::stdout(&error);
        return copy(&store, node, &mut session.io.stdout, failed, &bar).await;
    };
    let top_is_new = !output.exists();
    let place = place(&path, &node, output)?;
    let bar = session.bytes_to_stdout("get", node.size());
    // A device or pipe is written to, not replaced.
    if fs::metadata(&place).is_ok_and(|known| !known.is_file() && !known.is_dir()) {
        let failed = |error: io::Error| {
            Stop::from(Failure::io(
                format!("cannot write {}", place.display()),
                &error,
            ))
        };
        let device = OpenOptions::new().write(true).open(&place);
        return copy(&store, node, &mut device.map_err(failed)?, failed, &bar).await;
    }
    let writer = Writer {
        store,
        bar: bar.clone(),
        written: Mutex::default(),
    };
    let mut folders = Vec::new();
    let top = place.clone();
    let mut waiting = vec![Task::Node(node, place)];
    let mut running = FuturesUnordered::new();
    let mut unchanged = 0;
    loop {
        while running.len() < AT_ONCE
            && let Some(task) = waiting.pop()
        {
            running.push(writer.run(task));
        }
        let Some((place, done)) = running.next().await else {
            break;
        };
        match done {
            Ok(Done::Folder {
                node,
                entries,
                refused,
            }) => {
                for failure in refused {
                    bar.suspend(|| session.report(&failure));
                }
                waiting.extend(entries.into_iter().rev());
                // The top may be anybody's folder, in which there is more.
                if top_is_new || place != top {
                    folders.push((place, node));
                }
            }
            Ok(Done::File { cid, size, is_new }) => {
                unchanged += u64::from(!is_new);
                if session.json {
                    session.json_line(&json!({
                        "cid": cid.to_string(),
                        "size": size,
                        "file": place.to_string_lossy(),
                        "unchanged": !is_new,
                    }))?;
                }
            }
            Ok(Done::Link) => {}
            Err(failure) => bar.suspend(|| session.report(&failure)),
        }
    }
    // What is written into a folder changes its time, and its mode may forbid to write.
    for (place, node) in folders.iter().rev() {
        if let Err(error) = stamp_folder(place, node) {
            session.report(&Failure::io(
                format!("cannot set up {}", shown(place)),
                &error,
            ));
        }
    }
    bar.finish_and_clear();
    if unchanged > 0 {
        let files = if unchanged == 1 {
            "file was"
        } else {
            "files were"
        };
        session.note(format_args!("note: {unchanged} {files} there already"));
    }
    Ok(())
}

/// Writes a file's bytes to what is open already.
async fn copy(
    store: &dyn Blockstore,
    node: Node,
    output: &mut (dyn Write + Send),
    failed: impl Fn(io::Error) -> Stop,
    bar: &ProgressBar,
) -> Outcome {
    let mut pieces = unixfs::cat_node(store, node, 0..u64::MAX);
    while let Some(piece) = pieces.next().await {
        let piece = piece?;
        output.write_all(&piece).map_err(&failed)?;
        bar.inc(piece.len() as u64);
    }
    bar.finish_and_clear();
    Ok(())
}

/// Where it goes: a directory's entries into the folder itself, a file into the folder or to the
/// file that is named.
fn place(path: &ContentPath, node: &Node, output: PathBuf) -> Outcome<PathBuf> {
    let is_folder = output.as_os_str().as_encoded_bytes().ends_with(b"/");
    if is_folder || node.kind().is_directory() {
        fs::create_dir_all(&output)
            .map_err(|e| Failure::io(format!("cannot make {}", output.display()), &e))?;
    }
    // The folder may be a link: that is its owner's word, and not the DAG's.
    let output = fs::canonicalize(&output).unwrap_or(output);
    if node.kind().is_directory() || !output.is_dir() {
        return Ok(output);
    }
    let name = path.segments.last().cloned();
    let name = name.unwrap_or_else(|| path.root.to_string());
    match names::refusal(&name, cfg!(windows)) {
        None => Ok(output.join(name)),
        Some(reason) => Err(Failure::usage(format!("{name:?} is {reason}"))
            .with_hint("name the file to write: -o FILE")
            .into()),
    }
}

/// Something to write.
enum Task {
    /// What is at hand, to its place.
    Node(Node, PathBuf),
    /// An entry of a folder, to its place, which is so many folders below the top.
    Entry(Entry, PathBuf, usize),
}

/// What became of it.
enum Done {
    Folder {
        node: Node,
        entries: Vec<Task>,
        /// Entries that cannot be written.
        refused: Vec<Failure>,
    },
    File {
        cid: Cid,
        size: u64,
        is_new: bool,
    },
    Link,
}

struct Writer {
    store: Arc<dyn Blockstore>,
    bar: ProgressBar,
    /// What this run has written, so that no name takes the place of another that the file system
    /// holds for the same.
    written: Mutex<HashSet<Identity>>,
}

impl Writer {
    async fn run(&self, task: Task) -> (PathBuf, Result<Done, Failure>) {
        match task {
            Task::Node(node, place) => {
                let done = self.node(node, &place, 0).await;
                (place, done)
            }
            Task::Entry(entry, place, depth) => {
                let done = match unixfs::node(&self.store, &entry.cid).await {
                    Ok(node) => self.node(node, &place, depth).await,
                    Err(error) => Err(Failure::from(error)),
                };
                let done = done.map_err(|failure| failure.about(shown(&place)));
                (place, done)
            }
        }
    }

    async fn node(&self, node: Node, place: &Path, depth: usize) -> Result<Done, Failure> {
        match node.kind() {
            Kind::File | Kind::Raw => self.file(node, place).await,
            Kind::Directory | Kind::Shard if depth == 0 => self.folder(node, place, 0).await,
            Kind::Directory | Kind::Shard => {
                self.make_folder(place)?;
                self.folder(node, place, depth).await
            }
            Kind::Symlink => self.link(&node, place, depth),
            Kind::Metadata => Err(Failure::new(
                Exit::Other,
                "unsupported",
                "a metadata node, of which no file can be made",
            )),
        }
    }

    /// Makes a folder, or finds it there.
    fn make_folder(&self, place: &Path) -> Result<(), Failure> {
        let failed = |error: &io::Error| Failure::io("cannot make the folder", error);
        match fs::create_dir(place) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                let known = fs::symlink_metadata(place).map_err(|error| failed(&error))?;
                if !known.is_dir() {
                    return Err(in_the_way("something that is no folder is in its place"));
                }
            }
            Err(error) => return Err(failed(&error)),
        }
        self.claim(place)
    }

    async fn folder(&self, node: Node, place: &Path, depth: usize) -> Result<Done, Failure> {
        let (mut entries, mut refused) = (Vec::new(), Vec::new());
        let mut names = HashSet::new();
        let mut listing = unixfs::entries(&self.store, *node.cid());
        while let Some(entry) = listing.next().await {
            let entry = match entry {
                Ok(entry) => entry,
                Err(error) => {
                    refused.push(Failure::from(error).about(shown(place)));
                    break;
                }
            };
            let reason = match names::refusal(&entry.name, cfg!(windows)) {
                None if names.insert(entry.name.clone()) => {
                    let place = place.join(&entry.name);
                    entries.push(Task::Entry(entry, place, depth + 1));
                    continue;
                }
                None => "there twice; the first one is written",
                Some(reason) => reason,
            };
            let message = format!("{}: the name {:?} is {reason}", shown(place), entry.name);
            refused.push(Failure::new(Exit::Other, "refused", message));
        }
        drop(listing);
        Ok(Done::Folder {
            node,
            entries,
            refused,
        })
    }

    async fn file(&self, node: Node, place: &Path) -> Result<Done, Failure> {
        let (cid, size) = (*node.cid(), node.size().unwrap_or(0));
        let (mode, time) = (mode(&node), node.mtime().and_then(content::time));
        let failed = |error: &io::Error| Failure::io("cannot write", error);
        if self.is_there(&node, place).await? {
            let file = File::open(place).map_err(|error| failed(&error))?;
            stamp(&file, mode, time).map_err(|error| failed(&error))?;
            self.claim(place)?;
            self.bar.inc(size);
            return Ok(Done::File {
                cid,
                size,
                is_new: false,
            });
        }
        let mut file = beside(folder_of(place)).map_err(|error| failed(&error))?;
        let mut pieces = unixfs::cat_node(&self.store, node, 0..u64::MAX);
        while let Some(piece) = pieces.next().await {
            let piece = piece?;
            file.write_all(&piece).map_err(|error| failed(&error))?;
            self.bar.inc(piece.len() as u64);
        }
        stamp(file.as_file(), mode, time).map_err(|error| failed(&error))?;
        if let Err(taken) = file.persist_noclobber(place) {
            if taken.error.kind() != io::ErrorKind::AlreadyExists {
                return Err(failed(&taken.error));
            }
            if self.is_written(place) {
                return Err(in_the_way(SAME_NAME));
            }
            (taken.file.persist(place)).map_err(|error| failed(&error.error))?;
        }
        self.claim(place)?;
        Ok(Done::File {
            cid,
            size,
            is_new: true,
        })
    }

    /// Whether the file is there with the same bytes.
    async fn is_there(&self, node: &Node, place: &Path) -> Result<bool, Failure> {
        let Ok(known) = fs::symlink_metadata(place) else {
            return Ok(false);
        };
        if known.is_dir() {
            return Err(in_the_way("a folder is in its place"));
        }
        if self.is_written(place) {
            return Err(in_the_way(SAME_NAME));
        }
        if !known.is_file() && !known.is_symlink() {
            return Err(in_the_way("something that is no file is in its place"));
        }
        if !known.is_file() || Some(known.len()) != node.size() {
            return Ok(false);
        }
        match File::open(place) {
            Ok(mut file) => Ok(unixfs::same_content(&self.store, node.clone(), &mut file).await?),
            Err(_) => Ok(false),
        }
    }

    /// Makes a symbolic link, if it leads to a place in the folder.
    fn link(&self, node: &Node, place: &Path, depth: usize) -> Result<Done, Failure> {
        let target = std::str::from_utf8(node.data()).ok();
        let Some(target) = target.filter(|_| depth > 0) else {
            return Err(Failure::new(
                Exit::Other,
                "refused",
                "a link that is not followed",
            ));
        };
        if !names::stays_inside(target, depth - 1) {
            let message = format!("a link to {target:?}, which is not in the folder");
            return Err(Failure::new(Exit::Other, "refused", message));
        }
        if fs::read_link(place).is_ok_and(|known| known == Path::new(target)) {
            self.claim(place)?;
            return Ok(Done::Link);
        }
        if self.is_written(place) {
            return Err(in_the_way(SAME_NAME));
        }
        let made = tempfile::Builder::new()
            .prefix(".cidbucket-")
            .make_in(folder_of(place), |path| make_link(target, path));
        let made = made.and_then(|link| Ok(link.persist(place)?));
        made.map_err(|error| Failure::io("cannot make the link", &error))?;
        self.claim(place)?;
        Ok(Done::Link)
    }

    /// Remembers that a place was written; fails where it was under another name.
    fn claim(&self, place: &Path) -> Result<(), Failure> {
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        match identity(place) {
            Some(identity) if !written.insert(identity) => Err(in_the_way(SAME_NAME)),
            _ => Ok(()),
        }
    }

    fn is_written(&self, place: &Path) -> bool {
        let written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        identity(place).is_some_and(|identity| written.contains(&identity))
    }
}

/// The folder that a place is in.
fn folder_of(place: &Path) -> &Path {
    let parent = place.parent();
    (parent.filter(|parent| !parent.as_os_str().is_empty())).unwrap_or(Path::new("."))
}

/// A path with foreign names in it, as it may be shown.
fn shown(place: &Path) -> String {
    content::name(&place.to_string_lossy()).into_owned()
}

/// Two names of a directory that are one for the file system, as `A` and `a` are for some.
const SAME_NAME: &str = "this file system takes its name for that of another entry";

fn in_the_way(reason: &str) -> Failure {
    Failure::new(Exit::Other, "conflict", reason)
}

/// What tells two places apart.
#[cfg(unix)]
type Identity = (u64, u64);

#[cfg(unix)]
fn identity(place: &Path) -> Option<Identity> {
    use std::os::unix::fs::MetadataExt;
    let known = fs::symlink_metadata(place).ok()?;
    Some((known.dev(), known.ino()))
}

/// What tells two places apart, on systems where case does not.
#[cfg(not(unix))]
type Identity = String;

#[cfg(not(unix))]
fn identity(place: &Path) -> Option<Identity> {
    fs::symlink_metadata(place).ok()?;
    Some(place.to_string_lossy().to_lowercase())
}

#[cfg(unix)]
fn make_link(target: &str, place: &Path) -> io::Result<()> {
    std::os::unix::fs::symlink(target, place)
}

#[cfg(not(unix))]
fn make_link(_: &str, _: &Path) -> io::Result<()> {
    Err(io::Error::new(
        io::ErrorKind::Unsupported,
        "links are made on Unix only",
    ))
}

/// Permissions without setuid, setgid and sticky bit, which a stranger has no say in.
fn mode(node: &Node) -> Option<u32> {
    node.mode().map(|mode| mode & 0o777)
}

/// Sets permissions and time, where they are known.
fn stamp(file: &File, mode: Option<u32>, time: Option<SystemTime>) -> io::Result<()> {
    #[cfg(unix)]
    if let Some(mode) = mode {
        use std::os::unix::fs::PermissionsExt;
        file.set_permissions(fs::Permissions::from_mode(mode))?;
    }
    #[cfg(not(unix))]
    let _ = mode;
    match time {
        Some(time) => file.set_times(FileTimes::new().set_modified(time)),
        None => Ok(()),
    }
}

#[cfg(unix)]
fn stamp_folder(place: &Path, node: &Node) -> io::Result<()> {
    let (mode, time) = (mode(node), node.mtime().and_then(content::time));
    if mode.is_none() && time.is_none() {
        return Ok(());
    }
    stamp(&File::open(place)?, mode, time)
}

#[cfg(not(unix))]
fn stamp_folder(_: &Path, _: &Node) -> io::Result<()> {
    Ok(())
}
