//! The fixtures of the gateway conformance suite: DAGs that Kubo has made.
//!
//! They are no part of this repository. They are looked for in the folder that
//! `CIDBUCKET_GATEWAY_FIXTURES` names, or beside the repository in
//! `../shared/fixtures/gateway-conformance`; where they are not, these tests say so and pass.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use cidbucket_blockstore::{Block, Blockstore, Bytes, Cid, MemoryBlockstore};
use cidbucket_dag::car::{CarDecoder, CarLimits, Event};
use cidbucket_dag::unixfs::{self, Kind};
use cidbucket_dag::{ContentPath, DagError, ExportOptions, Scope, export, resolve};
use futures::executor::block_on;
use futures::stream::{StreamExt, TryStreamExt};

struct Fixture {
    root: Cid,
    store: MemoryBlockstore,
}

fn open(name: &str) -> Option<Fixture> {
    let beside = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../../shared/fixtures/gateway-conformance"
    );
    let folder = std::env::var_os("CIDBUCKET_GATEWAY_FIXTURES");
    let folder = folder.map_or_else(|| Path::new(beside).to_owned(), PathBuf::from);
    let path = folder.join(name);
    let Ok(bytes) = std::fs::read(&path) else {
        eprintln!("skipped: no fixture {}", path.display());
        return None;
    };
    let store = MemoryBlockstore::new();
    let mut root = None;
    let mut decoder = CarDecoder::new(CarLimits::default());
    decoder.feed(Bytes::from(bytes));
    while let Some(event) = decoder.next().unwrap() {
        match event {
            Event::Header(header) => root = header.roots.first().copied(),
            Event::Block(block) => block_on(store.put(&block)).unwrap(),
        }
    }
    decoder.finish().unwrap();
    let root = root.unwrap();
    Some(Fixture { root, store })
}

impl Fixture {
    fn path(&self, rest: &str) -> ContentPath {
        format!("{}/{rest}", self.root).parse().unwrap()
    }

    fn cat(&self, rest: &str) -> Vec<u8> {
        let cid = block_on(resolve(&self.store, &self.path(rest)))
            .unwrap()
            .cid;
        let pieces = unixfs::cat(&self.store, cid, 0..u64::MAX);
        let pieces: Vec<_> = block_on(pieces.try_collect()).unwrap();
        pieces.concat()
    }

    fn export(&self, rest: &str, scope: Scope) -> Vec<Result<Block, DagError>> {
        let blocks = export(
            &self.store,
            self.path(rest),
            scope,
            ExportOptions::default(),
        );
        block_on(blocks.collect())
    }

    fn codecs(&self, rest: &str, scope: Scope) -> HashMap<u64, usize> {
        let mut codecs = HashMap::new();
        for block in self.export(rest, scope) {
            *codecs.entry(block.unwrap().cid().codec()).or_default() += 1;
        }
        codecs
    }
}

fn entity(bytes: &str) -> Scope {
    Scope::Entity(Some(bytes.parse().unwrap()))
}

#[test]
fn a_sharded_directory_is_listed_and_every_name_is_found() {
    let Some(fixture) = open("single-layer-hamt-with-multi-block-files.car") else {
        return;
    };
    let node = block_on(unixfs::node(&fixture.store, &fixture.root)).unwrap();
    assert_eq!(node.kind(), Kind::Shard);
    let entries = unixfs::entries(&fixture.store, fixture.root);
    let entries: Vec<_> = block_on(entries.try_collect()).unwrap();
    let mut numbers: Vec<u32> = Vec::new();
    for entry in entries {
        let number = entry.name.strip_suffix(".txt").unwrap();
        numbers.push(number.parse().unwrap());
        let found = block_on(resolve(&fixture.store, &fixture.path(&entry.name))).unwrap();
        assert_eq!(found.cid, entry.cid);
    }
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=1000).collect::<Vec<_>>());
    let none = block_on(resolve(&fixture.store, &fixture.path("1001.txt")));
    assert!(matches!(none, Err(DagError::NoLink { .. })));

    let shards = fixture.codecs("", Scope::Entity(None));
    assert_eq!(shards.keys().collect::<Vec<_>>(), [&0x70]);
    // Only some of the files are in the fixture.
    assert_eq!(fixture.cat("685.txt").len(), 1026);
    let file = fixture.codecs("685.txt", Scope::Entity(None));
    assert_eq!(file, fixture.codecs("685.txt", Scope::All));
    assert_eq!(file[&0x55], 5);
    assert_eq!(fixture.codecs("685.txt", entity("0:255"))[&0x55], 1);
    assert_eq!(fixture.codecs("685.txt", entity("512:-257"))[&0x55], 2);
}

