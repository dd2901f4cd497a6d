//! Requests to Kubo's RPC: paths, arguments, options and uploads, and files of authorizations.
#![no_main]

use std::sync::Arc;

use cidbucket_blockstore::MemoryBlockstore;
use cidbucket_kubo::{Authorizations, Node, Settings};
use cidbucket_layout::{Keys, Layout, Prefix};
use cidbucket_records::{Control, MemoryRecords};
use http_body_util::{BodyExt, Full};
use libfuzzer_sys::fuzz_target;
use tokio::runtime::{Builder, Runtime};

thread_local! {
    static RUNTIME: Runtime = Builder::new_current_thread().enable_time().build().unwrap();
}

/// A line of path and query, a line of the media type, and the body.
fn parts(input: &[u8]) -> Option<(&str, &[u8], &[u8])> {
    let line = input.iter().position(|b| *b == b'\n')?;
    let rest = &input[line + 1..];
    let second = rest.iter().position(|b| *b == b'\n').unwrap_or(rest.len());
    let target = std::str::from_utf8(&input[..line]).ok()?;
    Some((
        target,
        &rest[..second],
        rest.get(second + 1..).unwrap_or_default(),
    ))
}

fuzz_target!(|input: &[u8]| {
    if let Ok(users) = Authorizations::parse(input) {
        assert!(format!("{users:?}").starts_with('{'));
    }
    let Some((target, kind, body)) = parts(input) else {
        return;
    };
    let request = http::Request::post(format!("/api/v0/{target}"))
        .header(http::header::CONTENT_TYPE, kind)
        .body(Full::new(bytes::Bytes::copy_from_slice(body)));
    let Ok(request) = request else {
        return;
    };
    RUNTIME.with(|runtime| {
        runtime.block_on(async {
            let store = Arc::new(MemoryBlockstore::new());
            let records = Arc::new(MemoryRecords::new());
            let control = Control::new(&Keys::new(Prefix::default(), Layout::Kubo));
            let node = Node::new(store, records, control, Settings::default()).await;
            let (head, body) = node.expect("a node").handle(request).await.into_parts();
            assert!(
                matches!(head.status.as_u16(), 200 | 400 | 404 | 500),
                "{}",
                head.status
            );
            let body = body.collect().await.expect("bodies do not fail");
            let failed = body.trailers().is_some();
            let body = body.to_bytes();
            if head.headers[http::header::CONTENT_TYPE] == "application/json" {
                for line in body.split(|b| *b == b'\n').filter(|line| !line.is_empty()) {
                    let value: serde_json::Value = serde_json::from_slice(line).expect("JSON");
                    assert!(head.status == 200 || value["Type"] == "error");
                }
            }
            assert!(head.status == 200 || !failed);
        });
    });
});
