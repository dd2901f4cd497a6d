//! `add`: files and directories become DAGs.

use std::collections::BTreeMap;

use cidbucket_blockstore::{Block, Cid};
use cidbucket_dag::unixfs::add::{Added, DirectoryBuilder, FileBuilder, Flags, Profile, symlink};
use cidbucket_dag::unixfs::{Metadata, Mtime};
use cidbucket_records::PinType;
use serde_json::{Value, json};

use super::{Context, block};
use crate::block_writer::BlockWriter;
use crate::cid_text::CidText;
use crate::pinner::{Pinner, Wanted, check_name};
use crate::wire::emitter::Emitter;
use crate::wire::failure::Failure;
use crate::wire::options::Options;
use crate::wire::upload::{Content, File, Part};

/// How often progress is told, in bytes of a file.
const EVERY: u64 = 256 << 10;
/// How deep directories may lie in each other.
const MAX_DEPTH: usize = 1000;

pub(super) async fn add(mut context: Context) -> Result<(), Failure> {
    let options = &context.call.options;
    refuse_what_is_not_done(options)?;
    let only_hash = options.flag("only-hash");
    let pin = options.flag_or_true("pin") && !only_hash;
    let name = options.text("pin-name").unwrap_or_default().to_owned();
    check_name(&name)?;
    if !name.is_empty() && !pin {
        return Err(Failure::new("pin-name option requires pin to be set"));
    }
    let wrap = options.flag("wrap-with-directory");
    let mut adder = Adder {
        profile: profile(options)?,
        given: given_metadata(options)?,
        preserve_mode: options.flag("preserve-mode"),
        preserve_mtime: options.flag("preserve-mtime"),
        text: CidText::of(options)?,
        progress: options.flag("progress"),
        silent: options.flag("silent"),
        writer: (!only_hash).then(|| context.node.writer()),
        out: &mut context.out,
        made: Vec::new(),
    };
    let mut upload = context
        .upload
        .take()
        .ok_or_else(|| Failure::client("file argument 'path' is required"))?;
    let mut tree = Directory::default();
    let mut roots = Vec::new();
    let mut parts = 0_u64;
    while let Some(part) = upload.next().await? {
        parts += 1;
        adder.part(part, wrap, &mut tree, &mut roots).await?;
    }
    if parts == 0 {
        return Err(Failure::new("expected a file argument"));
    }
    adder.directories(tree, wrap, &mut roots).await?;
    if let Some(writer) = adder.writer.take() {
        writer.finish().await?;
    }
    if pin {
        for root in roots {
            keep(context.node.pinner(), root, &name).await?;
        }
    }
    Ok(())
}

/// Pins what was just stored whole, and so need not be walked.
async fn keep(pinner: Pinner<'_>, root: Cid, name: &str) -> Result<(), Failure> {
    let mut wanted = Wanted::new(root, PinType::Recursive);
    name.clone_into(&mut wanted.name);
    pinner.add_whole(wanted).await
}

fn refuse_what_is_not_done(options: &Options) -> Result<(), Failure> {
    for name in ["trickle", "nocopy", "inline"] {
        if options.flag(name) {
            return Err(Failure::new(format!("this node does not do --{name}")));
        }
    }
    if options.text("to-files").is_some() {
        return Err(Failure::new(
            "this node has no MFS, so there is nothing to add to (--to-files)",
        ));
    }
    if options
        .integer::<i32>("max-directory-links")
        .is_some_and(|n| n > 0)
    {
        return Err(Failure::new(
            "this node shards directories by their size (--max-directory-links)",
        ));
    }
    Ok(())
}

fn profile(options: &Options) -> Result<Profile, Failure> {
    let version = match options.integer::<i32>("cid-version") {
        None => None,
        Some(version) => Some(
            u64::try_from(version)
                .map_err(|_| Failure::new(format!("unknown CID version: {version}")))?,
        ),
    };
    let hash = match options.text("hash") {
        None => None,
        Some(name) => Some(
            block::hash(&name.to_ascii_lowercase())
                .ok_or_else(|| Failure::new(format!("unrecognized hash function: {name:?}")))?,
        ),
    };
    let chunker = match options.text("chunker") {
        None => None,
        Some(text) => Some(text.parse()?),
    };
    let metadata = options.flag("preserve-mode")
        || options.flag("preserve-mtime")
        || options.integer::<u32>("mode").is_some_and(|mode| mode != 0)
        || options
            .integer::<i64>("mtime")
            .is_some_and(|mtime| mtime != 0);
    let mut profile = Flags {
        cid_version: version,
        raw_leaves: options.said("raw-leaves"),
        hash,
        chunker,
        metadata,
        ..Flags::default()
    }
    .profile()?;
    let positive = |name: &str| {
        let number = options.integer::<i32>(name);
        number
            .and_then(|n| usize::try_from(n).ok())
            .filter(|n| *n > 0)
    };
    if let Some(links) = positive("max-file-links") {
        profile.max_links = links;
    }
    if let Some(fanout) = positive("max-hamt-fanout") {
        profile.sharding.fanout = fanout as u64;
    }
    // What contradicts itself is refused before anything was read.
    FileBuilder::new(&profile)?;
    DirectoryBuilder::new(&profile)?;
    Ok(profile)
}

