//! Other stores than buckets, and reads that are public.

use std::sync::Arc;

use cidbucket_access::Quota;
use cidbucket_blockstore::{Blockstore, MemoryBlockstore};
use cidbucket_direct::{Code, Encoding, Granted, Info, ReadMode, Reads, WriteMode, Writes};
use cidbucket_service::{Enforced, Service, ServiceBuilder};

use crate::fixture::{
    ENFORCED, Fixture, Tokens, ask, blake3, path_of, raw, settings, tenant, write,
};

fn over_memory() -> (Service, Arc<MemoryBlockstore>) {
    let store = Arc::new(MemoryBlockstore::new());
    let tokens = Arc::<Tokens>::default();
    tokens.issue("all", |_| {});
    tokens.issue("t", |c| c.tenant = Some(tenant("acme")));
    tokens.issue("q", |c| {
        c.quota = Some(Quota {
            total: Some(1),
            window: None,
        });
    });
    let service = ServiceBuilder::store(store.clone())
        .authorizer(tokens)
        .build()
        .unwrap();
    (service, store)
}

#[tokio::test]
async fn all_goes_through_the_service() {
    let (service, store) = over_memory();
    let info: Info = ask(&service, "GET", "/v1/info", "", &[], "").await.json();
    assert_eq!(
        (info.writes, info.direct_reads, info.layout),
        (WriteMode::Proxied, false, None)
    );
    let block = raw("x");
    let reads = Encoding::Json.encode(&Reads::of([*block.cid()]));
    let refused = ask(&service, "POST", "/v1/reads", "all", &[], reads).await;
    assert_eq!(refused.code(), Code::NotDirect);
    let writes = Writes {
        blocks: vec![write(&block), write(&blake3("y"))],
        expires: None,
    };
    let body = Encoding::Json.encode(&writes);
    let granted: Granted = ask(&service, "POST", "/v1/writes", "all", &[], body)
        .await
        .json();
    assert_eq!(granted.proxied, [0, 1]);
    let put = ask(&service, "PUT", &path_of(&block), "all", &[], "x").await;
    assert_eq!(put.status, 204);
    assert!(store.has(block.cid()).await.unwrap());
    // A redirect leads nowhere, so the block itself is the answer.
    let path = format!("{}?redirect=true", path_of(&block));
    assert_eq!(ask(&service, "GET", &path, "all", &[], "").await.body, "x");
    let complete = format!("/v1/writes/{}/complete", granted.lease);
    assert_eq!(
        ask(&service, "POST", &complete, "all", &[], "")
            .await
            .status,
        200
    );
    service.close().await.unwrap();
}

#[tokio::test]
async fn what_needs_a_bucket_is_refused() {
    let (service, _) = over_memory();
    for token in ["t", "q"] {
        let put = ask(&service, "PUT", &path_of(&raw("x")), token, &[], "x").await;
        assert_eq!(put.code(), Code::Denied, "{token}");
    }
}

#[tokio::test]
async fn public_reads_need_no_token_and_nothing_else_is_public() {
    let fixture = Fixture::with(settings(|s| s.public_reads = true), ENFORCED, 0).await;
    fixture
        .tokens
        .issue("t", |c| c.tenant = Some(tenant("acme")));
    let (block, theirs) = (raw("everybody's"), raw("theirs"));
    fixture.shared().put(&block).await.unwrap();
    fixture.tenant("acme").put(&theirs).await.unwrap();
    let info: Info = fixture.ask("GET", "/v1/info", "", "").await.json();
    assert_eq!(info.reads, ReadMode::Public);
    let grant = info.public.unwrap().read(0, block.cid()).unwrap();
    assert!(!grant.url.contains('?'), "{}", grant.url);
    let got = fixture.ask("GET", &path_of(&block), "", "").await;
    assert_eq!(got.body, block.data());
    assert!(got.header("cache-control").starts_with("public, "));
    assert_eq!(
        fixture.ask("GET", &path_of(&theirs), "", "").await.code(),
        Code::NotFound
    );
    assert_eq!(
        fixture.ask("GET", &path_of(&theirs), "t", "").await.status,
        200
    );
    fixture.reads("", &[&block]).await;
    for (method, path) in [
        ("PUT", path_of(&block)),
        ("DELETE", path_of(&block)),
        ("GET", "/v1/blocks".into()),
        ("POST", "/v1/writes".into()),
    ] {
        let answer = fixture.ask(method, &path, "", "").await;
        assert_eq!(answer.code(), Code::Unauthorised, "{method} {path}");
    }
    // A token that is not good is not passed over.
    let bad = fixture.ask("GET", &path_of(&block), "nonsense", "").await;
    assert_eq!(bad.code(), Code::Unauthorised);
}

#[tokio::test]
async fn settings_that_contradict_each_other() {
    let fixture = Fixture::new().await;
    let build = |change: fn(&mut cidbucket_service::Settings), enforced| {
        ServiceBuilder::bucket(fixture.client.clone(), enforced)
            .settings(settings(change))
            .build()
    };
    assert!(build(|_| {}, ENFORCED).is_ok());
    assert!(build(|s| s.limits.read_expires = 0, ENFORCED).is_err());
    assert!(build(|s| s.limits.write_expires = 604_801, ENFORCED).is_err());
    assert!(build(|s| s.limits.max_blocks = 65_537, ENFORCED).is_err());
    assert!(build(|s| s.max_requests = 0, ENFORCED).is_err());
    let read_back = Some(cidbucket_presign::Seal::ChecksumMd5);
    assert!(
        build(
            |_| {},
            Enforced {
                seal: read_back,
                ..ENFORCED
            }
        )
        .is_err()
    );
}
