//! `resolve`: paths through every kind of node.

use cidbucket_blockstore::Cid;
use cidbucket_dag::{ContentPath, DagError, Resolved, Result, resolve};
use futures::executor::block_on;
use ipld_core::ipld;
use ipld_core::ipld::Ipld;

use crate::ground::{DAG_CBOR, DAG_JSON, FILE, Ground};

fn follow(ground: &Ground, root: Cid, rest: &str) -> Result<Resolved> {
    let path: ContentPath = format!("{root}/{rest}").parse().unwrap();
    block_on(resolve(ground, &path))
}

fn proof(resolved: &Resolved) -> Vec<Cid> {
    let blocks = resolved.path_blocks.iter();
    blocks.map(|block| *block.cid()).collect()
}

fn cbor(ground: &Ground, value: &Ipld) -> Cid {
    ground.block(DAG_CBOR, serde_ipld_dagcbor::to_vec(value).unwrap())
}

#[test]
fn a_cid_alone_reads_nothing() {
    let ground = Ground::default();
    let cid = ground.block(0x55, "x");
    ground.remove(&cid);
    let resolved = follow(&ground, cid, "").unwrap();
    assert_eq!((resolved.cid, proof(&resolved)), (cid, vec![]));
    assert!(ground.asked().is_empty());
}

#[test]
fn through_directories() {
    let ground = Ground::default();
    let (x, y) = (ground.block(0x55, "x"), ground.block(0x55, "y"));
    let inner = ground.directory(&[("twice", x), ("twice", y)]);
    let outer = ground.directory(&[("inner", inner), ("link", ground.symlink("inner"))]);
    let resolved = follow(&ground, outer, "inner/twice").unwrap();
    assert_eq!(resolved.cid, x, "the first one counts");
    assert_eq!(proof(&resolved), [outer, inner]);
    assert!(resolved.value_path.is_empty() && resolved.block.is_none());
    assert_eq!(ground.asked(), [outer, inner], "the target is not read");

    match follow(&ground, outer, "inner/none/at/all").unwrap_err() {
        DagError::NoLink { cid, segment } => assert_eq!((cid, &*segment), (inner, "none")),
        other => panic!("{other}"),
    }
    for (path, says) in [("inner/twice/x", "a file"), ("link/twice", "a symlink")] {
        match follow(&ground, outer, path).unwrap_err() {
            DagError::NotADirectory { found, .. } => assert_eq!(found, says),
            other => panic!("{other}"),
        }
    }
    ground.remove(&inner);
    match follow(&ground, outer, "inner/twice").unwrap_err() {
        DagError::Missing { cid, parent } => assert_eq!((cid, parent), (inner, Some(outer))),
        other => panic!("{other}"),
    }
}

#[test]
fn through_shards_where_the_hash_leads() {
    // The worked example of the UnixFS specification, cut down to the way there.
    let ground = Ground::default();
    let x = ground.block(0x55, "x");
    let mut bitmap = [0; 32];
    bitmap[31 - 0x6e / 8] |= 1 << (0x6e % 8);
    bitmap[31 - 0xff / 8] |= 1 << (0xff % 8);
    let sub = ground.shard(256, &bitmap, &[("6E470.txt", x), ("FF742.txt", x)]);
    let root = ground.shard(256, &[1], &[("00", sub)]);
    let above = ground.directory(&[("sharded", root)]);
    let resolved = follow(&ground, above, "sharded/470.txt").unwrap();
    assert_eq!(resolved.cid, x);
    assert_eq!(proof(&resolved), [above, root, sub]);
    assert_eq!(follow(&ground, root, "742.txt").unwrap().cid, x);
    for name in ["471.txt", "6E470.txt", "00", "70.txt", ""] {
        if name.is_empty() {
            continue;
        }
        match follow(&ground, root, name).unwrap_err() {
            DagError::NoLink { cid, .. } => assert_eq!(cid, root),
            other => panic!("{name}: {other}"),
        }
    }
    // A part of it that is no shard.
    let file = ground.file(FILE, b"x", &[]);
    let broken = ground.shard(256, &[1], &[("00", file)]);
    let error = follow(&ground, broken, "470.txt").unwrap_err();
    assert!(matches!(error, DagError::Malformed { cid, .. } if cid == file));
    // More levels than the hash has bits.
    let mut deep = ground.shard(256, &[], &[]);
    for _ in 0..9 {
        let names: Vec<_> = (0..256).map(|bucket| format!("{bucket:02X}")).collect();
        let links: Vec<_> = names.iter().map(|name| (&**name, deep)).collect();
        deep = ground.shard(256, &[0xff; 32], &links);
    }
    let error = follow(&ground, deep, "470.txt").unwrap_err();
    assert!(matches!(error, DagError::Malformed { .. }), "{error}");
}

