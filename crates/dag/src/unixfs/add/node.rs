//! Nodes become blocks: bytes and links, encoded and hashed.

use bytes::{Bytes, BytesMut};
use cidbucket_blockstore::codec::{DAG_PB, RAW};
use cidbucket_blockstore::{Block, Cid, Hash};
use ipld_core::cid::Version;
use ipld_dagpb::{PbLink, PbNode};
use prost::Message;
use prost::encoding::{WireType, encode_key, encode_varint, encoded_len_varint};

use super::Added;
use crate::unixfs::message::Data;

/// How blocks are named.
#[derive(Debug, Clone, Copy)]
pub(super) struct Encoder {
    pub(super) version: Version,
    /// Not `identity`.
    pub(super) hash: Hash,
}

impl Encoder {
    /// A block of bytes alone. Its CID is a `CIDv1` also where the others' are not, as `CIDv0` knows
    /// no codec but dag-pb.
    pub(super) fn raw(self, data: Bytes) -> Block {
        self.block(RAW, data)
    }

    /// A dag-pb node.
    pub(super) fn dag_pb(self, links: Vec<PbLink>, data: &Data) -> Block {
        let encoded = if links.is_empty() {
            // Leaves: the bytes of a chunk are copied once, into the block.
            let length = data.encoded_len();
            let mut encoded =
                BytesMut::with_capacity(1 + encoded_len_varint(length as u64) + length);
            encode_key(1, WireType::LengthDelimited, &mut encoded);
            encode_varint(length as u64, &mut encoded);
            data.encode_raw(&mut encoded);
            encoded.freeze()
        } else {
            let data = Some(data.encode_to_vec().into());
            PbNode { links, data }.into_bytes().into()
        };
        let block = self.block(DAG_PB, encoded);
        match self.version {
            Version::V0 => {
                let cid = Cid::new_v0(*block.multihash());
                let renamed = cid.ok().and_then(|cid| block.under(&cid));
                renamed.expect("a profile with CIDv0 has sha2-256")
            }
            Version::V1 => block,
        }
    }

    fn block(self, codec: u64, data: Bytes) -> Block {
        Block::encode(codec, self.hash, data).expect("only identity limits the length")
    }
}

/// A link, as Kubo writes it: with a name even where that is empty, and with the size.
pub(super) fn link(name: String, to: &Added) -> PbLink {
    PbLink {
        cid: to.cid,
        name: Some(name),
        size: Some(to.tsize),
    }
}

/// How many bytes a link takes in a dag-pb node.
pub(super) fn link_len(name: &str, to: &Added) -> usize {
    let field = |length: usize| 1 + encoded_len_varint(length as u64) + length;
    field(field(to.cid.encoded_len()) + field(name.len()) + 1 + encoded_len_varint(to.tsize))
}

/// How many bytes a message takes in a dag-pb node.
pub(super) fn data_len(data: &Data) -> usize {
    let length = data.encoded_len();
    1 + encoded_len_varint(length as u64) + length
}
