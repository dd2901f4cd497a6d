//! Grants to write, their leases, and quotas.

use cidbucket_access::{Quota, Window};
use cidbucket_blockstore::{Block, Blockstore, Cid, Multihash};
use cidbucket_dev_s3::{Fault, Rule};
use cidbucket_direct::{Code, Encoding, Granted, Way, Write, Writes};
use cidbucket_presign::{Seal, Upload};
use cidbucket_records::{Conditions, Control, Leases, S3Records, State, Way as Kept};
use cidbucket_s3::ListObjectsV2;
use cidbucket_service::Enforced;

use crate::fixture::{ENFORCED, Fixture, ask, blake3, holds, raw, settings, tenant, write};

#[tokio::test]
async fn every_way_ends_with_the_block_at_its_key() {
    let fixture = Fixture::new().await;
    let inline = Block::new("bafkqaaa".parse().unwrap(), "").unwrap();
    let blocks = [raw("direct"), blake3("staged"), blake3("proxied"), inline];
    let mut asked: Vec<_> = blocks.iter().map(write).collect();
    asked[2].sha256 = None;
    let granted = fixture.writes("all", asked).await;
    assert_eq!(
        granted.ways(4).unwrap().0,
        [Way::Direct(0), Way::Staged(0), Way::Proxied, Way::Stored]
    );
    fixture.upload(&granted, &blocks).await;
    let proxied = crate::fixture::path_of(&blocks[2]);
    let put = fixture
        .ask("PUT", &proxied, "all", blocks[2].data().clone())
        .await;
    assert_eq!(put.status, 204);
    // Staged uploads are not there before their hash was recomputed.
    assert!(!fixture.shared().has(blocks[1].cid()).await.unwrap());
    for _ in 0..2 {
        let completed = fixture.complete("all", &granted.lease).await;
        assert_eq!(completed.status, 200, "{}", completed.text());
        let completed: cidbucket_direct::Completed = completed.json();
        assert_eq!((completed.blocks, completed.bytes), (4, 19));
    }
    for block in &blocks {
        assert!(holds(&fixture.shared(), block).await, "{block:?}");
    }
}

#[tokio::test]
async fn in_dag_cbor_and_large() {
    let fixture = Fixture::new().await;
    let blocks: Vec<_> = (0..1500).map(|n| raw(&format!("block {n}"))).collect();
    let writes = Writes {
        blocks: blocks.iter().map(write).collect(),
        expires: Some(60),
    };
    let encoding = Encoding::DagCbor;
    let headers = [("content-type", encoding.media_type())];
    let body = encoding.encode(&writes);
    let answer = ask(
        &fixture.service,
        "POST",
        "/v1/writes",
        "all",
        &headers,
        body,
    )
    .await;
    assert_eq!(answer.status, 200);
    let granted: Granted = encoding.decode("answer", &answer.body).unwrap();
    let batch = granted.direct.as_ref().unwrap();
    assert_eq!(batch.blocks(), Some(1500));
    // The lease outlives its grants.
    assert!(granted.expires > batch.expires().unwrap().unix());
    let last = &blocks[1499];
    let grant = batch
        .write(1499, &Upload::new(*last.cid(), last.len() as u64))
        .unwrap();
    assert_eq!(
        fixture.send(&grant, last.data().clone()).await.status(),
        200
    );
    // S3 refuses other bytes.
    let first = &blocks[0];
    let grant = batch.write(0, &Upload::new(*first.cid(), 7)).unwrap();
    assert_eq!(fixture.send(&grant, "BLOCK 0".into()).await.status(), 400);
    assert!(!fixture.shared().has(first.cid()).await.unwrap());
}

