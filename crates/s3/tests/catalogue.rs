//! The catalogue of what goes wrong between a client and S3, one test per case, on a server that
//! does what it is told. Each case runs over every operation to which it applies.
//!
//! What must come out: correct bytes, or an error of the right kind within the deadline. Never
//! wrong bytes, and never "absent" for what is only refused or unreachable.

mod support;

use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime};

use async_trait::async_trait;
use cidbucket_blockstore::{Block, Blockstore, Bytes, Cid, Cursor, Error, Result};
use cidbucket_layout::{Keys, Prefix};
use cidbucket_presign::{Bucket, Style};
use cidbucket_s3::credentials::{CredentialsProvider, Issued};
use cidbucket_s3::{CopyObject, CredentialsSource, GetObject, S3Blockstore, S3Config};
use cidbucket_sigv4::{Credentials, Timestamp};
use futures::StreamExt;
use futures::stream;
use support::{Act, Otherwise, Scripted, Seen, Step, answer, reply};
use tokio::net::TcpListener;

/// What a store does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Op {
    Get,
    Put,
    Has,
    Delete,
    DeleteMany,
    List,
}

const ALL: [Op; 6] = [
    Op::Get,
    Op::Put,
    Op::Has,
    Op::Delete,
    Op::DeleteMany,
    Op::List,
];
/// Those whose answer has a body.
const WITH_BODY: [Op; 3] = [Op::Get, Op::DeleteMany, Op::List];
/// Those that may be refused with a body that says why.
const NOT_HEAD: [Op; 5] = [Op::Get, Op::Put, Op::Delete, Op::DeleteMany, Op::List];

const BODY: &[u8] = b"the bytes of the block";

fn block() -> Block {
    Block::raw(BODY)
}

fn keys() -> Keys {
    Keys::new(Prefix::new("p").unwrap(), "kubo".parse().unwrap())
}

/// A healthy server that has the block.
fn healthy() -> Otherwise {
    Arc::new(answer_of)
}

fn answer_of(seen: &Seen) -> Vec<u8> {
    let key = keys().key(block().cid());
    match seen.method.as_str() {
        "GET" if seen.target.contains("list-type=2") => answer(
            200,
            &[("content-type", "application/xml")],
            format!(
                "<ListBucketResult><IsTruncated>false</IsTruncated><Contents><Key>{key}</Key>\
                 <Size>{}</Size></Contents></ListBucketResult>",
                BODY.len()
            ),
        ),
        "GET" | "HEAD" => answer(200, &[("etag", "\"e\"")], BODY),
        "PUT" => answer(200, &[("etag", "\"e\"")], ""),
        "DELETE" => answer(204, &[], ""),
        "POST" => answer(
            200,
            &[],
            format!("<DeleteResult><Deleted><Key>{key}</Key></Deleted></DeleteResult>"),
        ),
        other => panic!("unexpected {other}"),
    }
}

fn operation_answer(op: Op) -> Vec<u8> {
    let (method, target) = match op {
        Op::Get => ("GET", "/k"),
        Op::Put => ("PUT", "/k"),
        Op::Has => ("HEAD", "/k"),
        Op::Delete => ("DELETE", "/k"),
        Op::DeleteMany => ("POST", "/?delete="),
        Op::List => ("GET", "/?list-type=2"),
    };
    answer_of(&Seen {
        connection: 0,
        method: method.into(),
        target: target.into(),
        headers: Vec::new(),
        body: Vec::new(),
    })
}

fn config_at(endpoint: &str) -> S3Config {
    let bucket = Bucket::new(endpoint, "bucket", "us-east-1", Style::Path).unwrap();
    let mut config = S3Config::new(bucket, keys());
    config.credentials = CredentialsSource::Static(Credentials::new("AKID", "secret-canary"));
    config.retry.max_attempts = 4;
    config.retry.min_delay = Duration::from_millis(1);
    config.retry.max_delay = Duration::from_millis(20);
    config.timeouts.total = Duration::from_secs(20);
    config
}

async fn setup() -> (Scripted, S3Blockstore) {
    setup_with(|_| {}).await
}

async fn setup_with(change: impl FnOnce(&mut S3Config)) -> (Scripted, S3Blockstore) {
    let server = Scripted::start(healthy()).await;
    let mut config = config_at(&server.endpoint());
    change(&mut config);
    let store = S3Blockstore::new(config).unwrap();
    (server, store)
}

/// Does it, and makes sure that what comes out is right, if it is not an error.
async fn run(store: &S3Blockstore, op: Op) -> Result<()> {
    let block = block();
    match op {
        Op::Get => {
            let got = store.get(block.cid()).await?;
            assert_eq!(got, Some(block), "a get may not answer anything else");
        }
        Op::Put => store.put(&block).await?,
        Op::Has => assert_eq!(store.size(block.cid()).await?, Some(BODY.len() as u64)),
        Op::Delete => store.delete(block.cid()).await?,
        Op::DeleteMany => {
            let cids: Vec<Cid> = vec![*block.cid()];
            let results: Vec<_> = store
                .delete_many(stream::iter(cids).boxed())
                .collect()
                .await;
            assert_eq!(results.len(), 1);
            for (_, result) in results {
                result?;
            }
        }
        Op::List => {
            let mut listing = store.list(Cursor::start());
            let mut found = 0;
            while let Some(listed) = listing.next().await {
                assert_eq!(listed?.cid.hash(), block.multihash());
                found += 1;
            }
            assert_eq!(found, 1, "a listing may not end early");
        }
    }
    Ok(())
}

/// The fault once, then a healthy server: the operation succeeds with one retry, which goes out on
/// a new connection. The fault for ever: the operation fails with the right kind of error.
async fn retried(ops: &[Op], fault: impl Fn(Op) -> Step, kind: &str) {
    for &op in ops {
        let (server, store) = setup().await;
        server.script([fault(op)]);
        run(&store, op)
            .await
            .unwrap_or_else(|e| panic!("{op:?}: {e}"));
        assert_eq!(server.left(), 0, "{op:?}");
        let seen = server.seen();
        assert_eq!(seen.len(), 2, "{op:?}");
        assert_ne!(seen[0].connection, seen[1].connection, "{op:?}");
        assert_eq!(store.client().metrics().retries, 1, "{op:?}");

        let (server, store) = setup().await;
        server.script((0..4).map(|_| fault(op)));
        let error = run(&store, op).await.unwrap_err();
        assert_eq!(error.class(), kind, "{op:?}: {error}");
        assert_eq!(error.report().attempts(), 4, "{op:?}: {error}");
        assert!(error.report().elapsed().is_some());
        assert_eq!(server.left(), 0, "{op:?}");
    }
}

/// The fault leads to this error at once.
async fn fatal(ops: &[Op], fault: impl Fn(Op) -> Step, kind: &str) {
    for &op in ops {
        let (server, store) = setup().await;
        server.script([fault(op)]);
        let error = run(&store, op).await.unwrap_err();
        assert_eq!(error.class(), kind, "{op:?}: {error}");
        assert_eq!(error.report().attempts(), 1, "{op:?}: {error}");
        assert_eq!(server.seen().len(), 1, "{op:?}");
    }
}

fn error_body(code: &str) -> String {
    format!("<Error><Code>{code}</Code><Message>m</Message><RequestId>R</RequestId></Error>")
}

fn refuse(op: Op, status: u16, code: &str, headers: &[(&str, &str)]) -> Step {
    let body = if op == Op::Has {
        String::new()
    } else {
        error_body(code)
    };
    reply(answer(status, headers, body))
}

