//! What the service keeps in the bucket: conditional writes, leases, quotas, staged uploads and the
//! sweeper, on the server under test.

use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use cidbucket_blockstore::{Block, Blockstore, Bytes, Cid, Hash};
use cidbucket_layout::Keys;
use cidbucket_presign::{Grant, Policy, Upload};
use cidbucket_records::{
    Conditions, Control, KeepSetBuilder, Kept, LeaseError, LeaseId, Leases, Ledger, LedgerError,
    NewLease, Promoted, Purpose, Quota, Records, S3Records, Staging, State, Sweeper, Way,
    sha256_cid,
};
use cidbucket_s3::{Env, ListObjectsV2, Probe, PutObject, S3Blockstore, S3Client, S3Config};
use cidbucket_tests::{Curl, Target};
use futures::future::join_all;

/// A service instance, whose clock can be put forward.
struct Instance {
    client: S3Client,
    records: Arc<dyn Records>,
    control: Control,
    clock: Arc<dyn Fn() -> SystemTime + Send + Sync>,
    ahead: Arc<AtomicU64>,
}

impl Instance {
    fn new(target: &Target) -> Self {
        let env = Env::empty()
            .with("AWS_ACCESS_KEY_ID", &*target.access_key)
            .with("AWS_SECRET_ACCESS_KEY", &*target.secret_key);
        let config = S3Config::from_url(&target.store(), &env).expect("a store URL");
        let client = S3Client::new(config).expect("a client");
        let ahead = Arc::new(AtomicU64::new(0));
        let (server, seconds) = (client.clone(), Arc::clone(&ahead));
        Self {
            control: Control::new(&client.config().keys),
            records: Arc::new(S3Records::new(client.clone(), Conditions::ALL)),
            clock: Arc::new(move || {
                server.now() + Duration::from_secs(seconds.load(Ordering::Relaxed))
            }),
            client,
            ahead,
        }
    }

    fn leases(&self) -> Leases {
        Leases::new(
            Arc::clone(&self.records),
            self.control.clone(),
            Arc::clone(&self.clock),
        )
    }

    fn ledger(&self) -> Ledger {
        Ledger::new(
            Arc::clone(&self.records),
            self.control.clone(),
            Arc::clone(&self.clock),
            "test",
        )
    }

    fn sweeper(&self) -> Sweeper {
        Sweeper::new(
            Arc::clone(&self.records),
            self.control.clone(),
            Arc::clone(&self.clock),
        )
    }

    fn now(&self) -> SystemTime {
        (self.clock)()
    }

    fn in_seconds(&self, seconds: u64) -> u64 {
        let now = self.now().duration_since(UNIX_EPOCH).expect("after 1970");
        now.as_secs() + seconds
    }

    fn new_lease(&self, token: &str, kept: &[Kept]) -> NewLease {
        let mut keep = KeepSetBuilder::with_capacity(kept.len());
        for kept in kept {
            keep.push(&kept.cid, kept.size, kept.way);
        }
        NewLease {
            token: token.to_owned(),
            tenant: None,
            expires: self.in_seconds(900),
            keep: keep.finish(),
        }
    }

    async fn keys(&self, folder: &str) -> Vec<String> {
        let prefix = format!("{}{folder}", self.client.config().keys.control_prefix());
        let list = ListObjectsV2::with_prefix(&prefix);
        let page = self.client.list_objects_v2(&list).await.expect("a page");
        page.objects.into_iter().map(|object| object.key).collect()
    }
}

fn direct(data: &str) -> Kept {
    let block = Block::raw(Bytes::from(data.to_owned()));
    Kept {
        cid: *block.cid(),
        size: block.len() as u64,
        way: Way::Direct,
    }
}

