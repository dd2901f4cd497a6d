//! Links of blocks: the first byte chooses the codec, the rest is the block.
#![no_main]

use cidbucket_blockstore::{Block, CODECS, Hash};
use cidbucket_dag::{DagError, links};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Some((&choice, data)) = input.split_first() else {
        return;
    };
    let (name, codec) = CODECS[usize::from(choice) % CODECS.len()];
    let block = Block::encode(codec, Hash::Sha2_256, data.to_vec()).unwrap();
    match links(block.cid(), data) {
        Ok(links) => {
            // Not even the shortest link, an inline one of nothing, is a single byte.
            assert!(links.len() <= data.len() / 4);
            assert!(links.is_empty() || name.starts_with("dag-") || name == "git-raw");
        }
        Err(DagError::Malformed { cid, format, .. }) => {
            assert_eq!(cid, *block.cid());
            assert_eq!(format, name);
        }
        Err(DagError::UnknownCodec { code, .. }) => assert_eq!(code, codec),
        Err(error) => panic!("{error}"),
    }
});
