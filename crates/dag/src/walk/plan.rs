//! What a walk will come to, as far as it is known.
//!
//! The plan is a row in the order of the walk: links that are only known (*pending*), and between
//! them *slots*, for blocks that are being fetched or were. When a block arrives, its links are
//! put right behind its slot. The front slot is handed out once it is filled; the first pending
//! link is the next to get a slot. So fetching runs ahead of reading in the order of reading, as
//! far as that can be known.
//!
//! What comes behind a block that is still being fetched and may have links is a guess: its links
//! come before. Guesses get half of the slots and of the bytes only. The other half is for what
//! certainly is next, however many guessed blocks wait for a turn far off.

use std::collections::VecDeque;
use std::task::Poll;
use std::vec;

use cidbucket_blockstore::{Block, Blockstore, Cid, Result as StoreResult};
use futures::future::BoxFuture;
use futures::stream::{FuturesUnordered, StreamExt};

use super::WalkOptions;
use super::visited::Visited;
use crate::{DagError, Result, links};

/// What a block is expected to have, in bytes, before the first one came.
const TYPICAL: u64 = 256 << 10;

type Fetch<'a> = BoxFuture<'a, (Cid, StoreResult<Option<Block>>)>;

pub(super) struct Plan<'a> {
    store: &'a dyn Blockstore,
    options: WalkOptions,
    /// Pending before the first slot.
    front: Pending,
    slots: VecDeque<Slot>,
    fetches: FuturesUnordered<Fetch<'a>>,
    /// How many links are pending, all together.
    pending: usize,
    visited: Visited,
    /// About how many bytes the latest blocks had.
    typical: u64,
    blocks: u64,
    bytes: u64,
    ended: bool,
}

/// A block to hand out, or an error in its place.
struct Slot {
    link: Link,
    state: State,
    /// The bytes it holds, or is expected to; none where it shares those of another slot.
    size: u64,
    /// Whether its links are known: they are pending behind it.
    open: bool,
    /// Pending after this slot and before the next.
    after: Pending,
}

enum State {
    Fetching,
    Filled(Block),
    Failed(DagError),
}

#[derive(Clone, Copy)]
struct Link {
    cid: Cid,
    parent: Option<Cid>,
    depth: u64,
}

/// Links in the order of the walk: those of the last group come first.
#[derive(Default)]
struct Pending(Vec<Group>);

/// What is left of one block's links; never empty.
struct Group {
    links: vec::IntoIter<Cid>,
    parent: Option<Cid>,
    depth: u64,
}

impl<'a> Plan<'a> {
    pub(super) fn new(store: &'a dyn Blockstore, roots: Vec<Cid>, options: WalkOptions) -> Self {
        let concurrency = match options.concurrency {
            0 => store.concurrency().max(1),
            set => set,
        };
        let mut front = Pending::default();
        let pending = roots.len();
        front.push_group(roots, None, 0);
        Self {
            store,
            options: WalkOptions {
                concurrency,
                ..options
            },
            front,
            slots: VecDeque::new(),
            fetches: FuturesUnordered::new(),
            pending,
            visited: Visited::default(),
            typical: TYPICAL,
            blocks: 0,
            bytes: 0,
            ended: false,
        }
    }

    /// The next block of the walk; `None` at its end.
    pub(super) async fn next(&mut self) -> Option<Result<Block>> {
        while !self.ended {
            self.start_fetches();
            while let Poll::Ready(Some(arrival)) = futures::poll!(self.fetches.next()) {
                self.arrived(arrival);
                self.start_fetches();
            }
            // Nothing is pending before the first slot now.
            if let State::Fetching = self.slots.front()?.state {
                if let Some(arrival) = self.fetches.next().await {
                    self.arrived(arrival);
                }
            } else if let Some(result) = self.hand_out() {
                return Some(result);
            }
        }
        None
    }

