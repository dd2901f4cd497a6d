//! What every route answers when it is asked wrongly.

use std::num::NonZeroU32;

use cidbucket_access::Rate;
use cidbucket_direct::{Code, Encoding, Reads};
use futures::future::join_all;

use crate::fixture::{ENFORCED, Fixture, ask, path_of, raw, settings};

const ROUTES: [(&str, &str); 10] = [
    ("/v1/info", "GET, HEAD, OPTIONS"),
    ("/v1/reads", "POST, OPTIONS"),
    ("/v1/writes", "POST, OPTIONS"),
    ("/v1/writes/x/complete", "POST, OPTIONS"),
    ("/v1/blocks", "GET, HEAD, OPTIONS"),
    ("/v1/blocks/x", "GET, HEAD, PUT, DELETE, OPTIONS"),
    ("/healthz", "GET, HEAD, OPTIONS"),
    ("/readyz", "GET, HEAD, OPTIONS"),
    ("/metrics", "GET, HEAD, OPTIONS"),
    ("/", "GET, HEAD, OPTIONS"),
];

#[tokio::test]
async fn methods() {
    let fixture = Fixture::new().await;
    for (path, allow) in ROUTES {
        for method in ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "BREW"] {
            let answer = fixture.ask(method, path, "all", "").await;
            if allow.split(", ").any(|allowed| allowed == method) {
                assert_ne!(answer.status, 405, "{method} {path}");
            } else {
                assert_eq!(answer.status, 405, "{method} {path}");
                if method != "HEAD" {
                    assert_eq!(answer.code(), Code::Method);
                }
                assert_eq!(answer.header("allow"), allow);
            }
            if method == "HEAD" {
                assert!(answer.body.is_empty());
                assert!(!answer.header("content-length").is_empty());
            }
        }
        // What a browser asks before it asks.
        let headers = [
            ("origin", "https://page.example"),
            ("access-control-request-method", "PUT"),
        ];
        let answer = ask(&fixture.service, "OPTIONS", path, "", &headers, "").await;
        assert_eq!((answer.status.as_u16(), answer.body.len()), (204, 0));
        assert_eq!(answer.header("access-control-allow-methods"), allow);
        assert_eq!(answer.header("access-control-max-age"), "86400");
        let allowed = "authorization, content-type, accept, if-none-match";
        assert_eq!(answer.header("access-control-allow-headers"), allowed);
        let exposed = "etag, retry-after, content-length";
        assert_eq!(answer.header("access-control-expose-headers"), exposed);
    }
}

#[tokio::test]
async fn tokens() {
    let fixture = Fixture::new().await;
    fixture.tokens.issue("nothing", |c| {
        c.operations = cidbucket_access::Operations::default();
    });
    for (method, path) in [
        ("POST", "/v1/reads"),
        ("POST", "/v1/writes"),
        ("POST", "/v1/writes/x/complete"),
        ("GET", "/v1/blocks"),
        ("GET", "/v1/blocks/x"),
        ("HEAD", "/v1/blocks/x"),
        ("PUT", "/v1/blocks/x"),
        ("DELETE", "/v1/blocks/x"),
    ] {
        for (token, status) in [("", 401), ("forged", 401), ("nothing", 403)] {
            let answer = fixture.ask(method, path, token, "").await;
            assert_eq!(answer.status, status, "{method} {path} {token}");
            if method != "HEAD" {
                let code = if status == 401 {
                    Code::Unauthorised
                } else {
                    Code::Denied
                };
                assert_eq!(answer.code(), code);
            }
            assert_eq!(
                answer.headers.contains_key("www-authenticate"),
                status == 401
            );
        }
    }
    for value in ["Basic all", "Bearer", "bearer  ", "Bearer a b", "all"] {
        let headers = [("authorization", value)];
        let answer = ask(&fixture.service, "GET", "/v1/blocks", "", &headers, "").await;
        assert_eq!(answer.code(), Code::Unauthorised, "{value}");
    }
    let twice = [("authorization", "Bearer all")];
    let answer = ask(&fixture.service, "GET", "/v1/blocks", "all", &twice, "").await;
    assert_eq!(answer.code(), Code::Unauthorised);
}

