//! The folder store's names: `SHARDING` files, and files that lie in a folder.
#![no_main]

use cidbucket_blockstore::{Cid, Hash, Sharding};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let mut rest = input;
    if let Ok(cid) = Cid::read_bytes(&mut rest) {
        for width in [1, 2, 5, 70, 255] {
            for sharding in shardings(width) {
                let path = sharding.path(cid.hash());
                let listed = Hash::of(&cid).is_ok_and(|hash| hash != Hash::Identity);
                assert_eq!(
                    sharding.multihash(&path),
                    listed.then_some(*cid.hash()),
                    "{path}"
                );
                let (shard, name) = path.split_once('/').unwrap();
                assert_eq!(shard.len(), usize::from(width));
                assert!(!path.contains("..") && !name.contains('/'), "{path}");
            }
        }
    }
    let Ok(text) = str::from_utf8(input) else {
        return;
    };
    if let Ok(sharding) = text.parse::<Sharding>() {
        assert_eq!(sharding.to_string().parse::<Sharding>().unwrap(), sharding);
    }
    for sharding in shardings(2) {
        if let Some(multihash) = sharding.multihash(text) {
            assert_eq!(sharding.path(&multihash), text, "one name per block");
        }
    }
});

fn shardings(width: u8) -> [Sharding; 3] {
    ["prefix", "suffix", "next-to-last"].map(|function| {
        let text = format!("/repo/flatfs/shard/v1/{function}/{width}");
        text.parse().unwrap()
    })
}