#[tokio::test]
async fn records_are_changed_by_compare_and_swap() {
    let target = Target::new();
    let (one, two) = (Instance::new(&target), Instance::new(&target));
    let key = format!("{}cas", one.client.config().keys.control_prefix());
    let records = &one.records;

    // Of many who create it one does, and the value is his.
    let racers = (0..8).map(|n| {
        let (records, key) = (Arc::clone(&two.records), &key);
        async move { records.create(key, Bytes::from(format!("value {n}"))).await }
    });
    let results = join_all(racers).await;
    let winners: Vec<usize> = (0..8)
        .filter(|&n| results[n].as_ref().expect("an answer").is_some())
        .collect();
    assert_eq!(winners.len(), 1, "{results:?}");
    let found = records.get(&key).await.unwrap().unwrap();
    assert_eq!(found.value, format!("value {}", winners[0]));
    // His again, as after a lost answer; of another value it is not.
    let again = records.create(&key, found.value.clone()).await.unwrap();
    assert_eq!(again.as_ref(), Some(&found.tag));
    assert_eq!(records.create(&key, "other".into()).await.unwrap(), None);

    // Of many who replace it one does. A new client finds out the form of the tag by itself.
    let racers = (0..8).map(|n| {
        let (records, key, tag) = (&two.records, &key, &found.tag);
        async move { records.replace(key, format!("next {n}").into(), tag).await }
    });
    let results = join_all(racers).await;
    let winners: Vec<usize> = (0..8)
        .filter(|&n| results[n].as_ref().expect("an answer").is_some())
        .collect();
    assert_eq!(winners.len(), 1, "{results:?}");
    let next = records.get(&key).await.unwrap().unwrap();
    assert_eq!(next.value, format!("next {}", winners[0]));
    assert_ne!(next.tag, found.tag);
    // As after a lost answer, and with the old tag.
    let again = records.replace(&key, next.value.clone(), &found.tag).await;
    assert_eq!(again.unwrap(), Some(next.tag.clone()));
    let stale = records.replace(&key, "stale".into(), &found.tag).await;
    assert_eq!(stale.unwrap(), None);
    let fresh = records.replace(&key, "fresh".into(), &next.tag).await;
    assert!(fresh.unwrap().is_some());

    let start = records.get_start(&key, 3).await.unwrap();
    assert_eq!(start.as_deref(), Some(&b"fre"[..]));
    let page = records.list(&key, None).await.unwrap();
    assert_eq!((page.entries.len(), page.more), (1, false));
    assert_eq!((&page.entries[0].key, page.entries[0].size), (&key, 5));
    assert!(page.entries[0].modified.is_some());
    records.delete(&key).await.unwrap();
    records.delete(&key).await.unwrap();
    assert_eq!(records.get(&key).await.unwrap(), None);
    assert_eq!(records.get_start(&key, 3).await.unwrap(), None);
    // What is gone is not replaced.
    let gone = records.replace(&key, "back".into(), &next.tag).await;
    assert_eq!(gone.unwrap(), None);
    assert_eq!(records.get(&key).await.unwrap(), None);
}

#[tokio::test]
async fn a_lease_is_completed_once_and_by_its_token_only() {
    let target = Target::new();
    let (one, two) = (Instance::new(&target), Instance::new(&target));
    let kept = [direct("a"), direct("bc")];
    let lease = one
        .leases()
        .open(one.new_lease("alice", &kept), None)
        .await
        .unwrap();

    let leases = two.leases();
    let (found, state) = leases.get(&lease.id, "alice", None).await.unwrap();
    assert_eq!((&found, state), (&lease, State::Pending));
    assert_eq!(found.keep.iter().collect::<Vec<_>>(), kept);
    assert_eq!((found.head.blocks, found.head.bytes), (2, 3));
    let unknown = LeaseId::new(lease.id.expires(), [0; 16]);
    for (id, token, tenant) in [
        (&lease.id, "mallory", None),
        (&lease.id, "alice", Some("t")),
        (&unknown, "alice", None),
    ] {
        let error = leases.get(id, token, tenant).await.unwrap_err();
        assert!(matches!(error, LeaseError::NoSuchLease), "{error}");
        let error = leases.head(id, token, tenant).await.unwrap_err();
        assert!(matches!(error, LeaseError::NoSuchLease), "{error}");
    }
    // At once and again.
    let other = one.leases();
    let both = tokio::join!(leases.complete(&lease.id), other.complete(&lease.id));
    both.0.unwrap();
    both.1.unwrap();
    let (head, state) = leases.head(&lease.id, "alice", None).await.unwrap();
    assert_eq!((&head, state), (&lease.head, State::Complete));

    // It stays for a day, and then goes.
    let sweeper = two.sweeper();
    let swept = sweeper.sweep(two.now() + Duration::from_hours(20)).await;
    assert_eq!((swept.expired, swept.removed, swept.failed), (0, 0, 0));
    leases.complete(&lease.id).await.unwrap();
    let swept = sweeper.sweep(two.now() + Duration::from_hours(25)).await;
    assert_eq!((swept.removed, swept.failed), (1, 0), "{swept:?}");
    assert_eq!(one.keys("leases/").await, Vec::<String>::new());
}

