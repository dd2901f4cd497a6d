//! `entries` of directories, sharded and not.

use cidbucket_blockstore::Cid;
use cidbucket_dag::{DagError, Result, unixfs};
use futures::executor::block_on;
use futures::stream::TryStreamExt;

use crate::ground::{DAG_CBOR, FILE, Ground};

fn names(ground: &Ground, cid: Cid) -> Result<Vec<String>> {
    let entries = unixfs::entries(ground, cid).map_ok(|entry| entry.name);
    block_on(entries.try_collect())
}

#[test]
fn a_plain_directory_is_listed_as_it_is() {
    let ground = Ground::default();
    let x = ground.block(0x55, "x");
    let directory = ground.directory(&[("", x), ("..", x), ("a", x), ("a", x), ("b/c", x)]);
    assert_eq!(
        names(&ground, directory).unwrap(),
        ["", "..", "a", "a", "b/c"]
    );
    let entry = block_on(unixfs::entries(&ground, directory).try_next());
    let entry = entry.unwrap().unwrap();
    assert_eq!((entry.cid, entry.tsize), (x, Some(7)));
    assert!(names(&ground, ground.directory(&[])).unwrap().is_empty());
}

#[test]
fn shards_are_listed_in_the_order_of_their_buckets() {
    let ground = Ground::default();
    let x = ground.block(0x55, "x");
    let deep = ground.shard(8, &[0b1000_0001], &[("0c", x), ("7d", x)]);
    let sub = ground.shard(8, &[0b11], &[("0", deep), ("1e", x)]);
    let root = ground.shard(
        8,
        &[0b1000_0111],
        &[("0b", x), ("1", sub), ("2f", x), ("7a", x)],
    );
    assert_eq!(
        names(&ground, root).unwrap(),
        ["b", "c", "d", "e", "f", "a"]
    );
    ground.asked();
    ground.remove(&deep);
    match names(&ground, root).unwrap_err() {
        DagError::Missing { cid, parent } => assert_eq!((cid, parent), (deep, Some(sub))),
        other => panic!("{other}"),
    }
}

#[test]
fn empty_shards_without_end_are_read_once_each() {
    let ground = Ground::default();
    let mut shard = ground.shard(8, &[], &[]);
    let mut made = 1;
    for _ in 0..20 {
        let links: Vec<_> = ["0", "1", "2", "3", "4", "5", "6", "7"]
            .map(|name| (name, shard))
            .into();
        shard = ground.shard(8, &[0xff], &links);
        made += 1;
    }
    assert!(names(&ground, shard).unwrap().is_empty());
    assert_eq!(ground.asked().len(), made);
}

#[test]
fn what_is_no_directory_says_what_it_is() {
    let ground = Ground::default();
    for (cid, says) in [
        (ground.block(0x55, "x"), "a file"),
        (ground.file(FILE, b"x", &[]), "a file"),
        (ground.symlink("x"), "a symlink"),
        (ground.block(DAG_CBOR, [0xa0].as_slice()), "dag-cbor"),
    ] {
        match names(&ground, cid).unwrap_err() {
            DagError::NotADirectory { found, .. } => assert_eq!(found, says),
            other => panic!("{other}"),
        }
        let shard = ground.shard(8, &[1], &[("0", cid)]);
        let error = names(&ground, shard).unwrap_err();
        assert!(matches!(error, DagError::Malformed { .. }), "{error}");
    }
    let plain = ground.directory(&[]);
    let shard = ground.shard(8, &[1], &[("0", plain)]);
    let error = names(&ground, shard).unwrap_err();
    assert!(matches!(error, DagError::Malformed { .. }), "{error}");
}
