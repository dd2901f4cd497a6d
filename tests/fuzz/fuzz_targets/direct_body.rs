//! Bodies of the direct-access protocol, in JSON and DAG-CBOR.
#![no_main]

use cidbucket_direct::{Completed, Encoding, Granted, Info, Page, Problem, Reads, Way, Writes};
use libfuzzer_sys::fuzz_target;
use serde::Serialize;
use serde::de::DeserializeOwned;

fuzz_target!(|input: &[u8]| {
    for encoding in [Encoding::Json, Encoding::DagCbor] {
        round::<Reads>(encoding, input);
        round::<Writes>(encoding, input);
        round::<Info>(encoding, input);
        round::<Completed>(encoding, input);
        round::<Page>(encoding, input);
        if let Some(granted) = round::<Granted>(encoding, input) {
            check(&granted);
        }
    }
    round::<Problem>(Encoding::Json, input);
    if let Ok(text) = std::str::from_utf8(input) {
        let _ = Encoding::of_content_type(text);
        let _ = Encoding::Json.accepted(text);
    }
});

/// What was accepted goes through both encodings and comes back the same.
fn round<T: Serialize + DeserializeOwned>(encoding: Encoding, input: &[u8]) -> Option<T> {
    let body: T = encoding.decode("body", input).ok()?;
    for encoding in [Encoding::Json, Encoding::DagCbor] {
        let bytes = encoding.encode(&body);
        let back: T = encoding.decode("body", &bytes).expect("its own bytes");
        assert_eq!(encoding.encode(&back), bytes);
    }
    Some(body)
}

/// Every block goes one way, and each grant is for one block.
fn check(granted: &Granted) {
    for blocks in [0, 1, 5, 70_000] {
        let Ok(ways) = granted.ways(blocks) else {
            continue;
        };
        assert_eq!(ways.0.len(), blocks);
        let (mut direct, mut staged) = (0, 0);
        for way in ways.0 {
            match way {
                Way::Direct(nth) => {
                    assert_eq!(nth, direct);
                    direct += 1;
                }
                Way::Staged(nth) => {
                    assert_eq!(nth, staged);
                    staged += 1;
                }
                Way::Stored | Way::Proxied => {}
            }
        }
        assert_eq!(staged, granted.staged_blocks.len());
    }
}
