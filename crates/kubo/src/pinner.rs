//! Pinning: what is kept, and by what.

use std::collections::{BTreeMap, HashMap};
use std::time::{SystemTime, UNIX_EPOCH};

use cidbucket_blockstore::{Blockstore, BoxStream, Cid, Multihash};
use cidbucket_dag::DagError;
use cidbucket_records::{Pin, PinType, Pins};
use futures::stream::{self, StreamExt, TryStreamExt};

use crate::reach::{Leaves, Reached, reach};
use crate::wire::failure::Failure;

/// Longest name of a pin, in bytes.
const MAX_NAME: usize = 255;
/// How many pins are read at once.
const CONCURRENCY: usize = 16;

/// Which pins are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    All,
    Recursive,
    Direct,
    Indirect,
}

impl Mode {
    pub(crate) fn parse(name: &str) -> Result<Self, Failure> {
        match name {
            "all" => Ok(Self::All),
            "recursive" => Ok(Self::Recursive),
            "direct" => Ok(Self::Direct),
            "indirect" => Ok(Self::Indirect),
            _ => Err(Failure::new(format!(
                "invalid type '{name}', must be one of {{direct, indirect, recursive, all}}"
            ))),
        }
    }

    pub(crate) fn includes(self, other: Self) -> bool {
        self == Self::All || self == other
    }
}

/// What keeps a block.
#[derive(Debug, Clone)]
pub(crate) enum Kept {
    /// A pin of its own.
    Pinned(Pin),
    /// The recursive pin of this root.
    Through(Cid),
}

/// The pins of a store, and its blocks, which say what else they keep.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pinner<'a> {
    pub(crate) store: &'a dyn Blockstore,
    pub(crate) pins: &'a Pins,
}

/// What to pin.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    pub(crate) root: Cid,
    pub(crate) kind: PinType,
    pub(crate) name: String,
    pub(crate) meta: BTreeMap<String, String>,
}

impl Wanted {
    pub(crate) fn new(root: Cid, kind: PinType) -> Self {
        Self {
            root,
            kind,
            name: String::new(),
            meta: BTreeMap::new(),
        }
    }
}

impl<'a> Pinner<'a> {
    /// Pins, once all of it was seen to be there. `progress` is told of each block on the way.
    pub(crate) async fn add<F>(
        self,
        wanted: Wanted,
        mut progress: impl FnMut(u64) -> F + Send,
    ) -> Result<(), Failure>
    where
        F: Future<Output = Result<(), Failure>> + Send,
    {
        let Wanted {
            root,
            kind,
            name,
            meta,
        } = wanted;
        let found = self.pins.get(&root).await?;
        match (kind, &found) {
            (PinType::Direct, Some(pin)) if pin.kind == PinType::Recursive => {
                return Err(Failure::new(format!("{root} already pinned recursively")));
            }
            (PinType::Direct, _) => {
                let size = self.store.size(&root).await?;
                let size = size.ok_or_else(|| Failure::not_found(&root))?;
                progress(size).await?;
            }
            // All of it is there: that is what the pin says.
            (PinType::Recursive, Some(pin)) if pin.kind == PinType::Recursive => {
                if pin.name == name && pin.meta == meta {
                    return Ok(());
                }
            }
            (PinType::Recursive, _) => {
                let mut reached = self.under(vec![root], Leaves::Look);
                while let Some(block) = reached.next().await {
                    progress(block?.size).await?;
                }
            }
        }
        let created = match &found {
            Some(pin) if pin.kind == kind => pin.created,
            _ => now(),
        };
        let mut pin = Pin::new(root, kind, created);
        pin.name = name;
        pin.meta = meta;
        Ok(self.pins.set(&pin).await?)
    }

    /// Pins recursively what is known to be there whole: it was just stored. A pin that is there
    /// keeps its name unless it gets another.
    pub(crate) async fn add_whole(self, wanted: Wanted) -> Result<(), Failure> {
        let found = self.pins.get(&wanted.root).await?;
        let found = found.filter(|pin| pin.kind == PinType::Recursive);
        if let Some(pin) = &found
            && (wanted.name.is_empty() || pin.name == wanted.name)
        {
            return Ok(());
        }
        let created = found.map_or_else(now, |pin| pin.created);
        let mut pin = Pin::new(wanted.root, PinType::Recursive, created);
        pin.name = wanted.name;
        pin.meta = wanted.meta;
        Ok(self.pins.set(&pin).await?)
    }

    /// Removes a pin.
    pub(crate) async fn remove(self, root: &Cid, recursive: bool) -> Result<(), Failure> {
        match self.pins.get(root).await? {
            None => Err(Failure::new("not pinned or pinned indirectly")),
            Some(pin) if pin.kind == PinType::Recursive && !recursive => {
                Err(Failure::new(format!("{root} is pinned recursively")))
            }
            Some(_) => Ok(self.pins.remove(root).await?),
        }
    }

