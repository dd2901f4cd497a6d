//! What one may not see looks like what is not there.

use cidbucket_blockstore::{Block, Blockstore};
use cidbucket_direct::Code;
use cidbucket_s3::Operation;

use crate::fixture::{Asked, ENFORCED, Fixture, path_of, raw, settings, tenant};

/// An answer without what names the block that was asked for.
fn shape(mut answer: Asked) -> Asked {
    answer.headers.remove("date");
    answer
}

#[tokio::test]
async fn absent_others_and_not_covered_are_one_answer() {
    for cache in [0, 1 << 20] {
        let fixture = Fixture::with(settings(|_| {}), ENFORCED, cache).await;
        fixture.tokens.issue("a", |c| {
            c.tenant = Some(tenant("acme"));
            c.codecs = Some(vec![0x55]);
        });
        let (others, shared, own) = (raw("another's"), raw("shared"), raw("own"));
        fixture.tenant("other").put(&others).await.unwrap();
        fixture.shared().put(&shared).await.unwrap();
        fixture.tenant("acme").put(&own).await.unwrap();
        // Its own block, but by a codec that the token does not cover.
        let uncovered = Block::new(
            cidbucket_blockstore::Cid::new_v1(0x70, *own.multihash()),
            own.data().clone(),
        )
        .unwrap();
        for method in ["GET", "HEAD"] {
            let mut seen = Vec::new();
            // The first absence ever has the client look for the bucket itself.
            fixture
                .ask(method, &path_of(&raw("warm up")), "a", "")
                .await;
            for block in [&raw("absent"), &others, &shared, &uncovered] {
                let before = fixture.client.metrics();
                let answer = fixture.ask(method, &path_of(block), "a", "").await;
                let after = fixture.client.metrics();
                assert_eq!(answer.status, 404, "{method}");
                // The same work was done for it.
                let asked = |operation| after.of(operation).total() - before.of(operation).total();
                let work = (
                    asked(Operation::GetObject),
                    asked(Operation::HeadObject),
                    asked(Operation::PutObject),
                );
                seen.push((shape(answer), work, after.wire_out - before.wire_out));
            }
            seen.dedup();
            assert_eq!(seen.len(), 1, "{method}: {seen:#?}");
        }
        let own = fixture.ask("GET", &path_of(&own), "a", "").await;
        assert_eq!(own.status, 200);
    }
}

#[tokio::test]
async fn what_is_not_covered_is_not_written_or_deleted() {
    let fixture = Fixture::new().await;
    fixture
        .tokens
        .issue("cbor", |c| c.codecs = Some(vec![0x71]));
    let block = raw("there");
    fixture.shared().put(&block).await.unwrap();
    for method in ["PUT", "DELETE"] {
        for block in [&block, &raw("absent")] {
            let answer = fixture
                .ask(method, &path_of(block), "cbor", block.data().clone())
                .await;
            assert_eq!(answer.code(), Code::Denied);
        }
    }
    assert!(fixture.shared().has(block.cid()).await.unwrap());
}

#[tokio::test]
async fn a_tenant_deletes_and_writes_its_own_alone() {
    let fixture = Fixture::new().await;
    fixture
        .tokens
        .issue("a", |c| c.tenant = Some(tenant("acme")));
    let block = raw("everybody's");
    for store in [
        fixture.shared(),
        fixture.tenant("acme"),
        fixture.tenant("other"),
    ] {
        store.put(&block).await.unwrap();
    }
    assert_eq!(
        fixture
            .ask("DELETE", &path_of(&block), "a", "")
            .await
            .status,
        204
    );
    assert!(!fixture.tenant("acme").has(block.cid()).await.unwrap());
    assert!(fixture.tenant("other").has(block.cid()).await.unwrap());
    assert!(fixture.shared().has(block.cid()).await.unwrap());
    let new = raw("new");
    fixture.ask("PUT", &path_of(&new), "a", "new").await;
    assert!(fixture.tenant("acme").has(new.cid()).await.unwrap());
    assert!(!fixture.shared().has(new.cid()).await.unwrap());
}
