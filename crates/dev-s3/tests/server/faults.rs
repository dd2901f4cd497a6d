//! Each fault does what it says, to the requests it is for.

use std::{
    error::Error,
    io,
    time::{Duration, Instant},
};

use cidbucket_dev_s3::{DevS3, Fault, Rule};
use tokio::time::timeout;

use crate::client::{Client, Reply};

async fn served() -> (DevS3, Client) {
    let server = DevS3::temporary().await.unwrap();
    let client = Client::of(&server);
    client.put("/bucket/k", &[], b"0123456789").await.ok();
    (server, client)
}

async fn get(client: &Client) -> Result<Reply, hyper::Error> {
    let signed = client.signed(
        "GET",
        "/bucket/k",
        &[],
        &[],
        cidbucket_sigv4::Payload::Empty,
    );
    let headers = crate::client::borrowed(&signed);
    client.raw("GET", "/bucket/k", &headers, b"").await
}

fn is_reset(error: &hyper::Error) -> bool {
    let source = error.source().and_then(|e| e.downcast_ref::<io::Error>());
    source.is_some_and(|e| e.kind() == io::ErrorKind::ConnectionReset)
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_on_demand_for_some_requests() {
    let (server, client) = served().await;
    let slow_down = Fault::Status {
        status: 503,
        code: "SlowDown".to_owned(),
        retry_after: Some(7),
    };
    server
        .faults()
        .push(Rule::new(slow_down).operation("GetObject").skip(1).once());
    get(&client).await.unwrap().ok();
    let reply = get(&client).await.unwrap();
    reply.refused(503, "SlowDown");
    assert_eq!(reply.header("retry-after"), Some("7"));
    get(&client).await.unwrap().ok();
    assert_eq!(
        (server.faults().count("GetObject"), server.faults().fired()),
        (3, 1)
    );

    server
        .faults()
        .push(Rule::new(Fault::status(500, "InternalError")).method("put"));
    let body = vec![7; 2_000_000];
    client
        .put("/bucket/k", &[], &body)
        .await
        .refused(500, "InternalError");
    server.faults().clear();
    assert_eq!(get(&client).await.unwrap().text(), "0123456789");
    server.faults().reset_counts();
    assert_eq!(server.faults().total(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_end_abruptly() {
    let (server, client) = served().await;
    server
        .faults()
        .push(Rule::new(Fault::Reset).key("k").once());
    assert!(is_reset(&get(&client).await.unwrap_err()));

    server
        .faults()
        .push(Rule::new(Fault::ResetBody { after: 4 }).once());
    assert!(is_reset(&get(&client).await.unwrap_err()));

    server
        .faults()
        .push(Rule::new(Fault::CutBody { after: 4 }).once());
    let error = get(&client).await.unwrap_err();
    assert!(!is_reset(&error), "{error:?}");

    server
        .faults()
        .push(Rule::new(Fault::LoseAnswer).operation("PutObject").once());
    let signed = client.signed(
        "PUT",
        "/bucket/k",
        &[],
        &[],
        cidbucket_sigv4::Payload::Unsigned,
    );
    let headers = crate::client::borrowed(&signed);
    let lost = client.raw("PUT", "/bucket/k", &headers, b"written").await;
    assert!(is_reset(&lost.unwrap_err()));
    assert_eq!(get(&client).await.unwrap().text(), "written");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shutdown_lets_requests_finish_and_waits_for_no_idle_connection() {
    let (server, client) = served().await;
    let idle = tokio::net::TcpStream::connect(server.addr()).await.unwrap();
    let slow = Fault::SlowBody {
        piece: 1,
        pause: Duration::from_millis(40),
    };
    server.faults().push(Rule::new(slow));
    let faults = server.faults().clone();
    let reading = tokio::spawn(async move { get(&client).await });
    while faults.count("GetObject") == 0 {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let (since, addr) = (Instant::now(), server.addr());
    server.shutdown().await;
    assert!(since.elapsed() < Duration::from_secs(4));
    assert_eq!(reading.await.unwrap().unwrap().text(), "0123456789");
    assert!(tokio::net::TcpStream::connect(addr).await.is_err());
    drop(idle);
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_are_wrong_slow_or_never_end() {
    let (server, client) = served().await;
    server.faults().push(Rule::new(Fault::CorruptBody).once());
    let corrupt = get(&client).await.unwrap().ok();
    assert_eq!(
        (corrupt.body.len(), &corrupt.body[1..]),
        (10, &b"123456789"[..])
    );
    assert_ne!(corrupt.body[0], b'0');

    let since = Instant::now();
    let slow = Fault::SlowBody {
        piece: 3,
        pause: Duration::from_millis(30),
    };
    server.faults().push(Rule::new(slow).once());
    assert_eq!(get(&client).await.unwrap().text(), "0123456789");
    assert!(since.elapsed() >= Duration::from_millis(120));

    server
        .faults()
        .push(Rule::new(Fault::Delay(Duration::from_millis(100))).once());
    let since = Instant::now();
    get(&client).await.unwrap().ok();
    assert!(since.elapsed() >= Duration::from_millis(100));

    server
        .faults()
        .push(Rule::new(Fault::StallBody { after: 4 }).once());
    assert!(
        timeout(Duration::from_millis(300), get(&client))
            .await
            .is_err()
    );
    get(&client).await.unwrap().ok();
}