#[tokio::test]
async fn a_lease_of_65536_blocks() {
    let target = Target::new();
    let instance = Instance::new(&target);
    let mut keep = KeepSetBuilder::with_capacity(65_536);
    for n in 0..65_536_u32 {
        let block = Block::raw(n.to_be_bytes().to_vec());
        keep.push(block.cid(), 2 << 20, Way::Direct);
    }
    let mut new = instance.new_lease(&"t".repeat(512), &[]);
    new.keep = keep.finish();
    let leases = instance.leases();
    let token = new.token.clone();
    let lease = leases.open(new, None).await.unwrap();
    let (found, _) = leases.get(&lease.id, &token, None).await.unwrap();
    assert_eq!(found, lease);
    let (head, _) = leases.head(&lease.id, &token, None).await.unwrap();
    assert_eq!((head.blocks, head.bytes), (65_536, 65_536 * (2 << 20)));
}

#[tokio::test]
async fn quotas_hold_over_instances_and_come_back() {
    let target = Target::new();
    let (one, two) = (Instance::new(&target), Instance::new(&target));
    let quota = Quota {
        total: Some(10_000),
        window: None,
    };
    let (first, second) = (one.ledger(), two.ledger());
    let mut kept = Vec::new();
    // Both spend as much as they can.
    for round in 0.. {
        let ledger = if round % 2 == 0 { &first } else { &second };
        match ledger.reserve("alice", &quota, 300, Purpose::Lease).await {
            Ok(reservation) => kept.push(reservation),
            Err(LedgerError::Exceeded(_)) if round > 20 => break,
            Err(error) => panic!("{error}"),
        }
    }
    let look = first.look("alice").await.unwrap().unwrap();
    assert!(look.consumed() <= 10_000, "{look:?}");
    assert!(kept.len() >= 27 && kept.len() <= 33, "{}", kept.len());
    // Another token's is its own.
    let other = first.reserve("bob", &quota, 10_000, Purpose::Lease).await;
    drop(other.unwrap());

    // One becomes a lease that is never completed, the others are given back.
    let leases = one.leases();
    let reservation = kept.pop().unwrap();
    let lease = leases
        .open(one.new_lease("alice", &[direct("x")]), Some(reservation))
        .await
        .unwrap();
    drop(kept);
    first.close().await.unwrap();
    second.close().await.unwrap();
    let look = first.look("alice").await.unwrap().unwrap();
    assert_eq!((look.consumed(), look.chunks.len()), (300, 0), "{look:?}");
    assert_eq!(first.look("bob").await.unwrap().unwrap().consumed(), 0);

    one.ahead.store(1_100, Ordering::Relaxed);
    let (left, right) = (one.sweeper(), two.sweeper());
    let swept = tokio::join!(left.sweep(one.now()), right.sweep(one.now()));
    assert_eq!(swept.0.refunded + swept.1.refunded, 1, "{swept:?}");
    assert_eq!(swept.0.failed + swept.1.failed, 0, "{swept:?}");
    let look = first.look("alice").await.unwrap().unwrap();
    assert_eq!((look.consumed(), look.refunds.len()), (0, 1), "{look:?}");
    let late = leases.complete(&lease.id).await.unwrap_err();
    assert!(matches!(late, LeaseError::NoSuchLease), "{late}");

    let later = one.now() + Duration::from_hours(2);
    let swept = left.sweep(later).await;
    assert_eq!((swept.removed, swept.failed), (1, 0), "{swept:?}");
    let look = first.look("alice").await.unwrap().unwrap();
    assert_eq!((look.consumed(), look.refunds.len()), (0, 0), "{look:?}");
    assert_eq!(one.keys("leases/").await, Vec::<String>::new());
}

