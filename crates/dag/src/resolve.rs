//! Following a path from block to block.

use std::fmt;

use cidbucket_blockstore::codec::{CBOR, DAG_CBOR, DAG_JSON, DAG_PB, JSON, RAW};
use cidbucket_blockstore::{Block, Blockstore, Cid, codec_name};
use ipld_core::ipld::Ipld;

use crate::unixfs::{self, Found, Kind, Node, Search};
use crate::{ContentPath, DagError, Result};

/// Where a path leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolved {
    /// What is meant, or the block that it is in.
    pub cid: Cid,
    /// The blocks that prove the path, root first, those of sharded directories included, the last
    /// one excluded: `cid`'s own.
    pub path_blocks: Vec<Block>,
    /// What is left of the path inside the block: a value of a DAG-CBOR or DAG-JSON node.
    pub value_path: Vec<String>,
    /// The block of `cid`, where it had to be read.
    pub block: Option<Block>,
}

/// Follows a path, which may lead through
///
/// - UnixFS directories, sharded or not. Symbolic links are not followed, as nobody agrees on how,
/// - other dag-pb nodes, by the names of their links,
/// - maps (by key) and lists (by number) in DAG-CBOR and DAG-JSON, CBOR and JSON, and on by the links
///   in them.
///
/// The last block is read only where the path ends inside it. So a path of a CID alone reads nothing,
/// and tells nothing about whether there is such a block.
///
/// # Errors
/// [`DagError::NoLink`] and [`DagError::NotADirectory`] where it leads nowhere, [`DagError::Missing`]
/// where a block is absent, [`DagError::Malformed`], [`DagError::UnknownCodec`], [`DagError::Store`].
pub async fn resolve(store: &dyn Blockstore, path: &ContentPath) -> Result<Resolved> {
    let mut path_blocks = Vec::new();
    let (cid, value_path, block) = follow(store, path, &mut path_blocks).await?;
    Ok(Resolved {
        cid,
        path_blocks,
        value_path,
        block,
    })
}

/// [`resolve`], with what was read on the way where it fails too.
pub(crate) async fn follow(
    store: &dyn Blockstore,
    path: &ContentPath,
    read: &mut Vec<Block>,
) -> Result<(Cid, Vec<String>, Option<Block>)> {
    let mut cid = path.root;
    let mut parent = None;
    let mut rest = &path.segments[..];
    while !rest.is_empty() {
        let block = get(store, cid, parent).await?;
        parent = Some(cid);
        match cid.codec() {
            DAG_PB => {
                read.push(block.clone());
                cid = of_dag_pb(store, &block, &rest[0], read).await?;
                rest = &rest[1..];
            }
            DAG_CBOR | DAG_JSON | CBOR | JSON => match of_value(&block, rest) {
                Ok(Some((next, left))) => {
                    read.push(block);
                    (cid, rest) = (next, left);
                }
                Ok(None) => return Ok((cid, rest.to_vec(), Some(block))),
                Err(error) => {
                    read.push(block);
                    return Err(error);
                }
            },
            RAW => {
                read.push(block);
                let found = Kind::Raw.described();
                return Err(DagError::NotADirectory { cid, found });
            }
            code => return Err(DagError::UnknownCodec { cid, code }),
        }
    }
    Ok((cid, Vec::new(), None))
}

async fn get(store: &dyn Blockstore, cid: Cid, parent: Option<Cid>) -> Result<Block> {
    let block = store.get(&cid).await?;
    block.ok_or(DagError::Missing { cid, parent })
}

fn no_link(block: &Block, segment: &str) -> DagError {
    DagError::NoLink {
        cid: *block.cid(),
        segment: segment.into(),
    }
}

/// The target of the link of a name.
async fn of_dag_pb(
    store: &dyn Blockstore,
    block: &Block,
    name: &str,
    read: &mut Vec<Block>,
) -> Result<Cid> {
    let (plain, message) = unixfs::read(block)?;
    if message.is_none() {
        let mut links = plain.links.into_iter();
        let link = links.find(|link| link.name.as_deref() == Some(name));
        return link.map_or_else(|| Err(no_link(block, name)), |link| Ok(link.cid));
    }
    let mut node = Node::of(block)?;
    match node.kind() {
        Kind::Directory => {
            let link = unixfs::find(&node, name);
            link.map_or_else(|| Err(no_link(block, name)), |link| Ok(link.cid))
        }
        Kind::Shard => {
            let mut search = Search::new(name);
            loop {
                match search.step(&node)? {
                    Found::Entry(cid) => return Ok(cid),
                    Found::Nothing => return Err(no_link(block, name)),
                    Found::Shard(cid) => {
                        let shard = get(store, cid, Some(*node.cid())).await?;
                        node = Node::of(&shard)?;
                        read.push(shard);
                    }
                }
            }
        }
        kind => Err(DagError::NotADirectory {
            cid: *block.cid(),
            found: kind.described(),
        }),
    }
}

/// The first link on the way and what is left of it; `None` where it ends in the block itself.
fn of_value<'p>(block: &Block, path: &'p [String]) -> Result<Option<(Cid, &'p [String])>> {
    let code = block.cid().codec();
    let format = codec_name(code).unwrap_or("data");
    let malformed = |reason: &dyn fmt::Display| DagError::Malformed {
        cid: *block.cid(),
        format,
        reason: reason.to_string(),
    };
    let root: Ipld = match code {
        DAG_CBOR | CBOR => {
            serde_ipld_dagcbor::from_slice(block.data()).map_err(|error| malformed(&error))?
        }
        _ => serde_ipld_dagjson::from_slice(block.data()).map_err(|error| malformed(&error))?,
    };
    let mut value = &root;
    for (at, segment) in path.iter().enumerate() {
        if let Ipld::Link(cid) = value {
            return Ok(Some((*cid, &path[at..])));
        }
        let child = match value {
            Ipld::Map(map) => map.get(segment),
            Ipld::List(list) => index(segment).and_then(|index| list.get(index)),
            _ => None,
        };
        value = child.ok_or_else(|| no_link(block, segment))?;
    }
    match value {
        Ipld::Link(cid) => Ok(Some((*cid, &[]))),
        _ => Ok(None),
    }
}

/// A place in a list: digits only, so that there is one way to write it.
fn index(segment: &str) -> Option<usize> {
    let plain = segment == "0" || !segment.starts_with(['0', '+']);
    plain.then(|| segment.parse().ok()).flatten()
}