#[test]
fn a_missing_block_matters_only_to_those_who_need_it() {
    let Some(fixture) = open("file-3k-and-3-blocks-missing-block.car") else {
        return;
    };
    for bytes in ["0:1000", "2200:*", "2048:*", "-1000:*", "0:1023"] {
        let blocks = fixture.export("", entity(bytes));
        assert_eq!(blocks.len(), 2, "{bytes}");
        assert!(blocks.iter().all(Result::is_ok));
        // CIDv0, as they are linked.
        let version = blocks[1].as_ref().unwrap().cid().to_string();
        assert!(version.starts_with("Qm"), "{version}");
    }
    for scope in [Scope::Entity(None), Scope::All, entity("0:*")] {
        let blocks = fixture.export("", scope);
        assert_eq!(blocks.len(), 3);
        assert!(matches!(blocks[2], Err(DagError::Missing { .. })));
    }
}

#[test]
fn paths_go_through_directories_and_dag_cbor() {
    if let Some(fixture) = open("subdir-with-two-single-block-files.car") {
        let text = fixture.cat("subdir/hello.txt");
        assert_eq!(text, b"hello world\n");
        assert_eq!(fixture.export("subdir/ascii.txt", Scope::All).len(), 3);
        assert_eq!(fixture.export("subdir", Scope::Entity(None)).len(), 2);
        let proof = fixture.export("subdir/i-do-not-exist", Scope::All);
        assert_eq!(proof.len(), 3);
        assert!(matches!(proof[2], Err(DagError::NoLink { .. })));
    }
    if let Some(fixture) = open("subdir-with-mixed-block-files.car") {
        assert_eq!(fixture.cat("subdir/multiblock.txt").len(), 1026);
        let blocks = fixture.export("subdir/multiblock.txt", Scope::Entity(None));
        assert_eq!(blocks.len(), 3 + 5);
        for (bytes, parts) in [
            ("512:1023", 2),
            ("512:-256", 2),
            ("-256:*", 2),
            ("0:0", 1),
            ("9999:*", 0),
        ] {
            let blocks = fixture.export("subdir/multiblock.txt", entity(bytes));
            assert_eq!(blocks.len(), 3 + parts, "{bytes}");
        }
    }
    if let Some(fixture) = open("dir-with-dag-cbor-with-links.car") {
        let blocks = fixture.export("document", Scope::Entity(None));
        assert_eq!(blocks.len(), 2);
        let blocks = fixture.export("document/files/single", Scope::All);
        assert_eq!(blocks.len(), 3);
        assert!(fixture.export("document", Scope::All).len() > 3);
    }
}

#[test]
fn duplicates_come_once_or_as_often_as_they_are() {
    let Some(fixture) = open("dir-with-duplicate-files.car") else {
        return;
    };
    let once = fixture.export("", Scope::All).len();
    let dups = ExportOptions { dups: true };
    let often = export(&fixture.store, fixture.path(""), Scope::All, dups);
    let often: Vec<_> = block_on(often.try_collect::<Vec<_>>()).unwrap();
    assert!(often.len() > once, "{} and {once}", often.len());
}