#[tokio::test]
async fn the_chunk_of_an_instance_that_is_gone_is_charged_with_its_leases() {
    let target = Target::new();
    let one = Instance::new(&target);
    let quota = Quota {
        total: Some(8_000),
        window: None,
    };
    let ledger = one.ledger();
    let reservation = ledger
        .reserve("alice", &quota, 100, Purpose::Lease)
        .await
        .unwrap();
    let lease = one
        .leases()
        .open(one.new_lease("alice", &[direct("x")]), Some(reservation))
        .await
        .unwrap();
    one.leases().complete(&lease.id).await.unwrap();
    drop(ledger); // without a word
    let two = Instance::new(&target);
    let look = two.ledger().look("alice").await.unwrap().unwrap();
    assert_eq!(look.consumed(), 1_000);
    let swept = two
        .sweeper()
        .sweep(two.now() + Duration::from_mins(30))
        .await;
    assert_eq!((swept.reclaimed, swept.failed), (0, 0), "{swept:?}");
    let swept = two
        .sweeper()
        .sweep(two.now() + Duration::from_mins(45))
        .await;
    assert_eq!((swept.reclaimed, swept.reclaimed_bytes), (1, 900));
    let look = two.ledger().look("alice").await.unwrap().unwrap();
    assert_eq!((look.consumed(), look.chunks.len()), (100, 0), "{look:?}");
}

/// Puts a body with a grant, as a client that shares no code with us.
fn upload(grant: &Grant, body: &Bytes) -> u16 {
    let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
    file.write_all(body).expect("a temporary file");
    let grant = serde_json::to_value(grant).expect("a grant");
    Curl::grant(&grant).body(file.path()).send().0
}