#[tokio::test]
async fn the_lease_keeps_all_blocks_of_the_request() {
    let fixture = Fixture::new().await;
    fixture.tokens.issue("t", |c| {
        c.tenant = Some(tenant("acme"));
        c.answer_stored = Some(true);
    });
    let there = raw("there");
    fixture.tenant("acme").put(&there).await.unwrap();
    let blocks = [there, raw("new"), blake3("staged")];
    let granted = fixture
        .writes("t", blocks.iter().map(write).collect())
        .await;
    assert_eq!(granted.stored, [0]);
    let keys = &fixture.client.config().keys;
    let records = std::sync::Arc::new(S3Records::new(fixture.client.clone(), Conditions::ALL));
    let client = fixture.client.clone();
    let leases = Leases::new(
        records,
        Control::new(keys),
        std::sync::Arc::new(move || client.now()),
    );
    let id = granted.lease.parse().unwrap();
    let (lease, state) = leases.get(&id, "t", Some("acme")).await.unwrap();
    assert_eq!(state, State::Pending);
    let kept: Vec<_> = lease.keep.iter().map(|kept| (kept.cid, kept.way)).collect();
    let staged = Kept::Staged {
        sha256: blocks[2].sha256(),
    };
    assert_eq!(
        kept,
        [
            (*blocks[0].cid(), Kept::Stored),
            (*blocks[1].cid(), Kept::Direct),
            (*blocks[2].cid(), staged),
        ]
    );
}

#[tokio::test]
async fn what_is_stored_is_told_to_whom_the_policy_says() {
    let block = raw("stored");
    for (setting, token, told) in [
        (false, None, false),
        (false, Some(true), true),
        (true, None, true),
        (true, Some(false), false),
    ] {
        let fixture = Fixture::with(settings(|s| s.answer_stored = setting), ENFORCED, 0).await;
        fixture.tokens.issue("t", |c| c.answer_stored = token);
        fixture.shared().put(&block).await.unwrap();
        let granted = fixture
            .writes("t", vec![write(&block), write(&raw("new"))])
            .await;
        assert_eq!(granted.stored.is_empty(), !told, "{setting:?} {token:?}");
        // A block of another size is not the block.
        let mut other = write(&block);
        other.size += 1;
        let granted = fixture.writes("t", vec![other]).await;
        assert!(granted.stored.is_empty());
    }
}

#[tokio::test]
async fn without_a_seal_all_goes_through_the_service() {
    let enforced = Enforced {
        seal: None,
        ..ENFORCED
    };
    let fixture = Fixture::with(settings(|_| {}), enforced, 0).await;
    let blocks = [raw("one"), blake3("two")];
    let granted = fixture
        .writes("all", blocks.iter().map(write).collect())
        .await;
    assert_eq!(granted.proxied, [0, 1]);
    assert_eq!((&granted.direct, &granted.staged), (&None, &None));
    let info: cidbucket_direct::Info = fixture.ask("GET", "/v1/info", "", "").await.json();
    assert_eq!(
        (info.writes, info.seal),
        (cidbucket_direct::WriteMode::Proxied, None)
    );
    assert_eq!(fixture.complete("all", &granted.lease).await.status, 200);
}

#[tokio::test]
async fn the_seal_without_batches_gives_single_grants() {
    let enforced = Enforced {
        seal: Some(Seal::Header),
        ..ENFORCED
    };
    let fixture = Fixture::with(settings(|_| {}), enforced, 0).await;
    let blocks = [raw("one"), raw("two")];
    let granted = fixture
        .writes("all", blocks.iter().map(write).collect())
        .await;
    assert_eq!((&granted.direct, granted.direct_grants.len()), (&None, 2));
    fixture.upload(&granted, &blocks).await;
    assert!(holds(&fixture.shared(), &blocks[1]).await);
}

#[tokio::test]
async fn nothing_is_granted_unless_all_is() {
    let fixture = Fixture::with(settings(|s| s.limits.max_block = 100), ENFORCED, 0).await;
    fixture.tokens.issue("narrow", |c| {
        c.hashes = Some(vec![0x12]);
        c.codecs = Some(vec![0x55]);
        c.max_block = Some(10);
    });
    let cid = |code, digest: &[u8]| Cid::new_v1(0x55, Multihash::wrap(code, digest).unwrap());
    let fine = write(&raw("fine"));
    for (bad, token, code) in [
        (Write::new(cid(0x12, &[1; 32]), 101), "all", Code::TooLarge),
        (Write::new(cid(0x12, &[1; 32]), 11), "narrow", Code::Denied),
        (write(&blake3("x")), "narrow", Code::Denied),
        (
            Write::new(
                Cid::new_v1(0x70, Multihash::wrap(0x12, &[1; 32]).unwrap()),
                1,
            ),
            "narrow",
            Code::Denied,
        ),
        (Write::new(cid(0xd5, &[1; 16]), 1), "all", Code::Invalid),
        (Write { size: 5, ..fine }, "all", Code::Invalid),
    ] {
        let answer = fixture.ask_for_writes(token, vec![fine, bad]).await;
        let problem = answer.problem();
        assert_eq!((problem.code, problem.index), (code, Some(1)), "{bad:?}");
    }
    // Nothing was written either.
    let list = ListObjectsV2::with_prefix("");
    let page = fixture.client.list_objects_v2(&list).await.unwrap();
    assert_eq!(page.objects.len(), 0);
}

