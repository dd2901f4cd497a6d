//! `pin`: what is kept.

use std::collections::BTreeMap;

use cidbucket_blockstore::Cid;
use cidbucket_dag::{DagError, WalkOptions, walk};
use cidbucket_records::PinType;
use futures::stream::StreamExt;
use serde_json::{Map, Value, json};
use tokio::time::{Duration, Instant};

use super::Context;
use crate::cid_text::CidText;
use crate::path;
use crate::pinner::{Kept, Mode, Wanted, check_name};
use crate::wire::failure::{Failure, could_not_find};

/// How often progress is told.
const EVERY: Duration = Duration::from_millis(500);

pub(super) async fn add(context: Context) -> Result<(), Failure> {
    let text = CidText::of(&context.call.options)?;
    let options = &context.call.options;
    let kind = if options.flag_or_true("recursive") {
        PinType::Recursive
    } else {
        PinType::Direct
    };
    let name = options.text("name").unwrap_or_default().to_owned();
    check_name(&name)?;
    let told = options.flag("progress");
    let node = context.node.clone();
    let mut pinned = Vec::new();
    let mut progress = Progress::default();
    let out = tokio::sync::Mutex::new(context.out);
    for argument in &context.call.arguments {
        let root = path::root(node.store(), argument).await?;
        let mut wanted = Wanted::new(root, kind);
        wanted.name.clone_from(&name);
        let added = node.pinner().add(wanted, |bytes| {
            let line = progress.block(bytes).filter(|_| told);
            let out = &out;
            async move {
                match line {
                    None => Ok(()),
                    Some(line) => out.lock().await.value(&line).await,
                }
            }
        });
        added.await?;
        pinned.push(text.write(&root));
    }
    let mut out = out.into_inner();
    if !told {
        return out.single(&json!({ "Pins": pinned })).await;
    }
    if progress.blocks > 0 {
        out.value(&progress.line()).await?;
    }
    out.value(&json!({ "Pins": pinned })).await
}

/// How many blocks and bytes were seen.
#[derive(Default)]
struct Progress {
    blocks: u64,
    bytes: u64,
    told: Option<Instant>,
}

impl Progress {
    /// Counts a block, and answers with a line where it is time for one.
    fn block(&mut self, bytes: u64) -> Option<Value> {
        self.blocks += 1;
        self.bytes += bytes;
        let now = Instant::now();
        let due = *self.told.get_or_insert(now) + EVERY <= now;
        due.then(|| {
            self.told = Some(now);
            self.line()
        })
    }

    fn line(&self) -> Value {
        json!({ "Progress": self.blocks, "Bytes": self.bytes })
    }
}

pub(super) async fn rm(mut context: Context) -> Result<(), Failure> {
    let text = CidText::of(&context.call.options)?;
    let recursive = context.call.options.flag_or_true("recursive");
    let node = context.node.clone();
    let mut removed = Vec::new();
    for argument in &context.call.arguments {
        let root = path::root(node.store(), argument).await?;
        node.pinner().remove(&root, recursive).await?;
        removed.push(text.write(&root));
    }
    context.out.single(&json!({ "Pins": removed })).await
}

pub(super) async fn update(mut context: Context) -> Result<(), Failure> {
    let text = CidText::of(&context.call.options)?;
    let unpin = context.call.options.flag_or_true("unpin");
    let node = context.node.clone();
    let [from, to] = &context.call.arguments[..] else {
        return Err(Failure::client("give the old path and the new one"));
    };
    let from = path::root(node.store(), from).await?;
    let to = path::root(node.store(), to).await?;
    node.pinner().update(&from, &to, unpin).await?;
    let pins = [text.write(&from), text.write(&to)];
    context.out.single(&json!({ "Pins": pins })).await
}

/// A line of `pin ls`, or an entry of its map.
struct Lister {
    text: CidText,
    stream: bool,
    keys: Map<String, Value>,
    out: crate::wire::emitter::Emitter,
}

impl Lister {
    async fn tell(&mut self, cid: &Cid, kind: String, name: &str) -> Result<(), Failure> {
        let cid = self.text.write(cid);
        if !self.stream {
            self.keys.insert(cid, json!({ "Type": kind, "Name": name }));
            return Ok(());
        }
        let line = match name {
            "" => json!({ "Cid": cid, "Type": kind }),
            name => json!({ "Cid": cid, "Name": name, "Type": kind }),
        };
        self.out.value(&line).await
    }

    async fn finish(mut self) -> Result<(), Failure> {
        if self.stream {
            return Ok(());
        }
        if self.keys.is_empty() {
            return self.out.single(&json!({})).await;
        }
        self.out.single(&json!({ "Keys": self.keys })).await
    }
}

