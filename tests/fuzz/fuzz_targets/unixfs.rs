//! Nodes of UnixFS: the input is a dag-pb block.
#![no_main]

use std::collections::HashSet;

use cidbucket_blockstore::{Block, Hash};
use cidbucket_dag::unixfs::{Kind, Node};
use cidbucket_dag::{DagError, links};
use libfuzzer_sys::fuzz_target;

const DAG_PB: u64 = 0x70;

fuzz_target!(|input: &[u8]| {
    let block = Block::encode(DAG_PB, Hash::Sha2_256, input.to_vec()).unwrap();
    let node = match Node::of(&block) {
        Ok(node) => node,
        Err(DagError::Malformed { cid, .. }) => return assert_eq!(cid, *block.cid()),
        Err(error) => panic!("{error}"),
    };
    let cids: Vec<_> = node.links().iter().map(|link| link.cid).collect();
    assert_eq!(cids, links(block.cid(), input).unwrap());
    assert!(node.mode().is_none_or(|mode| (1..=0o7777).contains(&mode)));
    assert!(
        node.mtime()
            .is_none_or(|mtime| mtime.nanoseconds < 1_000_000_000)
    );
    match node.kind() {
        Kind::File | Kind::Raw => {
            let parts = node.links().iter().map(|link| link.blocksize.unwrap());
            let size = node.data().len() as u64 + parts.sum::<u64>();
            assert_eq!(node.size(), Some(size));
        }
        Kind::Symlink => {
            assert!(node.links().is_empty());
            assert_eq!(node.size(), Some(node.data().len() as u64));
        }
        Kind::Shard => {
            assert_eq!(node.size(), None);
            assert!(node.links().len() <= 1024);
            // One link a bucket, and every name begins with its own.
            let names: HashSet<_> = node.links().iter().map(|link| &link.name).collect();
            assert_eq!(names.len(), node.links().len());
            assert!(names.iter().all(|name| !name.is_empty()));
        }
        Kind::Directory | Kind::Metadata => assert_eq!(node.size(), None),
    }
});