#[tokio::test]
async fn bytes_are_counted_once_and_refused_beyond_the_quota() {
    let fixture = Fixture::with(settings(|s| s.answer_stored = true), ENFORCED, 0).await;
    fixture.tokens.issue("q", |c| {
        c.quota = Some(Quota {
            total: Some(100),
            window: None,
        });
    });
    let block = |n: usize| raw(&"x".repeat(n));
    let granted = fixture.writes("q", vec![write(&block(60))]).await;
    fixture.upload(&granted, &[block(60)]).await;
    assert_eq!(fixture.complete("q", &granted.lease).await.status, 200);
    // What is there takes nothing, so 40 bytes are left.
    fixture
        .writes("q", vec![write(&block(60)), write(&block(30))])
        .await;
    let refused = fixture.ask_for_writes("q", vec![write(&block(11))]).await;
    assert_eq!(refused.code(), Code::Quota);
    // Through the service they count as well.
    let path = crate::fixture::path_of(&block(11));
    let refused = fixture
        .ask("PUT", &path, "q", block(11).data().clone())
        .await;
    assert_eq!(refused.code(), Code::Quota);
    let text = fixture.ask("GET", "/metrics", "", "").await.text();
    assert!(text.contains("cidbucket_quota_refusals_total 2"), "{text}");
    let path = crate::fixture::path_of(&block(9));
    assert_eq!(
        fixture
            .ask("PUT", &path, "q", block(9).data().clone())
            .await
            .status,
        204
    );
    // Others have their own.
    fixture.writes("all", vec![write(&block(99))]).await;
    // A window says when it will be possible.
    fixture.tokens.issue("w", |c| {
        let window = Window {
            bytes: 10,
            seconds: 1_000_000_000,
        };
        c.quota = Some(Quota {
            total: None,
            window: Some(window),
        });
    });
    fixture.writes("w", vec![write(&block(8))]).await;
    let refused = fixture.ask_for_writes("w", vec![write(&block(5))]).await;
    assert!(refused.problem().retry_after.is_some());
    assert!(!refused.header("retry-after").is_empty());
    fixture.service.close().await.unwrap();
}

#[tokio::test]
async fn where_bytes_cannot_be_counted_quotas_are_refused() {
    let enforced = Enforced {
        conditions: Enforced::NOTHING.conditions,
        ..ENFORCED
    };
    let fixture = Fixture::with(settings(|_| {}), enforced, 0).await;
    fixture.tokens.issue("q", |c| {
        c.quota = Some(Quota {
            total: Some(100),
            window: None,
        });
    });
    let refused = fixture.ask_for_writes("q", vec![write(&raw("x"))]).await;
    assert_eq!(refused.code(), Code::Denied);
    assert!(refused.text().contains("conditional writes"));
    // Without a quota nothing has to be counted.
    fixture.writes("all", vec![write(&raw("x"))]).await;
}

#[tokio::test]
async fn when_the_lease_cannot_be_written_nothing_is_granted() {
    let fixture = Fixture::new().await;
    let rule = Rule::new(Fault::status(403, "AccessDenied")).key(".cidbucket/leases/");
    fixture.s3.faults().push(rule);
    let refused = fixture.ask_for_writes("all", vec![write(&raw("x"))]).await;
    assert_eq!(refused.code(), Code::Unavailable);
    assert!(!refused.text().contains("signatures"), "{}", refused.text());
    fixture.s3.faults().clear();
    fixture.writes("all", vec![write(&raw("x"))]).await;
}
