//! Completing leases.

use cidbucket_blockstore::{Block, Blockstore};
use cidbucket_direct::{Code, Write};
use cidbucket_presign::Upload;
use cidbucket_records::sha256_cid;
use cidbucket_service::{Settings, Verify};

use crate::fixture::{ENFORCED, Fixture, blake3, holds, raw, settings, tenant, write};

async fn verifying(verify: Verify) -> Fixture {
    Fixture::with(settings(|s: &mut Settings| s.verify = verify), ENFORCED, 0).await
}

/// Puts other bytes at a block's key, past everything that checks.
async fn damage(fixture: &Fixture, block: &Block, bytes: &str) {
    let key = fixture.client.config().keys.key(block.cid());
    let other = raw(bytes);
    let put = cidbucket_s3::PutObject::new(other.data().clone(), other.sha256());
    fixture.client.put_object(&key, &put).await.unwrap();
}

#[tokio::test]
async fn the_policy_says_what_is_checked() {
    for (verify, missing, wrong_size, wrong_bytes) in [
        (Verify::Trust, false, false, false),
        (Verify::List, true, true, false),
        (Verify::Read, true, true, true),
    ] {
        let fixture = verifying(verify).await;
        let blocks = [raw("there"), raw("missing"), raw("longer"), raw("other")];
        let granted = fixture
            .writes("all", blocks.iter().map(write).collect())
            .await;
        fixture.shared().put(&blocks[0]).await.unwrap();
        damage(&fixture, &blocks[2], "longer than that").await;
        damage(&fixture, &blocks[3], "OTHER").await;
        let answer = fixture.complete("all", &granted.lease).await;
        if verify == Verify::Trust {
            assert_eq!(answer.status, 200);
            continue;
        }
        let problem = answer.problem();
        assert_eq!(problem.code, Code::Incomplete);
        let expected: &[usize] = if missing { &[1] } else { &[] };
        assert_eq!(problem.missing, expected);
        let expected: Vec<usize> = [(wrong_size, 2), (wrong_bytes, 3)]
            .into_iter()
            .filter_map(|(wrong, index)| wrong.then_some(index))
            .collect();
        assert_eq!(problem.wrong, expected, "{verify:?}");
        // The lease stays, so that all can be put right.
        fixture.upload(&granted, &blocks).await;
        assert_eq!(fixture.complete("all", &granted.lease).await.status, 200);
    }
}

#[tokio::test]
async fn staged_uploads_are_always_read() {
    let fixture = verifying(Verify::Trust).await;
    let target = blake3("the true bytes");
    let forged = raw("other bytes!!!");
    // Whoever declares the SHA-256 of other bytes may upload those, and nothing comes of it.
    let lie = Write {
        sha256: Some(forged.sha256()),
        ..write(&target)
    };
    let granted = fixture.writes("all", vec![lie]).await;
    let missing = fixture.complete("all", &granted.lease).await.problem();
    assert_eq!((missing.code, missing.missing), (Code::Incomplete, vec![0]));
    let upload = Upload::new(sha256_cid(&forged.sha256()), forged.len() as u64);
    let grant = granted.staged.as_ref().unwrap().write(0, &upload).unwrap();
    assert_eq!(
        fixture.send(&grant, forged.data().clone()).await.status(),
        200
    );
    let wrong = fixture.complete("all", &granted.lease).await.problem();
    assert_eq!((wrong.code, wrong.wrong), (Code::Incomplete, vec![0]));
    assert!(!fixture.shared().has(target.cid()).await.unwrap());
    // The same block, declared as it is.
    let granted = fixture.writes("all", vec![write(&target)]).await;
    fixture
        .upload(&granted, std::slice::from_ref(&target))
        .await;
    assert_eq!(fixture.complete("all", &granted.lease).await.status, 200);
    assert!(holds(&fixture.shared(), &target).await);
    assert!(!holds(&fixture.tenant("acme"), &target).await);
}

#[tokio::test]
async fn staged_uploads_of_a_tenant_become_the_tenants() {
    let fixture = verifying(Verify::Trust).await;
    fixture
        .tokens
        .issue("t", |c| c.tenant = Some(tenant("acme")));
    let block = blake3("the tenant's");
    let granted = fixture.writes("t", vec![write(&block)]).await;
    fixture.upload(&granted, std::slice::from_ref(&block)).await;
    assert_eq!(fixture.complete("t", &granted.lease).await.status, 200);
    assert!(holds(&fixture.tenant("acme"), &block).await);
    assert!(!holds(&fixture.shared(), &block).await);
}

#[tokio::test]
async fn a_lease_is_its_tokens_own() {
    let fixture = Fixture::new().await;
    fixture.tokens.issue("other", |_| {});
    fixture
        .tokens
        .issue("reader", |c| c.operations.write = false);
    fixture.tokens.issue("a", |c| {
        (c.token, c.tenant) = ("t".into(), Some(tenant("acme")));
    });
    fixture.tokens.issue("b", |c| {
        (c.token, c.tenant) = ("t".into(), Some(tenant("other")));
    });
    let lease = fixture.writes("all", vec![write(&raw("x"))]).await.lease;
    let tenants = fixture.writes("a", vec![write(&raw("x"))]).await.lease;
    let no_such = "006b08296e-0r71sr3151p7cv7q9rc6jcpqms";
    let mut answers = Vec::new();
    for (token, lease) in [
        ("other", &*lease),
        ("all", no_such),
        ("all", "x"),
        ("b", &*tenants),
        ("all", &*tenants),
    ] {
        let answer = fixture.complete(token, lease).await;
        assert_eq!(answer.code(), Code::NoSuchLease, "{token} {lease}");
        answers.push(answer.body);
    }
    answers.dedup();
    assert_eq!(answers.len(), 1);
    assert_eq!(
        fixture.complete("reader", &lease).await.code(),
        Code::Denied
    );
    assert_eq!(fixture.complete("all", &lease).await.status, 200);
    assert_eq!(fixture.complete("a", &tenants).await.status, 200);
}

#[tokio::test]
async fn a_lease_ends() {
    let fixture = Fixture::with(
        settings(|s| {
            s.limits.write_expires = 1;
            s.lease_slack = std::time::Duration::ZERO;
        }),
        ENFORCED,
        0,
    )
    .await;
    let granted = fixture.writes("all", vec![write(&raw("x"))]).await;
    // It is the service's clock that tells, in whole seconds.
    while cidbucket_presign::Timestamp::from(fixture.client.now()).unix() < granted.expires {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let ended = fixture.complete("all", &granted.lease).await;
    assert_eq!(ended.code(), Code::NoSuchLease);
}