    /// Pins `to` instead of `from`, under the same name; or beside it.
    pub(crate) async fn update(self, from: &Cid, to: &Cid, unpin: bool) -> Result<(), Failure> {
        let old = self.pins.get(from).await?;
        let Some(old) = old.filter(|pin| pin.kind == PinType::Recursive) else {
            return Err(Failure::new(
                "'from' cid was not recursively pinned already",
            ));
        };
        if from == to {
            return Ok(());
        }
        let new = self.pins.get(to).await?;
        if new.is_some_and(|pin| pin.kind == PinType::Recursive) {
            return Err(Failure::new("'to' cid was already recursively pinned"));
        }
        let mut wanted = Wanted::new(*to, PinType::Recursive);
        wanted.name = old.name;
        wanted.meta = old.meta;
        self.add(wanted, |_| async { Ok(()) }).await?;
        if unpin {
            self.pins.remove(from).await?;
        }
        Ok(())
    }

    /// What keeps each of these blocks in that mode, if anything does. Who is kept by no pin of his
    /// own has all recursive pins walked, until each is found.
    pub(crate) async fn kept(self, cids: &[Cid], mode: Mode) -> Result<Vec<Option<Kept>>, Failure> {
        let mut kept: Vec<Option<Kept>> = if mode == Mode::Indirect {
            vec![None; cids.len()]
        } else {
            let own = stream::iter(cids.to_vec()).map(|cid| {
                let pins = self.pins.clone();
                async move { pins.get(&cid).await }
            });
            own.buffered(CONCURRENCY)
                .map_ok(|pin| {
                    pin.filter(|pin| mode.includes(Mode::of(pin.kind)))
                        .map(Kept::Pinned)
                })
                .try_collect()
                .await?
        };
        if !mode.includes(Mode::Indirect) {
            return Ok(kept);
        }
        let mut wanted: HashMap<Cid, Vec<usize>> = HashMap::new();
        for (n, cid) in cids.iter().enumerate() {
            if kept[n].is_none() {
                wanted.entry(*cid).or_default().push(n);
            }
        }
        let mut reached = self.everything_kept();
        while !wanted.is_empty()
            && let Some(block) = reached.next().await
        {
            let Reached { cid, root, .. } = block?;
            if cid == root {
                continue;
            }
            for n in wanted.remove(&cid).unwrap_or_default() {
                kept[n] = Some(Kept::Through(root));
            }
        }
        Ok(kept)
    }

    /// What forbids to remove each of these blocks, if anything does. A block is its multihash: who
    /// removes it under one CID removes it under all, so it is looked for under all.
    pub(crate) async fn holders(self, cids: &[Cid]) -> Result<Vec<Option<String>>, Failure> {
        let mut holders = vec![None; cids.len()];
        let mut wanted: HashMap<Multihash, Vec<usize>> = HashMap::new();
        for (n, cid) in cids.iter().enumerate() {
            wanted.entry(*cid.hash()).or_default().push(n);
        }
        let mut direct = self.pins.roots(PinType::Direct);
        while let Some(root) = direct.next().await {
            for n in wanted.remove(root?.hash()).unwrap_or_default() {
                holders[n] = Some("pinned: direct".to_owned());
            }
        }
        let mut reached = self.everything_kept();
        while !wanted.is_empty()
            && let Some(block) = reached.next().await
        {
            let Reached { cid, root, .. } = block?;
            for n in wanted.remove(cid.hash()).unwrap_or_default() {
                holders[n] = Some(if cid == root {
                    "pinned: recursive".to_owned()
                } else {
                    format!("pinned via {root}")
                });
            }
        }
        Ok(holders)
    }

    /// Every block that a recursive pin keeps, with the roots.
    pub(crate) fn everything_kept(self) -> BoxStream<'a, Result<Reached, DagError>> {
        let roots = self.pins.roots(PinType::Recursive);
        let roots = roots.map(|root| root.map_err(DagError::from)).boxed();
        reach(self.store, roots, Leaves::Trust)
    }

    fn under(self, roots: Vec<Cid>, leaves: Leaves) -> BoxStream<'a, Result<Reached, DagError>> {
        let roots = stream::iter(roots).map(Ok).boxed();
        reach(self.store, roots, leaves)
    }
}

impl Mode {
    fn of(kind: PinType) -> Self {
        match kind {
            PinType::Recursive => Self::Recursive,
            PinType::Direct => Self::Direct,
        }
    }
}

/// Refuses a name that is too long.
pub(crate) fn check_name(name: &str) -> Result<(), Failure> {
    if name.len() > MAX_NAME {
        return Err(Failure::new(format!(
            "pin name is {} bytes (max {MAX_NAME} bytes)",
            name.len()
        )));
    }
    Ok(())
}

fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}
