//! `cat`: the bytes of files.

use cidbucket_blockstore::{Blockstore, Cid};
use cidbucket_dag::unixfs;
use futures::stream::StreamExt;

use super::Context;
use crate::path;
use crate::wire::failure::Failure;

pub(super) async fn cat(mut context: Context) -> Result<(), Failure> {
    let offset = context.call.options.integer::<i64>("offset").unwrap_or(0);
    let mut offset =
        u64::try_from(offset).map_err(|_| Failure::new("cannot specify negative offset"))?;
    let length = match context.call.options.integer::<i64>("length") {
        None => u64::MAX,
        Some(length) => {
            u64::try_from(length).map_err(|_| Failure::new("cannot specify negative length"))?
        }
    };
    let node = context.node.clone();
    let store = node.store();
    // What is to be read of each is known before the first byte is said.
    let mut parts = Vec::new();
    let mut left = length;
    for argument in &context.call.arguments {
        if left == 0 {
            break;
        }
        let (cid, size) = file(store, argument).await?;
        let start = offset.min(size);
        offset -= start;
        let end = size.min(start.saturating_add(left));
        left -= end - start;
        parts.push((cid, start..end));
    }
    let total = parts.iter().map(|(_, range)| range.end - range.start).sum();
    context.out.begin_bytes("text/plain", Some(total)).await?;
    for (cid, range) in parts {
        let mut bytes = unixfs::cat(store, cid, range);
        while let Some(data) = bytes.next().await {
            context.out.bytes(data?).await?;
        }
    }
    Ok(())
}

/// A file and its size.
async fn file(store: &dyn Blockstore, argument: &str) -> Result<(Cid, u64), Failure> {
    let found = path::follow(store, argument).await?;
    let is_block = found.value_path.is_empty();
    let node = unixfs::node(store, &found.cid).await?;
    if node.kind().is_directory() {
        return Err(Failure::new("this dag node is a directory"));
    }
    match node.size().filter(|_| is_block && node.kind().is_file()) {
        Some(size) => Ok((found.cid, size)),
        None => Err(Failure::new("this is no file that can be read")),
    }
}
