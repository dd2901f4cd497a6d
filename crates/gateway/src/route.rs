//! The way from the CID of a request to what its path names.

use cidbucket_blockstore::{Block, Blockstore};
use cidbucket_dag as dag;

use crate::content_path::ContentPath;
use crate::{Cid, Refusal};

/// A path that was followed.
#[derive(Debug)]
pub(crate) struct Route {
    /// What the path names. The segments are those within its block (of a map of DAG-CBOR, say).
    pub(crate) target: dag::ContentPath,
    /// The blocks that prove it, without the target's.
    pub(crate) blocks: Vec<Block>,
    /// The CIDs of the root and of every name.
    cids: Vec<Cid>,
}

impl Route {
    /// The value of `X-Ipfs-Roots`.
    pub(crate) fn roots(&self) -> String {
        let cids: Vec<_> = self.cids.iter().map(ToString::to_string).collect();
        cids.join(",")
    }
}

/// Follows a path. The target itself is not looked at.
pub(crate) async fn follow(store: &dyn Blockstore, path: &ContentPath) -> Result<Route, Refusal> {
    let mut route = Route {
        target: dag::ContentPath {
            root: path.root,
            segments: Vec::new(),
        },
        blocks: Vec::new(),
        cids: vec![path.root],
    };
    // Name by name, as each has a CID that caches want to know.
    for segment in &path.segments {
        route.target.segments.push(segment.clone());
        let found = dag::resolve(store, &route.target).await?;
        route.blocks.extend(found.path_blocks);
        route.cids.push(found.cid);
        route.target = dag::ContentPath {
            root: found.cid,
            segments: found.value_path,
        };
    }
    Ok(route)
}
