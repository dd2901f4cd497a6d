//! Objects: any key, metadata, ranges, copies, deletion.

use std::time::{Duration, Instant};

use cidbucket_dev_s3::{DevS3, Fault, Rule};
use cidbucket_sigv4::Payload;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::client::{Client, Reply, base64_sha256, borrowed, exchange};

#[tokio::test(flavor = "multi_thread")]
async fn every_key_is_its_own_object() {
    let server = DevS3::temporary().await.unwrap();
    let client = Client::of(&server);
    let long = "k".repeat(1024);
    let keys = [
        "a",
        "A",
        "a/b",
        "a//b",
        "a/",
        "/a",
        "..",
        "../a",
        ".",
        "a b+c%2F&=?#",
        "ключ/鍵",
        "\u{1}",
        "con",
        &long,
    ];
    for key in keys {
        client
            .put(&format!("/bucket/{key}"), &[], key.as_bytes())
            .await
            .ok();
    }
    for key in keys {
        let got = client.get(&format!("/bucket/{key}")).await.ok();
        assert_eq!(got.text(), key);
    }
    let query = [("list-type", "2"), ("encoding-type", "url")];
    let listed = client.send("GET", "/bucket", &query, &[], b"").await.ok();
    let listed: Vec<_> = listed
        .elements("Key")
        .iter()
        .map(|key| decode(key))
        .collect();
    let mut sorted = keys;
    sorted.sort_unstable();
    assert_eq!(listed, sorted);

    let too_long = format!("/bucket/{}", "k".repeat(1025));
    client
        .put(&too_long, &[], b"")
        .await
        .refused(400, "KeyTooLongError");
}

