//! `refs`: the links of a block, and of those below it.

use std::collections::HashMap;

use cidbucket_blockstore::{Blockstore, Cid, Cursor};
use futures::stream::StreamExt;
use serde_json::json;

use super::Context;
use crate::cid_text::CidText;
use crate::command::value::named_links;
use crate::path;
use crate::wire::emitter::Emitter;
use crate::wire::failure::Failure;

/// How deep links are followed at most: beyond that it is an attack.
const MAX_DEPTH: usize = 100_000;

pub(super) async fn local(mut context: Context) -> Result<(), Failure> {
    let text = CidText::of(&context.call.options)?;
    let node = context.node.clone();
    let mut listing = node.store().list(Cursor::start());
    while let Some(listed) = listing.next().await {
        let line = json!({ "Ref": text.write(&listed?.cid), "Err": "" });
        context.out.value(&line).await?;
    }
    Ok(())
}

pub(super) async fn refs(mut context: Context) -> Result<(), Failure> {
    let options = &context.call.options;
    let format = options.text("format").unwrap_or("<dst>");
    let format = match options.flag("edges") {
        true if format != "<dst>" => {
            return Err(Failure::new(
                "using format argument with edges is not allowed",
            ));
        }
        true => "<src> -> <dst>",
        false => format,
    };
    let depth = if options.flag("recursive") {
        // A negative depth is none.
        let depth = options.integer::<i64>("max-depth");
        depth.and_then(|depth| usize::try_from(depth).ok())
    } else {
        Some(1)
    };
    let mut writer = RefWriter {
        format: format.to_owned(),
        depth,
        unique: options.flag("unique"),
        text: CidText::of(options)?,
        seen: HashMap::new(),
    };
    let node = context.node.clone();
    let mut roots = Vec::new();
    for argument in &context.call.arguments {
        roots.push(path::root(node.store(), argument).await?);
    }
    for root in roots {
        // What cannot be read of one is told, and the others go on.
        if let Err(failure) = writer.write(node.store(), root, &mut context.out).await {
            let line = json!({ "Ref": "", "Err": failure.message });
            context.out.value(&line).await?;
        }
    }
    Ok(())
}

/// Tells the links under a block.
struct RefWriter {
    format: String,
    /// How far to go; `None` for all the way.
    depth: Option<usize>,
    unique: bool,
    text: CidText,
    /// At what depth each was met, where each is to come once.
    seen: HashMap<Cid, usize>,
}

/// Links of a block that are still to be told, the next one last.
struct Level {
    block: Cid,
    links: Vec<(String, Cid)>,
}

impl RefWriter {
    async fn write(
        &mut self,
        store: &dyn Blockstore,
        root: Cid,
        out: &mut Emitter,
    ) -> Result<(), Failure> {
        let mut levels = vec![level(store, root).await?];
        while let Some(top) = levels.last_mut() {
            let Some((name, cid)) = top.links.pop() else {
                levels.pop();
                continue;
            };
            let parent = top.block;
            let (deeper, told) = self.visit(cid, levels.len());
            // Kubo reads every block that it tells, and so sees what is missing.
            let below = match deeper {
                true => Some(level(store, cid).await?),
                false if told && self.depth.is_none_or(|depth| depth > 1) => {
                    if !store.has(&cid).await? {
                        return Err(Failure::not_found(&cid));
                    }
                    None
                }
                false => None,
            };
            if told {
                let line = self
                    .format
                    .replace("<src>", &self.text.write(&parent))
                    .replace("<dst>", &self.text.write(&cid))
                    .replace("<linkname>", &name);
                out.value(&json!({ "Ref": line, "Err": "" })).await?;
            }
            if let Some(below) = below {
                if levels.len() >= MAX_DEPTH {
                    return Err(Failure::new(format!(
                        "more than {MAX_DEPTH} levels, the limit"
                    )));
                }
                levels.push(below);
            }
        }
        Ok(())
    }

    /// Whether to follow a link, and whether to tell it.
    fn visit(&mut self, cid: Cid, depth: usize) -> (bool, bool) {
        if self.depth.is_some_and(|most| depth > most) {
            return (false, false);
        }
        let deeper = self.depth != Some(depth);
        if !self.unique {
            return (deeper, true);
        }
        match self.seen.get(&cid) {
            // Met as near to the root, or nearer: all below it was told as far down.
            Some(before) if self.depth.is_none() || *before <= depth => (false, false),
            Some(_) => {
                self.seen.insert(cid, depth);
                (deeper, false)
            }
            None => {
                self.seen.insert(cid, depth);
                (deeper, true)
            }
        }
    }
}

async fn level(store: &dyn Blockstore, cid: Cid) -> Result<Level, Failure> {
    let block = path::block(store, &cid).await?;
    let mut links = named_links(&block)?;
    links.reverse();
    Ok(Level { block: cid, links })
}
