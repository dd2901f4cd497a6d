//! The tree that is being imported: the directories that are open, and the file that is read.

use std::collections::VecDeque;

use bytes::Bytes;
use cidbucket_blockstore::{Block, BoxStream};
use futures::stream::StreamExt;

use super::{Content, ImportEvent, ImportOptions, Item, Step};
use crate::unixfs::Metadata;
use crate::unixfs::add::{Added, DirectoryBuilder, FileBuilder, symlink};
use crate::{DagError, Result};

/// How many bytes are cut and hashed before others have their turn, however large a piece is.
const STEP: usize = 1 << 20;

pub(super) struct Tree<'a> {
    items: BoxStream<'a, Result<Item<'a>>>,
    options: ImportOptions,
    /// From the outermost on.
    directories: Vec<OpenDirectory>,
    file: Option<OpenFile<'a>>,
    ready: VecDeque<Step>,
    /// Room for the blocks of one step.
    blocks: Vec<Block>,
    is_at_end: bool,
}

struct OpenDirectory {
    path: String,
    builder: DirectoryBuilder,
}

struct OpenFile<'a> {
    path: String,
    builder: FileBuilder,
    content: BoxStream<'a, Result<Bytes>>,
    /// What is left of the last piece.
    piece: Bytes,
    /// How many bytes the builder has.
    bytes: u64,
}

impl<'a> Tree<'a> {
    pub(super) fn new(items: BoxStream<'a, Result<Item<'a>>>, options: ImportOptions) -> Self {
        Self {
            items,
            options,
            directories: Vec::new(),
            file: None,
            ready: VecDeque::new(),
            blocks: Vec::new(),
            is_at_end: false,
        }
    }

    /// The next block or event; `None` at the end.
    pub(super) async fn next(&mut self) -> Result<Option<Step>> {
        loop {
            if let Some(step) = self.ready.pop_front() {
                return Ok(Some(step));
            }
            if self.is_at_end {
                return Ok(None);
            }
            if self.options.wrap && self.directories.is_empty() {
                self.open(String::new(), Metadata::default())?;
            }
            if self.file.is_some() {
                self.read().await?;
            } else if let Some(item) = self.items.next().await {
                self.enter(item?)?;
            } else {
                self.is_at_end = true;
                while !self.directories.is_empty() {
                    self.close()?;
                }
            }
        }
    }

    /// Goes on with the open file.
    async fn read(&mut self) -> Result<()> {
        let Some(file) = &mut self.file else {
            return Ok(());
        };
        if file.piece.is_empty()
            && let Some(piece) = file.content.next().await
        {
            file.piece = piece?;
            if file.piece.is_empty() {
                return Ok(());
            }
        }
        if !file.piece.is_empty() {
            let data = file.piece.split_to(file.piece.len().min(STEP));
            file.bytes += data.len() as u64;
            file.builder.push(data, &mut self.blocks);
            let progress = ImportEvent::Progress {
                path: file.path.clone(),
                bytes: file.bytes,
            };
            self.give_blocks();
            self.ready.push_back(Step::Event(progress));
        } else if let Some(file) = self.file.take() {
            let added = file.builder.finish(&mut self.blocks);
            self.added(file.path, added)?;
        }
        Ok(())
    }

    /// Begins with an item.
    fn enter(&mut self, item: Item<'a>) -> Result<()> {
        let Item {
            path,
            metadata,
            content,
        } = item;
        check(&path, &content)?;
        let parent = path.rsplit_once('/').map_or("", |(parent, _)| parent);
        while self
            .directories
            .last()
            .is_some_and(|open| !is_in(parent, &open.path))
        {
            self.close()?;
        }
        // Directories between what is open and the item.
        let open = self.directories.last().map_or(0, |open| open.path.len());
        let missing: Vec<&str> = parent
            .match_indices('/')
            .map(|(end, _)| &parent[..end])
            .chain([parent])
            .filter(|directory| directory.len() > open)
            .collect();
        for directory in missing {
            self.open(directory.to_owned(), Metadata::default())?;
        }
        match content {
            Content::Directory => self.open(path, metadata)?,
            Content::File(content) => {
                let builder = FileBuilder::new(&self.options.profile)?.with_metadata(metadata)?;
                self.file = Some(OpenFile {
                    path,
                    builder,
                    content,
                    piece: Bytes::new(),
                    bytes: 0,
                });
            }
            Content::Symlink(target) => {
                let profile = &self.options.profile;
                let added = symlink(profile, &target, metadata, &mut self.blocks)?;
                self.added(path, added)?;
            }
        }
        Ok(())
    }

    fn open(&mut self, path: String, metadata: Metadata) -> Result<()> {
        let builder = DirectoryBuilder::new(&self.options.profile)?.with_metadata(metadata);
        self.directories.push(OpenDirectory { path, builder });
        Ok(())
    }

    /// The innermost directory is whole.
    fn close(&mut self) -> Result<()> {
        if let Some(OpenDirectory { path, builder }) = self.directories.pop() {
            let added = builder
                .finish(&mut self.blocks)
                .map_err(|error| within(&path, error))?;
            self.added(path, added)?;
        }
        Ok(())
    }

    /// Something is whole, and so becomes an entry of the directory around it.
    fn added(&mut self, mut path: String, added: Added) -> Result<()> {
        self.give_blocks();
        let is_outermost = self.options.wrap && self.directories.is_empty();
        if path.is_empty() && !is_outermost {
            path = added.cid.to_string();
        }
        if let Some(directory) = self.directories.last_mut() {
            let name = path.rsplit_once('/').map_or(&*path, |(_, name)| name);
            directory.builder.add(name, &added)?;
        }
        self.ready.push_back(Step::Event(ImportEvent::Added {
            path,
            added,
            is_root: self.directories.is_empty(),
        }));
        Ok(())
    }

    fn give_blocks(&mut self) {
        self.ready.extend(self.blocks.drain(..).map(Step::Block));
    }
}

/// Whether a directory is another one, or is below it.
fn is_in(directory: &str, ancestor: &str) -> bool {
    ancestor.is_empty()
        || directory
            .strip_prefix(ancestor)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Refuses paths that are none.
fn check(path: &str, content: &Content<'_>) -> Result<()> {
    let is_unnamed_file = path.is_empty() && matches!(content, Content::File(_));
    let is_name = |name| !matches!(name, "" | "." | "..");
    if is_unnamed_file || path.split('/').all(is_name) {
        Ok(())
    } else {
        Err(DagError::Invalid(format!(
            "{path:?} is no path; it has names with a / between them, and no name is empty, . or .."
        )))
    }
}

/// Says in which directory something is wrong.
fn within(path: &str, error: DagError) -> DagError {
    match error {
        DagError::Invalid(reason) if !path.is_empty() => {
            DagError::Invalid(format!("in {path:?}, {reason}"))
        }
        other => other,
    }
}
