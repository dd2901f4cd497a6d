//! A body that is not what the request says leaves everything as it was.

use cidbucket_dev_s3::DevS3;
use cidbucket_sigv4::{Payload, encode_path};
use sha2::{Digest, Sha256};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::client::{Client, base64_sha256, borrowed};

#[tokio::test(flavor = "multi_thread")]
async fn every_wrong_digest_is_refused_and_changes_nothing() {
    let server = DevS3::temporary().await.unwrap();
    let client = Client::of(&server);
    client.put("/bucket/old", &[], b"before").await.ok();
    // One below and one above what is written at once.
    for size in [5, 3_000_000] {
        let (right, wrong) = (vec![1; size], vec![2; size]);
        let sha256 = base64_sha256(&right);
        for path in ["/bucket/old", "/bucket/new"] {
            for (name, value) in [
                ("content-md5", "AAAAAAAAAAAAAAAAAAAAAA=="),
                ("x-amz-checksum-sha256", sha256.as_str()),
                ("x-amz-checksum-sha1", "AAAAAAAAAAAAAAAAAAAAAAAAAAA="),
                ("x-amz-checksum-crc32", "AAAAAA=="),
                ("x-amz-checksum-crc32c", "AAAAAA=="),
                ("x-amz-checksum-crc64nvme", "AAAAAAAAAAA="),
            ] {
                client
                    .put(path, &[(name, value)], &wrong)
                    .await
                    .refused(400, "BadDigest");
            }
            let signed_other = Payload::Sha256(Sha256::digest(&right).into());
            let headers = client.signed("PUT", path, &[], &[], signed_other);
            let reply = client
                .raw("PUT", &encode_path(path), &borrowed(&headers), &wrong)
                .await;
            reply.unwrap().refused(400, "XAmzContentSHA256Mismatch");
        }
        let malformed = [("content-md5", "AA")];
        client
            .put("/bucket/old", &malformed, &wrong)
            .await
            .refused(400, "InvalidDigest");
    }
    assert_eq!(client.get("/bucket/old").await.ok().text(), "before");
    client.get("/bucket/new").await.refused(404, "NoSuchKey");
    assert_eq!(leftovers(&server), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn right_digests_are_accepted_and_given_back() {
    let server = DevS3::temporary().await.unwrap();
    let client = Client::of(&server);
    let sha256 = base64_sha256(b"hello");
    let headers = [
        ("content-md5", "XUFAKrxLKna5cZ2REBfFkg=="),
        ("x-amz-checksum-sha256", sha256.as_str()),
        ("x-amz-checksum-crc32", "NhCmhg=="),
    ];
    let put = client.put("/bucket/k", &headers, b"hello").await.ok();
    assert_eq!(put.header("x-amz-checksum-sha256"), Some(sha256.as_str()));
    let asked = [("x-amz-checksum-mode", "ENABLED")];
    let got = client.send("GET", "/bucket/k", &[], &asked, b"").await.ok();
    assert_eq!(got.header("x-amz-checksum-sha256"), Some(sha256.as_str()));
    assert_eq!(got.header("x-amz-checksum-crc32"), Some("NhCmhg=="));
    let got = client.get("/bucket/k").await.ok();
    assert_eq!(got.header("x-amz-checksum-sha256"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_ends_early_leaves_nothing() {
    let server = DevS3::temporary().await.unwrap();
    let client = Client::of(&server);
    client.put("/bucket/k", &[], b"before").await.ok();
    let headers = client.signed("PUT", "/bucket/k", &[], &[], Payload::Unsigned);
    let head = head(&client, &headers, "content-length: 1000\r\n\r\n0123456789");
    let mut stream = TcpStream::connect(server.addr()).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.shutdown().await.unwrap();
    // Whatever it answers, the connection comes to its end and the request with it.
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    assert!(!answer.starts_with(b"HTTP/1.1 200"));
    assert_eq!(client.get("/bucket/k").await.ok().text(), "before");
    assert_eq!(leftovers(&server), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_without_a_length_is_refused() {
    let server = DevS3::temporary().await.unwrap();
    let client = Client::of(&server);
    let headers = client.signed("PUT", "/bucket/k", &[], &[], Payload::Unsigned);
    let head = head(
        &client,
        &headers,
        "connection: close\r\ntransfer-encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n",
    );
    let mut stream = TcpStream::connect(server.addr()).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    assert!(
        answer.starts_with(b"HTTP/1.1 411"),
        "{}",
        String::from_utf8_lossy(&answer)
    );
    client.get("/bucket/k").await.refused(404, "NoSuchKey");
}

/// A PUT of `/bucket/k` as text, with the end as it is given.
fn head(client: &Client, headers: &[(String, String)], end: &str) -> String {
    let line = |(name, value): &(String, String)| format!("{name}: {value}\r\n");
    let lines: Vec<_> = headers.iter().map(line).collect();
    let start = format!("PUT /bucket/k HTTP/1.1\r\nhost: {}\r\n", client.host);
    start + &lines.concat() + end
}

/// Files of bodies that are not objects.
fn leftovers(server: &DevS3) -> usize {
    std::fs::read_dir(server.data_dir().join("tmp"))
        .unwrap()
        .count()
}