#[tokio::test]
async fn bodies() {
    let fixture = Fixture::with(settings(|s| s.limits.max_body = 100), ENFORCED, 0).await;
    for path in ["/v1/reads", "/v1/writes"] {
        let headers = [("content-type", "text/plain")];
        let answer = ask(&fixture.service, "POST", path, "all", &headers, "{}").await;
        assert_eq!(answer.code(), Code::MediaType, "{path}");
        let answer = fixture.ask("POST", path, "all", " ".repeat(101)).await;
        assert_eq!(answer.code(), Code::TooLarge, "{path}");
        for body in ["", "{}", "null", "\u{0}"] {
            let answer = fixture.ask("POST", path, "all", body).await;
            assert_eq!(answer.code(), Code::Invalid, "{path} {body:?}");
        }
        let headers = [("content-type", "application/vnd.ipld.dag-cbor")];
        let answer = ask(&fixture.service, "POST", path, "all", &headers, "{}").await;
        assert_eq!(answer.code(), Code::Invalid, "{path}");
    }
    let long = " ".repeat(1025);
    let answer = fixture
        .ask("POST", "/v1/writes/x/complete", "all", long)
        .await;
    assert_eq!(answer.code(), Code::TooLarge);
}

#[tokio::test]
async fn paths() {
    let fixture = Fixture::new().await;
    for path in [
        "/v1",
        "/v1/",
        "/v2/info",
        "/v1/infos",
        "/v1/info/",
        "//v1/info",
        "/V1/INFO",
        "/.env",
    ] {
        let answer = fixture.ask("GET", path, "all", "").await;
        assert_eq!(answer.code(), Code::NotFound, "{path}");
        // What was asked for is not repeated.
        assert!(!answer.text().contains(path), "{path}");
    }
}

#[tokio::test]
async fn too_often() {
    let fixture = Fixture::new().await;
    let one = NonZeroU32::MIN;
    fixture
        .tokens
        .issue("slow", |c| c.rate = Some(Rate::per_second(one)));
    assert_eq!(
        fixture.ask("GET", "/v1/blocks", "slow", "").await.status,
        200
    );
    let refused = fixture.ask("GET", "/v1/blocks", "slow", "").await;
    let problem = refused.problem();
    assert_eq!((problem.code, problem.retry_after), (Code::Rate, Some(1)));
    assert_eq!(refused.header("retry-after"), "1");
    assert_eq!(
        fixture.ask("GET", "/v1/blocks", "all", "").await.status,
        200
    );
}

#[tokio::test]
async fn too_much_at_once() {
    // Memory for one block of the largest size, and no more.
    let fixture = Fixture::with(
        settings(|s| {
            s.max_requests = 3;
            s.memory = 2 << 20;
        }),
        ENFORCED,
        0,
    )
    .await;
    let block = raw("x");
    fixture.ask("PUT", &path_of(&block), "all", "x").await;
    let rule = cidbucket_dev_s3::Rule::new(cidbucket_dev_s3::Fault::Delay(
        std::time::Duration::from_millis(300),
    ));
    fixture.s3.faults().push(rule.operation("GetObject"));
    let path = path_of(&block);
    let answers = join_all((0..6).map(|_| fixture.ask("GET", &path, "all", ""))).await;
    let served = answers.iter().filter(|answer| answer.status == 200).count();
    assert_eq!(served, 1, "{answers:?}");
    for answer in answers.iter().filter(|answer| answer.status != 200) {
        let problem = answer.problem();
        assert_eq!(
            (problem.code, problem.retry_after),
            (Code::Unavailable, Some(1))
        );
    }
    drop(answers);
    // Whether the process runs and what it counts is told all the same.
    assert_eq!(fixture.ask("GET", "/healthz", "", "").await.status, 200);
    let text = fixture.ask("GET", "/metrics", "", "").await.text();
    assert!(text.contains("cidbucket_memory_bytes 0"), "{text}");
    fixture.s3.faults().clear();
    let body = Encoding::Json.encode(&Reads::of([*block.cid()]));
    assert_eq!(
        fixture.ask("POST", "/v1/reads", "all", body).await.status,
        200
    );
}