    /// Gives slots to pending links, from the first on, while there is room.
    fn start_fetches(&mut self) {
        while let Some(place) = self.first_pending()
            && self.has_room(place)
            && let Some(link) = self.pending_at(place).pop()
        {
            self.pending -= 1;
            if self.options.dups || !self.comes_before(place, &link.cid) {
                self.start(place, link);
            }
        }
    }

    /// Where the first pending link is: behind that many slots.
    fn first_pending(&self) -> Option<usize> {
        if !self.front.0.is_empty() {
            return Some(0);
        }
        let slot = self.slots.iter().position(|slot| !slot.after.0.is_empty());
        slot.map(|slot| slot + 1)
    }

    fn pending_at(&mut self, place: usize) -> &mut Pending {
        match place {
            0 => &mut self.front,
            _ => &mut self.slots[place - 1].after,
        }
    }

    fn has_room(&self, place: usize) -> bool {
        // What is next must come, or the walk would stand still.
        if place == 0 {
            return true;
        }
        let WalkOptions {
            concurrency,
            max_ahead,
            ..
        } = self.options;
        let with_one_more = |place| {
            let sizes = self.slots.range(..place).map(|slot| slot.size);
            sizes.sum::<u64>().saturating_add(self.typical)
        };
        let all = self.slots.len();
        let room = if self.slots.range(..place).any(|slot| !slot.open) {
            all < concurrency && with_one_more(all) <= max_ahead / 2
        } else {
            let certain = with_one_more(place) <= max_ahead / 2;
            all < 2 * concurrency && (certain || with_one_more(all) <= max_ahead)
        };
        room && self.fetches.len() < concurrency
    }

    /// Whether a link behind `place` slots is not the first to its block.
    fn comes_before(&self, place: usize, cid: &Cid) -> bool {
        self.visited.contains(cid) || self.slots.range(..place).any(|slot| slot.link.cid == *cid)
    }

    /// Puts what a link leads to behind `place` slots.
    fn start(&mut self, place: usize, link: Link) {
        let state = if link.depth > self.options.max_depth {
            State::Failed(DagError::Limit {
                what: "levels of links",
                limit: self.options.max_depth,
            })
        } else {
            match Block::inline(&link.cid) {
                Ok(None) => self.fetch(link.cid),
                Err(error) => State::Failed(error.into()),
                // Nothing is fetched, and nothing will be handed out but what it links to.
                Ok(Some(block)) => match self.fresh_links(&block, self.options.max_pending) {
                    Ok(links) => {
                        self.pending += links.len();
                        self.pending_at(place).push(links, &link);
                        return;
                    }
                    Err(error) => State::Failed(error),
                },
            }
        };
        let size = match &state {
            State::Fetching => self.typical,
            State::Filled(_) | State::Failed(_) => 0,
        };
        let slot = Slot {
            link,
            state,
            size,
            open: links::is_leaf(&link.cid),
            after: std::mem::take(self.pending_at(place)),
        };
        self.slots.insert(place, slot);
        self.open(place);
    }

    /// Fetches a block, unless that is under way or done for another slot.
    fn fetch(&self, cid: Cid) -> State {
        for slot in self.slots.iter().filter(|slot| slot.link.cid == cid) {
            match &slot.state {
                State::Fetching => return State::Fetching,
                State::Filled(block) => return State::Filled(block.clone()),
                State::Failed(_) => {}
            }
        }
        let store = self.store;
        self.fetches
            .push(Box::pin(async move { (cid, store.get(&cid).await) }));
        State::Fetching
    }

    /// Fills every slot that waits for a block.
    fn arrived(&mut self, (cid, answer): (Cid, StoreResult<Option<Block>>)) {
        let mut size = match &answer {
            Ok(Some(block)) => block.len() as u64,
            _ => 0,
        };
        self.typical = (3 * self.typical + size) / 4;
        for place in 0..self.slots.len() {
            let slot = &mut self.slots[place];
            if slot.link.cid == cid && matches!(slot.state, State::Fetching) {
                slot.state = match &answer {
                    Ok(Some(block)) => State::Filled(block.clone()),
                    Ok(None) => State::Failed(DagError::Missing {
                        cid,
                        parent: slot.link.parent,
                    }),
                    Err(error) => State::Failed(error.clone().into()),
                };
                slot.size = std::mem::take(&mut size);
                self.open(place);
            }
        }
    }

