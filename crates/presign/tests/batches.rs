//! Batches: assembled grants equal single ones, in both forms on the wire, and foreign bytes are
//! read strictly.

mod server;

use cid::Cid;
use cidbucket_layout::{Keys, Layout, Prefix};
use cidbucket_presign::{
    AssembleError, Batch, Bucket, ByteRange, Credentials, Error, Grant, Granter, Method, Policy,
    Read, Seal, Style, Timestamp, Upload, WireError,
};
use multihash::Multihash;
use proptest::prelude::*;
use serde_json::{Value, json};
use server::{ACCESS_KEY, SECRET, accepts};

/// 24 May 2013 00:00:00 UTC.
const NOW: u64 = 1_369_353_600;

/// Where uploads lie whose hash has yet to be recomputed: `docs/direct-access.md`.
const STAGING: &str = "my blocks/.cidbucket/staging/0000018f3a2c-q4kzt5x2m7hy3c6a";

fn raw(digest: &[u8]) -> Cid {
    Cid::new_v1(0x55, Multihash::wrap(0x12, digest).unwrap())
}

fn any_granter() -> impl Strategy<Value = Granter> {
    let bucket = prop_oneof![
        Just(Bucket::new("http://[::1]:9000/s3", "b:c", "r", Style::Path).unwrap()),
        Just(Bucket::aws("blocks", "eu-west-1").unwrap()),
    ];
    let layout = (0..Layout::examples().len()).prop_map(|index| Layout::examples().remove(index));
    let prefix = prop_oneof![
        Just(""),
        Just("ipfs"),
        Just("a b/ü+%"),
        Just(STAGING),
        Just("a/long/prefix/that/fills/a/block/of/the/hash/and/a/bit/more"),
    ];
    let seal = proptest::sample::select(vec![Seal::Checksum, Seal::PayloadHash, Seal::ChecksumMd5]);
    (bucket, layout, prefix, seal, any::<[bool; 4]>()).prop_map(
        |(bucket, layout, prefix, seal, [token, if_none_match, octet_stream, cache])| {
            let mut credentials = Credentials::new(ACCESS_KEY, SECRET);
            if token {
                credentials = credentials.with_session_token("to/k+en==");
            }
            let policy = Policy {
                seal: Some(seal),
                if_none_match,
                octet_stream,
                cache_control: cache.then(|| "immutable,  max-age=5".into()),
                ..Policy::default()
            };
            let keys = Keys::new(Prefix::new(prefix).unwrap(), layout);
            Granter::new(bucket, keys, credentials, policy).unwrap()
        },
    )
}

fn any_read() -> impl Strategy<Value = Read> {
    let text = proptest::option::of("[ -~ü]{1,12}");
    let range = proptest::option::of((0..100_u64, proptest::option::of(100..200_u64)));
    (any::<bool>(), range, text.clone(), text).prop_map(|(head, range, kind, disposition)| Read {
        head,
        range: range.map(|(first, last)| ByteRange { first, last }),
        content_type: kind,
        content_disposition: disposition,
    })
}

fn over_the_wire(batch: &Batch) -> Batch {
    let json = Batch::from_json(batch.to_json().as_bytes()).unwrap();
    let cbor = Batch::from_dag_cbor(&batch.to_dag_cbor()).unwrap();
    assert_eq!(json.to_json(), batch.to_json());
    assert_eq!(cbor.to_dag_cbor(), batch.to_dag_cbor());
    assert_eq!(json, cbor);
    cbor
}

fn same(mut left: Grant, mut right: Grant) -> Result<(), TestCaseError> {
    left.headers.sort();
    right.headers.sort();
    prop_assert_eq!(&left.url, &right.url);
    prop_assert_eq!(left, right);
    Ok(())
}

