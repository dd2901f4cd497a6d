//! What was acknowledged is there after a restart, and nothing else.

use std::fs;

use cidbucket_dev_s3::{DevS3, StartError};

use crate::client::Client;

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_finds_everything_and_sweeps_leftovers() {
    let dir = tempfile::tempdir().unwrap();
    let start = async || {
        let builder = DevS3::builder().data_dir(dir.path()).bucket("bucket");
        builder.start().await.unwrap()
    };
    let server = start().await;
    let client = Client::of(&server);
    let keys = ["a", "A", "a/b", "..", "ключ"];
    for key in keys {
        let headers = [("x-amz-meta-key", "kept"), ("content-type", "text/x")];
        client
            .put(&format!("/bucket/{key}"), &headers, key.as_bytes())
            .await
            .ok();
    }
    client.put("/bucket/gone", &[], b"x").await.ok();
    client
        .send("DELETE", "/bucket/gone", &[], &[], b"")
        .await
        .ok();
    let policy = br#"{"Statement":{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::bucket/*"}}"#;
    client
        .send("PUT", "/bucket", &[("policy", "")], &[], policy)
        .await
        .ok();
    let uploads = [("uploads", "")];
    let upload = client
        .send("POST", "/bucket/multi", &uploads, &[], b"")
        .await
        .ok();
    let id = upload.elements("UploadId").remove(0);
    let part = [("partNumber", "1"), ("uploadId", id.as_str())];
    client
        .send("PUT", "/bucket/multi", &part, &[], b"part")
        .await
        .ok();
    let before = client
        .send("GET", "/bucket", &[("list-type", "2")], &[], b"")
        .await
        .ok();
    // At once, as a crash: requests are cut off, nothing is flushed.
    drop(server);

    let bucket = dir.path().join("buckets/bucket");
    fs::write(dir.path().join("tmp/.tmpbody"), b"half a body").unwrap();
    fs::write(bucket.join(".tmpjson"), b"{").unwrap();
    fs::create_dir(bucket.join("uploads/uHalfMade")).unwrap();

    let server = start().await;
    let client = Client::of(&server);
    let after = client
        .send("GET", "/bucket", &[("list-type", "2")], &[], b"")
        .await
        .ok();
    assert_eq!(after.text(), before.text());
    for key in keys {
        let got = client.get(&format!("/bucket/{key}")).await.ok();
        assert_eq!(
            (got.text().as_str(), got.header("x-amz-meta-key")),
            (key, Some("kept"))
        );
    }
    client.get("/bucket/gone").await.refused(404, "NoSuchKey");
    let kept = client
        .send("GET", "/bucket", &[("policy", "")], &[], b"")
        .await
        .ok();
    assert_eq!(kept.body, &policy[..]);
    let parts = client
        .send(
            "GET",
            "/bucket/multi",
            &[("uploadId", id.as_str())],
            &[],
            b"",
        )
        .await
        .ok();
    assert_eq!(parts.elements("Size"), ["4"]);
    assert_eq!(fs::read_dir(dir.path().join("tmp")).unwrap().count(), 0);
    assert!(!bucket.join(".tmpjson").exists() && !bucket.join("uploads/uHalfMade").exists());
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_servers_never_share_a_folder() {
    let dir = tempfile::tempdir().unwrap();
    let first = DevS3::builder().data_dir(dir.path()).start().await.unwrap();
    let second = DevS3::builder().data_dir(dir.path()).start().await;
    assert!(matches!(second, Err(StartError::Data { .. })), "{second:?}");
    first.shutdown().await;
    DevS3::builder().data_dir(dir.path()).start().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_object_stops_the_start_and_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let builder = DevS3::builder().data_dir(dir.path()).bucket("bucket");
    let server = builder.clone().start().await.unwrap();
    Client::of(&server)
        .put("/bucket/k", &[], b"body")
        .await
        .ok();
    server.shutdown().await;
    let objects = dir.path().join("buckets/bucket/objects");
    let file = fs::read_dir(objects)
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    fs::write(&file, b"torn").unwrap();
    let error = builder.start().await.unwrap_err();
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert!(source.contains(file.to_str().unwrap()), "{source}");
}

#[tokio::test(flavor = "multi_thread")]
async fn temporary_data_goes_with_the_server() {
    let server = DevS3::temporary().await.unwrap();
    let dir = server.data_dir().to_owned();
    Client::of(&server).put("/bucket/k", &[], b"x").await.ok();
    server.shutdown().await;
    assert!(!dir.exists());
}