/// Mode and time that everything gets.
fn given_metadata(options: &Options) -> Result<Metadata, Failure> {
    let seconds = options.integer::<i64>("mtime").filter(|mtime| *mtime != 0);
    let nanoseconds = options.integer::<u32>("mtime-nsecs").unwrap_or(0);
    if seconds.is_none() && nanoseconds != 0 {
        return Err(Failure::new(
            "option \"mtime-nsecs\" requires \"mtime\" to be provided as well",
        ));
    }
    if nanoseconds >= 1_000_000_000 {
        return Err(Failure::new("mtime-nsecs must be below 1000000000"));
    }
    Ok(Metadata {
        mode: options.integer::<u32>("mode").filter(|mode| *mode != 0),
        mtime: seconds.map(|seconds| Mtime {
            seconds,
            nanoseconds,
        }),
    })
}

/// A directory whose entries are not all known yet.
#[derive(Default)]
struct Directory {
    entries: BTreeMap<String, Entry>,
    metadata: Metadata,
    /// Mode and time as they came, to be told.
    came: (Option<u32>, Option<(i64, u32)>),
}

enum Entry {
    Directory(Directory),
    /// A file or a link.
    Whole(Added),
}

/// Makes blocks of what comes, and tells about it.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is an option of its own"
)]
struct Adder<'a> {
    profile: Profile,
    given: Metadata,
    preserve_mode: bool,
    preserve_mtime: bool,
    text: CidText,
    progress: bool,
    silent: bool,
    /// Where blocks go; nowhere where only hashes are wanted.
    writer: Option<BlockWriter>,
    out: &'a mut Emitter,
    /// Blocks that are on their way to the writer.
    made: Vec<Block>,
}

