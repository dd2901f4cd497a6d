//! Importing: a tree of files becomes blocks in a store.
//!
//! One file is read at a time, and its blocks go to the store as they are made, many at once, so
//! memory holds the blocks under way and the entries of the directories that are open.

mod ledger;
mod tree;

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;
use std::task::{Poll, ready};

use bytes::Bytes;
use cidbucket_blockstore::{Block, Blockstore, BoxStream, Cid};
use futures::stream::{self, Stream, StreamExt};

use self::ledger::{Ledger, Pending};
use self::tree::Tree;
use super::Metadata;
use super::add::{Added, Profile};
use crate::{DagError, Result};

/// One thing to import.
pub struct Item<'a> {
    /// Its name, after those of the directories it is in, with a `/` between them. Directories that
    /// did not come themselves come to be without metadata.
    ///
    /// A file of no name at all, say one that was read from a pipe, is called by its CID.
    pub path: String,
    /// The metadata to keep.
    pub metadata: Metadata,
    /// What it is.
    pub content: Content<'a>,
}

/// What an [`Item`] is.
pub enum Content<'a> {
    /// A file of these bytes, in pieces of any size. It is read when its turn comes.
    File(BoxStream<'a, Result<Bytes>>),
    /// A directory. What is in it follows, before anything that is not.
    Directory,
    /// A symbolic link with this target.
    Symlink(String),
}

/// How to import.
#[derive(Debug, Clone, Copy, Default)]
pub struct ImportOptions {
    /// What decides about CIDs.
    pub profile: Profile,
    /// Whether one more directory holds all items. It is the one root then; otherwise every item
    /// that is in no directory is a root.
    pub wrap: bool,
    /// Whether the store is asked for each block first, and sent only what it does not have. That
    /// makes it cheap to import again what was imported before, wholly or in part, and costs a
    /// question for each block that is new.
    pub skip_present: bool,
}

/// How far an import is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ImportEvent {
    /// A file's bytes are stored up to here, but for those of an unfinished block.
    Progress {
        /// The file's [`Item::path`].
        path: String,
        /// How many bytes of the file.
        bytes: u64,
    },
    /// An item is stored with everything below it.
    Added {
        /// The [`Item::path`], or the CID where that is empty; empty for the directory around all.
        path: String,
        /// Its root block.
        added: Added,
        /// Whether nothing imported links to it.
        is_root: bool,
    },
}

/// Imports `items` into `store`, or only tells their CIDs where there is none.
///
/// Events come when everything before them is stored: files and directories in the order in which
/// they end, a directory after what is in it. The stream ends with the first error. What was stored
/// until then stays, and nothing refers to it.
///
/// ```
/// use cidbucket_blockstore::MemoryBlockstore;
/// use cidbucket_dag::unixfs::{Content, ImportEvent, ImportOptions, Item, Metadata, import};
/// use futures::stream::{self, StreamExt, TryStreamExt};
///
/// # futures::executor::block_on(async {
/// let store = MemoryBlockstore::new();
/// let hello = Item {
///     path: "hello.txt".into(),
///     metadata: Metadata::default(),
///     content: Content::File(stream::iter([Ok("hello world\n".into())]).boxed()),
/// };
/// let items = stream::iter([Ok(hello)]).boxed();
/// let mut events = import(Some(&store), items, ImportOptions::default());
/// while let Some(event) = events.try_next().await? {
///     if let ImportEvent::Added { path, added, .. } = event {
///         // As `ipfs add` has it.
///         assert_eq!(path, "hello.txt");
///         assert_eq!(
///             added.cid.to_string(),
///             "QmT78zSuBmuS4z925WZfrqQ1qHaJ56DQaTfyMUF7F8ff5o"
///         );
///     }
/// }
/// # Ok::<_, cidbucket_dag::DagError>(())
/// # }).unwrap();
/// ```
///
/// # Errors
/// - what the items and the store fail with
/// - [`DagError::Invalid`] for a path that is none, where a name comes twice in a directory (also
///   because its items do not come together), and where the profile contradicts itself
pub fn import<'a, 'items: 'a>(
    store: Option<&'a dyn Blockstore>,
    items: BoxStream<'items, Result<Item<'items>>>,
    options: ImportOptions,
) -> BoxStream<'a, Result<ImportEvent>> {
    let steps = stream::unfold(Some(Tree::new(items, options)), |tree| async {
        let mut tree = tree?;
        match tree.next().await {
            Ok(Some(step)) => Some((step, Some(tree))),
            Ok(None) => None,
            Err(error) => Some((Step::Failed(error), None)),
        }
    });
    let ledger = Arc::new(Ledger::default());
    let answers = match store {
        None => enter(steps, Arc::clone(&ledger))
            .map(|block| (*block.cid(), Ok(())))
            .boxed(),
        Some(store) if options.skip_present => {
            let asked = steps
                .map(move |step| ask(store, step))
                .buffered(store.concurrency().max(1));
            store.put_many(enter(asked, Arc::clone(&ledger)).boxed())
        }
        Some(store) => store.put_many(enter(steps, Arc::clone(&ledger)).boxed()),
    };
    settle(answers, ledger)
}

