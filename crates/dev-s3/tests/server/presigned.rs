//! Signed URLs: what they bind is enforced, and nothing wrong stays behind.

use cidbucket_dev_s3::DevS3;
use cidbucket_sigv4::Timestamp;

use crate::client::{Client, base64_sha256, now};

const HOUR: u32 = 3600;

#[tokio::test(flavor = "multi_thread")]
async fn a_write_sealed_by_its_checksum() {
    let server = DevS3::temporary().await.unwrap();
    let client = Client::of(&server);
    let sha256 = base64_sha256(b"right");
    let headers = [
        ("x-amz-checksum-sha256", sha256.as_str()),
        ("content-length", "5"),
    ];
    let target = client.presigned("PUT", "/bucket/k", &headers, (now(), HOUR));
    let put = async |target: &str, headers: &[(&str, &str)], body: &[u8]| {
        client.raw("PUT", target, headers, body).await.unwrap()
    };
    let sent = [headers[0]];
    put(&target, &sent, b"wrong")
        .await
        .refused(400, "BadDigest");
    put(&target, &sent, b"longer")
        .await
        .refused(403, "SignatureDoesNotMatch");
    put(&target, &[], b"right")
        .await
        .refused(403, "SignatureDoesNotMatch");
    let other = base64_sha256(b"wrong");
    let changed = [("x-amz-checksum-sha256", other.as_str())];
    put(&target, &changed, b"wrong")
        .await
        .refused(403, "SignatureDoesNotMatch");
    let elsewhere = target.replace("/bucket/k", "/bucket/j");
    put(&elsewhere, &sent, b"right")
        .await
        .refused(403, "SignatureDoesNotMatch");
    let longer = target.replace("X-Amz-Expires=3600", "X-Amz-Expires=3601");
    put(&longer, &sent, b"right")
        .await
        .refused(403, "SignatureDoesNotMatch");
    let unsigned = [headers[0], ("x-amz-meta-more", "unsigned")];
    put(&target, &unsigned, b"right")
        .await
        .refused(403, "AccessDenied");
    client.get("/bucket/k").await.refused(404, "NoSuchKey");

    put(&target, &sent, b"right").await.ok();
    assert_eq!(client.get("/bucket/k").await.ok().text(), "right");
    put(&target, &sent, b"wrong")
        .await
        .refused(400, "BadDigest");
    assert_eq!(client.get("/bucket/k").await.ok().text(), "right");
}

#[tokio::test(flavor = "multi_thread")]
async fn time_is_enforced() {
    let server = DevS3::temporary().await.unwrap();
    let client = Client::of(&server);
    client.put("/bucket/k", &[], b"x").await.ok();
    let get = async |time: Timestamp, expires: u32| {
        let target = client.presigned("GET", "/bucket/k", &[], (time, expires));
        client.raw("GET", &target, &[], b"").await.unwrap()
    };
    get(now(), HOUR).await.ok();
    let past = Timestamp::from_unix(now().unix() - 100);
    get(past, HOUR).await.ok();
    get(past, 60).await.refused(403, "AccessDenied");
    get(now().plus(20 * 60), HOUR)
        .await
        .refused(403, "RequestTimeTooSkewed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_url_is_for_one_method() {
    let server = DevS3::temporary().await.unwrap();
    let client = Client::of(&server);
    client.put("/bucket/k", &[], b"x").await.ok();
    let target = client.presigned("GET", "/bucket/k", &[], (now(), HOUR));
    let delete = client.raw("DELETE", &target, &[], b"").await.unwrap();
    delete.refused(403, "SignatureDoesNotMatch");
    client.get("/bucket/k").await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payload_hash_sent_along_is_enforced() {
    let server = DevS3::temporary().await.unwrap();
    let client = Client::of(&server);
    let hash = data_encoding::HEXLOWER.encode(&<sha2::Sha256 as sha2::Digest>::digest(b"right"));
    let headers = [("x-amz-content-sha256", hash.as_str())];
    let target = client.presigned("PUT", "/bucket/k", &headers, (now(), HOUR));
    let wrong = client
        .raw("PUT", &target, &headers, b"wrong")
        .await
        .unwrap();
    wrong.refused(400, "XAmzContentSHA256Mismatch");
    client.get("/bucket/k").await.refused(404, "NoSuchKey");
    client
        .raw("PUT", &target, &headers, b"right")
        .await
        .unwrap()
        .ok();
}
