//! Conditional requests, and that writes under them are atomic.

use std::sync::Arc;

use cidbucket_dev_s3::DevS3;

use crate::client::Client;

#[tokio::test(flavor = "multi_thread")]
async fn of_sixteen_creators_one_wins() {
    let server = DevS3::temporary().await.unwrap();
    let client = Arc::new(Client::of(&server));
    for round in 0..4 {
        let racers = (0..16).map(|racer: u8| {
            let client = Arc::clone(&client);
            tokio::spawn(async move {
                let body = vec![racer; 10_000];
                let path = format!("/bucket/{round}");
                let reply = client.put(&path, &[("if-none-match", "*")], &body).await;
                (racer, reply)
            })
        });
        let mut winners = Vec::new();
        for task in racers.collect::<Vec<_>>() {
            let (racer, reply) = task.await.unwrap();
            if reply.status == 200 {
                winners.push(racer);
            } else {
                reply.refused(412, "PreconditionFailed");
            }
        }
        assert_eq!(winners.len(), 1);
        let got = client.get(&format!("/bucket/{round}")).await.ok();
        assert_eq!(got.body, vec![winners[0]; 10_000]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn writes_and_deletes_by_etag() {
    let server = DevS3::temporary().await.unwrap();
    let client = Client::of(&server);
    let path = "/bucket/k";
    client
        .put(path, &[("if-match", "\"0\"")], b"x")
        .await
        .refused(404, "NoSuchKey");
    let first = client.put(path, &[], b"one").await.ok();
    let etag = first.header("etag").unwrap();
    client.put(path, &[("if-match", etag)], b"two").await.ok();
    client
        .put(path, &[("if-match", etag)], b"three")
        .await
        .refused(412, "PreconditionFailed");
    let delete = [("if-match", etag)];
    let refused = client.send("DELETE", path, &[], &delete, b"").await;
    refused.refused(412, "PreconditionFailed");
    assert_eq!(client.get(path).await.ok().text(), "two");
    client
        .put(path, &[("if-none-match", etag)], b"")
        .await
        .refused(501, "NotImplemented");
}

#[tokio::test(flavor = "multi_thread")]
async fn reads_by_etag_and_date() {
    let server = DevS3::temporary().await.unwrap();
    let client = Client::of(&server);
    let put = client.put("/bucket/k", &[], b"x").await.ok();
    let etag = put.header("etag").unwrap();
    let date = client.get("/bucket/k").await.ok();
    let date = date.header("last-modified").unwrap();
    let long_ago = "Thu, 01 Jan 2015 00:00:00 GMT";
    for (name, value, status) in [
        ("if-match", etag, 200),
        ("if-match", "\"0\"", 412),
        ("if-none-match", etag, 304),
        ("if-none-match", "\"0\"", 200),
        ("if-modified-since", date, 304),
        ("if-modified-since", long_ago, 200),
        ("if-unmodified-since", date, 200),
        ("if-unmodified-since", long_ago, 412),
    ] {
        for method in ["GET", "HEAD"] {
            let reply = client
                .send(method, "/bucket/k", &[], &[(name, value)], b"")
                .await;
            assert_eq!(reply.status, status, "{method} {name}: {value}");
            if status == 304 {
                assert!(reply.body.is_empty());
                assert_eq!(reply.header("etag"), Some(etag));
            }
        }
    }
}
