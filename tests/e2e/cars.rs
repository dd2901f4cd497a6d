//! CARs in and out: `import`, `export`, `dag stat`.

use std::fs;
use std::path::PathBuf;

use cidbucket_blockstore::{Block, Cid, Hash};
use cidbucket_dag::car;
use cidbucket_tests::{Cidbucket, Target};
use tempfile::TempDir;

/// A bucket, and a folder for CARs.
struct Bench {
    _target: Target,
    cidbucket: Cidbucket,
    folder: TempDir,
}

impl Bench {
    fn new() -> Self {
        let target = Target::new();
        Self {
            cidbucket: target.cidbucket(),
            _target: target,
            folder: tempfile::tempdir().unwrap(),
        }
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    /// Writes a file, and answers its path.
    fn file(&self, name: &str, bytes: &[u8]) -> String {
        fs::write(self.path(name), bytes).unwrap();
        self.path(name)
    }

    fn files(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.folder.path()).unwrap();
        entries.map(|entry| entry.unwrap().path()).collect()
    }

    fn has(&self, block: &Block) -> bool {
        let has = self.cidbucket.run(["has", &block.cid().to_string()]);
        has.code == Some(0)
    }
}

/// A DAG-CBOR list of links.
fn list(links: &[Cid]) -> Block {
    let mut data = vec![0x98, u8::try_from(links.len()).unwrap()];
    if links.len() < 24 {
        data = vec![0x80 + u8::try_from(links.len()).unwrap()];
    }
    for link in links {
        let link = link.to_bytes();
        data.extend([0xd8, 42, 0x58, u8::try_from(link.len() + 1).unwrap(), 0]);
        data.extend(link);
    }
    Block::encode(0x71, Hash::Sha2_256, data).unwrap()
}

/// A UnixFS directory with one name in it.
fn directory(name: &str, cid: &Cid) -> Block {
    let field =
        |tag: u8, bytes: &[u8]| [&[tag, u8::try_from(bytes.len()).unwrap()], bytes].concat();
    let link = [field(0x0a, &cid.to_bytes()), field(0x12, name.as_bytes())].concat();
    let data = [field(0x12, &link), field(0x0a, &[8, 1])].concat();
    Block::encode(0x70, Hash::Sha2_256, data).unwrap()
}

/// A DAG in the order of a walk: a root, three nodes, ten leaves of 50 KB under each.
fn dag() -> Vec<Block> {
    let mut below = Vec::new();
    let mut nodes = Vec::new();
    for node in 0..3u8 {
        let leaves: Vec<Block> = (0..10u8)
            .map(|leaf| Block::raw([vec![node, leaf], vec![7; 50_000]].concat()))
            .collect();
        let links: Vec<Cid> = leaves.iter().map(|leaf| *leaf.cid()).collect();
        let node = list(&links);
        nodes.push(*node.cid());
        below.push(node);
        below.extend(leaves);
    }
    let mut blocks = vec![list(&nodes)];
    blocks.extend(below);
    blocks
}

fn car_of(blocks: &[Block]) -> Vec<u8> {
    let mut car = car::header(&[*blocks[0].cid()]).to_vec();
    for block in blocks {
        car.extend(car::section(block).concat());
    }
    car
}

fn car_v2_of(blocks: &[Block]) -> Vec<u8> {
    let payload = car_of(blocks);
    let mut car = b"\x0a\xa1\x67version\x02".to_vec();
    car.extend([0; 16]);
    for field in [61, payload.len(), 61 + payload.len()] {
        car.extend((field as u64).to_le_bytes());
    }
    car.extend([0; 10]);
    car.extend(payload);
    car.extend(b"an index, which may be anything");
    car
}

