//! One section: length, CID, block.

use bytes::Bytes;
use cidbucket_blockstore::{Block, Cid};

use super::CarError;

/// A block's section: the length and the CID, and then the block's bytes, which are not copied.
#[expect(clippy::missing_panics_doc, reason = "it cannot panic")]
pub fn section(block: &Block) -> [Bytes; 2] {
    let cid = block.cid();
    let cid_length = cid.encoded_len();
    let mut buffer = unsigned_varint::encode::usize_buffer();
    let length = unsigned_varint::encode::usize(cid_length + block.len(), &mut buffer);
    let mut prefix = Vec::with_capacity(length.len() + cid_length);
    prefix.extend_from_slice(length);
    cid.write_bytes(&mut prefix)
        .expect("writing to memory does not fail");
    [prefix.into(), block.data().clone()]
}

/// Reads a section without the length before it, found at `offset`, and checks its block.
pub(super) fn parse(section: &Bytes, offset: u64) -> Result<Block, CarError> {
    let mut rest = &section[..];
    let cid = Cid::read_bytes(&mut rest).map_err(|error| CarError::Cid {
        offset,
        reason: error.to_string(),
    })?;
    let data = section.slice(section.len() - rest.len()..);
    Block::new(cid, data).map_err(|source| CarError::Block {
        offset,
        cid,
        source,
    })
}
