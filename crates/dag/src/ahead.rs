//! Blocks of a DAG in depth-first order, fetched ahead of their turn.
//!
//! A [`Visitor`] says what a block leads to: items, and further blocks, in order. [`ahead`] makes of it
//! a stream of the items in that order, while the blocks that come next are under way. How many, is
//! bounded by the store's concurrency and by [`MAX_BYTES`]. Nothing recurses, and a block that is
//! wanted twice while it is under way is fetched once.
//!
//! What comes behind a block that is under way and may lead to further ones is a guess: those come
//! before it. Guesses get half of the bytes only, so that there is room for what is certain to be
//! next, however long a guess waits for its turn.

use std::collections::VecDeque;
use std::mem;
use std::task::{Context, Poll};

use cidbucket_blockstore::{Block, Blockstore, Cid, DEFAULT_MAX_BLOCK};
use futures::future::BoxFuture;
use futures::stream::{BoxStream, FuturesUnordered, StreamExt};

use crate::{DagError, Result};

/// Bytes that may be held or under way before the next fetch waits; fewer where the store does less
/// than 16 operations at once.
const MAX_BYTES: u64 = 32 << 20;

/// What a slot takes in memory itself, so that very small items are bounded too.
const SLOT: u64 = 256;

/// What is expected of a block of unknown size.
pub(crate) const UNKNOWN_SIZE: u64 = 64 << 10;

/// What a walk makes of the blocks it meets.
pub(crate) trait Visitor: Send + 'static {
    /// What the stream gives out.
    type Item: Send + 'static;
    /// What is to be known of a block when it comes.
    type Tag: Send + 'static;

    /// What a block leads to, in order.
    fn visit(
        &mut self,
        wanted: Wanted<Self::Tag>,
        block: Block,
    ) -> Result<Steps<Self::Item, Self::Tag>>;

    /// Whether a block is (still) wanted, asked just before it is fetched.
    fn wants(&mut self, _: &Wanted<Self::Tag>) -> bool {
        true
    }

    /// The last word on an item, when its turn has come.
    fn give(&mut self, item: Self::Item) -> Option<Self::Item> {
        Some(item)
    }

    /// About how many bytes of memory an item takes.
    fn weight(item: &Self::Item) -> u64;
}

/// What a block leads to. It is taken lazily: a block may have very many links.
pub(crate) type Steps<I, T> = Box<dyn Iterator<Item = Result<Step<I, T>>> + Send>;

/// One thing that a block leads to.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "a step lives for the time it takes to become a slot"
)]
pub(crate) enum Step<I, T> {
    /// An item of the stream.
    Give(I),
    /// A further block.
    Fetch(Wanted<T>),
}

/// A block to be fetched.
#[derive(Debug)]
pub(crate) struct Wanted<T> {
    pub(crate) cid: Cid,
    /// The block that links to it.
    pub(crate) parent: Option<Cid>,
    /// About how many bytes it has.
    pub(crate) expected: u64,
    /// Whether it probably leads to no further block.
    pub(crate) is_leaf: bool,
    pub(crate) tag: T,
}

/// The items of a walk that begins with these steps.
pub(crate) fn ahead<V: Visitor>(
    store: &dyn Blockstore,
    visitor: V,
    start: Steps<V::Item, V::Tag>,
) -> BoxStream<'_, Result<V::Item>> {
    let mut walk = Walk {
        store,
        visitor,
        slots: VecDeque::from([Slot::Rest {
            steps: start,
            weight: 0,
        }]),
        next: 0,
        branches: 0,
        fetching: 0,
        fetches: FuturesUnordered::new(),
        latest: None,
        held: SLOT,
    };
    futures::stream::poll_fn(move |context| walk.poll(context)).boxed()
}

type Answer = Result<Option<Block>, cidbucket_blockstore::Error>;

struct Walk<'a, V: Visitor> {
    store: &'a dyn Blockstore,
    visitor: V,
    /// Everything that is known to come, in order.
    slots: VecDeque<Slot<V>>,
    /// Before this slot there is nothing left to begin.
    next: usize,
    /// How many slots before that wait for a block that is no leaf.
    branches: usize,
    /// How many slots wait for a block.
    fetching: usize,
    fetches: FuturesUnordered<BoxFuture<'a, (Cid, Answer)>>,
    /// The last block that came: files often have runs of the same one, of zeros mostly.
    latest: Option<Block>,
    /// Bytes that the slots hold or expect.
    held: u64,
}

enum Slot<V: Visitor> {
    /// An item waits for its turn.
    Item(V::Item),
    /// A block is under way.
    Fetching(Wanted<V::Tag>),
    /// The steps of a block that were not taken yet, and the bytes they keep in memory.
    Rest {
        steps: Steps<V::Item, V::Tag>,
        weight: u64,
    },
    /// Here the stream ends.
    Failed(DagError),
}

impl<V: Visitor> Slot<V> {
    /// Whether it waits for a block from which others may come.
    fn is_branch(&self) -> bool {
        matches!(self, Self::Fetching(wanted) if !wanted.is_leaf)
    }
}

