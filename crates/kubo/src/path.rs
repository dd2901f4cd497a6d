//! The paths that commands take.

use cidbucket_blockstore::{Block, Blockstore, Cid};
use cidbucket_dag::{ContentPath, Resolved, resolve};

use crate::wire::failure::Failure;

/// Where an argument leads: `CID`, `/ipfs/CID/a/b`, `CID/a/b`, `ipfs://CID`.
pub(crate) async fn follow(store: &dyn Blockstore, argument: &str) -> Result<Resolved, Failure> {
    Ok(resolve(store, &parse(argument)?).await?)
}

/// The block where an argument leads; what is left of the path inside of the block does not matter.
pub(crate) async fn root(store: &dyn Blockstore, argument: &str) -> Result<Cid, Failure> {
    Ok(follow(store, argument).await?.cid)
}

/// A block that must be there.
pub(crate) async fn block(store: &dyn Blockstore, cid: &Cid) -> Result<Block, Failure> {
    let block = store.get(cid).await?;
    block.ok_or_else(|| Failure::not_found(cid))
}

/// An argument as a path.
pub(crate) fn parse(argument: &str) -> Result<ContentPath, Failure> {
    let argument = argument
        .strip_prefix("ipfs:")
        .map_or(argument, |rest| rest.strip_prefix("//").unwrap_or(rest));
    argument
        .parse()
        .map_err(|error| Failure::new(format!("invalid path {argument:?}: {error}")))
}