#[tokio::test]
async fn case_01_connect_refused() {
    for op in ALL {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        drop(listener);
        let mut config = config_at(&format!("http://{addr}"));
        let store = S3Blockstore::new(config.clone()).unwrap();
        let error = run(&store, op).await.unwrap_err();
        assert_eq!(error.class(), "unavailable", "{error}");
        assert_eq!(error.report().attempts(), 4);

        config.retry.max_attempts = 200;
        config.retry.min_delay = Duration::from_millis(20);
        let store = S3Blockstore::new(config).unwrap();
        let late = tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(100)).await;
            Scripted::on(TcpListener::bind(addr).await.unwrap(), healthy())
        });
        run(&store, op).await.unwrap();
        assert!(store.client().metrics().retries > 0);
        late.await.unwrap();
    }
}

#[tokio::test]
async fn case_02_reset_before_headers() {
    retried(&ALL, |_| vec![Act::ReadBody, Act::Reset], "unavailable").await;
    retried(&ALL, |_| vec![Act::ReadBody, Act::Close], "unavailable").await;
    let half_a_head = |_| {
        vec![
            Act::ReadBody,
            Act::Send(b"HTTP/1.1 200 OK\r\ncontent-le".to_vec()),
            Act::Close,
        ]
    };
    retried(&ALL, half_a_head, "unavailable").await;
}

/// All but the last three bytes of the answer, then this.
fn cut(op: Op, end: Act) -> Step {
    let mut bytes = operation_answer(op);
    bytes.truncate(bytes.len() - 3);
    vec![
        Act::ReadBody,
        Act::Send(bytes),
        Act::Wait(Duration::from_millis(20)),
        end,
    ]
}

#[tokio::test]
async fn case_03_reset_within_the_body() {
    retried(&WITH_BODY, |op| cut(op, Act::Reset), "unavailable").await;
}

#[tokio::test]
async fn case_04_short_body() {
    retried(&WITH_BODY, |op| cut(op, Act::Close), "unavailable").await;
}

/// The answer, chunked.
fn chunked(op: Op) -> Vec<u8> {
    let whole = operation_answer(op);
    let start = whole.windows(4).position(|w| w == b"\r\n\r\n").unwrap() + 4;
    let body = &whole[start..];
    let (first, second) = body.split_at(body.len() / 2);
    let mut out = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".to_vec();
    for part in [first, second] {
        out.extend_from_slice(format!("{:x}\r\n", part.len()).as_bytes());
        out.extend_from_slice(part);
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b"0\r\n\r\n");
    out
}

#[tokio::test]
async fn case_05_premature_end_of_chunks() {
    for op in WITH_BODY {
        let (server, store) = setup().await;
        server.script([reply(chunked(op))]);
        run(&store, op).await.unwrap();
        assert_eq!(server.seen().len(), 1, "a whole chunked answer is fine");
    }
    for missing in [5, 7, 12] {
        let fault = |op| {
            let mut bytes = chunked(op);
            bytes.truncate(bytes.len() - missing);
            vec![Act::ReadBody, Act::Send(bytes), Act::Close]
        };
        retried(&WITH_BODY, fault, "unavailable").await;
    }
}

