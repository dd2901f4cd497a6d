//! Whether bytes at hand are those of a file, told by its CIDs.

use std::io::{Read, Seek, SeekFrom};

use bytes::Bytes;
use cidbucket_blockstore::codec::RAW;
use cidbucket_blockstore::{Block, Blockstore, Cid, DEFAULT_MAX_BLOCK};
use ipld_dagpb::PbNode;
use prost::Message;

use super::cat::{MAX_DEPTH, Part};
use super::message::{Data, DataType};
use super::node::{Link, Node};
use crate::{DagError, Result};

/// Whether `local` has the same bytes as the file whose root is `node`.
///
/// It is hashed, and compared with the CIDs of the file's parts: what is read from the store is the
/// nodes that lead to them, and not the bytes themselves, which are much more. So whoever goes on
/// with what was cut off knows what is there already. Local bytes that cannot be read are not the
/// same.
///
/// # Errors
/// As [`cat`](super::cat) for the nodes that are read.
pub async fn same_content<F: Read + Seek + Send>(
    store: &dyn Blockstore,
    node: Node,
    local: &mut F,
) -> Result<bool> {
    let Some(size) = node.size().filter(|_| node.kind().is_file()) else {
        let (cid, found) = (*node.cid(), node.kind().described());
        return Err(DagError::NotAFile { cid, found });
    };
    if local.seek(SeekFrom::End(0)).ok() != Some(size) || local.rewind().is_err() {
        return Ok(false);
    }
    let mut open = Vec::new();
    if !enter(node, local, &mut open) {
        return Ok(false);
    }
    while let Some((parent, links)) = open.last_mut() {
        let Some(link) = links.next() else {
            open.pop();
            continue;
        };
        let size = link.blocksize.unwrap_or(0);
        if size == 0 {
            continue;
        }
        // What fits into a block is hashed as it would be as one; only if that is something else
        // the node is looked at.
        if size <= DEFAULT_MAX_BLOCK as u64 {
            let Some(bytes) = read(local, size) else {
                return Ok(false);
            };
            if is_leaf_of(&link.cid, &bytes) {
                continue;
            }
            let back = i64::try_from(size).map(|size| local.seek_relative(-size));
            if link.cid.codec() == RAW || !matches!(back, Ok(Ok(()))) {
                return Ok(false);
            }
        }
        let parent = *parent;
        if open.len() >= MAX_DEPTH as usize {
            return Err(DagError::Limit {
                what: "levels of a file",
                limit: MAX_DEPTH.into(),
            });
        }
        let block = store.get(&link.cid).await?.ok_or(DagError::Missing {
            cid: link.cid,
            parent: Some(parent),
        })?;
        let part = Part {
            range: 0..size,
            promised: Some(size),
            depth: 0,
        };
        let node = part.node(&block)?;
        if !enter(node, local, &mut open) {
            return Ok(false);
        }
    }
    Ok(true)
}

type Open = Vec<(Cid, std::vec::IntoIter<Link>)>;

/// Compares a node's own bytes, and puts its links on the stack.
fn enter(node: Node, local: &mut impl Read, open: &mut Open) -> bool {
    let cid = *node.cid();
    let (data, links) = node.into_parts();
    if read(local, data.len() as u64).as_deref() != Some(&data[..]) {
        return false;
    }
    open.push((cid, links.into_iter()));
    true
}

fn read(local: &mut impl Read, size: u64) -> Option<Vec<u8>> {
    let mut bytes = vec![0; usize::try_from(size).ok()?];
    local.read_exact(&mut bytes).ok()?;
    Some(bytes)
}

/// Whether a CID is that of a leaf of these bytes, as Kubo makes leaves.
fn is_leaf_of(cid: &Cid, bytes: &[u8]) -> bool {
    let data = Bytes::copy_from_slice(bytes);
    if cid.codec() == RAW {
        return Block::new(*cid, data).is_ok();
    }
    let message = Data {
        r#type: DataType::File.into(),
        filesize: Some(data.len() as u64),
        data: Some(data),
        ..Data::default()
    };
    let node = PbNode {
        links: Vec::new(),
        data: Some(message.encode_to_vec().into()),
    };
    Block::new(*cid, node.into_bytes()).is_ok()
}
