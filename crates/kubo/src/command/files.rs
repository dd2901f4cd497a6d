//! `files/stat`, of `/ipfs/…` only: kubo-rpc-client asks it when it lists a file by its path.

use cidbucket_blockstore::Block;
use cidbucket_dag::unixfs::{Kind, Node};
use serde_json::json;

use super::Context;
use crate::cid_text::CidText;
use crate::path;
use crate::wire::failure::Failure;

pub(super) async fn stat(mut context: Context) -> Result<(), Failure> {
    let text = CidText::of(&context.call.options)?;
    let argument = context.argument();
    if !argument.starts_with("/ipfs/") {
        return Err(Failure::new(
            "this node has no MFS: give a path that begins with /ipfs/",
        ));
    }
    let store = context.node.store();
    let cid = path::root(store, argument).await?;
    let block = path::block(store, &cid).await?;
    let node = Node::of(&block)?;
    let links = node.links();
    let answer = json!({
        "Hash": text.write(&cid),
        "Size": node.size().unwrap_or(0),
        "CumulativeSize": cumulative(&block, &node),
        "Blocks": links.len(),
        "Type": match node.kind() {
            Kind::Directory | Kind::Shard => "directory",
            Kind::Symlink => "symlink",
            _ => "file",
        },
    });
    context.out.single(&answer).await
}

/// Bytes of all blocks, as the node's writer claims.
fn cumulative(block: &Block, node: &Node) -> u64 {
    let below = node.links().iter().filter_map(|link| link.tsize);
    below.fold(block.len() as u64, u64::saturating_add)
}
