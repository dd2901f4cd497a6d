//! Cross-origin requests: preflight, answers and errors, by the bucket's rules.

use cidbucket_dev_s3::{DevS3, Fault, Rule};
use cidbucket_sigv4::Timestamp;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::client::{Client, Reply, base64_sha256, now};

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

/// Every header that a page may send with a grant.
const GRANTED: &str = "cache-control,content-md5,content-type,if-none-match,range,\
    x-amz-checksum-sha256,x-amz-content-sha256,x-amz-date,x-amz-security-token,authorization";

async fn let_pages_in(client: &Client) {
    let all = |element: &str, names: &[&str]| {
        let element = |name: &&str| format!("<{element}>{name}</{element}>");
        names.iter().map(element).collect::<String>()
    };
    let rules = format!(
        "<CORSConfiguration><CORSRule><ID>cidbucket</ID><AllowedOrigin>*</AllowedOrigin>{}{}{}\
         </CORSRule></CORSConfiguration>",
        all("AllowedMethod", &["GET", "HEAD", "PUT"]),
        all("AllowedHeader", &GRANTED.split(',').collect::<Vec<_>>()),
        all(
            "ExposeHeader",
            &["ETag", "Content-Range", "x-amz-request-id"]
        ),
    );
    let sha256 = base64_sha256(rules.as_bytes());
    let checksum = [("x-amz-checksum-sha256", sha256.as_str())];
    let query = [("cors", "")];
    client
        .send("PUT", "/bucket", &query, &checksum, rules.as_bytes())
        .await
        .ok();
    let kept = client.send("GET", "/bucket", &query, &[], b"").await.ok();
    assert_eq!(kept.elements("ID"), ["cidbucket"]);
}

/// The answer is one that the page may see.
#[track_caller]
fn seen(reply: &Reply) {
    assert_eq!(
        reply.header("access-control-allow-origin"),
        Some("*"),
        "{reply:?}"
    );
    let exposed = reply.header("access-control-expose-headers").unwrap();
    for name in ["ETag", "x-amz-request-id"] {
        assert!(exposed.contains(name), "{exposed}");
    }
    assert!(reply.header("x-amz-request-id").is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_with_grants() {
    let server = DevS3::temporary().await.unwrap();
    let client = Client::of(&server);
    let_pages_in(&client).await;
    let page = ("origin", "https://app.example.org");

    // The browser asks first, also from a public page for this private address.
    let target = client.presigned("PUT", "/bucket/k", &[], (now(), 60));
    let asked = [
        page,
        ("access-control-request-method", "PUT"),
        ("access-control-request-headers", GRANTED),
        ("access-control-request-private-network", "true"),
    ];
    let preflight = client.raw("OPTIONS", &target, &asked, b"").await.unwrap();
    let preflight = preflight.ok();
    assert_eq!(preflight.header("access-control-allow-origin"), Some("*"));
    let allowed = preflight.header("access-control-allow-headers").unwrap();
    for name in GRANTED.split(',') {
        assert!(allowed.split(", ").any(|has| has == name), "{name}");
    }
    // Pages of the whole Internet have no business with a server on loopback.
    assert_eq!(
        preflight.header("access-control-allow-private-network"),
        None
    );
    assert!(preflight.body.is_empty());

    let sha256 = base64_sha256(b"right");
    let sealed = [
        ("x-amz-checksum-sha256", sha256.as_str()),
        ("content-type", "application/octet-stream"),
        ("if-none-match", "*"),
    ];
    let mut signed = sealed.to_vec();
    signed.push(("content-length", "5"));
    let target = client.presigned("PUT", "/bucket/k", &signed, (now(), 60));
    let sent: Vec<_> = sealed.into_iter().chain([page]).collect();
    let put = async |target: &str, body: &[u8]| {
        let reply = client.raw("PUT", target, &sent, body).await.unwrap();
        seen(&reply);
        reply
    };
    put(&target, b"wrong").await.refused(400, "BadDigest");
    let stored = put(&target, b"right").await.ok();
    assert!(stored.header("etag").is_some());
    put(&target, b"right")
        .await
        .refused(412, "PreconditionFailed");
    let past = Timestamp::from_unix(now().unix() - 100);
    let expired = client.presigned("PUT", "/bucket/k", &signed, (past, 60));
    put(&expired, b"right").await.refused(403, "AccessDenied");
    let elsewhere = target.replace("us-east-1", "us-east-2");
    put(&elsewhere, b"right")
        .await
        .refused(400, "AuthorizationQueryParametersError");

    let range = [("range", "bytes=1-2"), page];
    let target = client.presigned("GET", "/bucket/k", &range[..1], (now(), 60));
    let part = client.raw("GET", &target, &range, b"").await.unwrap();
    assert_eq!((part.status, part.text().as_str()), (206, "ig"));
    seen(&part);
    let target = client.presigned("HEAD", "/bucket/k", &[], (now(), 60));
    let head = client
        .raw("HEAD", &target, &[page], b"")
        .await
        .unwrap()
        .ok();
    seen(&head);

    server
        .faults()
        .push(Rule::new(Fault::status(503, "SlowDown")));
    let slow = client.raw("GET", &target, &[page], b"").await.unwrap();
    slow.refused(503, "SlowDown");
    seen(&slow);
}

/// A browser reads an answer only once it has sent its body, and takes a reset before that for a
/// network that failed.
#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_is_read_after_a_large_body() {
    let server = DevS3::temporary().await.unwrap();
    let client = Client::of(&server);
    let_pages_in(&client).await;
    let body = vec![7; 8 << 20];
    let signed = [("content-length", "8388608")];
    let target = client.presigned("PUT", "/bucket/k", &signed, (now(), 60));
    for target in [
        target.replace("X-Amz-Signature=", "X-Amz-Signature=00"),
        target.replace("us-east-1", "us-east-2"),
        target.replace("/bucket/", "/nobucket/"),
    ] {
        let head = format!(
            "PUT {target} HTTP/1.1\r\nhost: {}\r\norigin: https://a.example\r\n\
             content-length: {}\r\nconnection: close\r\n\r\n",
            client.host,
            body.len()
        );
        let mut stream = TcpStream::connect(server.addr()).await.unwrap();
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(&body).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        let answer = String::from_utf8_lossy(&answer);
        assert!(answer.starts_with("HTTP/1.1 40"), "{answer}");
    }
}
