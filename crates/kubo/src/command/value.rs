//! What a block says, as a value of IPLD's data model.

use cidbucket_blockstore::codec::{CBOR, DAG_CBOR, DAG_JSON, DAG_PB, JSON, RAW};
use cidbucket_blockstore::{Block, Cid, codec_name};
use ipld_core::ipld::Ipld;
use ipld_dagpb::PbNode;

use crate::wire::failure::Failure;

/// Reads bytes of a codec.
pub(super) fn decode(codec: u64, data: &[u8]) -> Result<Ipld, Failure> {
    match codec {
        RAW => Ok(Ipld::Bytes(data.to_vec())),
        DAG_PB => ipld_dagpb::to_ipld(data).map_err(|error| wrong("dag-pb", &error)),
        DAG_CBOR | CBOR => {
            serde_ipld_dagcbor::from_slice(data).map_err(|error| wrong("dag-cbor", &error))
        }
        DAG_JSON => serde_ipld_dagjson::from_slice(data).map_err(|error| wrong("dag-json", &error)),
        JSON => serde_json::from_slice(data).map_err(|error| wrong("json", &error)),
        codec => Err(no_codec("decoder", codec)),
    }
}

/// Writes a value as bytes of a codec.
pub(super) fn encode(codec: u64, value: &Ipld) -> Result<Vec<u8>, Failure> {
    match (codec, value) {
        (RAW, Ipld::Bytes(bytes)) => Ok(bytes.clone()),
        (RAW, _) => Err(Failure::new("only bytes can be encoded as raw")),
        (DAG_PB, value) => ipld_dagpb::from_ipld(value).map_err(|error| wrong("dag-pb", &error)),
        (DAG_CBOR, value) => {
            serde_ipld_dagcbor::to_vec(value).map_err(|error| wrong("dag-cbor", &error))
        }
        (CBOR, value) if has_no_links(value) => {
            serde_ipld_dagcbor::to_vec(value).map_err(|error| wrong("cbor", &error))
        }
        (DAG_JSON, value) => {
            serde_ipld_dagjson::to_vec(value).map_err(|error| wrong("dag-json", &error))
        }
        // What neither has a link nor bytes is written the same.
        (JSON, value) if is_json(value) => {
            serde_ipld_dagjson::to_vec(value).map_err(|error| wrong("json", &error))
        }
        (CBOR | JSON, _) => Err(Failure::new(format!(
            "{} has no links, nor has json bytes; take dag-cbor or dag-json",
            codec_name(codec).unwrap_or("the codec")
        ))),
        (codec, _) => Err(no_codec("encoder", codec)),
    }
}

/// The part of a value to which a path leads.
pub(super) fn at<'v>(mut value: &'v Ipld, path: &[String], cid: &Cid) -> Result<&'v Ipld, Failure> {
    for segment in path {
        let next = match value {
            Ipld::Map(map) => map.get(segment),
            Ipld::List(list) => segment.parse().ok().and_then(|n: usize| list.get(n)),
            _ => None,
        };
        value =
            next.ok_or_else(|| Failure::new(format!("no link named {segment:?} under {cid}")))?;
    }
    Ok(value)
}

/// The links of a block with their names, in the block's order: those of dag-pb, else their paths.
pub(super) fn named_links(block: &Block) -> Result<Vec<(String, Cid)>, Failure> {
    match block.cid().codec() {
        RAW => Ok(Vec::new()),
        DAG_PB => {
            let node = PbNode::from_bytes(block.data().clone())
                .map_err(|error| wrong("dag-pb", &error))?;
            let links = node.links.into_iter();
            Ok(links
                .map(|link| (link.name.unwrap_or_default(), link.cid))
                .collect())
        }
        codec => {
            let value = decode(codec, block.data())?;
            let mut links = Vec::new();
            collect(&value, String::new(), codec, &mut links);
            Ok(links)
        }
    }
}