    /// Makes the links of a filled slot's block known. Where they are too many for a slot that is
    /// not next, that is left for when it is.
    fn open(&mut self, place: usize) {
        let slot = &self.slots[place];
        let State::Filled(block) = &slot.state else {
            return;
        };
        if slot.open {
            return;
        }
        let next = place == 0 && self.front.0.is_empty();
        let max_pending = self.options.max_pending;
        let room = if next { max_pending } else { max_pending / 2 };
        let links = self.fresh_links(block, room);
        let slot = &mut self.slots[place];
        match links {
            Ok(links) => {
                self.pending += links.len();
                slot.after.push(links, &slot.link);
                slot.open = true;
            }
            Err(DagError::Limit { .. }) if !next => {}
            Err(error) => slot.state = State::Failed(error),
        }
    }

    /// The links of a block that may lead to something new.
    fn fresh_links(&self, block: &Block, room: usize) -> Result<Vec<Cid>> {
        let mut links = links::of_block(block)?;
        if !self.options.dups {
            links.retain(|link| !self.visited.contains(link));
        }
        if self.pending + links.len() > room {
            return Err(DagError::Limit {
                what: "links to walk",
                limit: room as u64,
            });
        }
        Ok(links)
    }

    /// Takes the first slot, which was filled or failed. It may turn out to have come before.
    fn hand_out(&mut self) -> Option<Result<Block>> {
        let cid = self.slots.front()?.link.cid;
        let came = !self.options.dups && self.visited.contains(&cid);
        if !came {
            self.open(0);
        }
        let slot = self.slots.pop_front()?;
        self.front = slot.after;
        if came {
            return None;
        }
        let result = match slot.state {
            State::Fetching => return None,
            State::Filled(block) => self.count(&block).map(|()| block),
            State::Failed(error) => Err(error),
        };
        match &result {
            Err(DagError::Missing { .. }) if self.options.past_missing => {}
            Err(_) => {
                self.ended = true;
                self.slots.clear();
                self.fetches.clear();
            }
            Ok(_) => {}
        }
        if !self.options.dups {
            self.visited.insert(&cid);
        }
        Some(result)
    }

    fn count(&mut self, block: &Block) -> Result<()> {
        self.blocks = self.blocks.saturating_add(1);
        self.bytes = self.bytes.saturating_add(block.len() as u64);
        let WalkOptions {
            max_blocks,
            max_bytes,
            ..
        } = self.options;
        for (what, used, limit) in [
            ("blocks", self.blocks, max_blocks),
            ("bytes", self.bytes, max_bytes),
        ] {
            if used > limit {
                return Err(DagError::Limit { what, limit });
            }
        }
        Ok(())
    }
}

impl Pending {
    /// Puts the links of a block before all others.
    fn push(&mut self, links: Vec<Cid>, of: &Link) {
        self.push_group(links, Some(of.cid), of.depth.saturating_add(1));
    }

    fn push_group(&mut self, links: Vec<Cid>, parent: Option<Cid>, depth: u64) {
        if !links.is_empty() {
            self.0.push(Group {
                links: links.into_iter(),
                parent,
                depth,
            });
        }
    }

    fn pop(&mut self) -> Option<Link> {
        let group = self.0.last_mut()?;
        let link = group.links.next().map(|cid| Link {
            cid,
            parent: group.parent,
            depth: group.depth,
        });
        // A chain of any length needs no memory this way: its groups have one link each.
        if group.links.as_slice().is_empty() {
            self.0.pop();
        }
        link
    }
}
