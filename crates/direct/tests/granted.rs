//! Grants inside the answers of the protocol, in both encodings: read back as they were, and in
//! DAG-CBOR in canonical order.

use cidbucket_direct::{Batch, Cid, Encoding, Grant, Granted, Info, Link, Listed, Page, Reads};
use cidbucket_direct::{Limits, Method, ReadMode, Seal, Write, WriteMode, Writes};
use cidbucket_layout::Keys;
use cidbucket_presign::{Bucket, Credentials, Granter, Policy, Read, Style, Timestamp, Upload};
use ipld_core::ipld::Ipld;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

const NOW: u64 = 1_369_353_600;
const CID: &str = "bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy";
const LEASE: &str = "0000018f3a2c-q4kzt5x2m7hy3c6a";

fn cid() -> Cid {
    CID.parse().unwrap()
}

fn granter(prefix: &str, seal: Option<Seal>) -> Granter {
    Granter::new(
        Bucket::new("https://s3.example", "blocks", "us-east-1", Style::Path).unwrap(),
        Keys::new(prefix.parse().unwrap(), "kubo".parse().unwrap()),
        Credentials::new("AKIAIOSFODNN7EXAMPLE", "secret").with_session_token("to/k+en=="),
        Policy {
            seal,
            ..Policy::default()
        },
    )
    .unwrap()
}

fn staging() -> String {
    format!("ipfs/.cidbucket/staging/{LEASE}")
}

fn batch(prefix: &str) -> Batch {
    let granter = granter(prefix, Some(Seal::Checksum));
    let uploads = [Upload::new(cid(), 11), Upload::new(cid(), 12)];
    granter
        .write_batch(&uploads, 300, Timestamp::from_unix(NOW))
        .unwrap()
}

fn grant(prefix: &str) -> Grant {
    let granter = granter(prefix, Some(Seal::Header));
    let mut grant = granter
        .write(&Upload::new(cid(), 11), 300, Timestamp::from_unix(NOW))
        .unwrap();
    // Headers are a map on the wire, and come back by name.
    grant.headers.sort();
    grant
}

/// By the four ways, where the seal has batches.
fn batches() -> Granted {
    let mut granted = Granted::new(LEASE, NOW + 900);
    granted.direct = Some(batch("ipfs"));
    granted.staged = Some(batch(&staging()));
    granted.stored = vec![0, 7];
    granted.staged_blocks = vec![1, 2];
    granted.proxied = vec![3];
    granted
}

/// The same where it has none.
fn lists() -> Granted {
    let mut granted = Granted::new(LEASE, NOW + 900);
    granted.direct_grants = vec![grant("ipfs"), grant("ipfs")];
    granted.staged_grants = vec![grant(&staging())];
    granted.staged_blocks = vec![2];
    granted
}

/// Through both encodings; the JSON.
#[track_caller]
fn both<T>(body: &T) -> Value
where
    T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug,
{
    for encoding in [Encoding::Json, Encoding::DagCbor] {
        let bytes = encoding.encode(body);
        let back: T = encoding.decode("body", &bytes).unwrap();
        assert_eq!(&back, body, "{encoding:?}");
        assert_eq!(encoding.encode(&back), bytes, "{encoding:?}");
    }
    // The data model knows no order of members, so what it writes is the canonical one.
    let cbor = Encoding::DagCbor.encode(body);
    let ipld: Ipld = serde_ipld_dagcbor::from_slice(&cbor).unwrap();
    assert_eq!(serde_ipld_dagcbor::to_vec(&ipld).unwrap(), cbor);
    assert_canonical(&cbor);
    serde_json::from_slice(&Encoding::Json.encode(body)).unwrap()
}

/// Maps in order of their keys: shorter ones first, then by bytes. Every map, however deep.
#[track_caller]
fn assert_canonical(cbor: &[u8]) {
    let mut rest = cbor;
    item(&mut rest);
    assert!(rest.is_empty());
}

#[track_caller]
fn item(rest: &mut &[u8]) {
    let (&first, tail) = rest.split_first().unwrap();
    *rest = tail;
    let (major, minor) = (first >> 5, first & 31);
    let mut take = |n: usize| {
        let (taken, tail) = rest.split_at(n);
        *rest = tail;
        taken
    };
    let argument = match minor {
        0..=23 => u64::from(minor),
        24..=27 => take(1 << (minor - 24))
            .iter()
            .fold(0, |number, &byte| number << 8 | u64::from(byte)),
        _ => panic!("an indefinite length"),
    };
    let count = usize::try_from(argument).unwrap();
    match major {
        2 | 3 => drop(take(count)),
        4 => (0..count).for_each(|_| item(rest)),
        5 => {
            let mut last: Option<(usize, &[u8])> = None;
            for _ in 0..count {
                let before = *rest;
                item(rest);
                let key = &before[..before.len() - rest.len()];
                let this = (key.len(), key);
                assert!(last.is_none_or(|last| last < this), "{key:?}");
                last = Some(this);
                item(rest);
            }
        }
        6 => {
            assert_eq!(argument, 42);
            item(rest);
        }
        _ => {}
    }
}