/// The decoders bound the depth, so this recursion is bounded too.
fn collect(value: &Ipld, path: String, codec: u64, links: &mut Vec<(String, Cid)>) {
    let below = |name: &str| match path.as_str() {
        "" => name.to_owned(),
        path => format!("{path}/{name}"),
    };
    match value {
        Ipld::Link(cid) => links.push((path, *cid)),
        Ipld::List(list) => {
            for (n, item) in list.iter().enumerate() {
                collect(item, below(&n.to_string()), codec, links);
            }
        }
        Ipld::Map(map) => {
            let mut entries: Vec<_> = map.iter().collect();
            if matches!(codec, DAG_CBOR | CBOR) {
                // Shorter keys stand before longer ones.
                entries.sort_by(|(a, _), (b, _)| a.len().cmp(&b.len()).then(a.cmp(b)));
            }
            for (key, item) in entries {
                collect(item, below(key), codec, links);
            }
        }
        _ => {}
    }
}

fn has_no_links(value: &Ipld) -> bool {
    match value {
        Ipld::Link(_) => false,
        Ipld::List(list) => list.iter().all(has_no_links),
        Ipld::Map(map) => map.values().all(has_no_links),
        _ => true,
    }
}

fn is_json(value: &Ipld) -> bool {
    match value {
        Ipld::Link(_) | Ipld::Bytes(_) => false,
        Ipld::List(list) => list.iter().all(is_json),
        Ipld::Map(map) => map.values().all(is_json),
        _ => true,
    }
}

fn wrong(format: &str, error: &dyn std::fmt::Display) -> Failure {
    Failure::new(format!("not valid {format}: {error}"))
}

fn no_codec(what: &str, code: u64) -> Failure {
    Failure::new(format!(
        "no {what} registered for multicodec code {code} ({code:#x})"
    ))
}

#[cfg(test)]
mod tests {
    use cidbucket_blockstore::Hash;

    use super::*;

    #[test]
    fn values_go_from_codec_to_codec() {
        let json = br#"{"a":{"/":"bafkqaaa"},"b":[1,{"/":{"bytes":"AQI"}}]}"#;
        let value = decode(DAG_JSON, json).unwrap();
        let cbor = encode(DAG_CBOR, &value).unwrap();
        assert_eq!(decode(DAG_CBOR, &cbor).unwrap(), value);
        assert_eq!(encode(DAG_JSON, &value).unwrap(), json);
        assert!(encode(CBOR, &value).is_err());
        assert!(encode(JSON, &value).is_err());
        assert!(encode(RAW, &value).is_err());
        assert!(encode(0x85, &value).is_err());
        let plain = decode(JSON, b"{\"x\":[1,null,\"y\",1.5]}").unwrap();
        assert_eq!(encode(JSON, &plain).unwrap(), b"{\"x\":[1,null,\"y\",1.5]}");
        let pb = decode(DAG_JSON, br#"{"Data":{"/":{"bytes":"AQI"}},"Links":[]}"#).unwrap();
        let bytes = encode(DAG_PB, &pb).unwrap();
        assert_eq!(decode(DAG_PB, &bytes).unwrap(), pb);
    }

    #[test]
    fn links_have_names_and_values_paths() {
        let json = br#"{"long":{"/":"bafkqaaa"},"b":[0,{"/":"bafkqaaa"}]}"#;
        let value = decode(DAG_JSON, json).unwrap();
        let block = Block::encode(DAG_CBOR, Hash::Sha2_256, encode(DAG_CBOR, &value).unwrap());
        let block = block.unwrap();
        let names: Vec<_> = named_links(&block)
            .unwrap()
            .into_iter()
            .map(|(name, _)| name)
            .collect();
        assert_eq!(names, ["b/1", "long"]);
        let path = ["b".to_owned(), "0".to_owned()];
        assert_eq!(at(&value, &path, block.cid()).unwrap(), &Ipld::Integer(0));
        let nowhere = at(&value, &["b".into(), "x".into()], block.cid()).unwrap_err();
        assert!(nowhere.message.starts_with("no link named \"x\" under "));
    }
}