proptest! {
    #[test]
    fn a_read_from_a_batch_is_a_single_read(
        granter in any_granter(),
        read in any_read(),
        digests in proptest::collection::vec(any::<[u8; 32]>(), 0..5),
        seconds in 1_u32..3_600,
        at in 0..4_000_000_000_u64,
    ) {
        let now = Timestamp::from_unix(at);
        let cids: Vec<Cid> = digests.iter().map(|digest| raw(digest)).collect();
        let batch = over_the_wire(&granter.read_batch(&cids, &read, seconds, now).unwrap());
        prop_assert_eq!(batch.blocks(), Some(cids.len()));
        for (index, cid) in cids.iter().enumerate() {
            let grant = batch.read(index, cid).unwrap();
            prop_assert_eq!(accepts(&(&grant).into(), at), Ok(()));
            same(grant, granter.read(cid, &read, seconds, now).unwrap())?;
        }
    }

    #[test]
    fn a_write_from_a_batch_is_a_single_write(
        granter in any_granter(),
        blocks in proptest::collection::vec((any::<[u8; 32]>(), 0..=2_097_152_u64, any::<[u8; 16]>()), 0..5),
        seconds in 1_u32..3_600,
        at in 0..4_000_000_000_u64,
    ) {
        let now = Timestamp::from_unix(at);
        let uploads: Vec<Upload> = blocks
            .iter()
            .map(|(digest, size, md5)| Upload { md5: Some(*md5), ..Upload::new(raw(digest), *size) })
            .collect();
        let batch = over_the_wire(&granter.write_batch(&uploads, seconds, now).unwrap());
        for (index, upload) in uploads.iter().enumerate() {
            let grant = batch.write(index, upload).unwrap();
            prop_assert_eq!(accepts(&(&grant).into(), at), Ok(()));
            same(grant, granter.write(upload, seconds, now).unwrap())?;
            let other = Upload { size: upload.size + 1, ..*upload };
            prop_assert!(accepts(&(&batch.write(index, &other).unwrap()).into(), at).is_err());
        }
    }

    #[test]
    fn foreign_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = Batch::from_dag_cbor(&bytes);
        let _ = Batch::from_json(&bytes);
    }

    #[test]
    fn a_damaged_batch_is_refused_or_still_one(at in any::<proptest::sample::Index>(), byte: u8) {
        let batch = example(Seal::Checksum).1;
        let mut cbor = batch.to_dag_cbor();
        let index = at.index(cbor.len());
        cbor[index] = byte;
        if let Ok(read) = Batch::from_dag_cbor(&cbor) {
            prop_assert_eq!(read.to_dag_cbor(), cbor, "only one encoding is accepted");
        }
    }
}

/// Two uploads and their batch.
fn example(seal: Seal) -> (Vec<Upload>, Batch) {
    example_in("my blocks", seal)
}

/// The same under a prefix.
fn example_in(prefix: &str, seal: Seal) -> (Vec<Upload>, Batch) {
    let uploads: Vec<Upload> = [(b"hello\n".as_slice(), 6), (b"", 0)]
        .into_iter()
        .map(|(data, size)| {
            let digest: [u8; 32] = <sha2::Sha256 as sha2::Digest>::digest(data).into();
            Upload {
                // Of "hello\n" and of nothing.
                md5: Some(if size > 0 {
                    *b"\xb1\x94\x6a\xc9\x24\x92\xd2\x34\x7c\x62\x35\xb4\xd2\x61\x11\x84"
                } else {
                    *b"\xd4\x1d\x8c\xd9\x8f\x00\xb2\x04\xe9\x80\x09\x98\xec\xf8\x42\x7e"
                }),
                ..Upload::new(raw(&digest), size)
            }
        })
        .collect();
    let granter = granter_in(prefix, seal);
    let batch = granter
        .write_batch(&uploads, 300, Timestamp::from_unix(NOW))
        .unwrap();
    (uploads, batch)
}

fn granter_in(prefix: &str, seal: Seal) -> Granter {
    Granter::new(
        Bucket::new(
            "https://s3.example:8443",
            "blocks",
            "us-east-1",
            Style::Path,
        )
        .unwrap(),
        Keys::new(Prefix::new(prefix).unwrap(), Layout::Kubo),
        Credentials::new(ACCESS_KEY, SECRET),
        Policy {
            seal: Some(seal),
            if_none_match: true,
            ..Policy::default()
        },
    )
    .unwrap()
}

#[test]
fn a_batch_of_the_other_kind_or_too_short() {
    let (uploads, writes) = example(Seal::Checksum);
    let cid = uploads[0].cid;
    let granter = granter_in("my blocks", Seal::Checksum);
    let now = Timestamp::from_unix(NOW);
    let reads = granter
        .read_batch(&[cid], &Read::default(), 300, now)
        .unwrap();
    assert_eq!(
        writes.read(0, &cid),
        Err(AssembleError::Method(Method::Put))
    );
    assert_eq!(
        reads.write(0, &uploads[0]),
        Err(AssembleError::Method(Method::Get))
    );
    assert_eq!(
        reads.read(1, &cid),
        Err(AssembleError::Index {
            index: 1,
            blocks: 1
        })
    );
    let inline: Cid = "bafkqaaa".parse().unwrap();
    assert_eq!(reads.read(0, &inline), Err(Error::Inline(inline).into()));
}

