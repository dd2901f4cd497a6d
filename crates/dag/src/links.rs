//! The links of a block, by its codec.

mod git_raw;

use std::fmt::Display;

use bytes::Bytes;
use cidbucket_blockstore::codec::{
    CBOR, DAG_CBOR, DAG_JOSE, DAG_JSON, DAG_PB, GIT_RAW, JSON, LIBP2P_KEY, RAW,
};
use cidbucket_blockstore::{Block, Cid};
use ipld_core::ipld::Ipld;
use ipld_core::serde::ExtractLinks;
use ipld_dagpb::PbNode;

use crate::{DagError, Result};

/// The links of a block, in order of appearance, duplicates kept.
///
/// `data` are the block's bytes; that they hash to `cid` is not checked. `raw`, `cbor`, `json` and
/// `libp2p-key` have no links and are not looked into. DAG-CBOR and DAG-JSON are read up to a
/// nesting of about 128.
///
/// # Errors
/// [`DagError::Malformed`] where the bytes are not what the codec says, [`DagError::UnknownCodec`]
/// where nothing is known of the codec.
pub fn links(cid: &Cid, data: &[u8]) -> Result<Vec<Cid>> {
    if is_leaf(cid) {
        return Ok(Vec::new());
    }
    of(cid, &Bytes::copy_from_slice(data))
}

/// [`links`] of a block at hand, of which nothing is copied.
pub(crate) fn of_block(block: &Block) -> Result<Vec<Cid>> {
    of(block.cid(), block.data())
}

/// Whether a block of this CID has no links whatever its bytes are.
pub(crate) fn is_leaf(cid: &Cid) -> bool {
    matches!(cid.codec(), RAW | CBOR | JSON | LIBP2P_KEY)
}

fn of(cid: &Cid, data: &Bytes) -> Result<Vec<Cid>> {
    match cid.codec() {
        _ if is_leaf(cid) => Ok(Vec::new()),
        DAG_PB => match PbNode::from_bytes(data.clone()) {
            Ok(node) => Ok(node.links.into_iter().map(|link| link.cid).collect()),
            Err(error) => malformed(cid, "dag-pb", error),
        },
        DAG_CBOR => match serde_ipld_dagcbor::from_slice::<ExtractLinks<64>>(data) {
            Ok(links) => Ok(links.into_vec()),
            Err(error) => malformed(cid, "dag-cbor", error),
        },
        DAG_JSON => match serde_ipld_dagjson::from_slice::<ExtractLinks<64>>(data) {
            Ok(links) => Ok(links.into_vec()),
            Err(error) => malformed(cid, "dag-json", error),
        },
        DAG_JOSE => of_jose(cid, data),
        GIT_RAW => git_raw::links(data).or_else(|reason| malformed(cid, "git-raw", reason)),
        code => Err(DagError::UnknownCodec { cid: *cid, code }),
    }
}

/// What a JOSE object links to: a signed one has a CID as its payload, an encrypted one nothing
/// that can be seen (<https://ipld.io/specs/codecs/dag-jose/spec/>).
fn of_jose(cid: &Cid, data: &[u8]) -> Result<Vec<Cid>> {
    let object: Ipld = match serde_ipld_dagcbor::from_slice(data) {
        Ok(object) => object,
        Err(error) => return malformed(cid, "dag-jose", error),
    };
    let Ipld::Map(fields) = object else {
        return malformed(cid, "dag-jose", "not a map");
    };
    match fields.get("payload") {
        None => Ok(Vec::new()),
        Some(Ipld::Bytes(payload)) => match Cid::try_from(&payload[..]) {
            Ok(link) => Ok(vec![link]),
            Err(error) => malformed(cid, "dag-jose", format_args!("its payload: {error}")),
        },
        Some(_) => malformed(cid, "dag-jose", "its payload is not bytes"),
    }
}