#[tokio::test]
async fn case_06_body_longer_than_declared() {
    for op in WITH_BODY {
        let (server, store) = setup().await;
        let mut bytes = operation_answer(op);
        bytes.extend_from_slice(b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nxyz");
        server.script([reply(bytes)]);
        run(&store, op).await.unwrap();
        // The surplus is nobody's answer: the connection is not used again.
        for op in ALL {
            run(&store, op).await.unwrap();
        }
        let seen = server.seen();
        assert_ne!(seen[0].connection, seen[1].connection, "{op:?}");
        assert_eq!(seen.len(), 1 + ALL.len());
    }
}

#[tokio::test]
async fn case_07_stale_pooled_connection() {
    for op in ALL {
        for stale in [
            // Closed as the request arrives: it may even have been read.
            vec![Act::ReadBody, Act::Close],
            vec![Act::Reset],
            vec![Act::ReadBody, Act::Reset],
        ] {
            let (server, store) = setup_with(|config| config.retry.max_attempts = 1).await;
            run(&store, Op::Get).await.unwrap();
            server.script([stale.clone()]);
            run(&store, op)
                .await
                .unwrap_or_else(|e| panic!("{op:?} {stale:?}: {e}"));
            assert_eq!(server.connections(), 2, "{op:?}");
        }
        // Closed while it lay there.
        let (server, store) = setup_with(|config| config.retry.max_attempts = 1).await;
        let whole = operation_answer(Op::Get);
        server.script([vec![Act::ReadBody, Act::Send(whole), Act::Close]]);
        run(&store, Op::Get).await.unwrap();
        tokio::time::sleep(Duration::from_millis(20)).await;
        run(&store, op).await.unwrap();
        assert_eq!(store.client().metrics().retries, 0, "{op:?}");
    }
}

#[tokio::test]
async fn case_07_random_idle_closes_never_surface() {
    let (server, store) = setup_with(|config| config.retry.max_attempts = 1).await;
    let mut dice = 7_u64;
    for round in 0..500 {
        dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        if server.connections() > 0 && dice >> 62 == 0 {
            server.script([vec![Act::ReadBody, Act::Close]]);
            // The step falls on a connection that has served before.
        }
        run(&store, ALL[round % ALL.len()]).await.unwrap();
    }
    assert!(server.connections() > 50);
}

#[tokio::test]
async fn case_08_dead_address() {
    // `localhost` has two addresses; only one of them is served.
    if let Ok(listener) = TcpListener::bind("[::1]:0").await {
        let server = Scripted::on(listener, healthy());
        let endpoint = format!("http://localhost:{}", server.addr.port());
        let store = S3Blockstore::new(config_at(&endpoint)).unwrap();
        for op in ALL {
            run(&store, op).await.unwrap();
        }
    }
    // A name that is not there is an outage, not an absent block.
    let store = S3Blockstore::new(config_at("http://nowhere.invalid")).unwrap();
    let error = run(&store, Op::Get).await.unwrap_err();
    assert_eq!(error.class(), "unavailable", "{error}");
    assert_eq!(error.report().attempts(), 4);
}

#[tokio::test]
async fn case_09_no_tls_is_fatal_and_nothing_is_sent_in_the_clear() {
    for op in ALL {
        let server = Scripted::start(healthy()).await;
        server.script([vec![Act::Send(
            b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec(),
        )]]);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let accepted = Arc::new(AtomicUsize::new(0));
        let count = accepted.clone();
        let plain = tokio::spawn(async move {
            use tokio::io::{AsyncReadExt, AsyncWriteExt};
            while let Ok((mut stream, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::SeqCst);
                let mut hello = [0; 1];
                stream.read_exact(&mut hello).await.unwrap();
                assert_eq!(hello[0], 22, "a TLS handshake record");
                let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
            }
        });
        let store = S3Blockstore::new(config_at(&format!("https://{addr}"))).unwrap();
        let error = run(&store, op).await.unwrap_err();
        assert_eq!(error.class(), "protocol", "{error}");
        assert_eq!(error.report().attempts(), 1, "{error}");
        assert_eq!(accepted.load(Ordering::SeqCst), 1);
        plain.abort();
    }
}

#[tokio::test]
async fn case_10_slow_body() {
    for op in WITH_BODY {
        for fault in [
            // Nothing more comes.
            {
                let mut bytes = operation_answer(op);
                bytes.truncate(bytes.len() - 3);
                vec![
                    Act::ReadBody,
                    Act::Send(bytes),
                    Act::Wait(Duration::from_mins(1)),
                ]
            },
            // Something comes, but so little that it would never end.
            vec![
                Act::ReadBody,
                Act::Send(b"HTTP/1.1 200 OK\r\ncontent-length: 2000\r\n\r\n".to_vec()),
                Act::Drip(vec![b'x'; 2000], Duration::from_millis(30)),
            ],
        ] {
            let (server, store) = setup_with(|config| {
                config.timeouts.stall = Duration::from_millis(150);
            })
            .await;
            server.script([fault]);
            let started = Instant::now();
            run(&store, op).await.unwrap();
            assert_eq!(server.seen().len(), 2, "{op:?}");
            assert!(started.elapsed() < Duration::from_secs(10));
        }
    }
}

#[tokio::test]
async fn case_11_slow_first_byte() {
    for op in ALL {
        let (server, store) = setup_with(|config| {
            config.timeouts.first_byte = Duration::from_millis(150);
        })
        .await;
        server.script([vec![Act::ReadBody, Act::Wait(Duration::from_mins(1))]]);
        run(&store, op).await.unwrap();
        assert_eq!(server.seen().len(), 2, "{op:?}");
    }
}

/// Enough reads at full speed to know how long they take.
async fn warm_up(store: &S3Blockstore) {
    for _ in 0..64 {
        run(store, Op::Get).await.unwrap();
        run(store, Op::Has).await.unwrap();
    }
}

/// A warmed up server and store. No attempt is repeated: what succeeds does so by its hedge.
async fn hedging() -> (Scripted, S3Blockstore) {
    let (server, store) = setup_with(|config| config.retry.max_attempts = 1).await;
    warm_up(&store).await;
    (server, store)
}

const READS: [Op; 2] = [Op::Get, Op::Has];

fn stall() -> Step {
    vec![Act::ReadBody, Act::UntilClosed]
}

/// The right answer, late.
fn late(op: Op, time: Duration) -> Step {
    let mut bytes = operation_answer(op);
    if op == Op::Has {
        bytes.truncate(bytes.len() - BODY.len());
    }
    vec![Act::ReadBody, Act::Wait(time), Act::Send(bytes)]
}

/// Waits until so many connections were closed by the client.
async fn closed(server: &Scripted, count: usize) {
    let all = async {
        while server.closed() < count {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(5), all).await;
    assert!(waited.is_ok(), "{} of {count}", server.closed());
}

#[tokio::test]
async fn case_11_a_slow_read_is_hedged() {
    for op in READS {
        let (server, store) = hedging().await;
        let before = server.seen().len();
        server.script([stall()]);
        let started = Instant::now();
        run(&store, op).await.unwrap();
        let took = started.elapsed();
        // Nobody knows better than 2 s before the first 64 reads.
        assert!(took < Duration::from_millis(1900), "{op:?}: {took:?}");
        assert!(took >= Duration::from_millis(50), "{op:?}: {took:?}");
        let seen = &server.seen()[before..];
        assert_eq!(seen.len(), 2, "{op:?}");
        assert_eq!(seen[0].target, seen[1].target);
        assert!(seen[1].header("authorization").is_some());
        assert_ne!(seen[0].connection, seen[1].connection, "{op:?}");
        let metrics = store.client().metrics();
        assert_eq!((metrics.hedges, metrics.retries), (1, 0), "{op:?}");
        assert_eq!(metrics.total(), server.seen().len() as u64, "{op:?}");

        // The one that lost is closed, the one that won is used again.
        closed(&server, 1).await;
        run(&store, op).await.unwrap();
        let seen = server.seen();
        let [.., won, next] = &*seen else {
            unreachable!()
        };
        assert_eq!(won.connection, next.connection, "{op:?}");
        assert_eq!(server.connections(), 2, "{op:?}");
    }
}

#[tokio::test]
async fn case_11_the_first_request_may_still_win() {
    for op in READS {
        let (server, store) = hedging().await;
        let connection = server.seen()[0].connection;
        server.script([late(op, Duration::from_millis(300)), stall()]);
        run(&store, op).await.unwrap();
        assert_eq!(server.left(), 0, "{op:?}: a hedge was sent");
        closed(&server, 1).await;
        run(&store, op).await.unwrap();
        assert_eq!(server.seen().last().unwrap().connection, connection);
        assert_eq!(server.connections(), 2, "{op:?}");
    }
}

#[tokio::test]
async fn case_11_where_one_of_both_fails_the_other_is_waited_for() {
    let wait = Duration::from_millis(300);
    let succeeds = async |op: Op, first: Step, second: Step| {
        let (server, store) = hedging().await;
        server.script([first.clone(), second.clone()]);
        run(&store, op)
            .await
            .unwrap_or_else(|e| panic!("{op:?} {first:?} {second:?}: {e}"));
        assert_eq!(server.left(), 0, "{op:?} {first:?} {second:?}");
        let metrics = store.client().metrics();
        assert_eq!((metrics.hedges, metrics.retries), (1, 0));
    };
    let mut all = Vec::new();
    for op in READS {
        for fault in [
            vec![Act::ReadBody, Act::Reset],
            vec![Act::ReadBody, Act::Close],
            refuse(op, 503, "SlowDown", &[]),
        ] {
            // The hedge fails first; the first fails while the hedge is under way.
            let mut slow = fault.clone();
            slow.insert(1, Act::Wait(wait));
            all.push(succeeds(op, late(op, wait), fault));
            all.push(succeeds(op, slow, late(op, wait * 2)));
        }
    }
    futures::future::join_all(all).await;
}

#[tokio::test]
async fn case_11_where_both_fail_the_attempt_has_failed() {
    for op in READS {
        let server = Scripted::start(healthy()).await;
        let mut config = config_at(&server.endpoint());
        config.retry.max_attempts = 2;
        let store = S3Blockstore::new(config).unwrap();
        warm_up(&store).await;
        let mut slow = refuse(op, 503, "SlowDown", &[]);
        slow.insert(1, Act::Wait(Duration::from_millis(300)));
        let both = [slow, vec![Act::ReadBody, Act::Reset]];

        let before = server.seen().len();
        server.script(both.clone());
        run(&store, op).await.unwrap();
        assert_eq!(server.seen().len() - before, 3, "{op:?}: two, and a retry");
        assert_eq!(store.client().metrics().retries, 1, "{op:?}");

        server.script(both.clone());
        server.script(both);
        let error = run(&store, op).await.unwrap_err();
        assert_eq!(error.report().status(), Some(503), "{op:?}: {error}");
        assert_eq!(error.report().attempts(), 2, "{op:?}: {error}");
        assert_eq!(server.left(), 0, "{op:?}");
    }
}

/// A refusal that the other request would get too is an answer.
#[tokio::test]
async fn case_11_an_absent_block_needs_no_second_opinion() {
    let (server, store) = hedging().await;
    server.script([stall(), refuse(Op::Get, 404, "NoSuchKey", &[])]);
    assert_eq!(store.get(block().cid()).await.unwrap(), None);
    closed(&server, 1).await;

    server.script([stall(), refuse(Op::Get, 403, "AccessDenied", &[])]);
    let error = store.get(block().cid()).await.unwrap_err();
    assert_eq!(error.class(), "denied", "{error}");
    closed(&server, 2).await;
    assert_eq!(store.client().metrics().hedges, 2);
}

/// What is wrong on our side is put right also where only the hedge was told.
#[tokio::test]
async fn case_11_a_hedge_can_be_corrected() {
    let (server, store) = hedging().await;
    server.script([
        stall(),
        refuse(
            Op::Get,
            403,
            "RequestTimeTooSkewed",
            &[("date", "Fri, 24 May 2030 00:00:00 GMT")],
        ),
    ]);
    run(&store, Op::Get).await.unwrap();
    let seen = server.seen();
    let date = seen.last().unwrap().header("x-amz-date").unwrap();
    assert!(date.starts_with("20300524T"), "{date}");
}

#[tokio::test]
async fn case_11_only_reads_are_hedged() {
    let others = [Op::Put, Op::Delete, Op::DeleteMany, Op::List].map(async |op| {
        let (server, store) = hedging().await;
        let before = server.seen().len();
        // Longer than the longest delay.
        server.script([late(op, Duration::from_millis(2200))]);
        run(&store, op).await.unwrap();
        assert_eq!(server.seen().len() - before, 1, "{op:?}");
        assert_eq!(store.client().metrics().hedges, 0, "{op:?}");
    });
    futures::future::join_all(others).await;
}

#[tokio::test]
async fn case_11_hedging_can_be_switched_off() {
    for op in READS {
        let (server, store) = setup_with(|config| config.hedge_reads = false).await;
        warm_up(&store).await;
        let before = server.seen().len();
        server.script([late(op, Duration::from_millis(300))]);
        run(&store, op).await.unwrap();
        assert_eq!(server.seen().len() - before, 1, "{op:?}");
    }
}

/// A read of more than a block takes its own time.
#[tokio::test]
async fn case_11_large_reads_are_not_hedged() {
    let (server, store) = hedging().await;
    let before = server.seen().len();
    server.script([late(Op::Get, Duration::from_millis(300))]);
    let large = GetObject::whole(store.client().config().limits.max_block + 1);
    let got = store.client().get_object("k", &large).await.unwrap();
    assert_eq!(&got.unwrap().data[..], BODY);
    assert_eq!(server.seen().len() - before, 1);
}

/// A server on which everything has become slow must not get twice the requests.
#[tokio::test]
async fn case_11_hedges_stay_within_their_budget() {
    let (server, store) = hedging().await;
    let before = server.seen().len();
    server.plan(|_| Some(late(Op::Get, Duration::from_millis(250))));
    let reads = 200_u32;
    stream::iter(0..reads)
        .for_each_concurrent(50, async |_| run(&store, Op::Get).await.unwrap())
        .await;
    let hedges = server.seen().len() - before - reads as usize;
    assert!(hedges > 0);
    assert!(hedges <= 10 + reads as usize / 50, "{hedges} hedges");
    assert_eq!(store.client().metrics().hedges, hedges as u64);
}

#[tokio::test]
async fn case_11_a_dropped_read_leaves_no_hedge() {
    for op in READS {
        let (server, store) = hedging().await;
        let connections = server.connections();
        server.script([stall(), stall()]);
        let mut read = Box::pin(run(&store, op));
        let both_sent = async {
            while server.left() > 0 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::select! {
            done = &mut read => panic!("{op:?}: {done:?}"),
            () = both_sent => {}
        }
        assert_eq!(server.closed(), 0, "{op:?}: both are waited for");
        drop(read);
        closed(&server, 2).await;
        assert_eq!(store.client().metrics().total(), server.seen().len() as u64);
        run(&store, op).await.unwrap();
        assert_eq!(server.connections(), connections + 2, "{op:?}");
    }
}

/// One read in a hundred stalls for ever, the others take 20 to 40 ms, few of them 100 ms: the
/// slowest of all takes no more than twice what the slowest healthy ones take.
#[tokio::test]
async fn case_11_the_tail_is_cut() {
    const READS: usize = 400;
    let (server, store) =
        setup_with(|config| config.timeouts.first_byte = Duration::from_secs(5)).await;
    let stalled = Arc::new(parking_lot::Mutex::new(std::collections::HashSet::new()));
    server.plan(move |seen| {
        let number: usize = seen.target.rsplit('-').next()?.parse().ok()?;
        // Healthy at first, and each of the others stalls only once.
        if number >= READS && number % 100 == 50 && stalled.lock().insert(number) {
            return Some(stall());
        }
        let time = if number % 30 == 7 {
            100
        } else {
            20 + number % 21
        };
        Some(late(Op::Get, Duration::from_millis(time as u64)))
    });
    let get = GetObject::whole(1000);
    let read = async |number: usize| {
        let started = Instant::now();
        let got = store
            .client()
            .get_object(&format!("k-{number}"), &get)
            .await;
        assert_eq!(&got.unwrap().unwrap().data[..], BODY);
        started.elapsed()
    };
    // A machine may be too busy to keep time, but not each time.
    let mut tries = String::new();
    for round in 0..4 {
        let mut times = Vec::new();
        for from in [0, (round + 1) * READS] {
            let mut part: Vec<Duration> = stream::iter(from..from + READS)
                .map(&read)
                .buffer_unordered(16)
                .collect()
                .await;
            part.sort_unstable();
            times.push(part);
        }
        let healthy = times[0][READS - 1 - READS / 100];
        let slowest = times[1][READS - 1];
        let hedges = store.client().metrics().hedges;
        let requests = server.seen().len() as u64 - hedges;
        let few = hedges * 50 <= requests;
        if slowest <= healthy * 2 && few {
            assert!(hedges >= 4, "each stall is hedged");
            return;
        }
        let _ = writeln!(
            tries,
            "{slowest:?} (healthy {healthy:?}), {hedges} of {requests} hedged"
        );
    }
    panic!("{tries}");
}

#[tokio::test]
async fn case_11_the_deadline_holds_over_all_attempts() {
    for op in ALL {
        let (server, store) = setup_with(|config| {
            config.timeouts.first_byte = Duration::from_millis(100);
            config.timeouts.total = Duration::from_millis(350);
            config.retry.max_attempts = 100;
        })
        .await;
        server.script((0..100).map(|_| vec![Act::ReadBody, Act::Wait(Duration::from_mins(1))]));
        let started = Instant::now();
        let error = run(&store, op).await.unwrap_err();
        assert!(started.elapsed() < Duration::from_secs(5), "{op:?}");
        assert_eq!(error.class(), "unavailable", "{op:?}: {error}");
        assert!(error.report().attempts() >= 2, "{op:?}: {error}");
    }
}

#[tokio::test]
async fn case_12_interim_answers_are_no_answers() {
    for op in ALL {
        for interim in ["100 Continue", "102 Processing", "103 Early Hints"] {
            let (server, store) = setup().await;
            let mut bytes = format!("HTTP/1.1 {interim}\r\nlink: x\r\n\r\n").into_bytes();
            bytes.extend_from_slice(&match op {
                Op::Has => {
                    let whole = operation_answer(op);
                    let end = whole.windows(4).position(|w| w == b"\r\n\r\n").unwrap();
                    whole[..end + 4].to_vec()
                }
                op => operation_answer(op),
            });
            server.script([reply(bytes)]);
            run(&store, op).await.unwrap();
            run(&store, op).await.unwrap();
            assert_eq!(server.seen().len(), 2, "{op:?} {interim}");
        }
    }
    let switch = |_| {
        reply(
            b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n"
                .to_vec(),
        )
    };
    retried(&ALL, switch, "protocol").await;
}

/// A server that refuses an upload answers before it has read it, and closes.
#[tokio::test]
async fn case_12_an_upload_refused_early_is_reported_as_refused() {
    let large = Block::raw(Bytes::from(vec![7; 2 << 20]));
    for end in [Act::Reset, Act::Close, Act::Wait(Duration::from_mins(1))] {
        let (server, store) = setup().await;
        let refusal = answer(403, &[], error_body("AccessDenied"));
        server.script([vec![
            Act::Send(refusal.clone()),
            Act::Wait(Duration::from_millis(50)),
            end.clone(),
        ]]);
        let started = Instant::now();
        let error = store.put(&large).await.unwrap_err();
        assert_eq!(error.class(), "denied", "{end:?}: {error}");
        assert_eq!(error.report().request_id(), Some("R"));
        assert_eq!(error.report().attempts(), 1, "{end:?}");
        assert!(started.elapsed() < Duration::from_secs(10));
        // The connection still waits for the rest of the body: it must not be used again.
        run(&store, Op::Put).await.unwrap();
        let seen = server.seen();
        assert_ne!(seen[0].connection, seen[1].connection, "{end:?}");
    }
}

#[tokio::test]
async fn case_13_unsolicited_encoding() {
    let gzip = |op| {
        let mut bytes = b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\n".to_vec();
        let whole = operation_answer(op);
        let line = whole.windows(2).position(|w| w == b"\r\n").unwrap() + 2;
        bytes.extend_from_slice(&whole[line..]);
        reply(bytes)
    };
    retried(&WITH_BODY, gzip, "protocol").await;
}

#[tokio::test]
async fn case_14_server_errors_and_throttling() {
    for status in [500, 502, 503, 504] {
        let fault = |op| refuse(op, status, "InternalError", &[]);
        retried(&ALL, fault, "unavailable").await;
    }
    // A load balancer's own page.
    let page = |_| reply(answer(502, &[("content-type", "text/html")], ""));
    retried(&ALL, page, "unavailable").await;
    for (status, code) in [
        (503, "SlowDown"),
        (429, "TooManyRequests"),
        (400, "Throttling"),
    ] {
        let fault = |op| refuse(op, status, code, &[]);
        retried(&NOT_HEAD, fault, "throttled").await;
    }
    retried(&[Op::Has], |op| refuse(op, 429, "", &[]), "throttled").await;
}

#[tokio::test]
async fn case_14_retry_after_is_honoured_up_to_a_cap() {
    for op in ALL {
        let (server, store) = setup_with(|config| {
            config.retry.max_delay = Duration::from_millis(300);
        })
        .await;
        server.script([refuse(op, 503, "SlowDown", &[("retry-after", "3600")])]);
        let started = Instant::now();
        run(&store, op).await.unwrap();
        let took = started.elapsed();
        assert!(took >= Duration::from_millis(300), "{op:?} {took:?}");
        assert!(took < Duration::from_secs(10), "{op:?} {took:?}");
    }
}

#[tokio::test]
async fn case_14_an_outage_costs_one_request_per_operation() {
    let broken: Otherwise = Arc::new(|_| answer(503, &[], error_body("SlowDown")));
    let server = Scripted::start(broken).await;
    let mut config = config_at(&server.endpoint());
    config.retry.budget = 100;
    let store = S3Blockstore::new(config).unwrap();
    for _ in 0..10 {
        run(&store, Op::Get).await.unwrap_err();
    }
    let warm = server.seen().len();
    for op in ALL.into_iter().cycle().take(120) {
        let error = run(&store, op).await.unwrap_err();
        assert!(error.is_transient(), "{error}");
    }
    let requests = server.seen().len() - warm;
    assert!(requests <= 132, "{requests} requests for 120 operations");
}

#[tokio::test]
async fn case_15_request_timeout() {
    let fault = |op| refuse(op, 400, "RequestTimeout", &[]);
    retried(&NOT_HEAD, fault, "unavailable").await;
}

#[tokio::test]
async fn case_16_an_error_in_a_success() {
    let fault = |_| {
        reply(answer(
            200,
            &[("etag", "\"e\"")],
            error_body("InternalError"),
        ))
    };
    retried(&[Op::Put, Op::DeleteMany, Op::List], fault, "unavailable").await;
    let fault = |_| {
        reply(answer(
            200,
            &[("etag", "\"e\"")],
            error_body("AccessDenied"),
        ))
    };
    fatal(&[Op::Put, Op::DeleteMany, Op::List], fault, "denied").await;

    let (server, store) = setup().await;
    server.script([
        reply(answer(200, &[], error_body("InternalError"))),
        reply(answer(
            200,
            &[],
            "<CopyObjectResult><ETag>e</ETag></CopyObjectResult>",
        )),
    ]);
    assert!(
        store
            .client()
            .copy_object("to", &CopyObject::from("from"))
            .await
            .unwrap()
    );
    assert_eq!(server.seen().len(), 2);
    // White space is sent to keep the connection open, then nothing more comes.
    server.script((0..4).map(|_| reply(answer(200, &[], " \n "))));
    let error = store
        .client()
        .copy_object("to", &CopyObject::from("from"))
        .await
        .unwrap_err();
    assert_eq!(error.class(), "protocol", "{error}");
}

#[tokio::test]
async fn case_17_partial_errors_of_a_bulk_delete() {
    let (server, store) = setup().await;
    let blocks: Vec<Block> = (0..4).map(|i| Block::raw(Bytes::from(vec![i]))).collect();
    let keys: Vec<String> = blocks.iter().map(|b| keys().key(b.cid())).collect();
    server.script([reply(answer(
        200,
        &[],
        format!(
            "<DeleteResult><Error><Key>{}</Key><Code>AccessDenied</Code></Error>\
             <Deleted><Key>{}</Key></Deleted>\
             <Error><Key>{}</Key><Code>InternalError</Code><Message>m</Message></Error>\
             <Error><Key>{}</Key><Code>NoSuchKey</Code></Error></DeleteResult>",
            keys[1], keys[0], keys[2], keys[3]
        ),
    ))]);
    let cids: Vec<Cid> = blocks.iter().map(|b| *b.cid()).collect();
    let results: Vec<_> = store
        .delete_many(stream::iter(cids.clone()).boxed())
        .collect()
        .await;
    assert_eq!(
        results.iter().map(|(cid, _)| *cid).collect::<Vec<_>>(),
        cids
    );
    let classes: Vec<_> = results
        .iter()
        .map(|(_, r)| r.as_ref().map_or_else(Error::class, |()| "ok"))
        .collect();
    assert_eq!(classes, ["ok", "denied", "unavailable", "ok"]);
    assert_eq!(
        results[1].1.as_ref().unwrap_err().report().key(),
        Some(&*keys[1])
    );
    let sent = &server.seen()[0];
    assert!(sent.header("content-md5").is_some());

    // An answer that leaves keys out says nothing about them.
    let silent = |_| reply(answer(200, &[], "<DeleteResult></DeleteResult>"));
    retried(&[Op::DeleteMany], silent, "protocol").await;
}

#[tokio::test]
async fn case_17_a_server_without_bulk_delete() {
    for (status, code) in [(501, "NotImplemented"), (405, "MethodNotAllowed")] {
        let (server, store) = setup().await;
        server.script([refuse(Op::DeleteMany, status, code, &[])]);
        run(&store, Op::DeleteMany).await.unwrap();
        run(&store, Op::DeleteMany).await.unwrap();
        let methods: Vec<_> = server.seen().into_iter().map(|s| s.method).collect();
        assert_eq!(methods, ["POST", "DELETE", "DELETE"]);
    }
}

/// Credentials of which S3 says after a while that they are over.
#[derive(Debug)]
struct Rotating {
    current: parking_lot::Mutex<Arc<Issued>>,
    refreshed: AtomicUsize,
}

impl Rotating {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            current: parking_lot::Mutex::new(Arc::new(Issued::new(
                Credentials::new("OLD", "s").with_session_token("t"),
            ))),
            refreshed: AtomicUsize::new(0),
        })
    }
}

