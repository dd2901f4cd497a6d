//! What the gateway takes of the service, and gives back. What it answers is tested end to end.

use std::time::Duration;

use bytes::Bytes;
use cidbucket_blockstore::{Block, Blockstore, Hash, MemoryBlockstore};
use cidbucket_service::{Body, Service};
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::time::{Instant, sleep, timeout};

use crate::wire::{SOON, run, service};

const MIB: usize = 1 << 20;

/// A DAG of so many MiB: DAG-CBOR with links to raw blocks.
async fn dag(store: &MemoryBlockstore, mebibytes: u8) -> Block {
    let mut list = vec![0x80 + mebibytes];
    for n in 0..mebibytes {
        let block = Block::raw(vec![n; MIB]);
        store.put(&block).await.unwrap();
        list.extend([0xd8, 42, 0x58, 37, 0]);
        list.extend(block.cid().to_bytes());
    }
    let root = Block::encode(0x71, Hash::Sha2_256, list).unwrap();
    store.put(&root).await.unwrap();
    root
}

fn car(root: &Block) -> Request<Full<Bytes>> {
    let uri = format!("http://x/ipfs/{}?format=car", root.cid());
    Request::get(uri).body(Full::default()).unwrap()
}

async fn metric(service: &Service, name: &str) -> f64 {
    let request = Request::get("/metrics")
        .body(Full::<Bytes>::default())
        .unwrap();
    let answer = service.handle(request).await;
    let text = answer.into_body().collect().await.unwrap().to_bytes();
    let text = String::from_utf8(text.to_vec()).unwrap();
    let line = text.lines().find(|line| line.starts_with(name)).unwrap();
    line.rsplit_once(' ').unwrap().1.parse().unwrap()
}

#[tokio::test]
async fn memory_is_held_until_the_stream_is_gone() {
    let (service, store) = service(|settings| {
        settings.public_reads = true;
        // One answer takes it all.
        settings.memory = MIB;
    });
    let root = dag(&store, 4).await;
    let first = service.handle(car(&root)).await;
    assert_eq!(first.status(), 200);
    assert!(metric(&service, "cidbucket_memory_bytes").await > 0.0);
    let refused = service.handle(car(&root)).await;
    assert_eq!(
        (refused.status().as_u16(), &refused.headers()["retry-after"]),
        (503, &"1".parse().unwrap())
    );
    // Whether it was taken to the end, or not at all.
    let whole = first.into_body().collect().await.unwrap().to_bytes();
    assert!(whole.len() > 4 * MIB);
    let second = service.handle(car(&root)).await;
    assert_eq!(second.status(), 200);
    drop(second);
    assert!(metric(&service, "cidbucket_memory_bytes").await < 1.0);
    // This one, that asks, is under way.
    assert!((metric(&service, "cidbucket_in_flight").await - 1.0).abs() < 0.1);
    let sent = metric(&service, "cidbucket_gateway_bytes_total").await;
    assert!(
        (sent - f64::from(u32::try_from(whole.len()).unwrap())).abs() < 1000.0,
        "{sent}"
    );
}

#[tokio::test]
async fn a_stream_is_a_request_under_way() {
    let (service, store) = service(|settings| {
        settings.public_reads = true;
        settings.max_requests = 1;
    });
    let root = dag(&store, 2).await;
    let first = service.handle(car(&root)).await;
    let status = |answer: Response<Body>| answer.status().as_u16();
    assert_eq!(status(service.handle(car(&root)).await), 503);
    drop(first);
    assert_eq!(status(service.handle(car(&root)).await), 200);
}

/// One stream of an HTTP/2 connection may stand still while the socket does not.
#[tokio::test]
async fn who_takes_nothing_of_a_stream_is_let_go() {
    let server = run(
        |settings| settings.public_reads = true,
        |bounds| {
            bounds.head_timeout = Duration::from_millis(200);
            bounds.pace.grace = Duration::from_millis(300);
            bounds.pace.rate = 1 << 30;
        },
        None,
    )
    .await;
    let root = dag(&server.store, 8).await;
    let stream = server.connect().await;
    let (mut sender, connection) = hyper::client::conn::http2::Builder::new(TokioExecutor::new())
        .initial_stream_window_size(70_000)
        .initial_connection_window_size(1 << 24)
        .handshake(TokioIo::new(stream))
        .await
        .unwrap();
    let connection = tokio::spawn(connection);
    // Taken as it comes, it comes.
    let answer = sender.send_request(car(&root)).await.unwrap();
    let whole = timeout(SOON, answer.into_body().collect())
        .await
        .unwrap()
        .unwrap();
    assert!(whole.to_bytes().len() > 8 * MIB);
    let answer = sender.send_request(car(&root)).await.unwrap();
    assert_eq!(answer.status(), 200);
    let begun = Instant::now();
    while metric(&server.service, "cidbucket_memory_bytes").await > 0.5 {
        assert!(begun.elapsed() < SOON, "it is held for ever");
        sleep(Duration::from_millis(20)).await;
    }
    assert!(
        timeout(SOON, answer.into_body().collect())
            .await
            .unwrap()
            .is_err()
    );
    let _ = timeout(SOON, connection).await.unwrap();
    server.stop().await;
}