/// What comes next of an import.
enum Step {
    Block(Block),
    Event(ImportEvent),
    /// A block that the store has.
    Present,
    Failed(DagError),
}

/// How many blocks are remembered, so as not to be sent twice.
const RECENT: usize = 4096;

async fn ask(store: &dyn Blockstore, step: Step) -> Step {
    let Step::Block(block) = step else {
        return step;
    };
    match store.has(block.cid()).await {
        Ok(true) => Step::Present,
        Ok(false) => Step::Block(block),
        Err(error) => Step::Failed(error.into()),
    }
}

/// The blocks of `steps`, without those that came shortly before, such as the zeroes of a disk image:
/// what follows them waits for the first one's answer anyway. Everything else is for the ledger.
fn enter<'a>(
    steps: impl Stream<Item = Step> + Send + 'a,
    ledger: Arc<Ledger>,
) -> impl Stream<Item = Block> + Send + 'a {
    let mut steps = Box::pin(steps);
    let mut recent = HashSet::new();
    stream::poll_fn(move |context| {
        loop {
            ready!(ledger.poll_ready(context));
            match ready!(steps.poll_next_unpin(context)) {
                Some(Step::Block(block)) => {
                    if recent.len() == RECENT {
                        recent.clear();
                    }
                    if recent.insert(*block.multihash()) {
                        ledger.push(Pending::Block);
                        return Poll::Ready(Some(block));
                    }
                }
                Some(Step::Present) => {}
                Some(Step::Event(event)) => ledger.push(Pending::Event(event)),
                Some(Step::Failed(error)) => ledger.push(Pending::Failed(error)),
                None => return Poll::Ready(None),
            }
        }
    })
}

/// The events of the ledger, each as soon as the store has answered for all blocks before it.
fn settle(
    answers: BoxStream<'_, (Cid, cidbucket_blockstore::Result<()>)>,
    ledger: Arc<Ledger>,
) -> BoxStream<'_, Result<ImportEvent>> {
    let mut answers = Some(answers);
    stream::poll_fn(move |context| {
        loop {
            if let Some(settled) = ledger.settled() {
                if settled.is_err() {
                    answers = None;
                }
                return Poll::Ready(Some(settled));
            }
            let Some(open) = &mut answers else {
                return Poll::Ready(None);
            };
            match open.poll_next_unpin(context) {
                Poll::Ready(Some((_, Ok(())))) => ledger.stored(),
                Poll::Ready(Some((_, Err(error)))) => {
                    ledger.failed(error.into());
                    answers = None;
                }
                Poll::Ready(None) => answers = None,
                // Asking may have entered events that wait for no block.
                Poll::Pending if ledger.is_settled() => {}
                Poll::Pending => return Poll::Pending,
            }
        }
    })
    .boxed()
}

impl fmt::Debug for Item<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Item")
            .field("path", &self.path)
            .field("metadata", &self.metadata)
            .field("content", &self.content)
            .finish()
    }
}

impl fmt::Debug for Content<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(_) => f.write_str("File"),
            Self::Directory => f.write_str("Directory"),
            Self::Symlink(target) => f.debug_tuple("Symlink").field(target).finish(),
        }
    }
}
