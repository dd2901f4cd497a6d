//! Writes to S3 whose answer is lost, refused, or late, on the embedded server.

use std::sync::Arc;
use std::time::Duration;

use cidbucket_blockstore::{Block, Bytes, Error};
use cidbucket_dev_s3::{DevS3, Fault, Rule};
use cidbucket_layout::Keys;
use cidbucket_presign::{Bucket, Style};
use cidbucket_records::{
    Conditions, Control, KeepSetBuilder, LeaseError, Leases, Ledger, LedgerError, NewLease,
    Purpose, Quota, Records, S3Records, State, Way,
};
use cidbucket_s3::{CredentialsSource, S3Client, S3Config};
use cidbucket_sigv4::Credentials;

async fn server() -> DevS3 {
    DevS3::builder().bucket("blocks").start().await.unwrap()
}

fn client(server: &DevS3) -> S3Client {
    let bucket = Bucket::new(server.endpoint(), "blocks", server.region(), Style::Path).unwrap();
    let mut config = S3Config::new(bucket, keys());
    config.credentials =
        CredentialsSource::Static(Credentials::new(server.access_key(), server.secret_key()));
    config.retry.min_delay = Duration::from_millis(1);
    config.retry.max_delay = Duration::from_millis(5);
    S3Client::new(config).unwrap()
}

fn keys() -> Keys {
    Keys::new("p".parse().unwrap(), "kubo".parse().unwrap())
}

fn records(server: &DevS3) -> S3Records {
    S3Records::new(client(server), Conditions::ALL)
}

fn put(fault: Fault, times: u64) -> Rule {
    Rule::new(fault).operation("PutObject").times(times)
}

#[tokio::test]
async fn a_lost_answer_is_found_out_by_reading() {
    let server = server().await;
    let records = records(&server);
    for times in 1..5 {
        let key = format!("k{times}");
        server.faults().push(put(Fault::LoseAnswer, times));
        let tag = records.create(&key, Bytes::from("one")).await.unwrap();
        server.faults().clear();
        let tag = tag.expect("it was created, by us");
        server.faults().push(put(Fault::LoseAnswer, times));
        let next = records.replace(&key, Bytes::from("two"), &tag).await;
        server.faults().clear();
        let next = next.unwrap().expect("it was replaced, by us");
        let found = records.get(&key).await.unwrap().unwrap();
        assert_eq!((&found.value[..], &found.tag), (&b"two"[..], &next));
    }
}

#[tokio::test]
async fn a_conflict_is_tried_again() {
    let server = server().await;
    let records = records(&server);
    let conflict = || Fault::status(409, "ConditionalRequestConflict");
    server.faults().push(put(conflict(), 2));
    let tag = records.create("k", Bytes::from("one")).await.unwrap();
    server.faults().push(put(conflict(), 2));
    let next = records
        .replace("k", Bytes::from("two"), &tag.unwrap())
        .await;
    assert!(next.unwrap().is_some());
}

#[tokio::test]
async fn a_server_that_wants_bare_tags_is_understood_once_for_all() {
    let server = server().await;
    let records = records(&server);
    let tag = records.create("k", "one".into()).await.unwrap().unwrap();
    // As Ceph 16 does: the right tag is refused as long as it has its quotes.
    server
        .faults()
        .push(put(Fault::status(412, "PreconditionFailed"), 1));
    let tag = records.replace("k", "two".into(), &tag).await.unwrap();
    let before = server.faults().count("PutObject");
    let tag = records.replace("k", "three".into(), &tag.unwrap()).await;
    assert_eq!(server.faults().count("PutObject") - before, 1);
    // One that refuses both forms cannot do this at all.
    server
        .faults()
        .push(put(Fault::status(412, "PreconditionFailed"), 9));
    let error = records
        .replace("k", "four".into(), &tag.unwrap().unwrap())
        .await;
    assert!(matches!(error, Err(Error::Unsupported(_))), "{error:?}");
}

#[tokio::test]
async fn refusals_and_outages_are_errors() {
    let server = server().await;
    let records = records(&server);
    let tag = records.create("k", "one".into()).await.unwrap().unwrap();
    for (fault, is_denied) in [
        (Fault::status(403, "AccessDenied"), true),
        (Fault::status(503, "ServiceUnavailable"), false),
    ] {
        server.faults().push(Rule::new(fault));
        for result in [
            records.create("k2", "x".into()).await.map(|_| ()),
            records.replace("k", "x".into(), &tag).await.map(|_| ()),
            records.get("k").await.map(|_| ()),
            records.list("", None).await.map(|_| ()),
        ] {
            match result.unwrap_err() {
                Error::Denied(_) => assert!(is_denied),
                Error::Unavailable(_) => assert!(!is_denied),
                other => panic!("{other}"),
            }
        }
        server.faults().clear();
    }
    assert_eq!(records.get("k").await.unwrap().unwrap().value, "one");
}

