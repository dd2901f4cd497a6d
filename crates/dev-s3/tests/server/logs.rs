//! No signature that could be used again reaches a log, at any level.

use std::{
    io,
    sync::{Arc, Mutex},
};

use cidbucket_dev_s3::DevS3;
use tracing_subscriber::fmt::MakeWriter;

use crate::client::{Client, now};

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Log {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

// On one thread, so that the server's tasks log where the test listens.
#[tokio::test(flavor = "current_thread")]
async fn no_signed_query_or_secret_is_logged() {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(log.clone())
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    tracing::trace!("the log is heard");

    let server = DevS3::builder()
        .bucket("bucket")
        .credentials("KEY", "canary-of-the-secret")
        .session_token("canary-of-the-token")
        .start()
        .await
        .unwrap();
    let client = Client::of(&server);
    client.put("/bucket/k", &[], b"x").await.ok();
    let target = client.presigned("GET", "/bucket/k", &[], (now(), 60));
    client.raw("GET", &target, &[], b"").await.unwrap().ok();
    let tampered = target.replace("/bucket/k", "/bucket/j");
    let reply = client.raw("GET", &tampered, &[], b"").await.unwrap();
    reply.refused(403, "SignatureDoesNotMatch");
    let debug = format!(
        "{server:?} {:?}",
        DevS3::builder().credentials("KEY", "canary")
    );
    server.shutdown().await;

    let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap() + &debug;
    assert!(text.contains("the log is heard"));
    let signature = target.rsplit('=').next().unwrap();
    for secret in ["canary", "X-Amz-Signature", signature, "Signature="] {
        assert!(!text.contains(secret), "{secret} in {text}");
    }
}
