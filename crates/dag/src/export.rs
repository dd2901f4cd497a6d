//! The blocks of a path and of what it leads to: what a CAR of the trustless gateway holds.

use std::iter;
use std::ops::Range;
use std::str::FromStr;

use cidbucket_blockstore::codec::DAG_PB;
use cidbucket_blockstore::{Block, Blockstore, Cid};
use futures::future;
use futures::stream::{self, BoxStream, StreamExt};

use crate::ahead::{Step, Steps, UNKNOWN_SIZE, Visitor, Wanted, ahead};
use crate::resolve::follow;
use crate::unixfs::{self, Kind, Node, Part, malformed};
use crate::walk::Visited;
use crate::{ContentPath, DagError, Result, WalkOptions, walk};

/// How much of what a path leads to: [`dag-scope`] of the trustless gateway.
///
/// [`dag-scope`]: https://specs.ipfs.tech/http-gateways/trustless-gateway/#dag-scope-request-query-parameter
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Scope {
    /// Its own block.
    Block,
    /// What it takes to read it: all blocks of a file, or those that hold some of its bytes; all
    /// shards of a directory; of anything else its own block.
    Entity(Option<EntityBytes>),
    /// The whole DAG below it.
    #[default]
    All,
}

/// `block`, `entity`, `all`.
impl FromStr for Scope {
    type Err = DagError;

    fn from_str(text: &str) -> Result<Self, DagError> {
        match text {
            "block" => Ok(Self::Block),
            "entity" => Ok(Self::Entity(None)),
            "all" => Ok(Self::All),
            _ => Err(DagError::Invalid(format!(
                "scope {text:?}: it is one of block, entity, all"
            ))),
        }
    }
}

/// Some bytes of a file: [`entity-bytes`] of the trustless gateway.
///
/// Both ends are inclusive, and negative ones count from the file's end: `-1` is its last byte.
///
/// [`entity-bytes`]: https://specs.ipfs.tech/http-gateways/trustless-gateway/#entity-bytes-request-query-parameter
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct EntityBytes {
    /// The first byte.
    pub from: i64,
    /// The last byte; `None` for the file's last.
    pub to: Option<i64>,
}

impl EntityBytes {
    /// The bytes that a file of `size` bytes has of these; an empty range where it has none.
    pub fn within(&self, size: u64) -> Range<u64> {
        let place = |at: i64| match u64::try_from(at) {
            Ok(at) => Some(at),
            Err(_) => size.checked_sub(at.unsigned_abs()),
        };
        // From before the beginning is from the beginning; until before the beginning is nothing.
        let start = place(self.from).unwrap_or(0).min(size);
        let end = match self.to {
            None => size,
            Some(to) => place(to).map_or(0, |last| last.saturating_add(1)).min(size),
        };
        start..end.max(start)
    }
}

/// `FROM:TO`, where `TO` may be `*`.
impl FromStr for EntityBytes {
    type Err = DagError;

    fn from_str(text: &str) -> Result<Self, DagError> {
        let invalid = |what| Err(DagError::Invalid(format!("bytes {text:?}: {what}")));
        let shape = "they are FROM:TO, two numbers of which TO may be *";
        let Some((from, to)) = text.split_once(':') else {
            return invalid(shape);
        };
        let Ok(from) = from.parse::<i64>() else {
            return invalid(shape);
        };
        if to == "*" {
            return Ok(Self { from, to: None });
        }
        let Ok(to) = to.parse::<i64>() else {
            return invalid(shape);
        };
        // With different signs it takes the size to know.
        if (from < 0) == (to < 0) && from > to {
            return invalid("TO is before FROM");
        }
        Ok(Self { from, to: Some(to) })
    }
}

/// How an export is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ExportOptions {
    /// Whether a block comes as often as it is met. Otherwise it comes once, where it is met first.
    pub dups: bool,
}

/// The blocks that prove a path, root first, and after them those of what it leads to, depth first.
///
/// This is what a trustless gateway's CAR holds. Blocks are fetched ahead, within 32 MiB. Blocks of
/// identity CIDs are in the CIDs already and never come.
///
/// # Errors
/// The first error is the end of the stream, and what came before it is right. That of a path that
/// leads nowhere ([`DagError::NoLink`], [`DagError::NotADirectory`]) comes after the blocks that prove
/// it. The errors are those of [`resolve`](crate::resolve) and [`unixfs::cat`], and of the walk of
/// [`Scope::All`].
pub fn export(
    store: &dyn Blockstore,
    path: ContentPath,
    scope: Scope,
    options: ExportOptions,
) -> BoxStream<'_, Result<Block>> {
    stream::once(async move {
        let mut blocks = Vec::new();
        let target = follow(store, &path, &mut blocks).await;
        let parent = blocks.last().map(|block| *block.cid());
        let proof = stream::iter(blocks.into_iter().map(Ok));
        let rest = match target {
            Err(error) => stream::once(future::ready(Err(error))).boxed(),
            Ok((cid, value, _)) => {
                // A value inside a block is no entity of UnixFS. What hangs on it is not told apart
                // from what hangs on the block, as in boxo.
                let scope = match scope {
                    Scope::Entity(_) if !value.is_empty() => Scope::Block,
                    scope => scope,
                };
                target_blocks(store, cid, parent, scope, options)
            }
        };
        proof.chain(rest)
    })
    .flatten()
    .filter(|block| future::ready(!matches!(block, Ok(block) if block.is_inline())))
    .boxed()
}