#[test]
fn batches_within_an_answer_are_batches() {
    let granted = batches();
    let json = both(&granted);
    for (member, batch) in [("direct", &granted.direct), ("staged", &granted.staged)] {
        let batch = batch.as_ref().unwrap();
        let alone: Value = serde_json::from_str(&batch.to_json()).unwrap();
        assert_eq!(json[member], alone);
        let cbor = Encoding::DagCbor.encode(&granted);
        let alone = batch.to_dag_cbor();
        assert!(cbor.windows(alone.len()).any(|part| part == alone));
    }
    assert_eq!(json["staged"]["prefix"], staging());
    assert!(json.get("direct_grants").is_none() && json.get("staged_grants").is_none());
    // The order of members in JSON says nothing.
    let text = serde_json::to_vec(&json).unwrap();
    let back: Granted = Encoding::Json.decode("answer", &text).unwrap();
    assert_eq!(back, granted);
}

#[test]
fn lists_of_grants_within_an_answer() {
    let granted = lists();
    let json = both(&granted);
    assert!(json.get("direct").is_none() && json.get("staged").is_none());
    let first = &json["direct_grants"][0];
    assert_eq!(first["headers"]["content-length"], "11");
    assert_eq!(first, &serde_json::to_value(grant("ipfs")).unwrap());
    let url = json["staged_grants"][0]["url"].as_str().unwrap();
    assert!(url.contains("/ipfs/.cidbucket/staging/"), "{url}");
}

#[test]
fn a_batch_within_an_answer_is_read_as_strictly_as_alone() {
    let good = both(&batches());
    for (member, wrong) in [
        ("unknown", json!(1)),
        ("version", json!(2)),
        ("base", json!("https://user@s3.example/")),
        ("prefix", json!("../ipfs")),
        ("headers", json!({"cookie": "a"})),
        ("signatures", json!("AAAA")),
    ] {
        for batch in ["direct", "staged"] {
            let mut bad = good.clone();
            bad[batch][member] = wrong.clone();
            let text = serde_json::to_vec(&bad).unwrap();
            let read = Encoding::Json.decode::<Granted>("answer", &text);
            assert!(read.is_err(), "{batch} {member}");
        }
    }
    // What a later version adds beside it is passed over.
    let mut later = good;
    later["later"] = json!({"a": [1]});
    let text = serde_json::to_vec(&later).unwrap();
    let read: Granted = Encoding::Json.decode("answer", &text).unwrap();
    assert_eq!(read, batches());
}

#[test]
fn every_other_body() {
    let mut reads = Reads::of([cid(), cid()]);
    both(&reads);
    reads.method = Some(Method::Head);
    reads.expires = Some(300);
    assert_eq!(
        both(&reads),
        json!({"cids": [CID, CID], "method": "HEAD", "expires": 300})
    );
    let mut writes = Writes {
        blocks: vec![Write::new(cid(), 11)],
        expires: None,
    };
    both(&writes);
    writes.blocks[0].sha256 = Some([0xab; 32]);
    writes.expires = Some(60);
    let json = both(&writes);
    assert_eq!(json["blocks"][0]["sha256"], "ab".repeat(32));

    let mut info = Info::new("cidbucket/0.1.0", Limits::default());
    both(&info);
    info.reads = ReadMode::Public;
    info.writes = WriteMode::Direct;
    info.seal = Some(Seal::PayloadHash);
    info.layout = Some("kubo".into());
    info.direct_reads = true;
    let bucket = granter("ipfs", None);
    let public = Granter::public(
        bucket.bucket().clone(),
        bucket.keys().clone(),
        Policy::default(),
    );
    let public = public
        .unwrap()
        .read_batch(&[], &Read::default(), 1, Timestamp::from_unix(NOW));
    info.public = Some(public.unwrap());
    let json = both(&info);
    assert_eq!(json["seal"], "payload-hash");
    assert!(json["public"].get("signatures").is_none());

    let page = Page {
        blocks: vec![Listed {
            cid: Link(cid()),
            size: 11,
        }],
        foreign: 2,
        cursor: Some("next".into()),
    };
    both(&page);
    both(&Page {
        cursor: None,
        ..page
    });
}

#[test]
fn a_digest_is_64_lower_case_digits() {
    let read = |sha256: &str| {
        let body = json!({"blocks": [{"cid": CID, "size": 1, "sha256": sha256}]});
        Encoding::Json.decode::<Writes>("request", body.to_string().as_bytes())
    };
    assert!(read(&"0f".repeat(32)).is_ok());
    for wrong in [
        String::new(),
        "0".into(),
        "0f".repeat(31),
        "0f".repeat(33),
        "0f".repeat(4_000),
        "0F".repeat(32),
        "0g".repeat(32),
        format!("{}é", "0f".repeat(31)),
        "é".repeat(32),
    ] {
        let error = read(&wrong).unwrap_err().to_string();
        assert!(error.contains("64 lower-case"), "{error}");
    }
}