#[async_trait]
impl CredentialsProvider for Rotating {
    async fn credentials(&self) -> Result<Arc<Issued>> {
        Ok(self.current.lock().clone())
    }

    async fn refresh(&self, refused: &Arc<Issued>) -> Result<Arc<Issued>> {
        let mut current = self.current.lock();
        if Arc::ptr_eq(&current, refused) {
            self.refreshed.fetch_add(1, Ordering::SeqCst);
            *current = Arc::new(Issued::new(
                Credentials::new("NEW", "s").with_session_token("t2"),
            ));
        }
        Ok(current.clone())
    }
}

#[tokio::test]
async fn case_18_expired_token() {
    for op in ALL {
        let provider = Rotating::new();
        let (server, store) = setup_with(|config| {
            config.credentials = CredentialsSource::Provider(provider.clone());
            config.retry.max_attempts = 1;
        })
        .await;
        server.script([refuse(op, 400, "ExpiredToken", &[])]);
        run(&store, op)
            .await
            .unwrap_or_else(|e| panic!("{op:?}: {e}"));
        let seen = server.seen();
        assert_eq!(seen.len(), 2, "{op:?}");
        for (seen, id, token) in [(&seen[0], "OLD", "t"), (&seen[1], "NEW", "t2")] {
            let authorization = seen.header("authorization").unwrap();
            assert!(
                authorization.contains(&format!("Credential={id}/")),
                "{op:?}"
            );
            assert!(authorization.contains("x-amz-security-token"), "{op:?}");
            assert_eq!(seen.header("x-amz-security-token"), Some(token));
        }
        assert_eq!(provider.refreshed.load(Ordering::SeqCst), 1);
        // Expired again at once: that is not a matter of age.
        server.script([
            refuse(op, 400, "ExpiredToken", &[]),
            refuse(op, 400, "ExpiredToken", &[]),
        ]);
        let error = run(&store, op).await.unwrap_err();
        assert!(
            matches!(error.class(), "denied" | "protocol"),
            "{op:?}: {error}"
        );
    }
}