/// The blocks of what a path leads to.
fn target_blocks(
    store: &dyn Blockstore,
    cid: Cid,
    parent: Option<Cid>,
    scope: Scope,
    options: ExportOptions,
) -> BoxStream<'_, Result<Block>> {
    let tag = match scope {
        Scope::All => {
            let options = WalkOptions {
                dups: options.dups,
                ..WalkOptions::default()
            };
            return walk(store, vec![cid], options);
        }
        Scope::Block => Tag::Block,
        Scope::Entity(bytes) => Tag::Entity(bytes),
    };
    let entity = Entity {
        is_whole: scope == Scope::Entity(None),
        given: (!options.dups).then(Given::default),
    };
    let root = Wanted {
        cid,
        parent,
        expected: UNKNOWN_SIZE,
        is_leaf: false,
        tag,
    };
    ahead(store, entity, Box::new(iter::once(Ok(Step::Fetch(root)))))
        .map(|found| found.map(|found| found.block))
        .boxed()
}

/// A walk over the blocks of an entity.
struct Entity {
    /// Whether all of it is wanted: parts without any bytes too.
    is_whole: bool,
    /// What came. `None` where blocks come as often as they are met.
    given: Option<Given>,
}

/// The blocks that came.
#[derive(Default)]
struct Given {
    /// Those that came, or come, with all that is below them.
    whole: Visited,
    /// Those that came with some of it: at the ends of a range.
    partial: Visited,
}

/// What a block is wanted for.
enum Tag {
    /// Itself.
    Block,
    /// To see what it is.
    Entity(Option<EntityBytes>),
    /// As a part of a file.
    Part { part: Part, all: bool },
    /// As a part of a sharded directory.
    Shard,
}

/// A block, and whether all below it comes too.
struct Found {
    block: Block,
    all: bool,
}

impl Visitor for Entity {
    type Item = Found;
    type Tag = Tag;

    fn visit(&mut self, wanted: Wanted<Tag>, block: Block) -> Result<Steps<Found, Tag>> {
        let empty = self.is_whole;
        // The block comes in any case: who reads it sees what is wrong with it.
        let (all, below) = match wanted.tag {
            Tag::Block => (false, Ok(nothing())),
            Tag::Entity(bytes) => (bytes.is_none(), entity(&block, bytes)),
            Tag::Part { part, all } => (all, part_links(&block, &part, all, empty)),
            Tag::Shard => (true, shard_links(&block)),
        };
        let below = below.unwrap_or_else(|error| Box::new(iter::once(Err(error))));
        let found = Step::Give(Found { block, all });
        Ok(Box::new(iter::once(Ok(found)).chain(below)))
    }

    fn wants(&mut self, wanted: &Wanted<Tag>) -> bool {
        let given = self.given.as_ref();
        !given.is_some_and(|given| given.whole.contains(&wanted.cid))
    }

    fn give(&mut self, found: Found) -> Option<Found> {
        let Some(given) = &mut self.given else {
            return Some(found);
        };
        let cid = found.block.cid();
        let is_new = if found.all {
            given.whole.insert(cid) && !given.partial.contains(cid)
        } else {
            !given.whole.contains(cid) && given.partial.insert(cid)
        };
        is_new.then_some(found)
    }

    fn weight(found: &Found) -> u64 {
        found.block.len() as u64
    }
}

type Below = Steps<Found, Tag>;

fn nothing() -> Below {
    Box::new(iter::empty())
}

/// What else it takes to read what begins with this block.
fn entity(block: &Block, bytes: Option<EntityBytes>) -> Result<Below> {
    // Only a message of UnixFS makes an entity of more than one block.
    if block.cid().codec() != DAG_PB || !matches!(unixfs::read(block), Ok((_, Some(_)))) {
        return Ok(nothing());
    }
    let node = Node::of(block)?;
    match node.kind() {
        Kind::Shard => shard_links(block),
        Kind::File | Kind::Raw => {
            let size = node.size().unwrap_or(0);
            let part = Part {
                range: bytes.map_or(0..u64::MAX, |bytes| bytes.within(size)),
                promised: None,
                depth: 0,
            };
            part_links(block, &part, bytes.is_none(), bytes.is_none())
        }
        Kind::Directory | Kind::Symlink | Kind::Metadata => Ok(nothing()),
    }
}

/// The parts of a part of a file.
fn part_links(block: &Block, part: &Part, all: bool, empty: bool) -> Result<Below> {
    let (data, links) = part.node(block)?.into_parts();
    let links = part.of_links(*block.cid(), data.len() as u64, links, empty);
    Ok(Box::new(links.map(move |wanted| {
        let Wanted {
            cid,
            parent,
            expected,
            is_leaf,
            tag: part,
        } = wanted?;
        // A part that is wanted whole is so with all that is below it.
        let all = all || part.promised == Some(part.range.end) && part.range.start == 0;
        let tag = Tag::Part { part, all };
        Ok(Step::Fetch(Wanted {
            cid,
            parent,
            expected,
            is_leaf,
            tag,
        }))
    })))
}

/// The shards of a shard.
fn shard_links(block: &Block) -> Result<Below> {
    let node = Node::of(block)?;
    let Some(fanout) = node.fanout() else {
        let found = node.kind().described();
        let reason = format_args!("{found} as a part of a sharded directory");
        return Err(malformed(block.cid(), reason));
    };
    let (parent, length) = (*block.cid(), fanout.prefix_len());
    let (_, links) = node.into_parts();
    let shards = links
        .into_iter()
        .filter(move |link| link.name.len() == length);
    Ok(Box::new(shards.map(move |link| {
        Ok(Step::Fetch(Wanted {
            cid: link.cid,
            parent: Some(parent),
            expected: UNKNOWN_SIZE,
            is_leaf: false,
            tag: Tag::Shard,
        }))
    })))
}