fn decode(text: &str) -> String {
    percent_encoding::percent_decode_str(text)
        .decode_utf8()
        .unwrap()
        .into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_said_of_an_object_is_given_back() {
    let server = DevS3::temporary().await.unwrap();
    let client = Client::of(&server);
    let headers = [
        ("content-type", "application/vnd.ipld.raw"),
        ("cache-control", "public, max-age=29030400, immutable"),
        ("x-amz-meta-origin", "test"),
        ("x-amz-storage-class", "STANDARD_IA"),
        ("x-amz-server-side-encryption", "AES256"),
    ];
    let put = client.put("/bucket/k", &headers, b"hello").await.ok();
    assert_eq!(
        put.header("etag"),
        Some("\"5d41402abc4b2a76b9719d911017c592\"")
    );
    for method in ["GET", "HEAD"] {
        let got = client.send(method, "/bucket/k", &[], &[], b"").await.ok();
        for (name, value) in headers {
            assert_eq!(got.header(name), Some(value), "{method} {name}");
        }
        assert_eq!(got.header("content-length"), Some("5"));
        assert_eq!(got.header("etag"), put.header("etag"));
        assert!(got.header("last-modified").unwrap().ends_with(" GMT"));
        assert!(got.header("x-amz-request-id").is_some());
    }
    client.get("/bucket/none").await.refused(404, "NoSuchKey");
    client.get("/nobucket/k").await.refused(404, "NoSuchBucket");
    let head = client.send("HEAD", "/bucket/none", &[], &[], b"").await;
    assert_eq!(head.status, 404);
    client
        .put("/bucket/k", &[("x-amz-tagging", "a=b")], b"")
        .await
        .refused(501, "NotImplemented");
}

#[tokio::test(flavor = "multi_thread")]
async fn ranges_of_small_and_streamed_bodies() {
    let server = DevS3::temporary().await.unwrap();
    let client = Client::of(&server);
    // Larger than what is read at once, and no multiple of it.
    let large: Vec<u8> = (0..251).cycle().take(3_500_001).collect();
    for body in [&b"0123456789"[..], &large] {
        client.put("/bucket/k", &[], body).await.ok();
        assert_eq!(client.get("/bucket/k").await.ok().body, body);
        let size = body.len();
        for (range, part) in [
            ("bytes=0-0".to_owned(), 0..1),
            ("bytes=2-4".to_owned(), 2..5),
            ("bytes=7-".to_owned(), 7..size),
            ("bytes=-3".to_owned(), size - 3..size),
            (format!("bytes=5-{}", size + 10), 5..size),
        ] {
            let headers = [("range", range.as_str())];
            let got = client.send("GET", "/bucket/k", &[], &headers, b"").await;
            assert_eq!(got.status, 206);
            let expected = format!("bytes {}-{}/{size}", part.start, part.end - 1);
            assert_eq!(got.header("content-range"), Some(expected.as_str()));
            assert_eq!(got.body, body[part], "{range}");
        }
        let past = format!("bytes={size}-");
        let got = client
            .send("GET", "/bucket/k", &[], &[("range", &past)], b"")
            .await;
        got.refused(416, "InvalidRange");
        assert_eq!(
            got.header("content-range"),
            Some(format!("bytes */{size}").as_str())
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_connection_serves_many_requests_without_waits() {
    let server = DevS3::temporary().await.unwrap();
    let client = Client::of(&server);
    client.put("/bucket/k", &[], b"body").await.ok();
    // Head and body in several writes, as those of a large body are.
    let pieces = Fault::SlowBody {
        piece: 1,
        pause: Duration::from_millis(1),
    };
    server.faults().push(Rule::new(pieces));
    let stream = TcpStream::connect(server.addr()).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let signed = client.signed("GET", "/bucket/k", &[], &[], Payload::Empty);
    let headers = borrowed(&signed);
    let mut waits = Vec::new();
    for _ in 0..12 {
        let request = client.request("GET", "/bucket/k", &headers, b"");
        let since = Instant::now();
        let reply = exchange(&mut sender, request).await.unwrap().ok();
        waits.push(since.elapsed());
        assert_eq!(reply.text(), "body");
    }
    // With Nagle's algorithm a delayed acknowledgement costs every one of them 40 ms.
    waits.sort_unstable();
    assert!(waits[3] < Duration::from_millis(35), "{waits:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_object_is_an_object() {
    let server = DevS3::temporary().await.unwrap();
    let client = Client::of(&server);
    client.put("/bucket/empty", &[], b"").await.ok();
    let got = client.get("/bucket/empty").await.ok();
    assert_eq!((got.status, got.header("content-length")), (200, Some("0")));
}

#[tokio::test(flavor = "multi_thread")]
async fn copies_keep_or_replace_what_is_said() {
    let server = DevS3::builder()
        .bucket("bucket")
        .bucket("other")
        .start()
        .await
        .unwrap();
    let client = Client::of(&server);
    let put = client
        .put(
            "/bucket/a b",
            &[("content-type", "text/x"), ("x-amz-meta-m", "1")],
            b"body",
        )
        .await
        .ok();
    let etag = put.header("etag").unwrap();
    let source = ("x-amz-copy-source", "/bucket/a%20b");
    client
        .put(
            "/other/c",
            &[source, ("x-amz-copy-source-if-match", etag)],
            b"",
        )
        .await
        .ok();
    let copy = client.get("/other/c").await.ok();
    assert_eq!(
        (copy.text().as_str(), copy.header("x-amz-meta-m")),
        ("body", Some("1"))
    );

    let replace = ("x-amz-metadata-directive", "REPLACE");
    client
        .put(
            "/other/c",
            &[source, replace, ("content-type", "text/y")],
            b"",
        )
        .await
        .ok();
    let copy = client.get("/other/c").await.ok();
    assert_eq!(
        (copy.header("content-type"), copy.header("x-amz-meta-m")),
        (Some("text/y"), None)
    );

    let stale = ("x-amz-copy-source-if-match", "\"0\"");
    client
        .put("/other/d", &[source, stale], b"")
        .await
        .refused(412, "PreconditionFailed");
    client.get("/other/d").await.refused(404, "NoSuchKey");
    client
        .put("/bucket/a b", &[source], b"")
        .await
        .refused(400, "InvalidRequest");
    let missing = ("x-amz-copy-source", "bucket/none");
    client
        .put("/other/d", &[missing], b"")
        .await
        .refused(404, "NoSuchKey");
    let absent = ("if-none-match", "*");
    client
        .put("/other/c", &[source, absent], b"")
        .await
        .refused(412, "PreconditionFailed");
}

fn delete_document(keys: &[&str], quiet: bool) -> String {
    let objects: Vec<_> = keys
        .iter()
        .map(|key| format!("<Object><Key>{key}</Key></Object>"))
        .collect();
    format!(
        "<Delete><Quiet>{quiet}</Quiet>{}</Delete>",
        objects.concat()
    )
}

async fn delete_objects(client: &Client, document: &str, digest: &[(&str, &str)]) -> Reply {
    client
        .send(
            "POST",
            "/bucket",
            &[("delete", "")],
            digest,
            document.as_bytes(),
        )
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn deletion_of_one_and_of_many() {
    let server = DevS3::temporary().await.unwrap();
    let client = Client::of(&server);
    for key in ["a", "b", "c"] {
        client.put(&format!("/bucket/{key}"), &[], b"x").await.ok();
    }
    for _ in 0..2 {
        let gone = client.send("DELETE", "/bucket/a", &[], &[], b"").await;
        assert_eq!(gone.status, 204);
    }
    let document = delete_document(&["b", "none"], false);
    let sha256 = base64_sha256(document.as_bytes());
    let checksum = [("x-amz-checksum-sha256", sha256.as_str())];

    delete_objects(&client, &document, &[])
        .await
        .refused(400, "InvalidRequest");
    let wrong = [("content-md5", "AAAAAAAAAAAAAAAAAAAAAA==")];
    delete_objects(&client, &document, &wrong)
        .await
        .refused(400, "BadDigest");
    let wrong = base64_sha256(b"else");
    let wrong = [("x-amz-checksum-sha256", wrong.as_str())];
    delete_objects(&client, &document, &wrong)
        .await
        .refused(400, "BadDigest");
    client.get("/bucket/b").await.ok();

    let done = delete_objects(&client, &document, &checksum).await.ok();
    assert_eq!(done.elements("Key"), ["b", "none"]);
    client.get("/bucket/b").await.refused(404, "NoSuchKey");

    let document = delete_document(&["c"], true);
    let sha256 = base64_sha256(document.as_bytes());
    let checksum = [("x-amz-checksum-sha256", sha256.as_str())];
    let done = delete_objects(&client, &document, &checksum).await.ok();
    assert_eq!(done.elements("Key"), [""; 0]);
    client.get("/bucket/c").await.refused(404, "NoSuchKey");

    let document = delete_document(&["k"; 1001], true);
    let sha256 = base64_sha256(document.as_bytes());
    let checksum = [("x-amz-checksum-sha256", sha256.as_str())];
    delete_objects(&client, &document, &checksum)
        .await
        .refused(400, "MalformedXML");
}

#[tokio::test(flavor = "multi_thread")]
async fn buckets_come_and_go() {
    let server = DevS3::temporary().await.unwrap();
    let client = Client::of(&server);
    client.put("/new-bucket", &[], b"").await.ok();
    client
        .put("/new-bucket", &[], b"")
        .await
        .refused(409, "BucketAlreadyOwnedByYou");
    client
        .put("/Bad_Name", &[], b"")
        .await
        .refused(400, "InvalidBucketName");
    let head = client.send("HEAD", "/new-bucket", &[], &[], b"").await.ok();
    assert_eq!(head.header("x-amz-bucket-region"), Some("us-east-1"));
    assert_eq!(
        client.get("/").await.ok().elements("Name"),
        ["bucket", "new-bucket"]
    );
    client.put("/new-bucket/k", &[], b"").await.ok();
    let delete = || client.send("DELETE", "/new-bucket", &[], &[], b"");
    delete().await.refused(409, "BucketNotEmpty");
    client
        .send("DELETE", "/new-bucket/k", &[], &[], b"")
        .await
        .ok();
    delete().await.ok();
    delete().await.refused(404, "NoSuchBucket");
    client
        .put("/new-bucket/k", &[], b"")
        .await
        .refused(404, "NoSuchBucket");
}