#[tokio::test]
async fn case_19_clock_skew() {
    for op in ALL {
        let (server, store) = setup_with(|config| config.retry.max_attempts = 1).await;
        let skewed = |hours: i64| {
            let date = http_date(hours);
            refuse(op, 403, "RequestTimeTooSkewed", &[("date", date.as_str())])
        };
        server.script([skewed(3)]);
        run(&store, op)
            .await
            .unwrap_or_else(|e| panic!("{op:?}: {e}"));
        // Learnt, for all that follows.
        run(&store, Op::Get).await.unwrap();
        let seen = server.seen();
        assert_eq!(seen.len(), 3, "{op:?}");
        let expected = Timestamp::from(SystemTime::now()).unix() + 3 * 3600;
        for seen in &seen[1..] {
            let sent = seen.header("x-amz-date").unwrap();
            let right =
                (expected - 60..=expected).any(|time| Timestamp::from_unix(time).iso8601() == sent);
            assert!(right, "{op:?} {sent}");
        }
        // Only once: a server that is never content is a refusal.
        server.script([skewed(-5), skewed(9)]);
        let error = run(&store, op).await.unwrap_err();
        assert_eq!(error.class(), "denied", "{op:?}: {error}");
    }
}

/// The `Date` header of so many hours from now.
fn http_date(hours: i64) -> String {
    let now = Timestamp::from(SystemTime::now()).unix();
    let time = now.checked_add_signed(hours * 3600).unwrap();
    let text = Timestamp::from_unix(time).iso8601();
    let months = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let month = months[text[4..6].parse::<usize>().unwrap() - 1];
    format!(
        "Mon, {} {month} {} {}:{}:{} GMT",
        &text[6..8],
        &text[..4],
        &text[9..11],
        &text[11..13],
        &text[13..15]
    )
}

