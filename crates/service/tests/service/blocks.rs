//! Single blocks through the service.

use cidbucket_blockstore::{Block, Blockstore, Cid};
use cidbucket_dev_s3::{Fault, Rule};
use cidbucket_direct::Code;

use crate::fixture::{ENFORCED, Fixture, ask, blake3, holds, path_of, raw, settings};

#[tokio::test]
async fn in_and_out() {
    for cache in [0, 1 << 20] {
        let fixture = Fixture::with(settings(|_| {}), ENFORCED, cache).await;
        for block in [raw("sha"), blake3("blake"), raw("")] {
            let path = path_of(&block);
            assert_eq!(
                fixture.ask("GET", &path, "all", "").await.code(),
                Code::NotFound
            );
            let put = fixture.ask("PUT", &path, "all", block.data().clone()).await;
            assert_eq!((put.status.as_u16(), put.body.len()), (204, 0));
            assert!(holds(&fixture.shared(), &block).await);
            let got = fixture.ask("GET", &path, "all", "").await;
            assert_eq!((got.status.as_u16(), &got.body), (200, block.data()));
            assert_eq!(got.header("content-type"), "application/vnd.ipld.raw");
            assert_eq!(got.header("etag"), format!("\"{}.raw\"", block.cid()));
            assert_eq!(
                got.header("cache-control"),
                "private, max-age=29030400, immutable"
            );
            let head = fixture.ask("HEAD", &path, "all", "").await;
            assert_eq!((head.status.as_u16(), head.body.len()), (200, 0));
            assert_eq!(head.header("content-length"), block.len().to_string());
            assert_eq!(head.header("etag"), got.header("etag"));
            for _ in 0..2 {
                assert_eq!(fixture.ask("DELETE", &path, "all", "").await.status, 204);
            }
            assert_eq!(
                fixture.ask("GET", &path, "all", "").await.code(),
                Code::NotFound
            );
            assert_eq!(fixture.ask("HEAD", &path, "all", "").await.status, 404);
        }
    }
}

#[tokio::test]
async fn every_cid_of_a_multihash_is_the_block() {
    let fixture = Fixture::new().await;
    let block = raw("one");
    fixture.shared().put(&block).await.unwrap();
    for cid in [
        Cid::new_v0(*block.multihash()).unwrap(),
        Cid::new_v1(0x70, *block.multihash()),
    ] {
        let got = fixture
            .ask("GET", &format!("/v1/blocks/{cid}"), "all", "")
            .await;
        assert_eq!(got.body, block.data());
        assert_eq!(got.header("etag"), format!("\"{cid}.raw\""));
    }
    // A CID that holds its block needs no store.
    let got = fixture
        .ask("GET", "/v1/blocks/bafkqablimvwgy3y", "all", "")
        .await;
    assert_eq!((got.status.as_u16(), got.text().as_str()), (200, "hello"));
    let put = fixture
        .ask("PUT", "/v1/blocks/bafkqablimvwgy3y", "all", "hello")
        .await;
    assert_eq!(put.status, 204);
}

#[tokio::test]
async fn only_the_right_bytes_are_stored() {
    let fixture = Fixture::new().await;
    for block in [raw("right"), blake3("right")] {
        let put = fixture.ask("PUT", &path_of(&block), "all", "wrong").await;
        assert_eq!(put.code(), Code::Corrupt);
        assert!(!fixture.shared().has(block.cid()).await.unwrap());
    }
    let large = Block::raw(vec![0; (2 << 20) + 1]);
    let put = fixture
        .ask("PUT", &path_of(&large), "all", large.data().clone())
        .await;
    assert_eq!(put.code(), Code::TooLarge);
    let largest = Block::raw(vec![0; 2 << 20]);
    let put = fixture
        .ask("PUT", &path_of(&largest), "all", largest.data().clone())
        .await;
    assert_eq!(put.status, 204);
    fixture.tokens.issue("small", |c| c.max_block = Some(3));
    let put = fixture
        .ask("PUT", &path_of(&raw("four")), "small", "four")
        .await;
    assert_eq!(put.code(), Code::Denied);
}

#[tokio::test]
async fn a_damaged_block_is_never_handed_out() {
    let fixture = Fixture::new().await;
    let (block, other) = (raw("right"), raw("wrong"));
    let key = fixture.client.config().keys.key(block.cid());
    let put = cidbucket_s3::PutObject::new(other.data().clone(), other.sha256());
    fixture.client.put_object(&key, &put).await.unwrap();
    let got = fixture.ask("GET", &path_of(&block), "all", "").await;
    assert_eq!(got.code(), Code::Unavailable);
    assert!(!got.text().contains("wrong") && got.text().contains("not those of the block"));
}