impl Adder<'_> {
    /// Takes one part of the upload.
    async fn part(
        &mut self,
        part: Part,
        wrap: bool,
        tree: &mut Directory,
        roots: &mut Vec<Cid>,
    ) -> Result<(), Failure> {
        let metadata = self.metadata(&part);
        let came = (part.mode, part.mtime);
        if part.path.len() > MAX_DEPTH {
            return Err(Failure::new(format!(
                "more than {MAX_DEPTH} levels, the limit"
            )));
        }
        let name = part.path.join("/");
        let added = match part.content {
            Content::Directory => {
                let directory = tree.descend(&part.path)?;
                directory.metadata = metadata;
                directory.came = came;
                return Ok(());
            }
            Content::Symlink(target) => {
                let added = symlink(&self.profile, &target, metadata, &mut self.made)?;
                self.store().await?;
                added
            }
            Content::File(file) => self.file(file, &name, metadata).await?,
        };
        let shown = match name.as_str() {
            "" => self.text.write(&added.cid),
            name => name.to_owned(),
        };
        self.tell(&shown, &added, came).await?;
        match part.path.split_last() {
            // At the top, on its own.
            Some((_, [])) | None if !wrap => roots.push(added.cid),
            // In the directory around it a name is needed.
            None => tree.insert(&[], &shown, added)?,
            Some((last, above)) => tree.insert(above, last, added)?,
        }
        Ok(())
    }

    async fn file(
        &mut self,
        mut file: File,
        name: &str,
        metadata: Metadata,
    ) -> Result<Added, Failure> {
        let mut builder = FileBuilder::new(&self.profile)?;
        if !metadata.is_empty() {
            builder = builder.with_metadata(metadata)?;
        }
        let (mut read, mut told) = (0_u64, 0_u64);
        while let Some(data) = file.next().await? {
            read += data.len() as u64;
            builder.push(data, &mut self.made);
            self.store().await?;
            if self.progress && read - told >= EVERY {
                told = read;
                self.out
                    .value(&json!({ "Name": name, "Bytes": read }))
                    .await?;
            }
        }
        if self.progress && read > told {
            self.out
                .value(&json!({ "Name": name, "Bytes": read }))
                .await?;
        }
        let added = builder.finish(&mut self.made);
        self.store().await?;
        Ok(added)
    }

    /// All parts have come: finishes directories, from the deepest to the top.
    async fn directories(
        &mut self,
        tree: Directory,
        wrap: bool,
        roots: &mut Vec<Cid>,
    ) -> Result<(), Failure> {
        // A directory on the way: what is left of it, its name and what is there of it.
        let mut open = vec![Open::new(
            String::new(),
            String::new(),
            tree,
            &self.profile,
        )?];
        while let Some(top) = open.last_mut() {
            match top.left.pop_first() {
                Some((name, Entry::Whole(added))) => top.builder.add(name, &added)?,
                Some((name, Entry::Directory(directory))) => {
                    let path = match top.path.as_str() {
                        "" => name.clone(),
                        above => format!("{above}/{name}"),
                    };
                    let below = Open::new(path, name, directory, &self.profile)?;
                    open.push(below);
                }
                None => {
                    let Some(done) = open.pop() else { break };
                    let is_top = open.is_empty();
                    if is_top && !wrap {
                        break;
                    }
                    let added = done.builder.finish(&mut self.made)?;
                    self.store().await?;
                    self.tell(&done.path, &added, done.came).await?;
                    if let Some(above) = open.last_mut() {
                        let is_root = above.path.is_empty() && above.name.is_empty() && !wrap;
                        above.builder.add(done.name, &added)?;
                        if is_root {
                            roots.push(added.cid);
                        }
                    } else {
                        roots.push(added.cid);
                    }
                }
            }
        }
        Ok(())
    }

    async fn store(&mut self) -> Result<(), Failure> {
        match &mut self.writer {
            None => self.made.clear(),
            Some(writer) => {
                for block in self.made.drain(..) {
                    writer.put(block).await?;
                }
            }
        }
        Ok(())
    }

    async fn tell(
        &mut self,
        name: &str,
        added: &Added,
        (mode, mtime): (Option<u32>, Option<(i64, u32)>),
    ) -> Result<(), Failure> {
        if self.silent {
            return Ok(());
        }
        let mut line = json!({
            "Name": name,
            "Hash": self.text.write(&added.cid),
            "Size": added.tsize.to_string(),
        });
        if let Some(mode) = mode {
            line["Mode"] = Value::String(format!("0{mode:o}"));
        }
        if let Some((seconds, nanoseconds)) = mtime {
            line["Mtime"] = seconds.into();
            if nanoseconds > 0 {
                line["MtimeNsecs"] = nanoseconds.into();
            }
        }
        self.out.value(&line).await
    }

    fn metadata(&self, part: &Part) -> Metadata {
        Metadata {
            mode: if self.preserve_mode {
                part.mode
            } else {
                self.given.mode
            },
            mtime: if self.preserve_mtime {
                part.mtime.map(|(seconds, nanoseconds)| Mtime {
                    seconds,
                    nanoseconds,
                })
            } else {
                self.given.mtime
            },
        }
    }
}

/// A directory that is being finished.
struct Open {
    path: String,
    name: String,
    left: BTreeMap<String, Entry>,
    builder: DirectoryBuilder,
    came: (Option<u32>, Option<(i64, u32)>),
}

impl Open {
    fn new(
        path: String,
        name: String,
        directory: Directory,
        profile: &Profile,
    ) -> Result<Self, Failure> {
        Ok(Self {
            path,
            name,
            left: directory.entries,
            builder: DirectoryBuilder::new(profile)?.with_metadata(directory.metadata),
            came: directory.came,
        })
    }
}

impl Directory {
    /// The directory at a path, made where it is not there.
    fn descend(&mut self, path: &[String]) -> Result<&mut Self, Failure> {
        let mut directory = self;
        for name in path {
            let entry = directory
                .entries
                .entry(name.clone())
                .or_insert_with(|| Entry::Directory(Self::default()));
            directory = match entry {
                Entry::Directory(below) => below,
                Entry::Whole(_) => {
                    return Err(Failure::new(format!("{name:?} is a file and a directory")));
                }
            };
        }
        Ok(directory)
    }

    fn insert(&mut self, above: &[String], name: &str, added: Added) -> Result<(), Failure> {
        let directory = self.descend(above)?;
        match directory
            .entries
            .insert(name.to_owned(), Entry::Whole(added))
        {
            None => Ok(()),
            Some(_) => Err(Failure::new(format!("{name:?} is there twice"))),
        }
    }
}
