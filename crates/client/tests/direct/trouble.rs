//! What goes wrong.

use std::time::Duration;

use cidbucket_blockstore::{Block, Blockstore, Cid, Error, Hash};
use cidbucket_client::protocol::{Code, Problem, WriteMode};
use cidbucket_client::{Direct, DirectBlockstore, DirectConfig, Token};
use cidbucket_dev_s3::{DevS3, Fault, Rule};
use futures::stream::{self, StreamExt};
use tokio::net::TcpListener;

use crate::cost::{blocks, get_all, put_all};
use crate::fake::{Fake, Trick};

fn large(n: u8) -> Block {
    Block::raw(vec![n; 10_000])
}

async fn answers(store: &dyn Blockstore, blocks: &[Block]) -> Vec<Result<(), Error>> {
    let answers: Vec<_> = store
        .put_many(stream::iter(blocks.to_vec()).boxed())
        .collect()
        .await;
    let cids: Vec<Cid> = answers.iter().map(|(cid, _)| *cid).collect();
    let expected: Vec<Cid> = blocks.iter().map(|block| *block.cid()).collect();
    assert_eq!(cids, expected);
    answers.into_iter().map(|(_, answer)| answer).collect()
}

/// An address at which nobody listens.
async fn nowhere() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

#[tokio::test]
async fn an_expired_grant_is_renewed_once() {
    let fake = Fake::start().await;
    let store = fake.client();
    let block = large(1);
    store.put(&block).await.unwrap();

    fake.trick("reads", Trick::SignInThePast);
    assert_eq!(store.get(block.cid()).await.unwrap().as_ref(), Some(&block));
    assert_eq!(fake.asked("reads"), 2);

    let other = large(2);
    store.put(&other).await.unwrap();
    fake.trick("reads", Trick::SignInThePast);
    fake.trick("reads", Trick::SignInThePast);
    let error = store.get(other.cid()).await.unwrap_err();
    assert!(matches!(error, Error::Denied(_)), "{error}");
    assert_eq!(fake.asked("reads"), 4);

    let blocks = blocks(20, 1000);
    put_all(&store, &blocks).await;
    fake.trick("reads", Trick::SignInThePast);
    get_all(&store, &blocks).await;
}

#[tokio::test]
async fn an_expired_write_grant_is_renewed() {
    let fake = Fake::start().await;
    let store = fake.client();
    fake.trick("writes", Trick::SignInThePast);
    put_all(&store, &blocks(20, 10_000)).await;
    assert_eq!(fake.asked("writes"), 2);
    assert_eq!(fake.asked("complete"), 1);
    assert_eq!(fake.open_leases(), 1, "the first ends by itself");
}

#[tokio::test]
async fn what_s3_denies_is_denied() {
    let fake = Fake::start().await;
    let store = fake.client();
    let denied = Fault::status(403, "AccessDenied");
    let faults = fake.state.s3.faults();
    faults.push(Rule::new(denied.clone()).operation("PutObject").times(2));
    let error = store.put(&large(1)).await.unwrap_err();
    assert!(matches!(error, Error::Denied(_)), "{error}");
    faults.clear();
    store.put(&large(1)).await.unwrap();
    faults.push(Rule::new(denied).operation("GetObject").times(2));
    let error = store.get(large(1).cid()).await.unwrap_err();
    assert!(matches!(error, Error::Denied(_)), "{error}");
}

#[tokio::test]
async fn wrong_bytes_are_asked_for_once_more() {
    let fake = Fake::start().await;
    let store = fake.client();
    let block = large(1);
    store.put(&block).await.unwrap();
    let faults = fake.state.s3.faults();
    faults.push(Rule::new(Fault::CorruptBody).operation("GetObject").once());
    assert_eq!(store.get(block.cid()).await.unwrap(), Some(block.clone()));
    faults.push(
        Rule::new(Fault::CorruptBody)
            .operation("GetObject")
            .times(2),
    );
    let error = store.get(block.cid()).await.unwrap_err();
    assert!(matches!(error, Error::Corrupt(_)), "{error}");
}

#[tokio::test]
async fn a_missing_bucket_is_no_missing_block() {
    let fake = Fake::start().await;
    let store = fake.client();
    let fault = Fault::status(404, "NoSuchBucket");
    fake.state.s3.faults().push(Rule::new(fault));
    let error = store.get(large(1).cid()).await.unwrap_err();
    assert!(matches!(error, Error::NoStore(_)), "{error}");
    assert!(store.has(large(1).cid()).await.is_err());
}