impl<V: Visitor> Walk<'_, V> {
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<V::Item>>> {
        loop {
            self.begin();
            if let Poll::Ready(Some((cid, answer))) = self.fetches.poll_next_unpin(context) {
                self.arrived(cid, answer);
                // Items go before guesses: they tell which blocks are not wanted any more.
                if !matches!(self.slots.front(), Some(Slot::Item(_))) {
                    continue;
                }
            }
            match self.slots.pop_front() {
                None => return Poll::Ready(None),
                Some(Slot::Item(item)) => {
                    self.next = self.next.saturating_sub(1);
                    self.held -= SLOT + V::weight(&item);
                    if let Some(item) = self.visitor.give(item) {
                        return Poll::Ready(Some(Ok(item)));
                    }
                }
                Some(Slot::Failed(error)) => {
                    self.slots.clear();
                    self.fetches.clear();
                    return Poll::Ready(Some(Err(error)));
                }
                // A rest is never in front here: `begin` takes that one whatever there is.
                Some(slot @ (Slot::Fetching(_) | Slot::Rest { .. })) => {
                    self.slots.push_front(slot);
                    return Poll::Pending;
                }
            }
        }
    }

    /// Begins as many fetches as there may be, those that come first before the others.
    fn begin(&mut self) {
        loop {
            let at = self.next;
            let concurrency = self.store.concurrency().max(1);
            // Whoever has a store do little at once means to keep little in memory too.
            let most = MAX_BYTES.min((concurrency * DEFAULT_MAX_BLOCK) as u64);
            let room = if self.branches == 0 { most } else { most / 2 };
            let full = self.fetching >= concurrency || self.held >= room;
            match self.slots.get_mut(at) {
                None | Some(Slot::Failed(_)) => return,
                Some(Slot::Item(_)) => self.next += 1,
                Some(slot @ Slot::Fetching(_)) => {
                    self.branches += usize::from(slot.is_branch());
                    self.next += 1;
                }
                Some(Slot::Rest { .. }) if full && at > 0 => return,
                Some(Slot::Rest { steps, weight }) => match steps.next() {
                    None => {
                        self.held -= SLOT + *weight;
                        self.slots.remove(at);
                    }
                    Some(Ok(Step::Fetch(wanted))) if !self.visitor.wants(&wanted) => {}
                    Some(step) => {
                        let slot = self.slot(step);
                        self.slots.insert(at, slot);
                    }
                },
            }
        }
    }

    /// Makes a slot of a step.
    fn slot(&mut self, step: Result<Step<V::Item, V::Tag>>) -> Slot<V> {
        match step {
            Ok(Step::Give(item)) => {
                self.held += SLOT + V::weight(&item);
                Slot::Item(item)
            }
            Ok(Step::Fetch(wanted)) => {
                let latest = self.latest.as_ref();
                if let Some(block) = latest.filter(|block| *block.cid() == wanted.cid) {
                    let block = block.clone();
                    return self.visited(wanted, block);
                }
                self.held += SLOT + wanted.expected;
                self.fetching += 1;
                self.fetch(wanted.cid);
                Slot::Fetching(wanted)
            }
            Err(error) => Slot::Failed(error),
        }
    }

    /// Fetches a block, unless it is under way.
    fn fetch(&mut self, cid: Cid) {
        let mut slots = self.slots.iter();
        if slots.any(|slot| matches!(slot, Slot::Fetching(other) if other.cid == cid)) {
            return;
        }
        let store = self.store;
        let fetch = async move { (cid, store.get(&cid).await) };
        self.fetches.push(Box::pin(fetch));
    }

    /// Replaces every slot that waited for a block by what the block leads to.
    fn arrived(&mut self, cid: Cid, answer: Answer) {
        let mut earliest = self.next;
        for at in 0..self.slots.len() {
            if !matches!(&self.slots[at], Slot::Fetching(wanted) if wanted.cid == cid) {
                continue;
            }
            let placeholder = Slot::Failed(DagError::Missing { cid, parent: None });
            if let Slot::Fetching(wanted) = mem::replace(&mut self.slots[at], placeholder) {
                self.held -= SLOT + wanted.expected;
                self.fetching -= 1;
                self.slots[at] = match &answer {
                    Ok(Some(block)) => self.visited(wanted, block.clone()),
                    Ok(None) => Slot::Failed(DagError::Missing {
                        cid,
                        parent: wanted.parent,
                    }),
                    Err(error) => Slot::Failed(error.clone().into()),
                };
                earliest = earliest.min(at);
            }
        }
        self.latest = answer.ok().flatten();
        self.next = earliest;
        let before = self.slots.iter().take(earliest);
        self.branches = before.filter(|slot| slot.is_branch()).count();
    }

    fn visited(&mut self, wanted: Wanted<V::Tag>, block: Block) -> Slot<V> {
        let weight = block.len() as u64;
        match self.visitor.visit(wanted, block) {
            Ok(steps) => {
                self.held += SLOT + weight;
                Slot::Rest { steps, weight }
            }
            Err(error) => Slot::Failed(error),
        }
    }
}