#[test]
fn a_dag_goes_in_and_comes_out_the_same() {
    let bench = Bench::new();
    let blocks = dag();
    let root = blocks[0].cid().to_string();
    let car = car_of(&blocks);
    let file = bench.file("dag.car", &car);
    let import = bench.cidbucket.run(["import", "--verify", &file]).ok();
    assert_eq!(import.lines(), [&root]);
    assert!(import.stderr.contains("34 blocks"), "{import:?}");
    assert!(import.stderr.contains("whole"), "{import:?}");

    let export = bench.cidbucket.run(["export", &root]).ok();
    assert!(export.stdout == car, "streamed");
    let out = bench.path("out.car");
    let export = bench
        .cidbucket
        .run(["--json", "export", &root, "-o", &out])
        .ok()
        .json();
    assert_eq!(
        (&export["root"], &export["blocks"]),
        (&root.clone().into(), &34.into())
    );
    assert_eq!(export["bytes"], car.len());
    assert!(fs::read(&out).unwrap() == car, "in a file");
    assert_eq!(bench.files().len(), 2, "{:?}", bench.files());

    // From one store into another, through a pipe and as a CARv2.
    let copy = format!("dir:{}", bench.path("copy"));
    for car in [car, car_v2_of(&blocks)] {
        let import = bench
            .cidbucket
            .run_with(["--store", &copy, "--json", "import", "-"], &car);
        let import = import.ok().json();
        assert_eq!(import["roots"][0], root);
        assert_eq!(
            (&import["blocks"], &import["present"]),
            (&34.into(), &0.into())
        );
    }
}

#[test]
fn a_broken_car_is_stored_up_to_where_it_breaks() {
    let bench = Bench::new();
    let blocks = dag();
    let at = car_of(&blocks[..20]).len();
    let mut corrupt = car_of(&blocks);
    *corrupt.last_mut().unwrap() ^= 1;
    corrupt[at + 1000] ^= 1;
    let corrupt = bench.file("corrupt.car", &corrupt);
    let whole = bench.file("whole.car", &car_of(&[Block::raw("another one")]));
    let import = bench
        .cidbucket
        .run(["import", &corrupt, &whole])
        .failed_with(5);
    // The other file is none the worse for it.
    assert_eq!(
        import.lines(),
        [Block::raw("another one").cid().to_string()]
    );
    // Behind the section's length of three bytes.
    assert!(
        import.stderr.contains(&format!("byte {}: ", at + 3)),
        "{import:?}"
    );
    assert!(import.stderr.contains("corrupt.car"), "{import:?}");
    for (number, block) in blocks.iter().enumerate() {
        assert_eq!(bench.has(block), number < 20, "{number}");
    }
    for (name, bytes, says) in [
        (
            "cut.car",
            &car_of(&blocks)[..at + 500],
            "ends in the middle",
        ),
        (
            "padded.car",
            &[&car_of(&blocks)[..], &[0; 100]].concat(),
            "head -c",
        ),
        (
            "text.txt",
            b"this is no CAR file",
            "ends in the middle of its header",
        ),
    ] {
        let import = bench
            .cidbucket
            .run(["import", &bench.file(name, bytes)])
            .failed_with(2);
        assert_eq!(import.text(), "");
        assert!(
            import.stderr.contains(says) && import.stderr.contains(name),
            "{import:?}"
        );
    }
    let absent = bench
        .cidbucket
        .run(["import", &bench.path("absent.car")])
        .failed_with(1);
    assert!(absent.stderr.contains("absent.car"), "{absent:?}");
}

#[test]
fn an_import_that_was_cut_off_is_resumed() {
    let bench = Bench::new();
    let blocks = dag();
    let car = car_of(&blocks);
    let cut = bench.file("cut.car", &car[..car.len() / 2]);
    bench.cidbucket.run(["import", &cut]).failed_with(2);
    let stored = blocks.iter().filter(|block| bench.has(block)).count();
    assert!(stored > 10 && stored < 34, "{stored}");
    let file = bench.file("dag.car", &car);
    let args = ["--json", "import", "--resume", "--verify", &file];
    let import = bench.cidbucket.run(args).ok().json();
    assert_eq!(import["present"], stored);
    assert_eq!(
        (&import["blocks"], &import["verified"]),
        (&34.into(), &34.into())
    );
    let again = bench.cidbucket.run(args).ok().json();
    assert_eq!(again["present"], 34);
}