#[tokio::test]
async fn staged_uploads_get_to_their_key_only_as_what_they_are() {
    let target = Target::new();
    let one = Instance::new(&target);
    let seal = Probe::run(&one.client)
        .await
        .unwrap()
        .require_seal()
        .unwrap();
    let policy = Policy {
        seal: Some(seal),
        ..Policy::default()
    };
    let store = S3Blockstore::with_client(one.client.clone());
    for copies in [true, false] {
        let data = Bytes::from(format!("a block of blake3, copied: {copies}"));
        let block = Block::encode(0x55, Hash::Blake3, data.clone()).unwrap();
        let sha256 = block.sha256();
        let kept = Kept {
            cid: *block.cid(),
            size: block.len() as u64,
            way: Way::Staged { sha256 },
        };
        // Bytes that have the declared SHA-256, but are not of the CID.
        let lie = Bytes::from(format!("wrong bytes, copied: {copies}!!"));
        let wrong = Kept {
            cid: *Block::encode(0x55, Hash::Blake3, "other").unwrap().cid(),
            size: lie.len() as u64,
            way: Way::Staged {
                sha256: Block::raw(lie.clone()).sha256(),
            },
        };
        let lease = one
            .leases()
            .open(one.new_lease("alice", &[kept, wrong]), None)
            .await
            .unwrap();
        let staging_keys = one.control.staging(&lease.id).unwrap();
        let granter = one
            .client
            .granter(staging_keys, policy.clone())
            .await
            .unwrap();
        let grant = |kept: &Kept| {
            let Way::Staged { sha256 } = kept.way else {
                unreachable!("it is staged")
            };
            let upload = Upload::new(sha256_cid(&sha256), kept.size);
            granter
                .write(&upload, 600, one.client.now().into())
                .unwrap()
        };
        let staging = Staging::new(one.client.clone(), one.control.clone(), copies);
        let keys: &Keys = one.control.shared();
        let promote = async |kept: &Kept| staging.promote(&lease.id, keys, kept, 2 << 20).await;

        assert_eq!(promote(&kept).await.unwrap(), Promoted::Missing);
        // Other bytes than declared are refused by S3, the declared ones are taken.
        let other = Bytes::from(vec![b'!'; data.len()]);
        assert!(upload(&grant(&kept), &other) >= 400);
        assert_eq!(promote(&kept).await.unwrap(), Promoted::Missing);
        assert_eq!(upload(&grant(&kept), &data), 200);
        assert_eq!(upload(&grant(&wrong), &lie), 200);
        assert!(
            !store.has(block.cid()).await.unwrap(),
            "not before promotion"
        );
        assert_eq!(promote(&kept).await.unwrap(), Promoted::Done);
        assert_eq!(store.get(block.cid()).await.unwrap().as_ref(), Some(&block));
        assert_eq!(promote(&kept).await.unwrap(), Promoted::Done, "once more");
        assert_eq!(promote(&wrong).await.unwrap(), Promoted::Wrong);
        assert!(!store.has(&wrong.cid).await.unwrap());

        // The holder of the grant uploads all the time while it is promoted. Whatever comes of it,
        // what lies at the key is the block.
        assert_eq!(upload(&grant(&kept), &data), 200);
        let again = grant(&kept);
        let racing = tokio::task::spawn_blocking(move || {
            for n in 0..6 {
                upload(&again, if n % 2 == 0 { &other } else { &data });
            }
        });
        for _ in 0..4 {
            let promoted = promote(&kept).await.unwrap();
            assert_eq!(promoted, Promoted::Done);
            assert_eq!(store.get(block.cid()).await.unwrap().as_ref(), Some(&block));
        }
        racing.await.unwrap();

        // What was left behind goes with the lease.
        assert!(!one.keys("staging/").await.is_empty());
        let swept = one
            .sweeper()
            .sweep(one.now() + Duration::from_hours(2))
            .await;
        assert!(swept.staged >= 1, "{swept:?}");
        assert_eq!(one.keys("staging/").await, Vec::<String>::new());
        assert_eq!(store.get(block.cid()).await.unwrap().as_ref(), Some(&block));
    }
}

/// Writes past the service's part: an object at a staging key, as if the server had checked nothing.
async fn plant(instance: &Instance, lease: &LeaseId, cid: &Cid, body: &Bytes) {
    let key = instance.control.staging(lease).unwrap().key(cid);
    let put = PutObject::new(body.clone(), Block::raw(body.clone()).sha256());
    instance.client.put_object(&key, &put).await.unwrap();
}

#[tokio::test]
async fn what_a_careless_server_let_in_is_found_out() {
    let target = Target::new();
    let one = Instance::new(&target);
    let store = S3Blockstore::with_client(one.client.clone());
    let block = Block::encode(0x55, Hash::Blake3, "right").unwrap();
    let sha256 = block.sha256();
    let kept = Kept {
        cid: *block.cid(),
        size: 5,
        way: Way::Staged { sha256 },
    };
    let lease = one
        .leases()
        .open(one.new_lease("alice", &[kept]), None)
        .await
        .unwrap();
    let staging = Staging::new(one.client.clone(), one.control.clone(), true);
    for body in ["wrong", "", "wrong and long"] {
        plant(&one, &lease.id, &sha256_cid(&sha256), &Bytes::from(body)).await;
        let promoted = staging.promote(&lease.id, one.control.shared(), &kept, 2 << 20);
        assert_eq!(promoted.await.unwrap(), Promoted::Wrong, "{body}");
        assert!(!store.has(block.cid()).await.unwrap(), "{body}");
    }
}
