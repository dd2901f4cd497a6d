//! Pages of the listing.

use std::collections::BTreeSet;

use cidbucket_blockstore::{Blockstore, MemoryBlockstore, raw_cid};
use cidbucket_direct::{Code, Encoding, Page};
use cidbucket_service::ServiceBuilder;

use crate::fixture::{Fixture, Tokens, ask, blake3, raw, tenant, write};

/// All pages, from the beginning to the end.
async fn all(fixture: &Fixture, token: &str) -> (BTreeSet<String>, u64) {
    let (mut cids, mut foreign) = (BTreeSet::new(), 0);
    let mut path = "/v1/blocks".to_owned();
    loop {
        let page: Page = fixture.ask("GET", &path, token, "").await.json();
        foreign += page.foreign;
        for listed in page.blocks {
            assert!(cids.insert(listed.cid.0.to_string()), "listed twice");
        }
        let Some(cursor) = page.cursor else {
            return (cids, foreign);
        };
        let query: String = form_urlencoded::Serializer::new(String::new())
            .append_pair("cursor", &cursor)
            .finish();
        path = format!("/v1/blocks?{query}");
    }
}

#[tokio::test]
async fn each_sees_its_own_and_what_is_covered() {
    let fixture = Fixture::new().await;
    fixture
        .tokens
        .issue("t", |c| c.tenant = Some(tenant("acme")));
    fixture.tokens.issue("sha", |c| c.hashes = Some(vec![0x12]));
    fixture
        .tokens
        .issue("writer", |c| c.operations.list = false);
    let (sha, blake, theirs) = (raw("sha"), blake3("blake"), raw("theirs"));
    for block in [&sha, &blake] {
        fixture.shared().put(block).await.unwrap();
    }
    fixture.tenant("acme").put(&theirs).await.unwrap();
    // The service's own folder is in no listing.
    fixture.writes("all", vec![write(&raw("leased"))]).await;
    let names = |blocks: &[&cidbucket_blockstore::Block]| -> BTreeSet<String> {
        blocks
            .iter()
            .map(|b| raw_cid(*b.multihash()).to_string())
            .collect()
    };
    assert_eq!(all(&fixture, "all").await, (names(&[&sha, &blake]), 0));
    assert_eq!(all(&fixture, "t").await, (names(&[&theirs]), 0));
    assert_eq!(all(&fixture, "sha").await, (names(&[&sha]), 0));
    let denied = fixture.ask("GET", "/v1/blocks", "writer", "").await;
    assert_eq!(denied.code(), Code::Denied);
    let bad = fixture
        .ask("GET", "/v1/blocks?cursor=nonsense", "all", "")
        .await;
    assert_eq!(bad.code(), Code::Invalid);
    let headers = [("accept", "application/vnd.ipld.dag-cbor")];
    let cbor = ask(&fixture.service, "GET", "/v1/blocks", "all", &headers, "").await;
    let page: Page = Encoding::DagCbor.decode("page", &cbor.body).unwrap();
    assert_eq!(page.blocks.len(), 2);
}

#[tokio::test]
async fn any_store_is_listed() {
    let store = std::sync::Arc::new(MemoryBlockstore::new());
    let block = raw("x");
    store.put(&block).await.unwrap();
    let tokens = std::sync::Arc::<Tokens>::default();
    tokens.issue("all", |_| {});
    let service = ServiceBuilder::store(store)
        .authorizer(tokens)
        .build()
        .unwrap();
    let page: Page = ask(&service, "GET", "/v1/blocks", "all", &[], "")
        .await
        .json();
    assert_eq!(page.blocks[0].cid.0, *block.cid());
    assert_eq!(page.blocks[0].size, 1);
}
