//! DAGs to be served: built here, or read from a CAR.

use std::collections::HashMap;
use std::path::Path;

use cidbucket_blockstore::{Block, Bytes, Cid, Hash};
use cidbucket_dag::car::{CarDecoder, CarLimits, Event};
use cidbucket_dag::unixfs::add::{
    Added, Chunker, DirectoryBuilder, FileBuilder, Profile, Sharding, SizeEstimate,
};
use cidbucket_dag::unixfs::{Kind, Node};

const DAG_CBOR: u64 = 0x71;

/// A DAG, all of whose blocks are at hand. What leads where in it is found out naively, and by other
/// code than that which is tested.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tree {
    root: Option<Cid>,
    blocks: HashMap<Cid, Block>,
    order: Vec<Cid>,
}

impl Tree {
    pub(crate) fn blocks(&self) -> impl Iterator<Item = &Block> {
        self.order.iter().map(|cid| &self.blocks[cid])
    }

    pub(crate) fn root(&self) -> Cid {
        self.root.expect("a root")
    }

    pub(crate) fn data(&self, cid: &Cid) -> &Bytes {
        self.blocks[cid].data()
    }

    pub(crate) fn insert(&mut self, block: Block) -> Cid {
        let cid = *block.cid();
        if !self.blocks.contains_key(&cid) {
            self.order.push(cid);
        }
        self.blocks.insert(cid, block);
        cid
    }

    pub(crate) fn remove(&mut self, cid: &Cid) {
        self.blocks.remove(cid);
        self.order.retain(|own| own != cid);
    }

    /// The CID that names lead to from the root.
    pub(crate) fn at(&self, names: &[&str]) -> Cid {
        names.iter().fold(self.root(), |cid, name| {
            let mut way = self.way(&cid, name).unwrap_or_else(|| panic!("no {name}"));
            way.pop().expect("the entry itself")
        })
    }

    /// The shards on the way from the root, a sharded directory, to a name, without the root.
    pub(crate) fn shards_to(&self, name: &str) -> Vec<Cid> {
        let mut way = self.way(&self.root(), name).expect("the name");
        way.pop();
        way
    }

    /// Shards below a directory, and at last an entry.
    fn way(&self, directory: &Cid, name: &str) -> Option<Vec<Cid>> {
        let node = Node::of(&self.blocks[directory]).expect("UnixFS");
        let sharded = node.kind() == Kind::Shard;
        let own = |link: &str| {
            if sharded {
                link.get(2..) == Some(name)
            } else {
                link == name
            }
        };
        if let Some(link) = node.links().iter().find(|link| own(&link.name)) {
            return Some(vec![link.cid]);
        }
        let shards = node
            .links()
            .iter()
            .filter(|link| sharded && link.name.len() == 2);
        shards.into_iter().find_map(|link| {
            let mut way = self.way(&link.cid, name)?;
            way.insert(0, link.cid);
            Some(way)
        })
    }

    /// All shards of the root, a sharded directory, depth first, without the root.
    pub(crate) fn shards(&self) -> Vec<Cid> {
        let below = self.below(&self.root());
        let shard = |cid: &Cid| {
            let node = self.blocks.get(cid).and_then(|block| Node::of(block).ok());
            node.is_some_and(|node| node.kind() == Kind::Shard)
        };
        below.into_iter().filter(shard).collect()
    }

    /// All that is below a CID, depth first, as often as it is linked.
    pub(crate) fn below(&self, cid: &Cid) -> Vec<Cid> {
        let Some(block) = self.blocks.get(cid) else {
            return Vec::new();
        };
        let links = cidbucket_dag::links(cid, block.data()).expect("a known codec");
        let each = links.into_iter();
        each.flat_map(|link| [vec![link], self.below(&link)].concat())
            .collect()
    }

