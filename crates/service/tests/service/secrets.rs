//! No token, grant or key in logs, errors and metrics.

use std::io::Write;
use std::sync::Arc;

use cidbucket_blockstore::Blockstore;
use cidbucket_dev_s3::{Fault, Rule};
use parking_lot::Mutex;
use tracing_subscriber::fmt::MakeWriter;

use crate::fixture::{Fixture, path_of, raw, write};

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[tokio::test]
async fn canaries() {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_ansi(false)
        .with_writer(log.clone())
        .finish();
    let guard = tracing::subscriber::set_default(subscriber);

    let fixture = Fixture::new().await;
    let token = "canary-token-0123456789";
    fixture.tokens.issue(token, |c| {
        c.subject = "alice".into();
        c.token = "its-id".into();
    });
    let block = raw("x");
    let mut answers = Vec::new();
    let granted = fixture.writes(token, vec![write(&block)]).await;
    fixture.shared().put(&block).await.unwrap();
    let reads = fixture.reads(token, &[&block]).await;
    let redirect = format!("{}?redirect=true&secret=canary-query", path_of(&block));
    let redirected = fixture.ask("GET", &redirect, token, "").await;
    for (method, path) in [
        ("GET", path_of(&block)),
        ("GET", "/v1/blocks?cursor=canary-query".into()),
        ("POST", "/v1/writes".into()),
        ("POST", "/v1/writes/canary-query/complete".into()),
        ("GET", "/canary-query".into()),
    ] {
        answers.push(fixture.ask(method, &path, token, "{").await.text());
        answers.push(
            fixture
                .ask(method, &path, "canary-token-forged", "{")
                .await
                .text(),
        );
    }
    fixture
        .s3
        .faults()
        .push(Rule::new(Fault::status(403, "AccessDenied")));
    answers.push(fixture.ask("GET", &path_of(&block), token, "").await.text());
    answers.push(
        fixture
            .ask_for_writes(token, vec![write(&block)])
            .await
            .text(),
    );
    answers.push(fixture.ask("GET", "/metrics", "", "").await.text());
    answers.push(format!(
        "{:?} {:?}",
        fixture.service,
        fixture.tokens.issue("x", |_| {})
    ));
    drop(guard);

    let log = String::from_utf8_lossy(&log.0.lock()).into_owned();
    assert!(
        log.contains("alice") && log.contains("route=\"/v1/writes\""),
        "{log}"
    );
    let signature = |url: &str| url.rsplit("X-Amz-Signature=").next().unwrap().to_owned();
    let grant = reads.read(0, block.cid()).unwrap();
    let upload = cidbucket_presign::Upload::new(*block.cid(), 1);
    let write = granted.direct.unwrap().write(0, &upload).unwrap();
    let lease_secret = granted.lease.split('-').nth(1).unwrap().to_owned();
    let secrets = [
        "canary-token".to_owned(),
        "canary-query".to_owned(),
        fixture.s3.secret_key().to_owned(),
        signature(&grant.url),
        signature(&write.url),
        signature(redirected.header("location")),
    ];
    for secret in &secrets {
        assert!(!log.contains(secret.as_str()), "the log has {secret}");
        for answer in &answers {
            assert!(
                !answer.contains(secret.as_str()),
                "an answer has {secret}: {answer}"
            );
        }
    }
    assert!(!answers.iter().any(|answer| answer.contains(&lease_secret)));
}
