//! `ls`: the entries of directories.

use std::time::{Duration, UNIX_EPOCH};

use cidbucket_blockstore::codec::RAW;
use cidbucket_blockstore::{Blockstore, Cid};
use cidbucket_dag::unixfs::{self, Entry, Kind, Node};
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use serde_json::{Value, json};

use super::Context;
use crate::cid_text::CidText;
use crate::path;
use crate::wire::failure::Failure;

/// How many entries are looked at at once.
const CONCURRENCY: usize = 16;

pub(super) async fn ls(mut context: Context) -> Result<(), Failure> {
    let options = &context.call.options;
    let text = CidText::of(options)?;
    let streamed = options.flag("stream");
    let looked = options.flag_or_true("resolve-type") || options.flag_or_true("size");
    let node = context.node.clone();
    let store = node.store();
    let mut objects = Vec::new();
    for argument in &context.call.arguments {
        let found = path::follow(store, argument).await?;
        let mut links = entries(store, found.cid)
            .await?
            .map(|entry| async move { link(store, entry?, looked, text).await })
            .buffered(CONCURRENCY);
        if streamed {
            while let Some(link) = links.next().await {
                let line = json!({ "Objects": [{ "Hash": argument, "Links": [link?.1] }] });
                context.out.value(&line).await?;
            }
            continue;
        }
        let mut links: Vec<(String, Value)> = links.try_collect().await?;
        links.sort_by(|(a, _), (b, _)| a.cmp(b));
        let links: Vec<Value> = links.into_iter().map(|(_, link)| link).collect();
        objects.push(json!({ "Hash": argument, "Links": links }));
    }
    if streamed {
        return Ok(());
    }
    context.out.single(&json!({ "Objects": objects })).await
}

/// The entries of a directory; of anything else its links, as Kubo has it.
async fn entries(
    store: &dyn Blockstore,
    cid: Cid,
) -> Result<BoxStream<'_, Result<Entry, Failure>>, Failure> {
    let block = path::block(store, &cid).await?;
    if let Ok(node) = Node::of(&block)
        && node.kind().is_directory()
    {
        let entries = unixfs::entries(store, cid);
        return Ok(entries.map_err(Failure::from).boxed());
    }
    let links = super::value::named_links(&block)?;
    let entries = links.into_iter().map(|(name, cid)| {
        Ok(Entry {
            name,
            cid,
            tsize: None,
        })
    });
    Ok(stream::iter(entries).boxed())
}

/// An entry as it is told, with its name.
async fn link(
    store: &dyn Blockstore,
    entry: Entry,
    looked: bool,
    text: CidText,
) -> Result<(String, Value), Failure> {
    let Entry { name, cid, tsize } = entry;
    let mut link = json!({
        "Name": name,
        "Hash": text.write(&cid),
        "Size": 0,
        "Type": 0,
        "Target": "",
    });
    if cid.codec() == RAW {
        let size = match tsize {
            Some(size) => size,
            None => store
                .size(&cid)
                .await?
                .ok_or_else(|| Failure::not_found(&cid))?,
        };
        link["Size"] = size.into();
        link["Type"] = 2.into();
    } else if looked {
        let block = path::block(store, &cid).await?;
        // What is no UnixFS has no type.
        if let Ok(node) = Node::of(&block) {
            link["Type"] = match node.kind() {
                Kind::Directory | Kind::Shard => 1,
                Kind::File | Kind::Raw => 2,
                Kind::Symlink => 4,
                Kind::Metadata => 0,
            }
            .into();
            if node.kind() == Kind::Symlink {
                link["Target"] = String::from_utf8_lossy(node.data()).into();
            } else {
                link["Size"] = node.size().unwrap_or(0).into();
            }
            if let Some(mode) = node.mode() {
                link["Mode"] = mode.into();
            }
            if let Some(time) = node.mtime()
                && let Ok(seconds) = u64::try_from(time.seconds)
                && let Some(time) = UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
            {
                link["ModTime"] = humantime::format_rfc3339_seconds(time).to_string().into();
            }
        }
    }
    Ok((name, link))
}