    /// The same with every block once.
    pub(crate) fn below_once(&self, cid: &Cid) -> Vec<Cid> {
        let mut seen = Vec::new();
        for cid in self.below(cid) {
            if !seen.contains(&cid) {
                seen.push(cid);
            }
        }
        seen
    }

    /// The links of a block.
    pub(crate) fn links(&self, cid: &Cid) -> Vec<Cid> {
        cidbucket_dag::links(cid, self.data(cid)).expect("a known codec")
    }

    pub(crate) fn read(path: &Path) -> Self {
        let mut decoder = CarDecoder::new(CarLimits::default());
        decoder.feed(std::fs::read(path).expect("a file").into());
        let mut tree = Self::default();
        while let Some(event) = decoder.next().expect("a CAR") {
            match event {
                Event::Header(header) => tree.root = header.roots.first().copied(),
                Event::Block(block) => drop(tree.insert(block)),
            }
        }
        tree
    }

    // Building ------------------------------------------------------------------------------------

    pub(crate) fn file(&mut self, profile: &Profile, data: impl Into<Bytes>) -> Added {
        let mut blocks = Vec::new();
        let mut builder = FileBuilder::new(profile).expect("a profile");
        builder.push(data.into(), &mut blocks);
        let added = builder.finish(&mut blocks);
        self.take(blocks, added)
    }

    pub(crate) fn directory(&mut self, profile: &Profile, entries: &[(&str, Added)]) -> Added {
        let mut blocks = Vec::new();
        let mut builder = DirectoryBuilder::new(profile).expect("a profile");
        for (name, added) in entries {
            builder.add(*name, added).expect("a name");
        }
        let added = builder.finish(&mut blocks).expect("a directory");
        self.take(blocks, added)
    }

    fn take(&mut self, blocks: Vec<Block>, added: Added) -> Added {
        for block in blocks {
            self.insert(block);
        }
        self.root = Some(added.cid);
        added
    }
}

/// Chunks of so many bytes, raw leaves, and `CIDv1`.
pub(crate) fn chunks(size: usize) -> Profile {
    Profile {
        chunker: Chunker::size(size).expect("a size"),
        ..Profile::v1()
    }
}

/// The seven DAGs that the cases are about.
pub(crate) struct Trees {
    /// `dir/ascii.txt`.
    pub(crate) raw: Tree,
    /// `subdir/ascii.txt`, `subdir/hello.txt`: a block each.
    pub(crate) two: Tree,
    /// `subdir/multiblock.txt`, of five blocks, beside such of one.
    pub(crate) mixed: Tree,
    /// A sharded directory of files of several blocks.
    pub(crate) sharded: Tree,
    /// `document`, DAG-CBOR with links at `files/single` and `files/multi`.
    pub(crate) cbor: Tree,
    /// `ascii.txt`, the same again, `hello.txt`, `multiblock.txt`.
    pub(crate) dups: Tree,
    /// A file of three blocks, of which the second is missing.
    pub(crate) missing: Tree,
}