#[tokio::test]
async fn an_unreachable_s3_is_gone_round() {
    let fake = Fake::start().await;
    let nowhere = nowhere().await;
    fake.set(|setting| setting.endpoint = Some(nowhere));
    let store = fake.client();
    let blocks = blocks(10, 10_000);
    put_all(&store, &blocks).await;
    get_all(&store, &blocks).await;
    let staged = Block::encode(0x55, Hash::Blake3, vec![5; 50_000]).unwrap();
    store.put(&staged).await.unwrap();
    assert_eq!(store.get(staged.cid()).await.unwrap(), Some(staged));
    assert!(store.has(blocks[0].cid()).await.unwrap());
    let traffic = store.traffic();
    assert!(traffic.fallbacks >= 1);
    assert!(
        traffic.s3.requests < 60,
        "it is not tried for every block: {traffic:?}"
    );

    let mut config = fake.config();
    config.direct = Direct::Always;
    config.retry.max_attempts = 2;
    let store = DirectBlockstore::new(config).unwrap();
    for error in [
        store.get(blocks[0].cid()).await.unwrap_err(),
        store.put(&large(1)).await.unwrap_err(),
    ] {
        assert!(matches!(error, Error::Unavailable(_)), "{error}");
    }
}

/// An S3 with a certificate that is not trusted here is not reached, and nothing less is tried.
#[tokio::test]
async fn an_s3_that_is_not_trusted_is_gone_round() {
    let fake = Fake::start().await;
    let folder = tempfile::tempdir().unwrap();
    let own = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
    let (cert, key) = (folder.path().join("cert"), folder.path().join("key"));
    std::fs::write(&cert, own.cert.pem()).unwrap();
    std::fs::write(&key, own.signing_key.serialize_pem()).unwrap();
    let other = DevS3::builder().tls_pem(&cert, &key).bucket("blocks");
    let other = other.start().await.unwrap();
    let endpoint = other.endpoint().to_owned();
    assert!(endpoint.starts_with("https://"));
    fake.set(|setting| setting.endpoint = Some(endpoint));

    let store = fake.client();
    let blocks = blocks(3, 10_000);
    put_all(&store, &blocks).await;
    get_all(&store, &blocks).await;
    assert!(store.traffic().fallbacks > 0);
    assert_eq!(other.faults().total(), 0);

    // Where its certificate is trusted, it is reached.
    let mut config = fake.config();
    config.ca_file = Some(cert);
    config.direct = Direct::Always;
    let store = DirectBlockstore::new(config).unwrap();
    assert!(
        store.put(&large(1)).await.is_err(),
        "another S3 than the service's"
    );
    assert!(other.faults().count("PutObject") > 0);
}

/// A mixed batch, of which S3 becomes unreachable after the grants.
#[tokio::test]
async fn staged_blocks_that_go_round_leave_the_lease() {
    let fake = Fake::start().await;
    let nowhere = nowhere().await;
    fake.set(|setting| setting.endpoint = Some(nowhere));
    let store = fake.client();
    let mut all = blocks(3, 10_000);
    all.push(Block::encode(0x55, Hash::Blake3, vec![5; 50_000]).unwrap());
    put_all(&store, &all).await;
    fake.set(|setting| setting.endpoint = None);
    get_all(&fake.client(), &all).await;
}

#[tokio::test]
async fn throttling_is_waited_for() {
    let fake = Fake::start().await;
    let store = fake.client();
    for operation in ["info", "writes", "complete", "reads"] {
        fake.problem(operation, Problem::new(Code::Rate, "slowly"));
        fake.problem(operation, Problem::new(Code::Unavailable, "not now"));
    }
    let slow = Fault::status(503, "SlowDown");
    let faults = fake.state.s3.faults();
    faults.push(Rule::new(slow.clone()).operation("PutObject").times(3));
    faults.push(Rule::new(slow).operation("GetObject").times(3));
    let blocks = blocks(5, 10_000);
    put_all(&store, &blocks).await;
    get_all(&store, &blocks).await;

    let mut config = fake.config();
    config.retry.max_delay = Duration::from_millis(20);
    let store = DirectBlockstore::new(config).unwrap();
    for _ in 0..6 {
        fake.problem("info", Problem::new(Code::Rate, "slowly").after(3600));
    }
    let error = store.get(blocks[0].cid()).await.unwrap_err();
    assert!(matches!(error, Error::Throttled(_)), "{error}");
}

#[tokio::test]
async fn a_lost_completion_is_asked_for_again() {
    let fake = Fake::start().await;
    let store = fake.client();
    fake.trick("complete", Trick::LoseAnswer);
    fake.trick("writes", Trick::LoseAnswer);
    put_all(&store, &blocks(5, 10_000)).await;
    assert_eq!(fake.asked("complete"), 2);
    assert_eq!(fake.state.s3.faults().count("PutObject"), 5);
}

