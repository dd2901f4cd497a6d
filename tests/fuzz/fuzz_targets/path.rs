//! What a trustless gateway is asked for: content paths, and ranges of bytes.
#![no_main]

use cidbucket_dag::{ContentPath, EntityBytes, Scope};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Ok(text) = str::from_utf8(input) else {
        return;
    };
    if let Ok(path) = text.parse::<ContentPath>() {
        for name in &path.segments {
            assert!(!name.is_empty() && name != "." && name != "..");
            assert!(!name.contains('/'));
        }
        assert_eq!(path.to_string().parse::<ContentPath>().unwrap(), path);
        let prefixed = format!("/ipfs/{path}");
        assert_eq!(prefixed.parse::<ContentPath>().unwrap(), path);
    }
    let _ = text.parse::<Scope>();
    if let Ok(bytes) = text.parse::<EntityBytes>() {
        for size in [0, 1, 1000, 1 << 63, u64::MAX] {
            let range = bytes.within(size);
            assert!(range.start <= range.end && range.end <= size);
            if bytes.from >= 0 && bytes.to.is_some_and(|to| to >= 0) && !range.is_empty() {
                assert_eq!(range.start, bytes.from.unsigned_abs());
            }
        }
    }
});