impl Trees {
    /// Of the same shape as the fixtures of gateway-conformance, with other content.
    pub(crate) fn built() -> Self {
        let profile = chunks(256);
        let multiblock: Vec<u8> = (0..1026_u32)
            .map(|n| u8::try_from(n % 251).unwrap())
            .collect();

        let mut raw = Tree::default();
        let ascii = raw.file(&profile, "some ascii text\n");
        let dir = raw.directory(&profile, &[("ascii.txt", ascii)]);
        raw.directory(&profile, &[("dir", dir)]);

        let mut two = Tree::default();
        let ascii = two.file(&profile, "some ascii text\n");
        let hello = two.file(&profile, "hello\n");
        let subdir = two.directory(&profile, &[("ascii.txt", ascii), ("hello.txt", hello)]);
        two.directory(&profile, &[("subdir", subdir)]);

        let mut mixed = Tree::default();
        let ascii = mixed.file(&profile, "some ascii text\n");
        let hello = mixed.file(&profile, "hello\n");
        let several = mixed.file(&profile, multiblock.clone());
        let subdir = mixed.directory(
            &profile,
            &[
                ("ascii.txt", ascii),
                ("hello.txt", hello),
                ("multiblock.txt", several),
            ],
        );
        mixed.directory(&profile, &[("subdir", subdir)]);

        let small = Profile {
            sharding: Sharding {
                threshold: 1000,
                estimate: SizeEstimate::Links,
                fanout: 32,
            },
            ..chunks(8)
        };
        let mut sharded = Tree::default();
        let files: Vec<_> = (1..=40)
            .map(|n| {
                (
                    format!("{n}.txt"),
                    sharded.file(&small, format!("file number {n}\n")),
                )
            })
            .collect();
        let entries: Vec<_> = files
            .iter()
            .map(|(name, added)| (&**name, *added))
            .collect();
        sharded.directory(&small, &entries);
        assert!(!sharded.shards().is_empty());

        let mut cbor = Tree::default();
        let single = cbor.file(&profile, "hello\n");
        let several = cbor.file(&profile, multiblock.clone());
        let document = cbor.insert(dag_cbor(&single.cid, &several.cid));
        let document = Added {
            cid: document,
            size: 0,
            tsize: 0,
        };
        cbor.directory(&profile, &[("document", document)]);

        let mut dups = Tree::default();
        let ascii = dups.file(&profile, "some ascii text\n");
        let hello = dups.file(&profile, "hello\n");
        let several = dups.file(&profile, multiblock);
        dups.directory(
            &profile,
            &[
                ("ascii-copy.txt", ascii),
                ("ascii.txt", ascii),
                ("hello.txt", hello),
                ("multiblock.txt", several),
            ],
        );

        let old = Profile {
            chunker: Chunker::size(1024).expect("a size"),
            ..Profile::kubo()
        };
        let mut missing = Tree::default();
        let bytes: Vec<u8> = (0..3072_u32)
            .map(|n| n.to_be_bytes()[2] ^ n.to_be_bytes()[3])
            .collect();
        let file = missing.file(&old, bytes);
        let second = missing.links(&file.cid)[1];
        missing.remove(&second);
        Self {
            raw,
            two,
            mixed,
            sharded,
            cbor,
            dups,
            missing,
        }
    }

    /// The fixtures themselves, where they are at hand: see `conformance`.
    pub(crate) fn read(folder: &Path) -> Self {
        let read = |name: &str| Tree::read(&folder.join(name));
        Self {
            raw: read("gateway-raw-block.car"),
            two: read("subdir-with-two-single-block-files.car"),
            mixed: read("subdir-with-mixed-block-files.car"),
            sharded: read("single-layer-hamt-with-multi-block-files.car"),
            cbor: read("dir-with-dag-cbor-with-links.car"),
            dups: read("dir-with-duplicate-files.car"),
            missing: read("file-3k-and-3-blocks-missing-block.car"),
        }
    }

    pub(crate) fn all(&self) -> [&Tree; 7] {
        [
            &self.raw,
            &self.two,
            &self.mixed,
            &self.sharded,
            &self.cbor,
            &self.dups,
            &self.missing,
        ]
    }
}

/// `{"files": {"multi": link, "single": link}}` as DAG-CBOR.
fn dag_cbor(single: &Cid, multi: &Cid) -> Block {
    let text = |text: &str| [&[0x60 + u8::try_from(text.len()).unwrap()], text.as_bytes()].concat();
    let link = |cid: &Cid| {
        let bytes = cid.to_bytes();
        let length = u8::try_from(bytes.len() + 1).unwrap();
        [&[0xd8, 42, 0x58, length, 0][..], &bytes].concat()
    };
    let bytes = [
        vec![0xa1],
        text("files"),
        vec![0xa2],
        text("multi"),
        link(multi),
        text("single"),
        link(single),
    ]
    .concat();
    Block::encode(DAG_CBOR, Hash::Sha2_256, bytes).expect("a short block")
}
