//! `repo`: the store as a whole.

use std::fmt::Write;

use cidbucket_blockstore::{Cursor, Error};
use futures::stream::StreamExt;
use serde_json::json;

use super::{Context, version};
use crate::wire::failure::Failure;

/// How often progress is told, in blocks.
const EVERY: u64 = 100;

pub(super) async fn stat(mut context: Context) -> Result<(), Failure> {
    let (mut blocks, mut bytes) = (0_u64, 0_u64);
    let mut listing = context.node.store().list(Cursor::start());
    while let Some(listed) = listing.next().await {
        bytes += listed?.size;
        blocks += 1;
    }
    drop(listing);
    let mut stat = json!({
        "RepoSize": bytes,
        // There is no limit.
        "StorageMax": u64::MAX,
        "NumObjects": 0,
        "RepoPath": "",
        "Version": "",
    });
    if !context.call.options.flag("size-only") {
        stat["NumObjects"] = blocks.into();
        stat["RepoPath"] = context.node.settings().store_name.as_str().into();
        stat["Version"] = format!("fs-repo@{}", version::REPO).into();
    }
    context.out.single(&stat).await
}

pub(super) async fn version(mut context: Context) -> Result<(), Failure> {
    context
        .out
        .single(&json!({ "Version": version::REPO }))
        .await
}

/// Nothing is collected here yet, and nobody is to believe it were.
pub(super) fn gc() -> Result<(), Failure> {
    Err(Failure::new(
        "garbage collection is not done by this node yet: nothing was removed",
    ))
}

/// Reads every block, which checks it.
pub(super) async fn verify(mut context: Context) -> Result<(), Failure> {
    let drop = context.call.options.flag("drop");
    if context.call.options.flag("heal") {
        return Err(Failure::new(
            "this node has no peers to fetch blocks from; use drop to remove what is corrupt",
        ));
    }
    let node = context.node.clone();
    let store = node.store();
    let mut listing = store.list(Cursor::start()).map(|listed| async move {
        let cid = listed?.cid;
        Ok::<_, Error>((cid, store.get(&cid).await))
    });
    let mut read = listing.by_ref().buffered(store.concurrency().max(1));
    let (mut blocks, mut corrupt, mut removed, mut kept) = (0_u64, 0_u64, 0_u64, 0_u64);
    while let Some(checked) = read.next().await {
        match checked? {
            // It may have been deleted since it was listed.
            (_, Ok(_)) => {}
            (cid, Err(error @ Error::Corrupt(_))) => {
                corrupt += 1;
                let mut message = format!("block {cid} was corrupt ({error})");
                if drop {
                    match store.delete(&cid).await {
                        Ok(()) => {
                            removed += 1;
                            message.push_str(", removed");
                        }
                        Err(error) => {
                            kept += 1;
                            let _ = write!(message, ", failed to remove ({error})");
                        }
                    }
                }
                let line = json!({ "Msg": message, "Progress": 0 });
                context.out.value(&line).await?;
            }
            // That a block cannot be read says nothing about it.
            (_, Err(error)) => return Err(error.into()),
        }
        blocks += 1;
        if blocks.is_multiple_of(EVERY) {
            let line = json!({ "Msg": "", "Progress": blocks });
            context.out.value(&line).await?;
        }
    }
    let line = json!({ "Msg": "", "Progress": blocks });
    context.out.value(&line).await?;
    if corrupt == 0 {
        let line = json!({ "Msg": "verify complete, all blocks validated.", "Progress": 0 });
        return context.out.value(&line).await;
    }
    let mut summary = format!("verify complete, {corrupt} blocks corrupt");
    if removed > 0 {
        let _ = write!(summary, ", {removed} removed");
    }
    if kept > 0 {
        let _ = write!(summary, ", {kept} failed to remove");
    }
    if !drop || kept > 0 {
        return Err(Failure::new(summary));
    }
    let line = json!({ "Msg": summary, "Progress": 0 });
    context.out.value(&line).await
}