/// A grant for a block whose CID has another hash is for the raw sha2-256 CID of the same bytes,
/// below the lease's own folder. It is good there and nowhere else.
#[test]
fn a_grant_to_a_staging_folder_stays_in_it() {
    for seal in [Seal::Checksum, Seal::PayloadHash, Seal::ChecksumMd5] {
        let (uploads, batch) = example_in(STAGING, seal);
        let batch = over_the_wire(&batch);
        for (index, upload) in uploads.iter().enumerate() {
            let grant = batch.write(index, upload).unwrap();
            assert_eq!(accepts(&(&grant).into(), NOW), Ok(()));
            let folder = "/my%20blocks/.cidbucket/staging/0000018f3a2c-q4kzt5x2m7hy3c6a/CIQ";
            assert!(grant.url.contains(folder), "{grant:?}");
            for elsewhere in [
                "/my%20blocks/CIQ",
                "/my%20blocks/.cidbucket/staging/other/CIQ",
            ] {
                let mut moved = grant.clone();
                moved.url = moved.url.replace(folder, elsewhere);
                assert!(accepts(&(&moved).into(), NOW).is_err(), "{elsewhere}");
            }
        }
    }
}

#[test]
fn members_that_cannot_be_right_are_refused() {
    let good: Value = serde_json::from_str(&example(Seal::Checksum).1.to_json()).unwrap();
    let read = |value: &Value| Batch::from_json(value.to_string().as_bytes());
    assert!(read(&good).is_ok());
    for (member, wrong) in [
        ("base", json!("ftp://h/")),
        ("base", json!("https://h")),
        ("base", json!("https://h/a")),
        ("base", json!("https://user@h/")),
        ("base", json!("https://h/../")),
        ("base", json!("https://h/%2e%2e/")),
        ("base", json!("https://h//")),
        ("base", json!("https://h/?q/")),
        ("base", json!("https://h/#/")),
        ("base", json!("https://h\n/")),
        ("base", json!(format!("https://h/{}/", "a".repeat(2_048)))),
        ("layout", json!("no such")),
        ("prefix", json!("../up")),
        ("prefix", json!("/a/")),
        ("headers", json!({"cookie": "a"})),
        ("headers", json!({"host": "a"})),
        ("headers", json!({"authorization": "a"})),
        ("headers", json!({"Content-Type": "a"})),
        ("headers", json!({"x-amz-": "a"})),
        ("headers", json!({"content-type": "a\r\nb"})),
        ("headers", json!({"content-type": "a".repeat(1_025)})),
        ("seal", json!("header")),
        ("seal", Value::Null),
        ("method", json!("GET")),
        ("query", Value::Null),
        ("query", json!("")),
        ("query", json!("a#b")),
        ("query", json!("a b")),
        ("query", json!("a".repeat(16_385))),
        ("expires", Value::Null),
        ("signatures", Value::Null),
        ("signatures", json!("AAAA")),
    ] {
        let mut bad = good.clone();
        bad[member] = wrong.clone();
        assert!(
            matches!(read(&bad), Err(WireError::Member(_))),
            "{member} {wrong}: {:?}",
            read(&bad)
        );
    }
    let many: serde_json::Map<String, Value> = (0..17)
        .map(|index| (format!("x-amz-meta-{index}"), json!("v")))
        .collect();
    let mut bad = good.clone();
    bad["headers"] = many.into();
    assert_eq!(read(&bad), Err(WireError::Member("headers")));
    for (member, wrong) in [
        ("method", json!("DELETE")),
        ("seal", json!("crc32")),
        ("version", json!("1")),
        ("expires", json!(-1)),
        ("signatures", json!("AA==")),
        ("signatures", json!("+/+/")),
        ("unknown", json!(1)),
    ] {
        let mut bad = good.clone();
        bad[member] = wrong.clone();
        assert!(
            matches!(read(&bad), Err(WireError::Form(_))),
            "{member} {wrong}"
        );
    }
    let mut bad = good.clone();
    bad["version"] = json!(2);
    assert_eq!(read(&bad), Err(WireError::Version(2)));
    let mut bad = good;
    bad.as_object_mut().unwrap().remove("base");
    assert!(matches!(read(&bad), Err(WireError::Form(_))));
    let large = vec![b' '; 3 << 20];
    assert!(matches!(
        Batch::from_json(&large),
        Err(WireError::TooLarge { .. })
    ));
    assert!(matches!(
        Batch::from_dag_cbor(&large),
        Err(WireError::TooLarge { .. })
    ));
}