pub(super) async fn ls(context: Context) -> Result<(), Failure> {
    let options = &context.call.options;
    let mode = Mode::parse(options.text("type").unwrap_or("all"))?;
    let filter = options.text("name").unwrap_or_default().to_owned();
    check_name(&filter)?;
    let names = options.flag("names") || !filter.is_empty();
    let mut lister = Lister {
        text: CidText::of(options)?,
        stream: options.flag("stream"),
        keys: Map::new(),
        out: context.out,
    };
    let node = context.node.clone();
    if !context.call.arguments.is_empty() {
        let mut cids = Vec::new();
        for argument in &context.call.arguments {
            cids.push(path::root(node.store(), argument).await?);
        }
        let kept = node.pinner().kept(&cids, mode).await?;
        for ((argument, cid), kept) in context.call.arguments.iter().zip(&cids).zip(kept) {
            match kept {
                None => {
                    return Err(Failure::new(format!("path '{argument}' is not pinned")));
                }
                Some(Kept::Pinned(pin)) => {
                    let name = if names { pin.name.as_str() } else { "" };
                    lister.tell(cid, pin.kind.to_string(), name).await?;
                }
                Some(Kept::Through(root)) => {
                    let kind = format!("indirect through {}", lister.text.write(&root));
                    lister.tell(cid, kind, "").await?;
                }
            }
        }
        return lister.finish().await;
    }
    for kind in PinType::ALL {
        let listed = match kind {
            PinType::Recursive => Mode::Recursive,
            PinType::Direct => Mode::Direct,
        };
        if !mode.includes(listed) {
            continue;
        }
        if names {
            let mut pins = node.0.pins.list(kind);
            while let Some(pin) = pins.next().await {
                let pin = pin?;
                if pin.name.contains(&filter) {
                    lister.tell(&pin.root, kind.to_string(), &pin.name).await?;
                }
            }
        } else {
            // The records need not be read for what is in their keys.
            let mut roots = node.0.pins.roots(kind);
            while let Some(root) = roots.next().await {
                lister.tell(&root?, kind.to_string(), "").await?;
            }
        }
    }
    // What is kept by others' pins has no name of its own.
    if mode.includes(Mode::Indirect) && filter.is_empty() {
        let mut own = std::collections::HashSet::new();
        for kind in PinType::ALL {
            let mut roots = node.0.pins.roots(kind);
            while let Some(root) = roots.next().await {
                own.insert(root?);
            }
        }
        let mut kept = node.pinner().everything_kept();
        while let Some(block) = kept.next().await {
            let cid = block?.cid;
            if !own.contains(&cid) {
                lister.tell(&cid, "indirect".to_owned(), "").await?;
            }
        }
    }
    lister.finish().await
}

/// Walks every recursive pin, and tells of each what is missing of it.
pub(super) async fn verify(mut context: Context) -> Result<(), Failure> {
    let text = CidText::of(&context.call.options)?;
    let verbose = context.call.options.flag("verbose");
    let quiet = context.call.options.flag("quiet");
    if verbose && quiet {
        return Err(Failure::new(
            "the --verbose and --quiet options can not be used at the same time",
        ));
    }
    let node = context.node.clone();
    let mut roots = node.0.pins.roots(PinType::Recursive);
    while let Some(root) = roots.next().await {
        let root = root?;
        let mut bad = BTreeMap::new();
        let options = WalkOptions {
            past_missing: true,
            ..WalkOptions::default()
        };
        let mut blocks = walk(node.store(), vec![root], options);
        while let Some(block) = blocks.next().await {
            match block {
                Ok(_) => {}
                Err(DagError::Missing { cid, .. }) => {
                    bad.insert(text.write(&cid), could_not_find(&cid));
                }
                // An outage says nothing about the pin.
                Err(DagError::Store(error))
                    if !matches!(error, cidbucket_blockstore::Error::Corrupt(_)) =>
                {
                    return Err(error.into());
                }
                Err(error) => {
                    let cid = culprit(&error).unwrap_or(root);
                    bad.insert(text.write(&cid), error.to_string());
                }
            }
        }
        let root = text.write(&root);
        if bad.is_empty() {
            if verbose {
                context
                    .out
                    .value(&json!({ "Cid": root, "Ok": true }))
                    .await?;
            }
            continue;
        }
        let mut line = json!({ "Cid": root });
        if !quiet {
            line["BadNodes"] = bad
                .into_iter()
                .map(|(cid, error)| json!({ "Cid": cid, "Err": error }))
                .collect();
        }
        context.out.value(&line).await?;
    }
    Ok(())
}

/// The block that an error is about.
fn culprit(error: &DagError) -> Option<Cid> {
    match error {
        DagError::Malformed { cid, .. } | DagError::UnknownCodec { cid, .. } => Some(*cid),
        DagError::Store(error) => error.report().key()?.parse().ok(),
        _ => None,
    }
}
