//! `export`: which blocks, and in which order.

use std::collections::HashSet;

use cidbucket_blockstore::Cid;
use cidbucket_dag::{ContentPath, DagError, EntityBytes, ExportOptions, Scope, export};
use futures::executor::block_on;
use futures::stream::TryStreamExt;
use proptest::prelude::*;

use crate::bytes::{File, shapes};
use crate::ground::{DAG_CBOR, FILE, Ground};

fn blocks(ground: &Ground, path: &str, scope: Scope, dups: bool) -> (Vec<Cid>, Option<DagError>) {
    let path: ContentPath = path.parse().unwrap();
    let mut stream = export(ground, path, scope, ExportOptions { dups });
    let mut blocks = Vec::new();
    loop {
        match block_on(stream.try_next()) {
            Ok(Some(block)) => blocks.push(*block.cid()),
            Ok(None) => return (blocks, None),
            Err(error) => return (blocks, Some(error)),
        }
    }
}

fn whole(ground: &Ground, path: &str, scope: Scope) -> Vec<Cid> {
    let (blocks, error) = blocks(ground, path, scope, false);
    assert!(error.is_none(), "{error:?}");
    blocks
}

fn some(text: &str) -> Scope {
    Scope::Entity(Some(text.parse().unwrap()))
}

fn once(blocks: Vec<Cid>) -> Vec<Cid> {
    let mut seen = HashSet::new();
    blocks.into_iter().filter(|cid| seen.insert(*cid)).collect()
}

proptest! {
    #[test]
    fn a_files_blocks_come_depth_first(
        shape in shapes(),
        from in -200_i64..200,
        to in proptest::option::of(-200_i64..200),
    ) {
        let ground = Ground::default();
        let file = File::build(&ground, &shape);
        let cid = file.cid.to_string();
        let all = file.blocks(None);
        for scope in [Scope::Entity(None), Scope::All] {
            prop_assert_eq!(blocks(&ground, &cid, scope, true).0, all.clone());
            prop_assert_eq!(whole(&ground, &cid, scope), once(all.clone()));
        }
        let bytes = EntityBytes { from, to };
        let size = i64::try_from(file.content.len()).unwrap();
        let place = |at: i64| if at < 0 { size + at } else { at };
        let first = place(from).max(0);
        let past = to.map_or(size, |to| (place(to) + 1).min(size));
        let needed = if first < past {
            file.blocks(Some(&(first.unsigned_abs()..past.unsigned_abs())))
        } else {
            vec![file.cid]
        };
        ground.asked();
        let (found, error) = blocks(&ground, &cid, Scope::Entity(Some(bytes)), true);
        prop_assert!(error.is_none());
        prop_assert_eq!(&found, &needed);
        let asked: HashSet<_> = ground.asked().into_iter().collect();
        prop_assert_eq!(asked, needed.iter().copied().collect());
        let found = whole(&ground, &cid, Scope::Entity(Some(bytes)));
        prop_assert_eq!(found, once(needed));
    }
}

#[test]
fn the_path_comes_first_and_the_scope_after_it() {
    let ground = Ground::default();
    let leaves = [ground.block(0x55, "one"), ground.block(0x55, "two")];
    let file = ground.file(FILE, b"", &[(leaves[0], 3), (leaves[1], 3)]);
    let inner = ground.directory(&[("file", file), ("other", leaves[1])]);
    let root = ground.directory(&[("inner", inner)]);
    let path = |rest: &str| format!("{root}/{rest}");

    assert_eq!(whole(&ground, &path(""), Scope::Block), [root]);
    assert_eq!(whole(&ground, &path(""), Scope::Entity(None)), [root]);
    let all = [root, inner, file, leaves[0], leaves[1]];
    assert_eq!(whole(&ground, &path(""), Scope::All), all);
    assert_eq!(whole(&ground, &path("inner/file"), Scope::All), all);
    let entity = whole(&ground, &path("inner/file"), Scope::Entity(None));
    assert_eq!(entity, all);
    let block = whole(&ground, &path("inner/file"), Scope::Block);
    assert_eq!(block, [root, inner, file]);
    let second = whole(&ground, &path("inner/file"), some("3:*"));
    assert_eq!(second, [root, inner, file, leaves[1]]);
    let last = whole(&ground, &path("inner/file"), some("-1:*"));
    assert_eq!(last, [root, inner, file, leaves[1]]);
    // Of what is no file, the bytes are of no matter.
    assert_eq!(whole(&ground, &path("inner"), some("0:0")), [root, inner]);
    // A path that leads nowhere is proven to.
    let (proof, error) = blocks(&ground, &path("inner/none/x"), Scope::All, false);
    assert_eq!(proof, [root, inner]);
    assert!(matches!(error, Some(DagError::NoLink { .. })));
    let (proof, error) = blocks(&ground, &path("inner/file/x"), Scope::All, false);
    assert_eq!(proof, [root, inner, file]);
    assert!(matches!(error, Some(DagError::NotADirectory { .. })));
}

