//! Cross-origin requests: preflight, answers and errors, by the bucket's rules.

use cidbucket_dev_s3::DevS3;

use crate::client::{Client, base64_sha256};

const RULES: &str = "<CORSConfiguration><CORSRule>\
    <AllowedOrigin>https://*.example.org</AllowedOrigin>\
    <AllowedMethod>GET</AllowedMethod><AllowedMethod>PUT</AllowedMethod>\
    <AllowedHeader>x-amz-*</AllowedHeader><AllowedHeader>Content-Type</AllowedHeader>\
    <ExposeHeader>ETag</ExposeHeader><MaxAgeSeconds>600</MaxAgeSeconds>\
    </CORSRule><CORSRule><AllowedOrigin>*</AllowedOrigin><AllowedMethod>GET</AllowedMethod>\
    </CORSRule></CORSConfiguration>";

async fn configure(client: &Client) {
    let sha256 = base64_sha256(RULES.as_bytes());
    let checksum = [("x-amz-checksum-sha256", sha256.as_str())];
    client
        .send(
            "PUT",
            "/bucket",
            &[("cors", "")],
            &checksum,
            RULES.as_bytes(),
        )
        .await
        .ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn preflight_by_rule() {
    let server = DevS3::temporary().await.unwrap();
    let client = Client::of(&server);
    let preflight = async |origin: &str, method: &str, headers: &str| {
        let headers = [
            ("origin", origin),
            ("access-control-request-method", method),
            ("access-control-request-headers", headers),
        ];
        client
            .raw("OPTIONS", "/bucket/k", &headers, b"")
            .await
            .unwrap()
    };
    let ours = "https://app.example.org";
    preflight(ours, "PUT", "")
        .await
        .refused(403, "AccessForbidden");
    configure(&client).await;

    let allowed = preflight(ours, "PUT", "X-Amz-Checksum-Sha256, content-type").await;
    assert_eq!(allowed.status, 200);
    assert_eq!(allowed.header("access-control-allow-origin"), Some(ours));
    assert_eq!(
        allowed.header("access-control-allow-methods"),
        Some("GET, PUT")
    );
    assert_eq!(
        allowed.header("access-control-allow-headers"),
        Some("x-amz-checksum-sha256, content-type")
    );
    assert_eq!(allowed.header("access-control-max-age"), Some("600"));
    assert!(allowed.header("vary").unwrap().contains("Origin"));

    preflight(ours, "DELETE", "")
        .await
        .refused(403, "AccessForbidden");
    preflight(ours, "PUT", "authorization")
        .await
        .refused(403, "AccessForbidden");
    preflight("https://evil.org", "PUT", "")
        .await
        .refused(403, "AccessForbidden");
    let anybody = preflight("https://evil.org", "GET", "").await;
    assert_eq!(anybody.header("access-control-allow-origin"), Some("*"));
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_and_errors_carry_the_headers_and_rules_can_go() {
    let server = DevS3::temporary().await.unwrap();
    let client = Client::of(&server);
    configure(&client).await;
    client.put("/bucket/k", &[], b"x").await.ok();
    let ours = ("origin", "https://a.example.org");
    for (method, path, status) in [("GET", "/bucket/k", 200), ("GET", "/bucket/none", 404)] {
        let reply = client.send(method, path, &[], &[ours], b"").await;
        assert_eq!(reply.status, status);
        assert_eq!(reply.header("access-control-allow-origin"), Some(ours.1));
        assert_eq!(reply.header("access-control-expose-headers"), Some("ETag"));
    }
    let denied = client.raw("GET", "/bucket/k", &[ours], b"").await.unwrap();
    denied.refused(403, "AccessDenied");
    assert_eq!(denied.header("access-control-allow-origin"), Some(ours.1));
    let foreign = ("origin", "https://evil.org");
    let put = client.put("/bucket/k", &[foreign], b"x").await.ok();
    assert_eq!(put.header("access-control-allow-origin"), None);
    assert_eq!(
        client
            .get("/bucket/k")
            .await
            .header("access-control-allow-origin"),
        None
    );

    let cors = [("cors", "")];
    let rules = client.send("GET", "/bucket", &cors, &[], b"").await.ok();
    assert_eq!(
        rules.elements("AllowedOrigin"),
        ["https://*.example.org", "*"]
    );
    client.send("DELETE", "/bucket", &cors, &[], b"").await.ok();
    let gone = client.send("GET", "/bucket", &cors, &[], b"").await;
    gone.refused(404, "NoSuchCORSConfiguration");
}
