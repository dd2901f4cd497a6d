//! Multipart uploads.

use cidbucket_dev_s3::DevS3;

use crate::client::{Client, Reply};

const LEAST: usize = 5 * 1024 * 1024;

async fn start(client: &Client) -> String {
    let headers = [("content-type", "text/x")];
    let reply = client
        .send("POST", "/bucket/k", &[("uploads", "")], &headers, b"")
        .await
        .ok();
    reply.elements("UploadId").remove(0)
}

async fn part(client: &Client, id: &str, number: usize, body: &[u8]) -> Reply {
    let number = number.to_string();
    let query = [("partNumber", number.as_str()), ("uploadId", id)];
    client.send("PUT", "/bucket/k", &query, &[], body).await
}

async fn complete(client: &Client, id: &str, parts: &[(usize, &str)]) -> Reply {
    let parts: Vec<_> = parts
        .iter()
        .map(|(n, etag)| format!("<Part><PartNumber>{n}</PartNumber><ETag>{etag}</ETag></Part>"))
        .collect();
    let body = format!(
        "<CompleteMultipartUpload>{}</CompleteMultipartUpload>",
        parts.concat()
    );
    client
        .send(
            "POST",
            "/bucket/k",
            &[("uploadId", id)],
            &[],
            body.as_bytes(),
        )
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn parts_become_one_object_at_once() {
    let server = DevS3::temporary().await.unwrap();
    let client = Client::of(&server);
    let id = start(&client).await;
    let first: Vec<u8> = (0..253).cycle().take(LEAST).collect();
    let one = part(&client, &id, 1, &first).await.ok();
    let two = part(&client, &id, 2, b"the end").await.ok();
    let (one, two) = (one.header("etag").unwrap(), two.header("etag").unwrap());
    client.get("/bucket/k").await.refused(404, "NoSuchKey");
    let listed = client
        .send("GET", "/bucket", &[("uploads", "")], &[], b"")
        .await
        .ok();
    assert_eq!(listed.elements("UploadId"), [id.as_str()]);

    complete(&client, &id, &[(1, two), (2, two)])
        .await
        .refused(400, "InvalidPart");
    complete(&client, &id, &[(2, two), (1, one)])
        .await
        .refused(400, "InvalidPartOrder");
    let four = part(&client, &id, 4, b"more").await.ok();
    complete(&client, &id, &[(2, two), (4, four.header("etag").unwrap())])
        .await
        .refused(400, "EntityTooSmall");
    complete(&client, &id, &[(1, one), (3, two)])
        .await
        .refused(400, "InvalidPart");
    client.get("/bucket/k").await.refused(404, "NoSuchKey");

    let done = complete(&client, &id, &[(1, one), (2, two)]).await.ok();
    assert!(done.elements("ETag")[0].contains("-2"));
    let got = client.get("/bucket/k").await.ok();
    assert_eq!(got.body, [&first[..], b"the end"].concat());
    assert_eq!(got.header("content-type"), Some("text/x"));
    assert!(got.header("etag").unwrap().ends_with("-2\""));
    complete(&client, &id, &[(1, one)])
        .await
        .refused(404, "NoSuchUpload");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_is_copied_from_a_range_of_an_object() {
    let server = DevS3::temporary().await.unwrap();
    let client = Client::of(&server);
    client.put("/bucket/source", &[], b"0123456789").await.ok();
    let id = start(&client).await;
    let query = [("partNumber", "1"), ("uploadId", id.as_str())];
    let copy = async |range: &str| {
        let headers = [
            ("x-amz-copy-source", "bucket/source"),
            ("x-amz-copy-source-range", range),
        ];
        client.send("PUT", "/bucket/k", &query, &headers, b"").await
    };
    copy("bytes=10-12").await.refused(400, "InvalidArgument");
    let copied = copy("bytes=2-4").await.ok();
    let etag = &copied.elements("ETag")[0].replace("&quot;", "\"");
    complete(&client, &id, &[(1, etag)]).await.ok();
    assert_eq!(client.get("/bucket/k").await.ok().text(), "234");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_aborted_upload_leaves_nothing() {
    let server = DevS3::temporary().await.unwrap();
    let client = Client::of(&server);
    let id = start(&client).await;
    let sent = part(&client, &id, 1, b"x").await.ok();
    let query = [("uploadId", id.as_str())];
    client
        .send("DELETE", "/bucket/k", &query, &[], b"")
        .await
        .ok();
    part(&client, &id, 2, b"x")
        .await
        .refused(404, "NoSuchUpload");
    let etag = sent.header("etag").unwrap();
    complete(&client, &id, &[(1, etag)])
        .await
        .refused(404, "NoSuchUpload");
    client
        .send("DELETE", "/bucket/k", &query, &[], b"")
        .await
        .refused(404, "NoSuchUpload");
    let escape = [("uploadId", "../objects")];
    client
        .send("GET", "/bucket/k", &escape, &[], b"")
        .await
        .refused(404, "NoSuchUpload");
    client.get("/bucket/k").await.refused(404, "NoSuchKey");
}