/// The vectors for implementations in other languages. After a deliberate change of the form, run
/// this test with `CIDBUCKET_WRITE_VECTORS=1` to write them anew, and look at the difference.
#[test]
fn vectors_for_other_languages() {
    let range = Read {
        range: Some(ByteRange {
            first: 0,
            last: Some(99),
        }),
        content_type: Some("text/plain; charset=utf-8".into()),
        ..Read::default()
    };
    let head = Read {
        head: true,
        ..Read::default()
    };
    let plain = Read::default();
    let cases = Value::from(vec![
        reads("reads", &reader("kubo", "ipfs"), &plain),
        reads("sizes", &reader("helia", ""), &head),
        reads(
            "ranges and overrides, with a session token",
            &reader("flatfs", "grüße/a b"),
            &range,
        ),
        reads("reads of a public bucket", &public(), &plain),
        writes("writes under checksum", Seal::Checksum),
        writes("writes under payload-hash", Seal::PayloadHash),
        writes("writes under checksum-md5", Seal::ChecksumMd5),
        writes_in(STAGING, "writes to a staging folder", Seal::Checksum),
        writes_in(
            STAGING,
            "writes to a staging folder under payload-hash",
            Seal::PayloadHash,
        ),
    ]);
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/batches.json");
    if std::env::var_os("CIDBUCKET_WRITE_VECTORS").is_some() {
        let text = serde_json::to_string_pretty(&cases).unwrap() + "\n";
        std::fs::write(path, text).unwrap();
    }
    let written: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    assert_eq!(written, cases);
}

fn reader(layout: &str, prefix: &str) -> Granter {
    Granter::new(
        Bucket::aws("blocks", "eu-west-1").unwrap(),
        Keys::new(Prefix::new(prefix).unwrap(), layout.parse().unwrap()),
        Credentials::new(ACCESS_KEY, SECRET).with_session_token("token/+="),
        Policy::default(),
    )
    .unwrap()
}

fn public() -> Granter {
    Granter::public(
        Bucket::new("http://localhost:9000", "blocks", "us-east-1", Style::Path).unwrap(),
        Keys::new(Prefix::default(), Layout::Peergos),
        Policy::default(),
    )
    .unwrap()
}

fn reads(name: &str, granter: &Granter, read: &Read) -> Value {
    let cids: [Cid; 2] = [
        "bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy",
        "QmdfTbBqBPQ7VNxZEYEj14VmRuZBkqFbiwReogJgS1zR1n",
    ]
    .map(|text| text.parse().unwrap());
    let now = Timestamp::from_unix(NOW);
    let batch = granter.read_batch(&cids, read, 300, now).unwrap();
    let blocks = cids.map(|cid| json!({"cid": cid.to_string()}));
    let grants = [0, 1].map(|index| batch.read(index, &cids[index]).unwrap());
    case(name, &batch, &blocks, &grants)
}

fn writes(name: &str, seal: Seal) -> Value {
    writes_in("my blocks", name, seal)
}

fn writes_in(prefix: &str, name: &str, seal: Seal) -> Value {
    let (uploads, batch) = example_in(prefix, seal);
    let blocks = [0, 1].map(|index: usize| {
        let upload = &uploads[index];
        let mut block = json!({"cid": upload.cid.to_string(), "size": upload.size});
        if seal == Seal::ChecksumMd5 {
            block["md5"] = server::hex(&upload.md5.unwrap()).into();
        }
        block
    });
    let grants = [0, 1].map(|index| batch.write(index, &uploads[index]).unwrap());
    case(name, &batch, &blocks, &grants)
}

fn case(name: &str, batch: &Batch, blocks: &[Value], grants: &[Grant]) -> Value {
    for grant in grants {
        if grant.expires.is_some() {
            assert_eq!(accepts(&grant.into(), NOW), Ok(()), "{name}");
        }
    }
    json!({
        "name": name,
        "batch": serde_json::from_str::<Value>(&batch.to_json()).unwrap(),
        "dag_cbor_hex": server::hex(&batch.to_dag_cbor()),
        "blocks": blocks,
        "grants": grants,
    })
}
