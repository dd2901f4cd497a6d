//! Keys, regions, session tokens, anonymous reads, virtual-host style.

use cidbucket_dev_s3::DevS3;
use cidbucket_sigv4::{Credentials, Payload, Signer};

use crate::client::{Client, borrowed, now};

#[tokio::test(flavor = "multi_thread")]
async fn only_the_right_keys_in_the_right_region() {
    let server = DevS3::builder()
        .bucket("bucket")
        .region("eu-x-1")
        .start()
        .await
        .unwrap();
    let mut client = Client::of(&server);
    client.put("/bucket/k", &[], b"x").await.ok();
    let wrong = Client::with(&server, Credentials::new(server.access_key(), "other"));
    wrong
        .get("/bucket/k")
        .await
        .refused(403, "SignatureDoesNotMatch");
    let unknown = Client::with(&server, Credentials::new("OTHER", server.secret_key()));
    unknown
        .get("/bucket/k")
        .await
        .refused(403, "InvalidAccessKeyId");

    let keys = Credentials::new(server.access_key(), server.secret_key());
    client.signer = Signer::new(keys, "us-east-1").unwrap();
    let elsewhere = client.get("/bucket/k").await;
    elsewhere.refused(400, "AuthorizationHeaderMalformed");
    assert_eq!(elsewhere.elements("Region"), ["eu-x-1"]);
    assert_eq!(elsewhere.header("x-amz-bucket-region"), Some("eu-x-1"));
    let target = client.presigned("GET", "/bucket/k", &[], (now(), 60));
    let elsewhere = client.raw("GET", &target, &[], b"").await.unwrap();
    elsewhere.refused(400, "AuthorizationQueryParametersError");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_header_of_amazon_that_is_not_signed_is_refused() {
    let server = DevS3::temporary().await.unwrap();
    let client = Client::of(&server);
    let mut headers = client.signed("PUT", "/bucket/k", &[], &[], Payload::Empty);
    headers.push(("x-amz-meta-more".to_owned(), "1".to_owned()));
    let reply = client
        .raw("PUT", "/bucket/k", &borrowed(&headers), b"")
        .await
        .unwrap();
    reply.refused(403, "AccessDenied");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_token_must_be_the_right_one() {
    let builder = DevS3::builder().bucket("bucket").session_token("token");
    let server = builder.start().await.unwrap();
    let client = Client::of(&server);
    client.put("/bucket/k", &[], b"x").await.ok();
    let target = client.presigned("GET", "/bucket/k", &[], (now(), 60));
    client.raw("GET", &target, &[], b"").await.unwrap().ok();

    let keys = || Credentials::new(server.access_key(), server.secret_key());
    let none = Client::with(&server, keys());
    none.get("/bucket/k").await.refused(400, "InvalidToken");
    let other = Client::with(&server, keys().with_session_token("other"));
    other.get("/bucket/k").await.refused(400, "InvalidToken");
    let target = other.presigned("GET", "/bucket/k", &[], (now(), 60));
    let reply = other.raw("GET", &target, &[], b"").await.unwrap();
    reply.refused(400, "InvalidToken");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_public_bucket_is_read_and_not_written_by_everybody() {
    let builder = DevS3::builder().public_bucket("public").bucket("private");
    let server = builder.start().await.unwrap();
    let client = Client::of(&server);
    for bucket in ["public", "private"] {
        client.put(&format!("/{bucket}/k"), &[], b"x").await.ok();
    }
    let anonymous =
        async |method: &str, target: &str| client.raw(method, target, &[], b"").await.unwrap();
    assert_eq!(anonymous("GET", "/public/k").await.ok().text(), "x");
    anonymous("HEAD", "/public/k").await.ok();
    anonymous("GET", "/public/none")
        .await
        .refused(404, "NoSuchKey");
    assert_eq!(
        anonymous("GET", "/public?list-type=2")
            .await
            .ok()
            .elements("Key"),
        ["k"]
    );
    anonymous("GET", "/nobucket/k")
        .await
        .refused(404, "NoSuchBucket");
    let head = anonymous("HEAD", "/private").await;
    assert_eq!(head.status, 403);
    assert_eq!(head.header("x-amz-bucket-region"), Some("us-east-1"));
    for (method, target) in [
        ("PUT", "/public/k"),
        ("DELETE", "/public/k"),
        ("DELETE", "/public"),
        ("GET", "/public?cors"),
        ("GET", "/private/k"),
        ("GET", "/private?list-type=2"),
        ("GET", "/"),
        ("PUT", "/new-bucket"),
    ] {
        anonymous(method, target).await.refused(403, "AccessDenied");
    }
    client.get("/public/k").await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_opens_a_prefix() {
    let server = DevS3::temporary().await.unwrap();
    let client = Client::of(&server);
    for key in ["open/k", "closed/k"] {
        client.put(&format!("/bucket/{key}"), &[], b"x").await.ok();
    }
    let policy =
        br#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":["*"]},
        "Action":"s3:GetObject","Resource":"arn:aws:s3:::bucket/open/*"}]}"#;
    let query = [("policy", "")];
    let anonymous = async |target: &str| client.raw("GET", target, &[], b"").await.unwrap();
    anonymous("/bucket/open/k")
        .await
        .refused(403, "AccessDenied");
    client
        .send("PUT", "/bucket", &query, &[], policy)
        .await
        .ok();
    anonymous("/bucket/open/k").await.ok();
    // As at AWS: who may not list does not learn what is missing.
    anonymous("/bucket/open/none")
        .await
        .refused(403, "AccessDenied");
    anonymous("/bucket/closed/k")
        .await
        .refused(403, "AccessDenied");
    anonymous("/bucket?list-type=2")
        .await
        .refused(403, "AccessDenied");
    let kept = client.send("GET", "/bucket", &query, &[], b"").await.ok();
    assert_eq!(kept.body, &policy[..]);
    client
        .send("DELETE", "/bucket", &query, &[], b"")
        .await
        .ok();
    anonymous("/bucket/open/k")
        .await
        .refused(403, "AccessDenied");
}

#[tokio::test(flavor = "multi_thread")]
async fn virtual_host_style_beside_path_style() {
    let server = DevS3::builder()
        .bucket("bucket")
        .domain("s3.test")
        .start()
        .await
        .unwrap();
    let mut client = Client::of(&server);
    client.put("/bucket/a/k", &[], b"x").await.ok();
    client.host = format!("bucket.s3.test:{}", server.addr().port());
    assert_eq!(client.get("/a/k").await.ok().text(), "x");
    let target = client.presigned("GET", "/a/k", &[], (now(), 60));
    client.raw("GET", &target, &[], b"").await.unwrap().ok();
    let list = client
        .send("GET", "/", &[("list-type", "2")], &[], b"")
        .await
        .ok();
    assert_eq!(list.elements("Key"), ["a/k"]);
    client.host = format!("s3.test:{}", server.addr().port());
    client.get("/bucket/a/k").await.ok();
    client.host = format!("localhost:{}", server.addr().port());
    client.get("/bucket/a/k").await.ok();
}