#[test]
fn a_sharded_directory_is_all_its_shards() {
    let ground = Ground::default();
    let x = ground.block(0x55, "x");
    let deep = ground.shard(8, &[1], &[("0c", x)]);
    let sub = ground.shard(8, &[0b11], &[("0", deep), ("1e", x)]);
    let other = ground.shard(8, &[0b10], &[("1g", x)]);
    let root = ground.shard(8, &[0b111], &[("0", other), ("1", sub), ("2f", x)]);
    let cid = root.to_string();
    let shards = [root, other, sub, deep];
    assert_eq!(whole(&ground, &cid, Scope::Entity(None)), shards);
    assert_eq!(whole(&ground, &cid, some("0:3")), shards);
    assert_eq!(whole(&ground, &cid, Scope::Block), [root]);
    let all = [root, other, x, sub, deep];
    assert_eq!(whole(&ground, &cid, Scope::All), all);
}

#[test]
fn data_that_is_not_unixfs_is_its_block() {
    let ground = Ground::default();
    let x = ground.block(0x55, "x");
    let plain = ground.dag_pb(&[("x", x)], None);
    let cbor = [
        &[0xa1, 0x61, b'a', 0xd8, 0x2a, 0x58, 0x25, 0][..],
        &x.to_bytes(),
    ]
    .concat();
    let cbor = ground.block(DAG_CBOR, cbor);
    for node in [plain, cbor, ground.symlink("x")] {
        let cid = node.to_string();
        assert_eq!(whole(&ground, &cid, Scope::Entity(None)), [node]);
        assert_eq!(whole(&ground, &cid, some("0:*")), [node]);
    }
    assert_eq!(whole(&ground, &cbor.to_string(), Scope::All), [cbor, x]);
    let a = format!("{cbor}/a");
    assert_eq!(whole(&ground, &a, Scope::Entity(None)), [cbor, x]);
    // A value inside a block is the block, and with all of it what hangs on the block.
    let outer = [
        &[0xa1, 0x61, b'b', 0x81],
        &[0xd8, 0x2a, 0x58, 0x25, 0][..],
        &x.to_bytes(),
    ];
    let outer = ground.block(DAG_CBOR, outer.concat());
    let value = format!("{outer}/b");
    assert_eq!(whole(&ground, &value, Scope::Entity(None)), [outer]);
    assert_eq!(whole(&ground, &value, Scope::All), [outer, x]);
}

#[test]
fn what_is_missing_or_wrong_ends_it_after_what_is_there() {
    let ground = Ground::default();
    let leaves: Vec<_> = (0..50_u8)
        .map(|n| (ground.block(0x55, vec![n; 10]), 10))
        .collect();
    let file = ground.file(FILE, b"", &leaves);
    ground.remove(&leaves[20].0);
    for scope in [Scope::Entity(None), Scope::All, some("0:*")] {
        let (found, error) = blocks(&ground, &file.to_string(), scope, false);
        assert_eq!(found.len(), 21, "{scope:?}");
        assert!(matches!(error, Some(DagError::Missing { cid, .. }) if cid == leaves[20].0));
    }
    let beside = whole(&ground, &file.to_string(), some("210:219"));
    assert_eq!(beside, [file, leaves[21].0]);

    // The block that breaks the promise comes, so that everybody sees it.
    let liar = ground.file(FILE, b"", &[(leaves[0].0, 11)]);
    let (found, error) = blocks(&ground, &liar.to_string(), Scope::Entity(None), false);
    assert_eq!(found, [liar, leaves[0].0]);
    assert!(matches!(error, Some(DagError::Malformed { .. })));
}