#[test]
fn what_is_missing_is_reported_and_nothing_half_is_left() {
    let bench = Bench::new();
    let blocks = dag();
    let root = blocks[0].cid().to_string();
    let (gone, rest): (Vec<_>, Vec<_>) =
        blocks.iter().enumerate().partition(|(at, _)| at % 16 == 5);
    let rest: Vec<Block> = rest.into_iter().map(|(_, block)| block.clone()).collect();
    let file = bench.file("holes.car", &car_of(&rest));
    bench.cidbucket.run(["import", &file]).ok();
    let verify = bench
        .cidbucket
        .run(["import", "--verify", &file])
        .failed_with(3);
    assert_eq!(verify.lines(), [&root]);
    assert_eq!(gone.len(), 2);
    for (_, block) in &gone {
        assert!(
            verify.stderr.contains(&block.cid().to_string()),
            "{verify:?}"
        );
    }
    assert!(
        verify.stderr.contains("2 blocks of its DAGs are missing"),
        "{verify:?}"
    );

    let out = bench.file("out.car", b"what was there before");
    let export = bench
        .cidbucket
        .run(["export", &root, "-o", &out])
        .failed_with(3);
    assert!(
        export.stderr.contains(&gone[0].1.cid().to_string()),
        "{export:?}"
    );
    assert_eq!(fs::read(&out).unwrap(), b"what was there before");
    assert_eq!(bench.files().len(), 2, "{:?}", bench.files());
    let absent = Block::raw("absent").cid().to_string();
    let export = bench.cidbucket.run(["export", &absent]).failed_with(3);
    assert_eq!(export.stdout, b"");
    bench.cidbucket.run(["dag", "stat", &root]).failed_with(3);
}

#[test]
fn a_path_leads_to_a_dag() {
    let bench = Bench::new();
    let blocks = dag();
    let inner = directory("data", blocks[0].cid());
    let outer = directory("inner", inner.cid());
    let all: Vec<Block> = [outer.clone(), inner]
        .into_iter()
        .chain(blocks.clone())
        .collect();
    bench
        .cidbucket
        .run(["import", &bench.file("all.car", &car_of(&all))])
        .ok();
    for path in [
        format!("{}/inner/data", outer.cid()),
        format!("/ipfs/{}/inner/data/", outer.cid()),
    ] {
        let export = bench.cidbucket.run(["export", &path]).ok();
        assert!(export.stdout == car_of(&blocks), "{path}");
    }
    let nowhere = format!("{}/inner/nothing", outer.cid());
    let export = bench.cidbucket.run(["export", &nowhere]).failed_with(3);
    assert!(
        export.stderr.contains("nothing") && export.stdout.is_empty(),
        "{export:?}"
    );
    bench.cidbucket.run(["export", "no CID"]).failed_with(2);
    // A block that is in its CID is a DAG of no blocks.
    let empty = bench.cidbucket.run(["export", "bafkqaaa"]).ok();
    assert_eq!(empty.stdout, car::header(&["bafkqaaa".parse().unwrap()]));
}

#[test]
fn a_dag_is_counted() {
    let bench = Bench::new();
    let leaf = Block::raw(vec![7; 10_000]);
    let node = list(&[*leaf.cid(); 30]);
    let root = list(&[*node.cid(), *node.cid()]);
    let car = car_of(&[root.clone(), node.clone(), leaf.clone()]);
    bench.cidbucket.run_with(["import"], &car).ok();
    let root_cid = root.cid().to_string();
    let json = bench
        .cidbucket
        .run(["--json", "dag", "stat", &root_cid])
        .ok()
        .json();
    let inner = root.len() + node.len();
    assert_eq!(json["blocks"], 3);
    assert_eq!(json["bytes"], 10_000 + inner);
    assert_eq!(json["duplicates"]["blocks"], 60);
    assert_eq!(json["duplicates"]["bytes"], 59 * 10_000 + node.len());
    assert_eq!(json["codecs"]["raw"]["blocks"], 1);
    assert_eq!(json["codecs"]["dag-cbor"]["bytes"], inner);
    let text = bench
        .cidbucket
        .run(["dag", "stat", &root_cid, &root_cid])
        .ok();
    let duplicates: Vec<_> = text.lines()[1].split_whitespace().collect();
    assert_eq!(duplicates[..3], ["duplicates", "123", "blocks"], "{text:?}");
}