#[test]
fn through_values_and_links() {
    let ground = Ground::default();
    let x = ground.block(0x55, "x");
    let directory = ground.directory(&[("x", x)]);
    let json = format!(r#"{{"dir":{{"/":"{directory}"}},"n":[1,[2,3]]}}"#);
    let json = ground.block(DAG_JSON, json);
    let root = cbor(
        &ground,
        &ipld!({"a": {"list": [0, {"deep": true}], "link": Ipld::Link(json)}, "01": 5}),
    );

    let resolved = follow(&ground, root, "a/link/dir/x").unwrap();
    assert_eq!(resolved.cid, x);
    assert_eq!(proof(&resolved), [root, json, directory]);
    assert_eq!(follow(&ground, root, "a/link").unwrap().cid, json);

    for (path, block) in [
        ("a/list/1/deep", root),
        ("a", root),
        ("01", root),
        ("a/link/n/1/0", json),
    ] {
        let resolved = follow(&ground, root, path).unwrap();
        assert_eq!(resolved.cid, block);
        assert_eq!(resolved.block.unwrap().cid(), &block);
        let path = path.strip_prefix("a/link/").unwrap_or(path);
        assert_eq!(resolved.value_path.join("/"), path);
        let proven = if block == json { vec![root] } else { vec![] };
        let blocks = resolved.path_blocks.iter();
        assert_eq!(blocks.map(|block| *block.cid()).collect::<Vec<_>>(), proven);
    }
    for path in [
        "b",
        "a/list/2",
        "a/list/-1",
        "a/list/01",
        "a/list/+1",
        "01/x",
        "a/link/n/x",
    ] {
        let error = follow(&ground, root, path).unwrap_err();
        assert!(matches!(error, DagError::NoLink { .. }), "{path}: {error}");
    }
}

#[test]
fn through_plain_dag_pb_by_the_names_of_its_links() {
    let ground = Ground::default();
    let x = ground.block(0x55, "x");
    for data in [None, Some(vec![]), Some(b"anything".to_vec())] {
        let node = ground.dag_pb(&[("name", x)], data);
        assert_eq!(follow(&ground, node, "name").unwrap().cid, x);
        let error = follow(&ground, node, "Links").unwrap_err();
        assert!(matches!(error, DagError::NoLink { .. }));
    }
}

#[test]
fn what_cannot_be_followed_says_why() {
    let ground = Ground::default();
    let noise = ground.block(DAG_CBOR, [0xff].as_slice());
    let error = follow(&ground, noise, "a").unwrap_err();
    assert!(
        matches!(
            error,
            DagError::Malformed {
                format: "dag-cbor",
                ..
            }
        ),
        "{error}"
    );
    let git = ground.block(0x78, "x");
    let error = follow(&ground, git, "a").unwrap_err();
    assert!(matches!(error, DagError::UnknownCodec { code: 0x78, .. }));
    // Nested deeper than a stack is.
    let nested = ground.block(DAG_CBOR, vec![0x81; 1 << 20]);
    let error = follow(&ground, nested, "0/0").unwrap_err();
    assert!(matches!(error, DagError::Malformed { .. }));
    let nested = ground.block(DAG_JSON, vec![b'['; 1 << 20]);
    let error = follow(&ground, nested, "0/0").unwrap_err();
    assert!(matches!(error, DagError::Malformed { .. }));
}