fn new_lease(now: u64) -> NewLease {
    let mut keep = KeepSetBuilder::default();
    keep.push(Block::raw("x").cid(), 100, Way::Direct);
    NewLease {
        token: "alice".into(),
        tenant: Some("t".into()),
        expires: now + 900,
        keep: keep.finish(),
    }
}

fn unix_now() -> u64 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_secs()
}

#[tokio::test]
async fn what_a_lease_that_was_not_opened_took_is_given_back() {
    let server = server().await;
    let client = client(&server);
    let records: Arc<dyn Records> = Arc::new(S3Records::new(client.clone(), Conditions::ALL));
    let control = Control::new(&keys());
    let clock = {
        let client = client.clone();
        Arc::new(move || client.now())
    };
    let ledger = Ledger::new(Arc::clone(&records), control.clone(), clock.clone(), "one");
    let leases = Leases::new(records, control, clock);
    let quota = Quota {
        total: Some(1_000),
        window: None,
    };
    let reserve = || ledger.reserve("alice", &quota, 900, Purpose::Lease);

    // Refused.
    let denied = Rule::new(Fault::status(403, "AccessDenied"))
        .operation("PutObject")
        .key("leases/");
    let reservation = reserve().await.unwrap();
    server.faults().push(denied.times(1));
    let opened = leases.open(new_lease(unix_now()), Some(reservation)).await;
    assert!(matches!(opened, Err(LeaseError::Store(Error::Denied(_)))));
    // Written, with all answers lost: it is found to be there.
    let reservation = reserve().await.unwrap();
    let lost = Rule::new(Fault::LoseAnswer).operation("PutObject");
    server.faults().push(lost.key("leases/").times(2));
    let opened = leases.open(new_lease(unix_now()), Some(reservation)).await;
    let lease = opened.unwrap();
    let (_, state) = leases.get(&lease.id, "alice", Some("t")).await.unwrap();
    assert_eq!(state, State::Pending);
    // All but 100 bytes are taken now.
    let exceeded = reserve().await.unwrap_err();
    assert!(matches!(exceeded, LedgerError::Exceeded(_)), "{exceeded}");
}

#[tokio::test]
async fn a_future_that_is_dropped_leaves_no_chunk_behind() {
    let server = server().await;
    let records: Arc<dyn Records> = Arc::new(records(&server));
    let clock = Arc::new(std::time::SystemTime::now);
    let ledger = Ledger::new(records, Control::new(&keys()), clock, "one");
    let quota = Quota {
        total: Some(1_000),
        window: None,
    };
    server
        .faults()
        .push(Rule::new(Fault::Delay(Duration::from_millis(50))).operation("PutObject"));
    let reserving = ledger.reserve("alice", &quota, 10, Purpose::Lease);
    let _ = tokio::time::timeout(Duration::from_millis(20), reserving).await;
    // Whoever comes next waits for the chunk that is being taken, and needs no other.
    let reservation = ledger.reserve("alice", &quota, 10, Purpose::Lease).await;
    reservation.unwrap().keep();
    let look = ledger.look("alice").await.unwrap().unwrap();
    assert_eq!((look.chunks.len(), look.consumed()), (1, 125));
    ledger.close().await.unwrap();
    let look = ledger.look("alice").await.unwrap().unwrap();
    assert_eq!((look.chunks.len(), look.consumed()), (0, 10));
}

#[tokio::test]
async fn without_conditional_writes_leases_work_and_quotas_do_not() {
    let server = server().await;
    let none = Conditions {
        create: false,
        replace: false,
    };
    let client = client(&server);
    let records: Arc<dyn Records> = Arc::new(S3Records::new(client, none));
    let control = Control::new(&keys());
    let clock = Arc::new(std::time::SystemTime::now);
    let ledger = Ledger::new(Arc::clone(&records), control.clone(), clock.clone(), "one");
    let quota = Quota {
        total: Some(1_000),
        window: None,
    };
    let refused = ledger.reserve("alice", &quota, 10, Purpose::Lease).await;
    assert!(matches!(refused, Err(LedgerError::Unsupported)));
    let free = ledger
        .reserve("alice", &Quota::default(), 10, Purpose::Lease)
        .await;
    let leases = Leases::new(records, control, clock);
    let lease = leases
        .open(new_lease(unix_now()), Some(free.unwrap()))
        .await
        .unwrap();
    assert_eq!(lease.head.charge, None);
    leases.complete(&lease.id).await.unwrap();
    leases.complete(&lease.id).await.unwrap();
    let (_, state) = leases.head(&lease.id, "alice", Some("t")).await.unwrap();
    assert_eq!(state, State::Complete);
}