#[tokio::test]
async fn a_lease_that_ended_is_followed_by_another() {
    let fake = Fake::start().await;
    let store = fake.client();
    let mut all = blocks(5, 10_000);
    all.push(Block::encode(0x55, Hash::Blake3, vec![5; 50_000]).unwrap());
    fake.trick("complete", Trick::ForgetLease);
    put_all(&store, &all).await;
    assert_eq!(fake.asked("writes"), 2);
    assert_eq!(
        fake.state.s3.faults().count("PutObject"),
        // The staged one again, and what the service moved to its key.
        5 + 2 + 1,
        "what is at its key is not sent again"
    );
    get_all(&store, &all).await;
}

#[tokio::test]
async fn a_block_that_got_lost_is_sent_again() {
    let fake = Fake::start().await;
    let store = fake.client();
    let blocks = blocks(5, 10_000);
    let mut lost = Problem::new(Code::Incomplete, "not all are there");
    lost.missing = vec![1, 3];
    fake.problem("complete", lost.clone());
    put_all(&store, &blocks).await;
    assert_eq!(fake.state.s3.faults().count("PutObject"), 7);
    assert_eq!(fake.asked("writes"), 1);

    let others = self::blocks(5, 10_001);
    lost.wrong = vec![2];
    fake.problem("complete", lost.clone());
    fake.problem("complete", lost);
    let answers = answers(&store, &others).await;
    assert!(matches!(answers[1], Err(Error::Unavailable(_))));
    assert!(matches!(answers[2], Err(Error::Corrupt(_))));
    assert!(matches!(answers[3], Err(Error::Unavailable(_))));
    assert!(answers[0].is_ok() && answers[4].is_ok());
}

#[tokio::test]
async fn a_block_s_failure_is_its_own() {
    let fake = Fake::start().await;
    let store = fake.client();
    let blocks = blocks(10, 10_000);

    // Refused by the service, before anything is granted.
    fake.problem("writes", Problem::new(Code::Denied, "not this").at(3));
    fake.problem("writes", Problem::new(Code::Invalid, "nor this").at(3));
    let got = answers(&store, &blocks).await;
    for (n, answer) in got.iter().enumerate() {
        match n {
            3 => assert!(matches!(answer, Err(Error::Denied(_))), "{answer:?}"),
            4 => assert!(matches!(answer, Err(Error::Invalid(_))), "{answer:?}"),
            _ => assert!(answer.is_ok(), "{answer:?}"),
        }
    }
    assert_eq!(fake.asked("complete"), 1);

    // Refused by S3.
    let other = self::blocks(10, 10_001);
    let key = fake.state.store.keys().key(other[7].cid());
    let refused = Fault::status(400, "InvalidRequest");
    let faults = fake.state.s3.faults();
    faults.push(Rule::new(refused).operation("PutObject").key(&key));
    let got = answers(&store, &other).await;
    for (n, answer) in got.iter().enumerate() {
        assert_eq!(answer.is_err(), n == 7, "{n}: {answer:?}");
    }
    faults.clear();
    assert_eq!(fake.asked("complete"), 2, "under a lease without it");
    assert_eq!(
        faults.count("PutObject"),
        18,
        "what is there is not sent again"
    );
}

#[tokio::test]
async fn a_refused_read_is_its_own_too() {
    let fake = Fake::start().await;
    let store = fake.client();
    let blocks = blocks(10, 1000);
    put_all(&store, &blocks).await;
    fake.problem("reads", Problem::new(Code::Denied, "not this").at(3));
    let cids: Vec<Cid> = blocks.iter().map(|block| *block.cid()).collect();
    let got: Vec<_> = store.get_many(stream::iter(cids).boxed()).collect().await;
    for (n, (_, answer)) in got.into_iter().enumerate() {
        match answer {
            Err(Error::Denied(_)) if n == 3 => {}
            answer => assert_eq!(answer.unwrap().as_ref(), Some(&blocks[n])),
        }
    }
    // Nothing was kept for it.
    get_all(&store, &blocks).await;
    assert_eq!(fake.sizes("reads"), [0, 9, 1]);
}

#[tokio::test]
async fn the_whole_request_may_be_refused() {
    let fake = Fake::start().await;
    let store = fake.client();
    fake.problem("writes", Problem::new(Code::Quota, "no more"));
    for answer in answers(&store, &blocks(5, 10_000)).await {
        assert!(matches!(answer, Err(Error::Denied(_))), "{answer:?}");
    }
    fake.problem("writes", Problem::new(Code::Quota, "no more").after(60));
    let error = store.put(&large(1)).await.unwrap_err();
    assert!(matches!(error, Error::Throttled(_)), "{error}");

    fake.set(|setting| setting.info.writes = WriteMode::None);
    let error = fake.client().put(&large(1)).await.unwrap_err();
    assert!(matches!(error, Error::Unsupported(_)), "{error}");
}

