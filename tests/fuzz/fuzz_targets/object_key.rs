//! Layouts and prefixes from text, and object keys that lie in a bucket.
#![no_main]

use cidbucket_layout::{Cid, Keys, Layout, Prefix};
use libfuzzer_sys::fuzz_target;

/// `raw`, `dag-pb`, `dag-cbor`: by these a layout keyed by CID looks for a block.
const CODECS: [u64; 3] = [0x55, 0x70, 0x71];

fuzz_target!(|input: &[u8]| {
    let mut rest = input;
    if let Ok(cid) = Cid::read_bytes(&mut rest) {
        for keys in stores() {
            written(&keys, &cid);
        }
    }
    let Ok(text) = str::from_utf8(input) else {
        return;
    };
    for keys in stores() {
        listed(&keys, text);
    }
    let _ = Keys::detect(text.split('\n'));

    // A store of somebody's own: layout, prefix and key, a line each.
    let mut lines = text.splitn(3, '\n');
    let layout = lines.next().unwrap_or_default().parse::<Layout>();
    let prefix = Prefix::new(lines.next().unwrap_or_default());
    if let (Ok(layout), Ok(prefix)) = (layout, prefix) {
        assert_eq!(layout.to_string().parse::<Layout>().unwrap(), layout);
        assert_eq!(Prefix::new(prefix.as_str()).unwrap(), prefix);
        let keys = Keys::new(prefix, layout);
        listed(&keys, lines.next().unwrap_or_default());
    }
});

/// Every layout, in the root of a bucket and under a prefix.
fn stores() -> impl Iterator<Item = Keys> {
    Layout::examples().into_iter().flat_map(|layout| {
        ["", "a/b"].map(|prefix| Keys::new(Prefix::new(prefix).unwrap(), layout.clone()))
    })
}

/// What is written stays in the store, and is found again.
fn written(keys: &Keys, cid: &Cid) {
    let key = keys.key(cid);
    let tail = key.strip_prefix(keys.list_prefix()).expect("in the store");
    assert!(
        (tail.bytes()).all(|b| b.is_ascii_alphanumeric() || matches!(b, b'/' | b'_' | b'.')),
        "{key}"
    );
    assert!(!tail.starts_with('/') && !tail.contains("..") && !tail.contains("//"));
    assert_eq!(keys.candidates(cid).next().unwrap(), key);
    for n in [1, 7, 64] {
        let ranges = keys.ranges(n);
        assert_eq!(
            ranges.iter().filter(|range| range.contains(&key)).count(),
            1
        );
    }
}

/// A listed key that is taken for a block is a key under which that block is looked for.
fn listed(keys: &Keys, key: &str) {
    if let Some(multihash) = keys.multihash(key) {
        assert!(
            CODECS.iter().any(|&codec| {
                let cid = Cid::new_v1(codec, multihash);
                keys.candidates(&cid).any(|candidate| candidate == key)
            }),
            "{key} of {}",
            keys.layout()
        );
    }
}