#[tokio::test]
async fn case_20_wrong_region() {
    for op in ALL {
        for (status, code) in [
            (301, "PermanentRedirect"),
            (307, "TemporaryRedirect"),
            (400, "AuthorizationHeaderMalformed"),
        ] {
            let elsewhere = Scripted::start(healthy()).await;
            let (server, store) = setup_with(|config| config.retry.max_attempts = 1).await;
            let location = format!("{}/bucket", elsewhere.endpoint());
            server.script([refuse(
                op,
                status,
                code,
                &[
                    ("x-amz-bucket-region", "eu-north-1"),
                    ("location", &location),
                ],
            )]);
            run(&store, op)
                .await
                .unwrap_or_else(|e| panic!("{op:?} {code}: {e}"));
            assert_eq!(store.client().bucket().region(), "eu-north-1");
            let seen = server.seen();
            assert_eq!(seen.len(), 2);
            assert!(
                seen[0]
                    .header("authorization")
                    .unwrap()
                    .contains("/us-east-1/s3/")
            );
            assert!(
                seen[1]
                    .header("authorization")
                    .unwrap()
                    .contains("/eu-north-1/s3/")
            );
            assert_eq!(elsewhere.connections(), 0, "credentials stay with the host");
        }
    }
    // Only in the body.
    let (server, store) = setup().await;
    server.script([reply(answer(
        400,
        &[],
        "<Error><Code>AuthorizationHeaderMalformed</Code><Region>eu-north-1</Region></Error>",
    ))]);
    run(&store, Op::Get).await.unwrap();
}

#[tokio::test]
async fn case_20_redirects_to_other_hosts_are_not_followed() {
    for op in ALL {
        for status in [301, 302, 307, 308] {
            let elsewhere = Scripted::start(healthy()).await;
            let (server, store) = setup().await;
            let location = format!("{}/bucket", elsewhere.endpoint());
            let step = refuse(op, status, "PermanentRedirect", &[("location", &location)]);
            server.script([step]);
            let error = run(&store, op).await.unwrap_err();
            assert_eq!(error.class(), "invalid", "{op:?} {status}: {error}");
            assert_eq!(elsewhere.connections(), 0);
            assert_eq!(server.seen().len(), 1);
        }
    }
    // Regions that send each other in circles.
    let ping: Otherwise = Arc::new(|seen: &Seen| {
        let here = seen
            .header("authorization")
            .unwrap()
            .contains("/us-east-1/");
        let there = if here { "eu-north-1" } else { "us-east-1" };
        answer(
            301,
            &[("x-amz-bucket-region", there)],
            error_body("PermanentRedirect"),
        )
    });
    let server = Scripted::start(ping).await;
    let store = S3Blockstore::new(config_at(&server.endpoint())).unwrap();
    let error = run(&store, Op::Get).await.unwrap_err();
    assert_eq!(error.class(), "invalid", "{error}");
    assert!(server.seen().len() <= 5);
}

#[tokio::test]
async fn case_21_precondition_failed_after_a_lost_acknowledgement() {
    let (server, store) = setup_with(|config| config.conditional_put = true).await;
    server.script([
        vec![Act::ReadBody, Act::Reset],
        refuse(Op::Put, 412, "PreconditionFailed", &[]),
    ]);
    run(&store, Op::Put).await.unwrap();
    let seen = server.seen();
    assert_eq!(seen.len(), 2);
    assert!(
        seen.iter()
            .all(|seen| seen.header("if-none-match") == Some("*"))
    );

    // Without a lost acknowledgement it means that the block was there.
    server.script([refuse(Op::Put, 412, "PreconditionFailed", &[])]);
    run(&store, Op::Put).await.unwrap();
}

#[tokio::test]
async fn case_22_conditional_request_conflict() {
    let fault = |op| refuse(op, 409, "ConditionalRequestConflict", &[]);
    retried(&[Op::Put, Op::Delete], fault, "unavailable").await;
}

#[tokio::test]
async fn case_23_forbidden_is_not_absent() {
    fatal(&ALL, |op| refuse(op, 403, "AccessDenied", &[]), "denied").await;
    fatal(&ALL, |op| refuse(op, 401, "Unauthorized", &[]), "denied").await;
}

#[tokio::test]
async fn case_24_no_such_bucket_is_not_absent() {
    fatal(
        &NOT_HEAD,
        |op| refuse(op, 404, "NoSuchBucket", &[]),
        "no-store",
    )
    .await;

    // A HEAD cannot say what is not there: the bucket is asked for.
    let (server, store) = setup().await;
    server.script([refuse(Op::Has, 404, "", &[]), refuse(Op::Has, 404, "", &[])]);
    let error = run(&store, Op::Has).await.unwrap_err();
    assert_eq!(error.class(), "no-store", "{error}");

    // Once it was seen, it is not asked for again.
    server.script([
        refuse(Op::Has, 404, "", &[]),
        reply(answer(200, &[], "")),
        refuse(Op::Has, 404, "", &[]),
    ]);
    assert!(!store.has(block().cid()).await.unwrap());
    assert!(!store.has(block().cid()).await.unwrap());
    assert_eq!(server.left(), 0);
    assert_eq!(server.seen().len(), 5);
}