#[tokio::test]
async fn a_wrong_token_is_denied_and_not_shown() {
    let fake = Fake::start().await;
    for token in [None, Some("canary.of.another")] {
        let mut config = fake.config();
        config.token = token.map(|token| Token::new(token).unwrap());
        let store = DirectBlockstore::new(config).unwrap();
        let cid = *large(1).cid();
        for error in [
            store.get(&cid).await.unwrap_err(),
            store.put(&large(1)).await.unwrap_err(),
            store.put(&Block::raw("small")).await.unwrap_err(),
            store.size(&cid).await.unwrap_err(),
            store.delete(&cid).await.unwrap_err(),
            store
                .list(cidbucket_blockstore::Cursor::start())
                .next()
                .await
                .unwrap()
                .unwrap_err(),
        ] {
            assert!(matches!(error, Error::Denied(_)), "{error}");
            let text = format!("{error} {error:?} {store:?}");
            assert!(text.contains("missing, expired"), "{text}");
            assert!(!text.contains("canary"), "{text}");
        }
    }
}

#[tokio::test]
async fn the_service_restarts_in_the_middle_of_a_batch() {
    let fake = Fake::start().await;
    let mut config = fake.config();
    config.retry.min_delay = Duration::from_millis(20);
    let store = DirectBlockstore::new(config).unwrap();
    let blocks = blocks(40, 10_000);
    let faults = fake.state.s3.faults();
    // The uploads wait until the service is gone.
    faults.push(Rule::new(Fault::Delay(Duration::from_millis(150))).operation("PutObject"));
    let put = put_all(&store, &blocks);
    let outage = async {
        while faults.count("PutObject") == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        fake.stop().await;
        faults.clear();
        tokio::time::sleep(Duration::from_millis(100)).await;
        fake.restart().await;
    };
    futures::join!(put, outage);
    assert_eq!(fake.open_leases(), 0);
    get_all(&store, &blocks).await;
}

#[tokio::test]
async fn what_is_no_service_is_said_so() {
    let fake = Fake::start().await;
    // An S3 server, say.
    let mut config = DirectConfig::new(fake.state.s3.endpoint()).unwrap();
    config.retry.max_attempts = 2;
    let store = DirectBlockstore::new(config).unwrap();
    let error = store.get(large(1).cid()).await.unwrap_err();
    assert!(error.to_string().contains("service"), "{error}");
    assert!(!error.is_transient(), "{error}");

    let mut config = DirectConfig::new(&nowhere().await).unwrap();
    config.retry.min_delay = Duration::from_millis(1);
    let store = DirectBlockstore::new(config).unwrap();
    let error = store.get(large(1).cid()).await.unwrap_err();
    assert!(matches!(error, Error::Unavailable(_)), "{error}");
}

#[tokio::test]
async fn dropped_puts_leave_leases_that_end_by_themselves() {
    let fake = Fake::start().await;
    let store = fake.client();
    let faults = fake.state.s3.faults();
    faults.push(Rule::new(Fault::Delay(Duration::from_mins(1))).operation("PutObject"));
    let block = large(1);
    tokio::select! {
        _ = store.put(&block) => panic!("it was delayed"),
        () = async {
            while faults.count("PutObject") == 0 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        } => {}
    }
    faults.clear();
    assert_eq!(fake.open_leases(), 1);
    assert_eq!(fake.asked("complete"), 0);
    store.put(&block).await.unwrap();
    assert_eq!(store.get(block.cid()).await.unwrap(), Some(block));
}

/// Batches of which nobody reads the answers do not hold up others.
#[tokio::test]
async fn nobody_is_held_up_by_who_does_not_poll() {
    let fake = Fake::start().await;
    let store = fake.client();
    let blocks = blocks(30, 10_000);
    put_all(&store, &blocks).await;
    let reader = fake.client();
    let mut gets = stream::iter(&blocks)
        .map(|block| reader.get(block.cid()))
        .buffered(8);
    for block in &blocks {
        assert!(gets.next().await.unwrap().unwrap().is_some());
        // The others wait in the stream meanwhile.
        assert!(reader.get(block.cid()).await.unwrap().is_some());
        assert!(reader.has(block.cid()).await.unwrap());
        reader.put(&large(3)).await.unwrap();
    }
    let others = self::blocks(30, 10_001);
    let mut puts = stream::iter(&others)
        .map(|block| reader.put(block))
        .buffered(8);
    for n in 0..30 {
        puts.next().await.unwrap().unwrap();
        reader.put(&large(n)).await.unwrap();
    }
}