#[tokio::test]
async fn an_outage_is_no_absence() {
    let fixture = Fixture::new().await;
    assert_eq!(fixture.ask("GET", "/readyz", "", "").await.status, 200);
    fixture
        .s3
        .faults()
        .push(Rule::new(Fault::status(403, "AccessDenied")));
    for method in ["GET", "HEAD"] {
        let got = fixture.ask(method, &path_of(&raw("x")), "all", "").await;
        assert_eq!(got.status, 503);
    }
    // And the service says that it is not ready, though it runs.
    assert_eq!(
        fixture.ask("GET", "/readyz", "", "").await.code(),
        Code::Unavailable
    );
    assert_eq!(fixture.ask("GET", "/healthz", "", "").await.status, 200);
    fixture.s3.faults().clear();
    fixture.ask("GET", &path_of(&raw("x")), "all", "").await;
    assert_eq!(fixture.ask("GET", "/readyz", "", "").await.status, 200);
    fixture.service.stop();
    assert_eq!(fixture.ask("GET", "/readyz", "", "").await.status, 503);
}

#[tokio::test]
async fn by_etag() {
    let fixture = Fixture::new().await;
    let (block, absent) = (raw("there"), raw("absent"));
    fixture.shared().put(&block).await.unwrap();
    let get = async |block: &Block, method: &str, tag: &str| {
        let headers = [("if-none-match", tag)];
        ask(
            &fixture.service,
            method,
            &path_of(block),
            "all",
            &headers,
            "",
        )
        .await
    };
    let tag = format!("\"{}.raw\"", block.cid());
    for (tag, status) in [
        (&*tag, 304),
        (&format!("W/{tag}"), 304),
        ("*", 304),
        ("\"x\"", 200),
    ] {
        for method in ["GET", "HEAD"] {
            let got = get(&block, method, tag).await;
            assert_eq!(got.status, status, "{method} {tag}");
            assert_eq!(got.header("etag"), format!("\"{}.raw\"", block.cid()));
            assert_eq!(got.body.is_empty(), status == 304 || method == "HEAD");
        }
    }
    assert_eq!(get(&absent, "GET", "*").await.status, 404);
}

#[tokio::test]
async fn on_request_by_redirect() {
    let fixture = Fixture::new().await;
    let block = raw("there");
    fixture.shared().put(&block).await.unwrap();
    let path = format!("{}?redirect=true", path_of(&block));
    let got = fixture.ask("GET", &path, "all", "").await;
    assert_eq!(
        (got.status.as_u16(), got.header("cache-control")),
        (307, "no-store")
    );
    let grant = cidbucket_direct::Grant {
        method: cidbucket_direct::Method::Get,
        url: got.header("location").to_owned(),
        headers: Vec::new(),
        expires: None,
    };
    assert_eq!(fixture.send(&grant, "".into()).await.body(), block.data());
    // HEAD never is.
    assert_eq!(fixture.ask("HEAD", &path, "all", "").await.status, 200);
    let other = format!("{}?redirect=false", path_of(&block));
    assert_eq!(fixture.ask("GET", &other, "all", "").await.status, 200);
    let inline = fixture
        .ask("GET", "/v1/blocks/bafkqaaa?redirect=true", "all", "")
        .await;
    assert_eq!(inline.status, 200);
}

#[tokio::test]
async fn hot_blocks_come_from_memory() {
    let fixture = Fixture::with(settings(|_| {}), ENFORCED, 1 << 20).await;
    let block = raw("hot");
    fixture.shared().put(&block).await.unwrap();
    let before = fixture
        .client
        .metrics()
        .of(cidbucket_s3::Operation::GetObject)
        .total();
    for _ in 0..5 {
        assert_eq!(
            fixture.ask("GET", &path_of(&block), "all", "").await.status,
            200
        );
    }
    let after = fixture
        .client
        .metrics()
        .of(cidbucket_s3::Operation::GetObject)
        .total();
    assert_eq!(after - before, 1);
    let text = fixture.ask("GET", "/metrics", "", "").await.text();
    assert!(text.contains("cidbucket_cache_hits_total 4"), "{text}");
}

#[tokio::test]
async fn what_is_no_cid() {
    let fixture = Fixture::new().await;
    let weak = Cid::new_v1(
        0x55,
        cidbucket_blockstore::Multihash::wrap(0xd5, &[0; 16]).unwrap(),
    );
    for text in [
        "x",
        "bafy",
        "%2e%2e",
        "..",
        &weak.to_string(),
        &"b".repeat(5000),
    ] {
        for method in ["GET", "PUT", "DELETE"] {
            let answer = fixture
                .ask(method, &format!("/v1/blocks/{text}"), "all", "")
                .await;
            assert_eq!(answer.code(), Code::Invalid, "{method} {text}");
            assert!(!answer.text().contains(&weak.to_string()));
        }
    }
}