fn malformed<T>(cid: &Cid, format: &'static str, reason: impl Display) -> Result<T> {
    Err(DagError::Malformed {
        cid: *cid,
        format,
        reason: reason.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use cidbucket_blockstore::Hash;
    use ipld_dagpb::PbLink;

    use super::*;

    fn cid(codec: u64) -> Cid {
        let hash = Hash::Sha2_256.digest(&codec.to_be_bytes());
        Cid::new_v1(codec, hash.unwrap())
    }

    fn three() -> [Cid; 3] {
        let v0 = Cid::new_v0(*cid(DAG_PB).hash()).unwrap();
        [cid(RAW), v0, cid(RAW)]
    }

    #[test]
    fn links_come_in_order_with_duplicates() {
        let [a, b, c] = three();
        let links_of = |links: &[Cid]| Ipld::List(links.iter().copied().map(Ipld::Link).collect());
        let map = Ipld::Map(
            [
                ("a".to_owned(), links_of(&[a, b])),
                ("b".to_owned(), Ipld::Map([("c".into(), c.into())].into())),
                ("text".to_owned(), a.to_string().into()),
                ("bytes".to_owned(), Ipld::Bytes(a.to_bytes())),
            ]
            .into(),
        );
        let cbor = serde_ipld_dagcbor::to_vec(&map).unwrap();
        assert_eq!(links(&cid(DAG_CBOR), &cbor).unwrap(), three());
        let json = serde_ipld_dagjson::to_vec(&map).unwrap();
        assert_eq!(links(&cid(DAG_JSON), &json).unwrap(), three());
        let node = PbNode {
            links: three()
                .map(|cid| PbLink {
                    cid,
                    name: Some("same".into()),
                    size: None,
                })
                .to_vec(),
            data: Some(Bytes::from_static(b"data")),
        };
        assert_eq!(links(&b, &node.clone().into_bytes()).unwrap(), three());
        assert_eq!(links(&cid(DAG_PB), &node.into_bytes()).unwrap(), three());
        let link = Ipld::Link(a);
        let cbor = serde_ipld_dagcbor::to_vec(&link).unwrap();
        assert_eq!(links(&cid(DAG_CBOR), &cbor).unwrap(), [a]);
    }

    #[test]
    fn maps_of_any_order_are_read_as_kubo_does() {
        // {"b": CID, "a": CID}
        let link = [&[0xd8, 42, 0x58, 37, 0][..], &cid(RAW).to_bytes()].concat();
        let cbor = [&[0xa2, 0x61, b'b'][..], &link, &[0x61, b'a'], &link].concat();
        assert_eq!(links(&cid(DAG_CBOR), &cbor).unwrap(), [cid(RAW); 2]);
    }

    #[test]
    fn leaves_are_not_looked_into() {
        for codec in [RAW, CBOR, JSON, LIBP2P_KEY] {
            assert!(links(&cid(codec), b"\xff\xff").unwrap().is_empty());
        }
        for codec in [0x79, 0x90, 0, u64::MAX] {
            assert!(matches!(
                links(&cid(codec), b""),
                Err(DagError::UnknownCodec { code, .. }) if code == codec
            ));
        }
    }

    #[test]
    fn a_signed_object_links_to_its_payload() {
        let object = |payload: Ipld| {
            let fields = [
                ("payload".to_owned(), payload),
                ("signatures".to_owned(), Ipld::List(vec![])),
            ];
            serde_ipld_dagcbor::to_vec(&Ipld::Map(fields.into())).unwrap()
        };
        let jose = cid(DAG_JOSE);
        let signed = object(Ipld::Bytes(cid(RAW).to_bytes()));
        assert_eq!(links(&jose, &signed).unwrap(), [cid(RAW)]);
        let encrypted = Ipld::Map([("ciphertext".to_owned(), Ipld::Bytes(vec![1]))].into());
        let encrypted = serde_ipld_dagcbor::to_vec(&encrypted).unwrap();
        assert!(links(&jose, &encrypted).unwrap().is_empty());
        for wrong in [
            object(Ipld::Bytes(vec![1, 2])),
            object(Ipld::Null),
            vec![0x80],
        ] {
            assert!(matches!(
                links(&jose, &wrong),
                Err(DagError::Malformed {
                    format: "dag-jose",
                    ..
                })
            ));
        }
    }

    #[test]
    fn what_is_not_of_its_codec_is_malformed() {
        let nested =
            |open: &[u8], close: &[u8]| [open.repeat(100_000), close.repeat(100_000)].concat();
        for (codec, bytes) in [
            (DAG_PB, b"garbage".to_vec()),
            (DAG_PB, vec![0x12, 0xff, 0xff, 0xff, 0xff, 0x0f]),
            (DAG_PB, vec![0x12, 0x02, 0x0a, 0x7f]),
            (DAG_CBOR, vec![]),
            (DAG_CBOR, vec![0x80, 0x80]),
            (DAG_CBOR, vec![0xd8, 42, 0x41, 0]),
            (
                DAG_CBOR,
                vec![0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
            ),
            (
                DAG_CBOR,
                vec![0x5b, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
            ),
            (DAG_CBOR, vec![0x81; 100_000]),
            (DAG_CBOR, nested(&[0xa1, 0x60], &[0xf6])),
            (DAG_CBOR, vec![0xd8; 100_000]),
            (DAG_JSON, vec![]),
            (DAG_JSON, b"{}{}".to_vec()),
            (DAG_JSON, br#"{"/":"not a CID"}"#.to_vec()),
            (DAG_JSON, nested(b"[", b"]")),
            (DAG_JSON, nested(br#"{"/":"#, b"}")),
            (DAG_JOSE, vec![0x81; 100_000]),
            (GIT_RAW, b"tree 9\0".to_vec()),
        ] {
            assert!(
                matches!(links(&cid(codec), &bytes), Err(DagError::Malformed { .. })),
                "{codec:#x}: {:?}",
                &bytes[..bytes.len().min(10)]
            );
        }
    }
}