#[tokio::test]
async fn case_24_only_s3_can_say_that_a_key_is_absent() {
    let (server, store) = setup().await;
    server.script([refuse(Op::Get, 404, "NoSuchKey", &[])]);
    assert_eq!(store.get(block().cid()).await.unwrap(), None);
    for body in [
        "<html><body>Not Found</body></html>",
        "404 page not found",
        "{}",
    ] {
        let fault = |_| reply(answer(404, &[("content-type", "text/html")], body));
        fatal(&NOT_HEAD, fault, "protocol").await;
    }
}

fn list_page(keys: &[&str], truncated: bool, token: &str) -> Step {
    let mut body = format!("<ListBucketResult><IsTruncated>{truncated}</IsTruncated>");
    for key in keys {
        let _ = write!(body, "<Contents><Key>{key}</Key><Size>1</Size></Contents>");
    }
    if !token.is_empty() {
        let _ = write!(
            body,
            "<NextContinuationToken>{token}</NextContinuationToken>"
        );
    }
    reply(answer(200, &[], body + "</ListBucketResult>"))
}

#[tokio::test]
async fn case_25_list_pages_that_make_no_sense() {
    for (what, steps) in [
        ("unsorted", vec![list_page(&["p/b", "p/a"], false, ""); 4]),
        ("doubled", vec![list_page(&["p/a", "p/a"], false, ""); 4]),
        ("no token", vec![list_page(&["p/a"], true, "")]),
        (
            "no IsTruncated",
            vec![reply(answer(200, &[], "<ListBucketResult></ListBucketResult>")); 4],
        ),
        ("another prefix", vec![list_page(&["q/a"], false, "")]),
        ("empty, but more", vec![list_page(&[], true, "t")]),
        (
            "repeated page",
            vec![
                list_page(&["p/a", "p/b"], true, "t1"),
                list_page(&["p/c", "p/d"], true, "t2"),
                list_page(&["p/c", "p/d"], true, "t3"),
            ],
        ),
        (
            "token loop",
            vec![
                list_page(&["p/a"], true, "t1"),
                list_page(&["p/b"], true, "t2"),
                list_page(&["p/c"], true, "t2"),
            ],
        ),
        (
            "goes back",
            vec![
                list_page(&["p/c"], true, "t1"),
                list_page(&["p/d"], true, "t2"),
                list_page(&["p/b"], false, ""),
            ],
        ),
        (
            "cut off",
            vec![
                reply(answer(
                    200,
                    &[],
                    "<ListBucketResult><IsTruncated>false</IsTrunc"
                ));
                4
            ],
        ),
    ] {
        // One range, so that the pages come in the order of the script.
        let (server, store) = setup_with(|config| config.concurrency = 1).await;
        server.script(steps);
        let mut listing = store.list(Cursor::start());
        let mut last = None;
        while let Some(listed) = listing.next().await {
            last = Some(listed);
        }
        let Some(Err(error)) = last else {
            panic!("{what}: the listing ended without an error")
        };
        assert_eq!(error.class(), "protocol", "{what}: {error}");
        assert_eq!(server.left(), 0, "{what}");
    }
}

/// Whether a block is there is asked of the object, never of a listing, which may lag behind.
#[tokio::test]
async fn case_26_listings_that_lag_behind() {
    let (server, store) = setup().await;
    server.script([reply(operation_answer(Op::Put)), list_page(&[], false, "")]);
    run(&store, Op::Put).await.unwrap();
    assert_eq!(store.list(Cursor::start()).count().await, 0);
    run(&store, Op::Has).await.unwrap();
    run(&store, Op::Get).await.unwrap();
    let list_requests = server
        .seen()
        .iter()
        .filter(|s| s.target.contains("list-type"))
        .count();
    assert_eq!(list_requests, 1);
}

#[tokio::test]
async fn case_27_foreign_keys_are_counted_and_left_alone() {
    let (server, store) = setup().await;
    let key = keys().key(block().cid());
    let lower = key.to_lowercase();
    let mut names = vec![
        key.clone(),
        lower.replace("p/", "p%2F"),
        "p%2F%FF%FE".into(),
        "p%2F..%2F..%2Fetc".into(),
        "p%2Fa+b%00".into(),
        "p%2F".into(),
    ];
    names.sort_by_key(|name| name.replace("%2F", "/"));
    let mut body = String::from(
        "<ListBucketResult><IsTruncated>false</IsTruncated><EncodingType>url</EncodingType>",
    );
    let order = |name: &String| percent(name);
    names.sort_by_key(order);
    for name in &names {
        let _ = write!(body, "<Contents><Key>{name}</Key><Size>1</Size></Contents>");
    }
    server.script([reply(answer(200, &[], body + "</ListBucketResult>"))]);
    let mut listing = store.list(Cursor::start());
    let listed = listing.next().await.unwrap().unwrap();
    assert_eq!(listed.cid.hash(), block().multihash());
    assert!(listing.next().await.is_none());
    assert_eq!(listing.foreign(), 5);
    assert_eq!(server.seen().len(), 1, "nothing was deleted");
}

/// What a percent-encoded name stands for.
fn percent(name: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut bytes = name.bytes();
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let hex: String = [bytes.next().unwrap(), bytes.next().unwrap()]
                .map(char::from)
                .into_iter()
                .collect();
            out.push(u8::from_str_radix(&hex, 16).unwrap());
        } else {
            out.push(byte);
        }
    }
    out
}

#[tokio::test]
async fn case_28_zero_length_objects() {
    let empty_object: Otherwise = Arc::new(|_| answer(200, &[("etag", "\"e\"")], ""));
    let server = Scripted::start(empty_object).await;
    let store = S3Blockstore::new(config_at(&server.endpoint())).unwrap();
    let empty = Block::raw(Bytes::new());
    assert_eq!(store.get(empty.cid()).await.unwrap(), Some(empty.clone()));
    assert_eq!(store.size(empty.cid()).await.unwrap(), Some(0));
    for op in [Op::Get, Op::Has] {
        let error = run(&store, op).await.unwrap_err();
        assert_eq!(error.class(), "corrupt", "{op:?}: {error}");
    }
}

#[tokio::test]
async fn case_29_a_web_page_in_place_of_an_answer() {
    let page = |op| {
        let html = if op == Op::Has {
            ""
        } else {
            "<!DOCTYPE html><html><p>Sign in<br></html>"
        };
        reply(answer(
            200,
            &[("content-type", "text/HTML; charset=utf-8")],
            html,
        ))
    };
    retried(&ALL, page, "protocol").await;
    // Without a content type.
    let page = |_| reply(answer(200, &[], "<html><p>Sign in<br></html>"));
    retried(&[Op::Put, Op::DeleteMany, Op::List], page, "protocol").await;
}

#[tokio::test]
async fn case_30_wrong_bytes() {
    let wrong = || {
        let mut body = BODY.to_vec();
        body[3] ^= 1;
        reply(answer(200, &[("etag", "\"e\"")], body))
    };
    let (server, store) = setup().await;
    server.script([wrong()]);
    run(&store, Op::Get).await.unwrap();
    let seen = server.seen();
    assert_eq!(seen.len(), 2);
    assert_ne!(
        seen[0].connection, seen[1].connection,
        "asked on another connection"
    );

    server.script([wrong(), wrong()]);
    let error = run(&store, Op::Get).await.unwrap_err();
    assert_eq!(error.class(), "corrupt", "{error}");
    assert_eq!(server.left(), 0);

    // The same the other way: S3 received other bytes than were signed.
    for (status, code) in [(400, "BadDigest"), (400, "XAmzContentSHA256Mismatch")] {
        retried(&[Op::Put], |op| refuse(op, status, code, &[]), "corrupt").await;
    }
}

