//! Grants to read.

use cidbucket_blockstore::{Blockstore, Cid};
use cidbucket_direct::{Code, Encoding, Link, Reads};
use cidbucket_presign::{Batch, Method};

use crate::fixture::{Fixture, ask, blake3, raw, settings, tenant};

#[tokio::test]
async fn blocks_are_read_at_s3_in_both_encodings() {
    let fixture = Fixture::new().await;
    let blocks = [raw("one"), blake3("two"), raw("three")];
    for block in &blocks {
        fixture.shared().put(block).await.unwrap();
    }
    let mut reads = Reads::of(blocks.iter().map(|block| *block.cid()));
    for (method, encoding) in [
        (None, Encoding::Json),
        (Some(Method::Get), Encoding::DagCbor),
        (Some(Method::Head), Encoding::DagCbor),
    ] {
        reads.method = method;
        let headers = [("content-type", encoding.media_type())];
        let body = encoding.encode(&reads);
        let answer = ask(&fixture.service, "POST", "/v1/reads", "all", &headers, body).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(answer.header("content-type"), encoding.media_type());
        assert_eq!(answer.header("cache-control"), "no-store");
        let batch = match encoding {
            Encoding::Json => Batch::from_json(&answer.body),
            Encoding::DagCbor => Batch::from_dag_cbor(&answer.body),
        }
        .unwrap();
        for (index, block) in blocks.iter().enumerate() {
            let grant = batch.read(index, block.cid()).unwrap();
            let got = fixture.send(&grant, "".into()).await;
            assert_eq!(got.status(), 200);
            if method != Some(Method::Head) {
                assert_eq!(got.body(), block.data());
            }
        }
    }
    // The answer has the encoding that is accepted.
    let headers = [("accept", "application/vnd.ipld.dag-cbor")];
    let body = Encoding::Json.encode(&reads);
    let answer = ask(&fixture.service, "POST", "/v1/reads", "all", &headers, body).await;
    assert!(Batch::from_dag_cbor(&answer.body).is_ok());
}

#[tokio::test]
async fn large_batches_are_in_order() {
    let fixture = Fixture::new().await;
    let blocks: Vec<_> = (0..2000).map(|n| raw(&format!("block {n}"))).collect();
    let last = blocks.last().unwrap();
    fixture.shared().put(last).await.unwrap();
    let batch = fixture
        .reads("all", &blocks.iter().collect::<Vec<_>>())
        .await;
    assert_eq!(batch.blocks(), Some(2000));
    let grant = batch.read(1999, last.cid()).unwrap();
    assert_eq!(fixture.send(&grant, "".into()).await.body(), last.data());
    // A block that is not there gets a grant as well, and S3 says so.
    let grant = batch.read(0, blocks[0].cid()).unwrap();
    assert_eq!(fixture.send(&grant, "".into()).await.status(), 404);
}

#[tokio::test]
async fn a_tenant_reads_its_own() {
    let fixture = Fixture::new().await;
    fixture
        .tokens
        .issue("a", |c| c.tenant = Some(tenant("acme")));
    let block = raw("theirs");
    fixture.tenant("acme").put(&block).await.unwrap();
    let batch = fixture.reads("a", &[&block]).await;
    let got = fixture
        .send(&batch.read(0, block.cid()).unwrap(), "".into())
        .await;
    assert_eq!(got.body(), block.data());
    // Nobody else's grant leads there.
    let batch = fixture.reads("all", &[&block]).await;
    let got = fixture
        .send(&batch.read(0, block.cid()).unwrap(), "".into())
        .await;
    assert_eq!(got.status(), 404);
}

#[tokio::test]
async fn what_cannot_be_granted() {
    let fixture = Fixture::with(
        settings(|settings| settings.limits.max_blocks = 3),
        crate::fixture::ENFORCED,
        0,
    )
    .await;
    fixture
        .tokens
        .issue("narrow", |c| c.hashes = Some(vec![0x12]));
    let fine = *raw("fine").cid();
    let other = *blake3("other").cid();
    let identity: Cid = "bafkqaaa".parse().unwrap();
    let md5 = Cid::new_v1(
        0x55,
        cidbucket_blockstore::Multihash::wrap(0xd5, &[0; 16]).unwrap(),
    );
    for (cids, token, code, index) in [
        (vec![], "all", Code::Invalid, None),
        (vec![fine; 4], "all", Code::TooLarge, None),
        (vec![fine, identity], "all", Code::Invalid, Some(1)),
        (vec![md5, fine], "all", Code::Invalid, Some(0)),
        (vec![fine, fine, other], "narrow", Code::Denied, Some(2)),
    ] {
        let body = Encoding::Json.encode(&Reads::of(cids));
        let problem = fixture
            .ask("POST", "/v1/reads", token, body)
            .await
            .problem();
        assert_eq!((problem.code, problem.index), (code, index), "{problem:?}");
    }
    for (expires, status) in [
        (Some(1), 200),
        (Some(600), 200),
        (Some(0), 400),
        (Some(601), 400),
    ] {
        let reads = Reads {
            cids: vec![Link(fine)],
            method: None,
            expires,
        };
        let answer = fixture
            .ask("POST", "/v1/reads", "all", Encoding::Json.encode(&reads))
            .await;
        assert_eq!(answer.status, status, "{expires:?}");
    }
    for body in [
        "",
        "{",
        "[]",
        r#"{"cids":["x"]}"#,
        r#"{"cids":[],"until":1}"#,
        r#"{"cids":["bafkqaaa"],"method":"PUT"}"#,
        r#"{"cids":["bafkqaaa"],"method":"DELETE"}"#,
    ] {
        let answer = fixture.ask("POST", "/v1/reads", "all", body).await;
        assert_eq!(answer.code(), Code::Invalid, "{body}");
    }
}
