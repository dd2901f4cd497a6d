//! Whatever somebody asks a gateway: the path, the query, `Accept`, `Range` and the host. It answers, no
//! head of it is too large for Kubo, and none leads to another's host.
#![no_main]

use std::sync::Arc;

use cidbucket_blockstore::{Block, Blockstore, MemoryBlockstore};
use cidbucket_gateway::{Audience, Gateway, Options};
use futures::executor::block_on;
use http::{HeaderValue, Request, header};
use libfuzzer_sys::fuzz_target;

/// The parts of the input, as many as there are.
fn parts(data: &[u8]) -> [&[u8]; 6] {
    let mut parts = data.split(|byte| *byte == 0xff);
    std::array::from_fn(|_| parts.next().unwrap_or_default())
}

fuzz_target!(|data: &[u8]| {
    let [target, accept, range, tag, cache, host] = parts(data);
    let Ok(target) = str::from_utf8(target) else {
        return;
    };
    let block = Block::raw("a block");
    // So that it is about something that is there.
    let target = target.replace("CID", &block.cid().to_string());
    let Ok(mut request) = Request::get(format!("/ipfs/{target}")).body(()) else {
        return;
    };
    for (name, value) in [
        (header::ACCEPT, accept),
        (header::RANGE, range),
        (header::IF_NONE_MATCH, tag),
        (header::CACHE_CONTROL, cache),
        (header::HOST, host),
    ] {
        if let Ok(value) = HeaderValue::from_bytes(value) {
            request.headers_mut().insert(name, value);
        }
    }
    let (parts, ()) = request.into_parts();
    let store = MemoryBlockstore::new();
    block_on(store.put(&block)).unwrap();
    let store = Arc::new(store);
    let mut options = Options::default();
    options.host = Some("gw.test".into());
    let mut files = Options::default();
    files.files = true;
    for options in [Options::default(), options, files] {
        let gateway = Gateway::new(options);
        let answer = block_on(gateway.handle(parts.clone(), store.clone(), Audience::Public));
        let headers = answer.headers();
        let size: usize = headers
            .iter()
            .map(|(name, value)| name.as_str().len() + value.len() + 4)
            .sum();
        // A place to go to is as long as it is.
        assert!(
            size < 2000 || headers.contains_key(header::LOCATION),
            "{headers:?}"
        );
        if let Some(location) = headers.get(header::LOCATION) {
            let location = location.to_str().unwrap();
            let own = location
                .strip_prefix("//")
                .is_none_or(|rest| rest.split('/').next().unwrap().contains(".ipfs.gw.test"));
            assert!(location.starts_with('/') && own, "{location}");
        }
        assert_ne!(answer.status(), 401);
    }
});
