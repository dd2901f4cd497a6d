//! `cat`: ranges of files of any shape, and files that lie.

use std::collections::BTreeSet;
use std::io::Cursor;
use std::ops::Range;

use cidbucket_blockstore::{Block, Bytes, Cid};
use cidbucket_dag::{DagError, unixfs};
use futures::executor::block_on;
use futures::stream::TryStreamExt;
use proptest::prelude::*;

use crate::ground::{DAG_CBOR, FILE, Ground, RAW};

/// The shape of a file.
#[derive(Debug, Clone)]
pub(crate) enum Shape {
    /// A leaf: a raw block, or a dag-pb one of a type.
    Leaf(Option<u64>, Vec<u8>),
    Inner(Vec<u8>, Vec<Shape>),
}

/// A file in the store.
#[derive(Debug)]
pub(crate) struct File {
    pub(crate) cid: Cid,
    pub(crate) content: Vec<u8>,
    inline: u64,
    children: Vec<File>,
}

pub(crate) fn shapes() -> impl Strategy<Value = Shape> {
    let bytes = || proptest::collection::vec(any::<u8>(), 0..9);
    let leaf = (
        prop_oneof![Just(None), Just(Some(FILE)), Just(Some(RAW))],
        bytes(),
    );
    let leaf = leaf.prop_map(|(r#type, bytes)| Shape::Leaf(r#type, bytes));
    leaf.prop_recursive(5, 60, 5, move |child| {
        (bytes(), proptest::collection::vec(child, 0..5))
            .prop_map(|(inline, children)| Shape::Inner(inline, children))
    })
}

impl File {
    pub(crate) fn build(ground: &Ground, shape: &Shape) -> Self {
        match shape {
            Shape::Leaf(r#type, content) => Self {
                cid: match r#type {
                    None => ground.block(0x55, content.clone()),
                    Some(r#type) => ground.file(*r#type, content, &[]),
                },
                content: content.clone(),
                inline: content.len() as u64,
                children: Vec::new(),
            },
            Shape::Inner(inline, children) => {
                let children: Vec<_> = children
                    .iter()
                    .map(|child| Self::build(ground, child))
                    .collect();
                let parts: Vec<_> = children
                    .iter()
                    .map(|child| (child.cid, child.content.len() as u64))
                    .collect();
                let mut content = inline.clone();
                content.extend(children.iter().flat_map(|child| &child.content));
                Self {
                    cid: ground.file(FILE, inline, &parts),
                    content,
                    inline: inline.len() as u64,
                    children,
                }
            }
        }
    }

    /// The blocks it takes to read a range, in depth-first order; `None` for every block.
    pub(crate) fn blocks(&self, range: Option<&Range<u64>>) -> Vec<Cid> {
        let mut blocks = vec![self.cid];
        let mut begin = self.inline;
        for child in &self.children {
            let end = begin + child.content.len() as u64;
            match range {
                None => blocks.extend(child.blocks(None)),
                Some(range) => {
                    let (start, stop) = (range.start.max(begin), range.end.min(end));
                    if start < stop {
                        blocks.extend(child.blocks(Some(&(start - begin..stop - begin))));
                    }
                }
            }
            begin = end;
        }
        blocks
    }
}

fn cat(ground: &Ground, cid: Cid, range: Range<u64>) -> Result<Vec<u8>, (Vec<u8>, DagError)> {
    let mut content = Vec::new();
    let mut pieces = unixfs::cat(ground, cid, range);
    loop {
        match block_on(pieces.try_next()) {
            Ok(Some(piece)) => content.extend(piece),
            Ok(None) => return Ok(content),
            Err(error) => {
                assert!(
                    matches!(block_on(pieces.try_next()), Ok(None)),
                    "an error is the end"
                );
                return Err((content, error));
            }
        }
    }
}

proptest! {
    #[test]
    fn a_range_is_a_slice_and_takes_no_block_too_many(
        shape in shapes(),
        (a, b) in (0_u64..400, 0_u64..400),
    ) {
        let ground = Ground::default();
        let file = File::build(&ground, &shape);
        let range = a.min(b)..a.max(b);
        let size = file.content.len() as u64;
        for range in [range.clone(), 0..u64::MAX, size.saturating_sub(range.start)..size] {
            let content = cat(&ground, file.cid, range.clone()).unwrap();
            let cut = |at: u64| usize::try_from(at.min(size)).unwrap();
            prop_assert_eq!(&content, &file.content[cut(range.start)..cut(range.end)]);
            let asked: BTreeSet<_> = ground.asked().into_iter().collect();
            let needed: BTreeSet<_> = file.blocks(Some(&range)).into_iter().collect();
            prop_assert_eq!(asked, needed);
        }
    }
}

proptest! {
    #[test]
    fn a_local_file_is_the_same_or_it_is_not(
        shape in shapes(),
        change in proptest::option::of((any::<proptest::sample::Index>(), 1_u8..)),
    ) {
        let ground = Ground::default();
        let file = File::build(&ground, &shape);
        let mut local = file.content.clone();
        if let Some((at, change)) = change {
            match local.len() {
                0 => local.push(change),
                length => local[at.index(length)] ^= change,
            }
        }
        let node = block_on(unixfs::node(&ground, &file.cid)).unwrap();
        let same = block_on(unixfs::same_content(&ground, node.clone(), &mut Cursor::new(&local)));
        prop_assert_eq!(same.unwrap(), local == file.content);
        local.push(0);
        let same = block_on(unixfs::same_content(&ground, node, &mut Cursor::new(&local)));
        prop_assert!(!same.unwrap());
    }
}

#[test]
fn comparing_reads_no_leaves() {
    let ground = Ground::default();
    let leaves: Vec<_> = (0..20_u8)
        .map(|n| match n % 2 {
            0 => (ground.block(0x55, vec![n; 100]), 100),
            _ => (ground.file(FILE, &[n; 100], &[]), 100),
        })
        .collect();
    let halves: Vec<_> = leaves
        .chunks(10)
        .map(|half| (ground.file(FILE, b"", half), 1000))
        .collect();
    let file = ground.file(FILE, b"", &halves);
    let content: Vec<u8> = (0..20).flat_map(|n| [n; 100]).collect();
    for (leaf, _) in leaves {
        ground.remove(&leaf);
    }
    let node = block_on(unixfs::node(&ground, &file)).unwrap();
    let mut local = Cursor::new(content);
    let same = unixfs::same_content(&ground, node, &mut local);
    assert!(block_on(same).unwrap());
}

#[test]
fn inline_bytes_of_inner_nodes_come_first() {
    let ground = Ground::default();
    let leaf = ground.block(0x55, "world");
    let file = ground.file(FILE, b"hello ", &[(leaf, 5)]);
    assert_eq!(cat(&ground, file, 0..99).unwrap(), b"hello world");
    assert_eq!(cat(&ground, file, 5..8).unwrap(), b" wo");
    assert_eq!(ground.asked().len(), 4);
    assert_eq!(cat(&ground, file, 1..6).unwrap(), b"ello ");
    assert_eq!(ground.asked(), [file], "the rest is not needed");
}

#[test]
fn a_run_of_the_same_block_is_read_once() {
    let ground = Ground::default();
    let zeros = ground.block(0x55, vec![0; 1000]);
    let inner = ground.file(FILE, b"", &[(zeros, 1000); 100]);
    let file = ground.file(FILE, b"", &[(inner, 100_000); 100]);
    assert_eq!(cat(&ground, file, 0..u64::MAX).unwrap().len(), 10_000_000);
    let asked = ground.asked().len();
    assert!(asked < 400, "{asked} reads");
}

#[test]
fn what_is_missing_ends_the_file_where_it_is() {
    let ground = Ground::default();
    let leaves: Vec<_> = (0..40_u8)
        .map(|n| (ground.block(0x55, vec![n; 10]), 10))
        .collect();
    let file = ground.file(FILE, b"", &leaves);
    ground.remove(&leaves[17].0);
    let (content, error) = cat(&ground, file, 0..u64::MAX).unwrap_err();
    assert_eq!(content.len(), 170);
    match error {
        DagError::Missing { cid, parent } => {
            assert_eq!((cid, parent), (leaves[17].0, Some(file)));
        }
        other => panic!("{other}"),
    }
    // Beside it everything can be read.
    assert_eq!(cat(&ground, file, 100..170).unwrap().len(), 70);
    assert_eq!(cat(&ground, file, 180..400).unwrap().len(), 220);
    ground.remove(&file);
    let (content, error) = cat(&ground, file, 0..0).unwrap_err();
    assert!(content.is_empty());
    assert!(matches!(error, DagError::Missing { parent: None, .. }));
}

#[test]
fn a_part_must_be_what_was_promised() {
    let ground = Ground::default();
    let leaf = ground.block(0x55, "0123456789");
    let directory = ground.directory(&[]);
    let short = ground.file(FILE, b"", &[(leaf, 10), (leaf, 11)]);
    let (content, error) = cat(&ground, short, 0..u64::MAX).unwrap_err();
    assert_eq!(content, b"0123456789");
    assert!(matches!(error, DagError::Malformed { cid, .. } if cid == leaf));
    for part in [
        directory,
        ground.symlink("x"),
        ground.block(DAG_CBOR, [0xa0].as_slice()),
    ] {
        let file = ground.file(FILE, b"", &[(part, 3)]);
        let (content, error) = cat(&ground, file, 0..u64::MAX).unwrap_err();
        assert!(content.is_empty());
        assert!(
            matches!(error, DagError::Malformed { cid, .. } if cid == part),
            "{error}"
        );
    }
    // Parts that are promised to be empty are not even read.
    let file = ground.file(FILE, b"", &[(directory, 0), (leaf, 10)]);
    assert_eq!(cat(&ground, file, 0..u64::MAX).unwrap(), b"0123456789");
}

#[test]
fn what_is_no_file_says_what_it_is() {
    let ground = Ground::default();
    let cases = [
        (ground.directory(&[]), "a directory"),
        (ground.shard(8, &[], &[]), "a directory"),
        (ground.symlink("a"), "a symlink"),
        (ground.block(DAG_CBOR, [0xa0].as_slice()), "dag-cbor"),
    ];
    for (cid, says) in cases {
        match cat(&ground, cid, 0..1).unwrap_err() {
            (_, DagError::NotAFile { found, .. }) => assert_eq!(found, says),
            (_, other) => panic!("{other}"),
        }
    }
    let nothing = ground.dag_pb(&[], None);
    let (_, error) = cat(&ground, nothing, 0..1).unwrap_err();
    assert!(matches!(error, DagError::Malformed { .. }));
}

#[test]
fn a_file_that_is_too_deep_is_refused() {
    let ground = Ground::default();
    let mut file = (ground.block(0x55, "x"), 1);
    for _ in 0..64 {
        file = (ground.file(FILE, b"", &[file]), 1);
    }
    assert_eq!(cat(&ground, file.0, 0..9).unwrap(), b"x");
    file = (ground.file(FILE, b"", &[file]), 1);
    let (_, error) = cat(&ground, file.0, 0..9).unwrap_err();
    assert!(
        matches!(error, DagError::Limit { limit: 64, .. }),
        "{error}"
    );
}

#[test]
fn a_file_that_unfolds_without_end_costs_no_memory() {
    // 1000^6 parts of nothing, and as many of one byte.
    let ground = Ground::default();
    let (mut empty, mut huge) = ((ground.block(0x55, ""), 0), (ground.block(0x55, "x"), 1));
    for _ in 0..6 {
        empty = (ground.file(FILE, b"", &vec![empty; 1000]), 0);
        huge = (ground.file(FILE, b"", &vec![huge; 1000]), huge.1 * 1000);
    }
    assert_eq!(cat(&ground, empty.0, 0..u64::MAX).unwrap(), b"");
    let middle = huge.1 / 2..huge.1 / 2 + 5000;
    assert_eq!(cat(&ground, huge.0, middle).unwrap().len(), 5000);
    let mut all = unixfs::cat(&ground, huge.0, 0..u64::MAX);
    for _ in 0..100_000 {
        assert_eq!(block_on(all.try_next()).unwrap().unwrap(), "x");
    }
}

#[test]
fn an_identity_cid_is_a_file_by_itself() {
    let ground = Ground::default();
    let cid: Cid = "bafkqablimvwgy3y".parse().unwrap();
    assert_eq!(cat(&ground, cid, 1..4).unwrap(), b"ell");
    let file = ground.file(FILE, b"", &[(cid, 5), (cid, 5)]);
    assert_eq!(cat(&ground, file, 3..8).unwrap(), b"lohel");
    assert!(Block::new(cid, Bytes::from_static(b"hello")).is_ok());
}