#[test]
fn identity_cids_are_followed_and_never_come() {
    let ground = Ground::default();
    let inline: Cid = "bafkqablimvwgy3y".parse().unwrap();
    let x = ground.block(0x55, "x");
    let file = ground.file(FILE, b"", &[(inline, 5), (x, 1)]);
    for scope in [Scope::Entity(None), Scope::All, some("0:*")] {
        assert_eq!(whole(&ground, &file.to_string(), scope), [file, x]);
    }
    assert!(whole(&ground, &inline.to_string(), Scope::Block).is_empty());
    let (inline_dir, error) = blocks(&ground, &format!("{inline}/x"), Scope::Block, false);
    assert!(inline_dir.is_empty() && error.is_some());
}

#[test]
fn a_part_that_came_in_part_comes_once_and_whole_later() {
    // Both halves are the same inner node: the range has the end of the first and all of the second.
    let ground = Ground::default();
    let (a, b) = (ground.block(0x55, "aaa"), ground.block(0x55, "bbb"));
    let half = ground.file(FILE, b"", &[(a, 3), (b, 3)]);
    let file = ground.file(FILE, b"", &[(half, 6), (half, 6)]);
    let cid = file.to_string();
    assert_eq!(whole(&ground, &cid, some("4:*")), [file, half, b, a]);
    let (dups, _) = blocks(&ground, &cid, some("4:*"), true);
    assert_eq!(dups, [file, half, b, half, a, b]);
}

#[test]
fn a_dag_that_unfolds_without_end_is_given_once() {
    let ground = Ground::default();
    let mut part = (ground.block(0x55, ""), 0);
    for _ in 0..30 {
        part = (ground.file(FILE, b"", &[part; 100]), 0);
    }
    let cid = part.0.to_string();
    assert_eq!(whole(&ground, &cid, Scope::Entity(None)).len(), 31);
    assert_eq!(whole(&ground, &cid, Scope::All).len(), 31);
    assert_eq!(whole(&ground, &cid, some("0:*")).len(), 1);
}

#[test]
fn ranges_and_scopes_are_read_as_the_specification_writes_them() {
    let bytes = |text: &str| text.parse::<EntityBytes>();
    for (text, from, to) in [
        ("0:*", 0, None),
        ("-1024:*", -1024, None),
        ("499:-1000", 499, Some(-1000)),
        ("-5:7", -5, Some(7)),
        ("-5:-5", -5, Some(-5)),
    ] {
        assert_eq!(bytes(text).unwrap(), EntityBytes { from, to });
    }
    for bad in [
        "",
        "1",
        ":",
        "*:1",
        "1:",
        "a:b",
        "1:2:3",
        "5:4",
        "-4:-5",
        "1:99999999999999999999",
    ] {
        assert!(matches!(bytes(bad), Err(DagError::Invalid(_))), "{bad}");
    }
    for (text, size, range) in [
        ("0:*", 10, 0..10),
        ("3:5", 10, 3..6),
        ("3:50", 10, 3..10),
        ("-3:*", 10, 7..10),
        ("-30:*", 10, 0..10),
        ("-30:-8", 10, 0..3),
        ("4:-4", 10, 4..7),
        ("10:12", 10, 10..10),
        ("8:-8", 10, 8..8),
        ("0:-11", 10, 0..0),
        ("0:9223372036854775807", u64::MAX, 0..1 << 63),
        ("-9223372036854775808:*", 10, 0..10),
        ("0:*", 0, 0..0),
        ("-1:-1", 0, 0..0),
    ] {
        assert_eq!(bytes(text).unwrap().within(size), range, "{text} of {size}");
    }
    assert_eq!("all".parse::<Scope>().unwrap(), Scope::All);
    assert_eq!("block".parse::<Scope>().unwrap(), Scope::Block);
    assert_eq!("entity".parse::<Scope>().unwrap(), Scope::Entity(None));
    assert!("file".parse::<Scope>().is_err());
}