#[tokio::test]
async fn case_31_wrong_range() {
    let part = |range: &'static str, body: &'static str| {
        reply(answer(206, &[("content-range", range)], body))
    };
    for (what, step) in [
        ("the whole object", reply(answer(200, &[], BODY))),
        ("no Content-Range", reply(answer(206, &[], "234"))),
        ("shifted", part("bytes 3-5/22", "345")),
        ("longer", part("bytes 2-5/22", "2345")),
        ("shorter", part("bytes 2-3/22", "23")),
        ("another length than named", part("bytes 2-4/22", "23")),
        ("nonsense", part("bytes 4-2/22", "234")),
    ] {
        let (server, store) = setup().await;
        let get = GetObject::range(2..5);
        server.script([step.clone(), part("bytes 2-4/22", "234")]);
        let got = store.client().get_object("k", &get).await.unwrap().unwrap();
        assert_eq!((&got.data[..], got.size), (&b"234"[..], 22), "{what}");
        assert_eq!(server.seen().len(), 2, "{what}");

        server.script([step.clone(), step.clone(), step.clone(), step]);
        let error = store.client().get_object("k", &get).await.unwrap_err();
        assert_eq!(error.class(), "protocol", "{what}: {error}");
    }
    // A part of what was asked for whole.
    retried(
        &[Op::Get],
        |_| reply(answer(206, &[("content-range", "bytes 0-21/30")], BODY)),
        "protocol",
    )
    .await;
    // Some servers answer 200 with the right part.
    let (server, store) = setup().await;
    server.script([reply(answer(
        200,
        &[("content-range", "bytes 2-4/22")],
        "234",
    ))]);
    let got = store
        .client()
        .get_object("k", &GetObject::range(2..5))
        .await
        .unwrap();
    assert_eq!(&got.unwrap().data[..], b"234");
}

#[tokio::test]
async fn case_32_oversize_objects() {
    let limit = |config: &mut S3Config| config.limits.max_block = 1000;
    let block = Block::raw(Bytes::from(vec![7; 1000]));
    for (what, head, tail) in [
        (
            "declared",
            "HTTP/1.1 200 OK\r\ncontent-length: 1001\r\n\r\n",
            "",
        ),
        (
            "declared huge",
            "HTTP/1.1 200 OK\r\ncontent-length: 9223372036854775807\r\n\r\n",
            "",
        ),
        (
            "chunked",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3e9\r\n",
            "\r\n0\r\n\r\n",
        ),
        ("until the end", "HTTP/1.1 200 OK\r\n\r\n", ""),
    ] {
        let (server, store) = setup_with(limit).await;
        let mut bytes = head.as_bytes().to_vec();
        bytes.extend_from_slice(&[7; 1001]);
        bytes.extend_from_slice(tail.as_bytes());
        server.script([vec![Act::ReadBody, Act::Send(bytes), Act::Close]]);
        let error = store.get(block.cid()).await.unwrap_err();
        assert_eq!(error.class(), "too-large", "{what}: {error}");
        assert_eq!(server.seen().len(), 1, "{what}: an object does not shrink");
        // The connection was dropped with what was left on it.
        let whole = answer(200, &[("etag", "\"e\"")], vec![7; 1000]);
        server.script([reply(whole)]);
        assert_eq!(
            store.get(block.cid()).await.unwrap().as_ref(),
            Some(&block),
            "{what}"
        );
        assert_eq!(server.connections(), 2, "{what}");
    }
}

#[tokio::test]
async fn contradictory_framing_is_refused() {
    for head in [
        "HTTP/1.1 200 OK\r\ncontent-length: 22\r\ntransfer-encoding: chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 22\r\ncontent-length: 23\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: +22\r\n\r\n",
        "HTTP/2.0 200 OK\r\ncontent-length: 22\r\n\r\n",
        "SSH-2.0-OpenSSH\r\n\r\n",
    ] {
        let fault = |_| {
            let mut bytes = head.as_bytes().to_vec();
            bytes.extend_from_slice(BODY);
            vec![Act::ReadBody, Act::Send(bytes), Act::Close]
        };
        retried(&[Op::Get], fault, "protocol").await;
    }
}

/// Nothing that an error, a `Debug` or a log prints holds a secret.
#[tokio::test]
async fn errors_name_everything_but_secrets() {
    let (server, store) = setup().await;
    server.script([refuse(Op::Get, 403, "SignatureDoesNotMatch", &[])]);
    let error = run(&store, Op::Get).await.unwrap_err();
    let report = error.report();
    assert_eq!(report.operation(), "GetObject");
    assert_eq!(report.key(), Some(keys().key(block().cid()).as_str()));
    assert_eq!(report.code(), Some("SignatureDoesNotMatch"));
    assert_eq!(
        (report.status(), report.request_id()),
        (Some(403), Some("R"))
    );
    let shown = format!("{error} {error:?} {store:?} {:?}", store.client());
    assert!(!shown.contains("canary"), "{shown}");
    assert!(!shown.contains("Signature="), "{shown}");
}

#[tokio::test]
async fn what_is_sent_is_what_was_asked_for() {
    let (server, store) = setup_with(|config| {
        config.conditional_put = true;
        config.send_checksum = true;
        config.storage_class = Some("STANDARD_IA".into());
        config.encryption = Some(cidbucket_s3::Encryption::Kms {
            key_id: Some("key".into()),
            bucket_key: true,
        });
        config.requester_pays = true;
    })
    .await;
    run(&store, Op::Put).await.unwrap();
    let sent = &server.seen()[0];
    for (name, value) in [
        ("content-length", "22"),
        ("content-type", "application/vnd.ipld.raw"),
        ("cache-control", "public, max-age=31536000, immutable"),
        ("if-none-match", "*"),
        ("x-amz-storage-class", "STANDARD_IA"),
        ("x-amz-server-side-encryption", "aws:kms"),
        ("x-amz-server-side-encryption-aws-kms-key-id", "key"),
        ("x-amz-server-side-encryption-bucket-key-enabled", "true"),
        ("x-amz-request-payer", "requester"),
    ] {
        assert_eq!(sent.header(name), Some(value), "{name}");
        let signed = name == "content-length"
            || sent
                .header("authorization")
                .unwrap()
                .contains(&format!("{name};"))
            || sent
                .header("authorization")
                .unwrap()
                .contains(&format!("{name},"));
        assert!(signed, "{name} is not signed");
    }
    let hex = data_encoding::HEXLOWER.encode(&block().sha256());
    assert_eq!(sent.header("x-amz-content-sha256"), Some(hex.as_str()));
    assert!(sent.header("x-amz-checksum-sha256").is_some());
    assert!(sent.header("expect").is_none() && sent.header("transfer-encoding").is_none());
    assert_eq!(sent.body, BODY);
    assert_eq!(server.seen().len(), 1);
}

/// A dropped future closes its connection, and nothing else suffers.
#[tokio::test]
async fn dropped_requests_leave_nothing_behind() {
    let (server, store) = setup().await;
    for op in ALL {
        run(&store, Op::Get).await.unwrap();
        server.script([vec![Act::ReadBody, Act::Wait(Duration::from_mins(1))]]);
        let dropped = tokio::time::timeout(Duration::from_millis(30), run(&store, op)).await;
        assert!(dropped.is_err(), "{op:?}");
        run(&store, op).await.unwrap();
    }
}
