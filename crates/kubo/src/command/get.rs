//! `get`: files and directories as an archive.

use std::io::Write;

use bytes::Bytes;
use cidbucket_blockstore::{Blockstore, Cid};
use cidbucket_dag::unixfs::{self, Entry, Kind, Node};
use flate2::Compression;
use flate2::write::GzEncoder;
use futures::stream::{StreamExt, TryStreamExt};

use super::Context;
use super::tar::{self, TarWriter};
use crate::path;
use crate::wire::emitter::Emitter;
use crate::wire::failure::Failure;

/// How deep directories may lie in each other.
const MAX_DEPTH: usize = 1000;

pub(super) async fn get(mut context: Context) -> Result<(), Failure> {
    let options = &context.call.options;
    let level = if options.flag("compress") {
        let level = options.integer::<u32>("compression-level").unwrap_or(6);
        if !(1..=9).contains(&level) {
            return Err(Failure::client("compression level must be between 1 and 9"));
        }
        Some(level)
    } else {
        None
    };
    let archive = options.flag("archive");
    let node = context.node.clone();
    let store = node.store();
    let path = path::parse(context.argument())?;
    let name = match path.segments.last() {
        Some(name) => name.clone(),
        None => path.root.to_string(),
    };
    let found = path::follow(store, context.argument()).await?;
    if !found.value_path.is_empty() {
        return Err(Failure::new("this is neither a file nor a directory"));
    }
    let root = unixfs::node(store, &found.cid).await?;
    let media_type = match level {
        None => "application/x-tar",
        Some(_) => "application/gzip",
    };
    context.out.begin_bytes(media_type, root.size()).await?;
    let mut sink = Sink {
        out: &mut context.out,
        gzip: level.map(|level| GzEncoder::new(Vec::new(), Compression::new(level))),
    };
    // A single file is compressed as it is, unless an archive is asked for.
    if root.kind().is_file() && level.is_some() && !archive {
        content(store, found.cid, &mut sink).await?;
    } else {
        pack(store, name, root, &mut sink).await?;
    }
    sink.finish().await
}

/// Where an archive goes, compressed or not.
struct Sink<'a> {
    out: &'a mut Emitter,
    gzip: Option<GzEncoder<Vec<u8>>>,
}

impl Sink<'_> {
    async fn write(&mut self, data: Bytes) -> Result<(), Failure> {
        let Some(gzip) = &mut self.gzip else {
            return self.out.bytes(data).await;
        };
        gzip.write_all(&data).map_err(|error| archiving(&error))?;
        let ready = std::mem::take(gzip.get_mut());
        self.out.bytes(ready.into()).await
    }

    async fn finish(self) -> Result<(), Failure> {
        let Some(gzip) = self.gzip else {
            return Ok(());
        };
        let rest = gzip.finish().map_err(|error| archiving(&error))?;
        self.out.bytes(rest.into()).await
    }
}

/// A directory of which entries are left, the next one last.
struct Level {
    path: String,
    entries: Vec<Entry>,
}

async fn pack(
    store: &dyn Blockstore,
    name: String,
    root: Node,
    sink: &mut Sink<'_>,
) -> Result<(), Failure> {
    let mut writer = TarWriter::new();
    let mut levels: Vec<Level> = Vec::new();
    let mut next = Some((name, root));
    loop {
        if let Some((path, node)) = next.take()
            && let Some(level) = one(store, path, &node, &mut writer, sink).await?
        {
            if levels.len() == MAX_DEPTH {
                return Err(Failure::new(format!(
                    "more than {MAX_DEPTH} levels, the limit"
                )));
            }
            levels.push(level);
        }
        let Some(level) = levels.last_mut() else {
            break;
        };
        let Some(entry) = level.entries.pop() else {
            levels.pop();
            continue;
        };
        if !is_name(&entry.name) {
            return Err(Failure::new(format!(
                "the name {:?} in {:?} cannot be that of a file",
                entry.name, level.path
            )));
        }
        let path = format!("{}/{}", level.path, entry.name);
        next = Some((path, unixfs::node(store, &entry.cid).await?));
    }
    sink.write(TarWriter::end()).await
}

/// Writes one node; of a directory the head, and answers with what is in it.
async fn one(
    store: &dyn Blockstore,
    path: String,
    node: &Node,
    writer: &mut TarWriter,
    sink: &mut Sink<'_>,
) -> Result<Option<Level>, Failure> {
    let target = String::from_utf8_lossy(node.data());
    let size = node.size().unwrap_or(0);
    let kind = match node.kind() {
        Kind::File | Kind::Raw => tar::Kind::File(size),
        Kind::Directory | Kind::Shard => tar::Kind::Directory,
        Kind::Symlink => tar::Kind::Symlink(&target),
        Kind::Metadata => {
            return Err(Failure::new(format!(
                "{} is neither a file nor a directory",
                node.cid()
            )));
        }
    };
    let mtime = node
        .mtime()
        .and_then(|time| u64::try_from(time.seconds).ok());
    let head = writer.head(&path, kind, node.mode(), mtime.unwrap_or(0));
    sink.write(head.map_err(|error| archiving(&error))?).await?;
    match kind {
        tar::Kind::File(size) => {
            content(store, *node.cid(), sink).await?;
            sink.write(TarWriter::padding(size)).await?;
            Ok(None)
        }
        tar::Kind::Directory => {
            let mut entries: Vec<Entry> = unixfs::entries(store, *node.cid()).try_collect().await?;
            entries.sort_by(|a, b| b.name.cmp(&a.name));
            Ok(Some(Level { path, entries }))
        }
        tar::Kind::Symlink(_) => Ok(None),
    }
}

async fn content(store: &dyn Blockstore, cid: Cid, sink: &mut Sink<'_>) -> Result<(), Failure> {
    let mut bytes = unixfs::cat(store, cid, 0..u64::MAX);
    while let Some(data) = bytes.next().await {
        sink.write(data?).await?;
    }
    Ok(())
}

/// Whether a directory's name can be that of a file in it: whoever unpacks the archive would write
/// elsewhere otherwise.
fn is_name(name: &str) -> bool {
    !matches!(name, "" | "." | "..") && !name.contains(['/', '\0'])
}

fn archiving(error: &std::io::Error) -> Failure {
    Failure::new(format!("cannot be put into an archive: {error}"))
}
