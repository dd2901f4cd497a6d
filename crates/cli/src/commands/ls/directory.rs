//! The entries of a directory, or a file itself.

use cidbucket::codec::{DAG_PB, RAW};
use cidbucket::{Blockstore, Cid};
use cidbucket_dag::unixfs::{self, Entry, Kind, Node};
use cidbucket_dag::{ContentPath, DagError, resolve};
use futures::stream::StreamExt;
use serde_json::{Value, json};

use crate::failure::{Failure, Outcome};
use crate::session::Session;
use crate::{codec, content, quantity};

pub(super) async fn show(path: &ContentPath, long: bool, session: &mut Session<'_>) -> Outcome {
    let store = session.store().await?;
    let cid = resolve(&store, path).await?.cid;
    let node = unixfs::node(&store, &cid).await?;
    if !node.kind().is_directory() {
        let name = path.segments.last().cloned();
        let name = name.unwrap_or_else(|| cid.to_string());
        let tsize = None;
        let entry = Entry { name, cid, tsize };
        return line(session, &entry, &Seen::Node(Box::new(node)), long);
    }
    let detailed = long || session.json;
    let store = &*store;
    let mut entries = unixfs::entries(store, cid)
        .map(|entry| async move {
            let entry = entry?;
            let seen = if detailed {
                look(store, &entry).await
            } else {
                Ok(Seen::Nothing)
            };
            Ok((entry, seen))
        })
        .buffered(store.concurrency().max(1));
    while let Some(entry) = entries.next().await {
        let (entry, seen): (Entry, _) = entry.map_err(|error: DagError| Failure::from(error))?;
        match seen {
            Ok(seen) => line(session, &entry, &seen, long)?,
            // The others are listed all the same.
            Err(error) => {
                let failure = Failure::from(error).about(content::name(&entry.name));
                session.report(&failure);
            }
        }
        session.flush()?;
    }
    Ok(())
}

/// What is known of an entry beyond its directory's words.
enum Seen {
    /// Nothing: it was not looked for, or need not be.
    Nothing,
    Node(Box<Node>),
}

async fn look(store: &dyn Blockstore, entry: &Entry) -> Result<Seen, DagError> {
    if entry.cid.codec() == DAG_PB {
        let node = unixfs::node(store, &entry.cid).await?;
        return Ok(Seen::Node(Box::new(node)));
    }
    Ok(Seen::Nothing)
}

fn line(session: &mut Session<'_>, entry: &Entry, seen: &Seen, long: bool) -> Outcome {
    if session.json {
        return session.json_line(&to_json(entry, seen));
    }
    let name = content::name(&entry.name);
    if !long {
        return session.line(name);
    }
    let size = size(entry, seen).map_or_else(|| "-".into(), |size| size.to_string());
    let kind = kind(&entry.cid, seen);
    session.line(format_args!("{kind:<9} {size:>12} {} {name}", entry.cid))
}

fn kind(cid: &Cid, seen: &Seen) -> String {
    match seen {
        Seen::Node(node) => content::kind(node.kind()).into(),
        Seen::Nothing if cid.codec() == RAW => content::kind(Kind::Raw).into(),
        Seen::Nothing => codec::name(cid.codec()),
    }
}

fn size(entry: &Entry, seen: &Seen) -> Option<u64> {
    match seen {
        Seen::Node(node) => node.size(),
        // A raw block is all there is below it.
        Seen::Nothing => entry.tsize.filter(|_| entry.cid.codec() == RAW),
    }
}

fn to_json(entry: &Entry, seen: &Seen) -> Value {
    let mut value = json!({
        "name": entry.name,
        "cid": entry.cid.to_string(),
        "kind": kind(&entry.cid, seen),
        "size": size(entry, seen),
    });
    if let Seen::Node(node) = seen {
        if let Some(mode) = node.mode() {
            value["mode"] = json!(format!("{mode:04o}"));
        }
        if let Some(time) = node.mtime().and_then(content::time) {
            value["mtime"] = json!(quantity::date(time));
        }
        if node.kind() == Kind::Symlink {
            value["target"] = json!(String::from_utf8_lossy(node.data()));
        }
    }
    value
}
