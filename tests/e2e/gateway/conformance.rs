//! The cases of <https://github.com/ipfs/gateway-conformance> for trustless gateways, under its names:
//! `trustless-block-gateway` (7), `trustless-car-gateway` (52), `trustless-car-gateway-optional` (7),
//! and what it asks of CORS (2).
//!
//! The suite's own fixtures are no part of this repository. They are taken from the folder that
//! `CIDBUCKET_GATEWAY_FIXTURES` names, or from `../shared/fixtures/gateway-conformance` beside the
//! repository; without either, the cases run over the DAGs that are built here, and the test says so.

use std::path::{Path, PathBuf};

use cidbucket_blockstore::{Block, Cid};
use cidbucket_tests::service::text;
use cidbucket_tests::wire::Response;

use crate::client::{Gateway, car};
use crate::tree::{Tree, Trees};

const CAR: &str = "application/vnd.ipld.car";
const RAW: &str = "application/vnd.ipld.raw";

#[test]
fn over_dags_that_are_built_here() {
    let trees = Trees::built();
    let gateway = gateway(&trees);
    let cases = [
        block_gateway(&gateway, &trees),
        car_gateway(&gateway, &trees),
        car_gateway_optional(&gateway, &trees),
        cors(&gateway),
    ];
    assert_eq!(cases, [7, 52, 7, 2]);
}

#[test]
fn over_the_fixtures_of_the_suite() {
    let Some(folder) = fixtures() else {
        eprintln!("skipped: the fixtures of gateway-conformance are not at hand");
        return;
    };
    let trees = Trees::read(&folder);
    assert_eq!(
        trees
            .all()
            .iter()
            .map(|tree| tree.blocks().count())
            .sum::<usize>(),
        281
    );
    let gateway = gateway(&trees);
    let cases = [
        block_gateway(&gateway, &trees),
        car_gateway(&gateway, &trees),
        car_gateway_optional(&gateway, &trees),
        cors(&gateway),
    ];
    assert_eq!(cases, [7, 52, 7, 2]);
    // What the suite has written down, for our own naive walk.
    let multiblock = trees
        .mixed
        .links(&trees.mixed.at(&["subdir", "multiblock.txt"]));
    let chunks = [
        "bafkreie5noke3mb7hqxukzcy73nl23k6lxszxi5w3dtmuwz62wnvkpsscm",
        "bafkreih4ephajybraj6wnxsbwjwa77fukurtpl7oj7t7pfq545duhot7cq",
        "bafkreigu7buvm3cfunb35766dn7tmqyh2um62zcio63en2btvxuybgcpue",
        "bafkreicll3huefkc3qnrzeony7zcfo7cr3nbx64hnxrqzsixpceg332fhe",
        "bafkreifst3pqztuvj57lycamoi7z34b4emf7gawxs74nwrc2c7jncmpaqm",
    ];
    assert_eq!(texts(&multiblock), chunks);
    let parts = texts(&trees.missing.links(&trees.missing.root()));
    assert_eq!(parts[0], "QmPKt7ptM2ZYSGPUc8PmPT2VBkLDK3iqpG9TBJY7PCE9rF");
    assert_eq!(parts[2], "QmWXY482zQdwecnfBsj78poUUuPXvyw2JAFAEMw4tzTavV");
}

fn fixtures() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()?
        .join("../shared/fixtures/gateway-conformance");
    let named = std::env::var_os("CIDBUCKET_GATEWAY_FIXTURES").map(PathBuf::from);
    named.or_else(|| beside.is_dir().then_some(beside))
}

fn gateway(trees: &Trees) -> Gateway {
    let gateway = Gateway::start(&[]);
    for tree in trees.all() {
        gateway.put(tree);
    }
    gateway
}

fn texts(cids: &[Cid]) -> Vec<String> {
    cids.iter().map(ToString::to_string).collect()
}

// trustless-block-gateway -------------------------------------------------------------------------

fn block_gateway(gateway: &Gateway, trees: &Trees) -> usize {
    let tree = &trees.raw;
    let dir = tree.at(&["dir"]);
    let file = tree.at(&["dir", "ascii.txt"]);
    let (bytes, size) = (tree.data(&file), tree.data(&file).len());

    // GET with format=raw param returns a raw block
    let answer = gateway.get(&format!("/ipfs/{dir}?format=raw"));
    assert_eq!(
        (answer.status, &answer.body[..]),
        (200, &tree.data(&dir)[..])
    );

    // GET with application/vnd.ipld.raw header returns a raw block
    let answer = gateway.ask("GET", &format!("/ipfs/{dir}"), &[("accept", RAW)]);
    assert_eq!(
        (answer.status, &answer.body[..]),
        (200, &tree.data(&dir)[..])
    );

    // GET with application/vnd.ipld.raw header returns expected response headers
    let of_file = format!("/ipfs/{file}");
    let answer = gateway.ask("GET", &of_file, &[("accept", RAW)]);
    assert_eq!((answer.status, &answer.body[..]), (200, &bytes[..]));
    assert_eq!(answer.header("content-type"), RAW);
    assert_eq!(answer.header("content-length"), size.to_string());
    assert!(answer.header("content-disposition").contains("attachment;"));
    assert_eq!(answer.header("x-content-type-options"), "nosniff");

    // GET with application/vnd.ipld.raw header and filename param returns expected
    // Content-Disposition header with custom filename
    let named = format!("{of_file}?filename=foobar.bin");
    let answer = gateway.ask("GET", &named, &[("accept", RAW)]);
    let disposition = answer.header("content-disposition");
    assert!(disposition.contains("attachment;") && disposition.contains("filename=\"foobar.bin"));

    // GET with application/vnd.ipld.raw header returns expected caching headers
    let answer = gateway.ask("GET", &of_file, &[("accept", RAW)]);
    assert_ne!(answer.header("etag"), "");
    assert_eq!(answer.header("x-ipfs-path"), of_file);
    assert!(answer.header("x-ipfs-roots").contains(&file.to_string()));
    let directives: Vec<_> = answer.header("cache-control").split(", ").collect();
    assert!(directives.contains(&"public") && directives.contains(&"immutable"));
    assert!(directives.iter().any(|one| {
        one.strip_prefix("max-age=")
            .is_some_and(|age| age.parse::<u64>().unwrap() >= 29_030_400)
    }));

    // GET with application/vnd.ipld.raw with range request includes correct bytes - single range
    let range = |range| gateway.ask("GET", &of_file, &[("accept", RAW), ("range", range)]);
    let answer = range("bytes=7-9");
    assert_eq!((answer.status, &answer.body[..]), (206, &bytes[7..10]));
    assert_eq!(answer.header("content-range"), format!("bytes 7-9/{size}"));

    // GET with application/vnd.ipld.raw with range request includes correct bytes - multi range
    let answer = range("bytes=7-9,1-3");
    assert_eq!((answer.status, &answer.body[..]), (200, &bytes[..]));
    assert_eq!(answer.header("content-type"), RAW);
    7
}

// trustless-car-gateway ---------------------------------------------------------------------------

/// A case that is run once with `format=car` and once with `Accept`.
struct Case {
    name: &'static str,
    /// Path and query, `format` excluded.
    target: String,
    blocks: Vec<Cid>,
}

fn car_gateway(gateway: &Gateway, trees: &Trees) -> usize {
    let cases = [
        pathing(trees),
        scope_block(trees),
        scope_entity(trees),
        scope_all(trees),
        entity_bytes(trees),
    ]
    .concat_cases();
    for case in &cases {
        let separator = if case.target.contains('?') { '&' } else { '?' };
        let by_format = format!("{}{separator}format=car", case.target);
        for (target, accept) in [(&by_format, "*/*"), (&case.target, CAR)] {
            let answer = gateway.ask("GET", target, &[("accept", accept)]);
            assert_eq!(answer.status, 200, "{}: {}", case.name, text(&answer));
            assert_car_headers(case.name, &answer);
            assert_eq!(texts(&car(&answer).1), texts(&case.blocks), "{}", case.name);
        }
    }

    // GET default CAR response for non-existing file
    let target = format!("/ipfs/{}/subdir/i-do-not-exist", trees.two.root());
    for (target, accept) in [(format!("{target}?format=car"), "*/*"), (target, CAR)] {
        assert_eq!(gateway.status("GET", &target, &[("accept", accept)]), 404);
    }

    let dir = trees.raw.at(&["dir"]);
    // GET with format=car query parameter takes precedence over Accept header
    let answer = gateway.ask(
        "GET",
        &format!("/ipfs/{dir}?format=car"),
        &[("accept", RAW)],
    );
    assert!(answer.status == 200 && answer.header("content-type").contains(CAR));

    // GET with format=raw query parameter takes precedence over Accept header
    let answer = gateway.ask(
        "GET",
        &format!("/ipfs/{dir}?format=raw"),
        &[("accept", CAR)],
    );
    assert_eq!((answer.status, answer.header("content-type")), (200, RAW));
    (cases.len() + 1) * 2 + 2
}

trait Concat {
    fn concat_cases(self) -> Vec<Case>;
}

impl<const N: usize> Concat for [Vec<Case>; N] {
    fn concat_cases(self) -> Vec<Case> {
        self.into_iter().flatten().collect()
    }
}

#[track_caller]
fn assert_car_headers(name: &str, answer: &Response) {
    assert_eq!(answer.header("x-content-type-options"), "nosniff", "{name}");
    assert_eq!(answer.header("accept-ranges"), "none", "{name}");
    assert!(answer.header("content-type").contains(CAR), "{name}");
    let disposition = answer.header("content-disposition");
    assert!(disposition.starts_with("attachment; filename=\""), "{name}");
    assert!(disposition.ends_with(".car\""), "{name}");
    assert_ne!(answer.header("etag"), "", "{name}");
}

fn case(name: &'static str, target: String, blocks: impl IntoIterator<Item = Cid>) -> Case {
    Case {
        name,
        target,
        blocks: blocks.into_iter().collect(),
    }
}

/// The file of a path in a sharded directory, and all that leads to it.
fn in_shards(tree: &Tree, name: &str) -> Vec<Cid> {
    [
        vec![tree.root()],
        tree.shards_to(name),
        vec![tree.at(&[name])],
    ]
    .concat()
}

fn pathing(trees: &Trees) -> Vec<Case> {
    let (two, sharded, cbor) = (&trees.two, &trees.sharded, &trees.cbor);
    let file = name_of_a_file(sharded);
    let document = cbor.at(&["document"]);
    vec![
        case(
            "GET default CAR response with pathing through UnixFS Directory",
            format!("/ipfs/{}/subdir/ascii.txt", two.root()),
            [
                two.root(),
                two.at(&["subdir"]),
                two.at(&["subdir", "ascii.txt"]),
            ],
        ),
        case(
            "GET default CAR response of UnixFS file on a path with HAMT-sharded directory",
            format!("/ipfs/{}/{file}", sharded.root()),
            [
                in_shards(sharded, file),
                sharded.below_once(&sharded.at(&[file])),
            ]
            .concat(),
        ),
        case(
            "GET default CAR response of UnixFS file on a path with DAG-CBOR as root CID",
            format!("/ipfs/{document}/files/single"),
            [document, single(cbor)],
        ),
    ]
}

/// A file of the sharded directory: the suite has `685.txt`.
fn name_of_a_file(sharded: &Tree) -> &'static str {
    if sharded.blocks().count() > 200 {
        "685.txt"
    } else {
        "17.txt"
    }
}

/// What is at `files/single` of the document: its last link, as keys are sorted by length.
fn single(cbor: &Tree) -> Cid {
    let links = cbor.links(&cbor.at(&["document"]));
    let raw = |cid: &&Cid| cbor.below(cid).is_empty();
    *links.iter().find(raw).expect("the file of one block")
}

fn scope_block(trees: &Trees) -> Vec<Case> {
    let (two, sharded) = (&trees.two, &trees.sharded);
    let (root, subdir) = (two.root(), two.at(&["subdir"]));
    vec![
        case(
            "GET CAR with dag-scope=block of UnixFS directory on a path",
            format!("/ipfs/{root}/subdir?dag-scope=block"),
            [root, subdir],
        ),
        case(
            "GET CAR with dag-scope=block of UnixFS file on a path",
            format!("/ipfs/{root}/subdir/ascii.txt?dag-scope=block"),
            [root, subdir, two.at(&["subdir", "ascii.txt"])],
        ),
        case(
            "GET CAR with dag-scope=block of UnixFS file on a path with sharded directory",
            format!("/ipfs/{}/1.txt?dag-scope=block", sharded.root()),
            in_shards(sharded, "1.txt"),
        ),
    ]
}

fn scope_entity(trees: &Trees) -> Vec<Case> {
    let (two, sharded, mixed, cbor) = (&trees.two, &trees.sharded, &trees.mixed, &trees.cbor);
    let subdir = mixed.at(&["subdir"]);
    let several = mixed.at(&["subdir", "multiblock.txt"]);
    vec![
        case(
            "GET CAR with dag-scope=entity of a UnixFS directory",
            format!("/ipfs/{}?dag-scope=entity", two.root()),
            [two.root()],
        ),
        case(
            "GET CAR with dag-scope=entity of a UnixFS sharded directory",
            format!("/ipfs/{}?dag-scope=entity", sharded.root()),
            [vec![sharded.root()], sharded.shards()].concat(),
        ),
        case(
            "GET CAR with dag-scope=entity of a UnixFS file",
            format!("/ipfs/{}/subdir/ascii.txt?dag-scope=entity", mixed.root()),
            [mixed.root(), subdir, mixed.at(&["subdir", "ascii.txt"])],
        ),
        case(
            "GET CAR with dag-scope=entity of a chunked UnixFS file",
            format!(
                "/ipfs/{}/subdir/multiblock.txt?dag-scope=entity",
                mixed.root()
            ),
            [vec![mixed.root(), subdir, several], mixed.below(&several)].concat(),
        ),
        case(
            "GET CAR with dag-scope=entity of DAG-CBOR with Links",
            format!("/ipfs/{}/document?dag-scope=entity", cbor.root()),
            [cbor.root(), cbor.at(&["document"])],
        ),
    ]
}

fn scope_all(trees: &Trees) -> Vec<Case> {
    let mixed = &trees.mixed;
    let subdir = mixed.at(&["subdir"]);
    let several = mixed.at(&["subdir", "multiblock.txt"]);
    vec![
        case(
            "GET CAR with dag-scope=all of UnixFS directory with multiple files",
            format!("/ipfs/{}/subdir?dag-scope=all", mixed.root()),
            [vec![mixed.root(), subdir], mixed.below_once(&subdir)].concat(),
        ),
        case(
            "GET CAR with dag-scope=all of a chunked UnixFS file",
            format!("/ipfs/{}/subdir/multiblock.txt?dag-scope=all", mixed.root()),
            [
                vec![mixed.root(), subdir, several],
                mixed.below_once(&several),
            ]
            .concat(),
        ),
    ]
}

fn entity_bytes(trees: &Trees) -> Vec<Case> {
    let (missing, mixed, sharded) = (&trees.missing, &trees.mixed, &trees.sharded);
    let parts = missing.links(&missing.root());
    let subdir = mixed.at(&["subdir"]);
    let several = mixed.at(&["subdir", "multiblock.txt"]);
    let chunks = mixed.links(&several);
    let range = |bytes: &str| format!("/ipfs/{several}?dag-scope=entity&entity-bytes={bytes}");
    let of = |chunks: &[Cid]| [&[several], chunks].concat();
    vec![
        case(
            "GET CAR with entity-bytes succeeds even if the gateway is missing a block after the requested range",
            format!(
                "/ipfs/{}?dag-scope=entity&entity-bytes=0:1000",
                missing.root()
            ),
            [missing.root(), parts[0]],
        ),
        case(
            "GET CAR with entity-bytes succeeds even if the gateway is missing a block before the requested range",
            format!(
                "/ipfs/{}?dag-scope=entity&entity-bytes=2200:*",
                missing.root()
            ),
            [missing.root(), parts[2]],
        ),
        case(
            "GET CAR with entity-bytes of a full UnixFS file",
            format!(
                "/ipfs/{}/subdir/multiblock.txt?dag-scope=entity&entity-bytes=0:*",
                mixed.root()
            ),
            [vec![mixed.root(), subdir, several], chunks.clone()].concat(),
        ),
        case(
            "GET CAR with entity-bytes of a UnixFS directory",
            format!("/ipfs/{}?dag-scope=entity&entity-bytes=0:*", sharded.root()),
            [vec![sharded.root()], sharded.shards()].concat(),
        ),
        case(
            "GET CAR with entity-bytes equivalent to a HTTP Range Request from the middle of a file to the end",
            range("512:*"),
            of(&chunks[2..]),
        ),
        case(
            "GET CAR with entity-bytes equivalent to a HTTP Range Request for the middle of a file",
            range("512:1023"),
            of(&chunks[2..4]),
        ),
        case(
            "GET CAR with entity-bytes equivalent to a HTTP Range Request for the middle of a file (negative ending)",
            range("512:-256"),
            of(&chunks[2..4]),
        ),
        case(
            "GET CAR with entity-bytes equivalent to HTTP Suffix Range Request for part of a file",
            range("-5:*"),
            of(&chunks[3..]),
        ),
        case(
            "GET CAR with entity-bytes requesting a negative range bigger than the length of a file",
            range("-9999:*"),
            of(&chunks),
        ),
        case(
            "GET CAR with entity-bytes requesting a range from the end of a file that is bigger than a file itself",
            range("-9999:-3"),
            of(&chunks[..4]),
        ),
        case(
            "GET CAR with entity-bytes requesting only the blocks for the first byte of a file",
            range("0:0"),
            of(&chunks[..1]),
        ),
    ]
}

// trustless-car-gateway-optional ------------------------------------------------------------------

fn car_gateway_optional(gateway: &Gateway, trees: &Trees) -> usize {
    let tree = &trees.dups;
    let root = tree.root();
    let each = [vec![root], tree.below(&root)].concat();
    let once = [vec![root], tree.below_once(&root)].concat();
    assert!(once.len() < each.len());
    let ask = |query: &str, parameters: &str| {
        let accept = format!("{CAR}; {parameters}");
        let answer = gateway.ask(
            "GET",
            &format!("/ipfs/{root}{query}"),
            &[("accept", &accept)],
        );
        assert_eq!(answer.status, 200, "{}", text(&answer));
        assert!(answer.header("content-type").contains(CAR));
        answer
    };
    let says = |answer: &Response, what: &str| {
        let media_type = answer.header("content-type");
        assert!(media_type.contains(what), "{media_type} lacks {what}");
    };

    // GET CAR with order=dfs and dups=y of UnixFS Directory With Duplicate Files
    let answer = ask("", "version=1; order=dfs; dups=y");
    says(&answer, "order=dfs");
    says(&answer, "dups=y");
    assert_eq!(car(&answer).1, each);

    // GET CAR with order=dfs and dups=n of UnixFS Directory With Duplicate Files
    let answer = ask("", "version=1; order=dfs; dups=n");
    says(&answer, "order=dfs");
    says(&answer, "dups=n");
    assert_eq!(car(&answer).1, once);

    // GET CAR smoke-test with order=unk of UnixFS Directory
    let answer = ask("", "version=1; order=unk");
    says(&answer, "order=");
    let blocks = car(&answer).1;
    assert!(once.iter().all(|cid| blocks.contains(cid)));

    // GET CAR with order=dfs and dups=y of identity CID
    let identity = "/ipfs/bafkqaf3imvwgy3zaneqgc3janfxgy2lomvscay3jmqfa";
    let accept = format!("{CAR}; dups=y");
    let answer = gateway.ask("GET", identity, &[("accept", &accept)]);
    says(&answer, "dups=y");
    assert_eq!(car(&answer).1, []);

    // GET CAR with ?format=car respects Accept header order and dups params
    let answer = ask("?format=car", "version=1; order=dfs; dups=y");
    says(&answer, "order=dfs");
    says(&answer, "dups=y");
    assert_eq!(car(&answer).1, each);

    // GET CAR with ?car-order=dfs takes precedence over order=unk in Accept
    says(&ask("?format=car&car-order=dfs", "order=unk"), "order=dfs");

    // GET CAR with ?car-dups=y takes precedence over dups=n in Accept
    says(&ask("?format=car&car-dups=y", "dups=n"), "dups=y");
    7
}

// path-unixfs-gateway, as far as it is about CORS -------------------------------------------------

fn cors(gateway: &Gateway) -> usize {
    let hello = Block::inline(&"bafkqabtimvwgy3yk".parse().unwrap())
        .unwrap()
        .unwrap();
    assert_eq!(&hello.data()[..], b"hello\n");
    // GET Responses from Gateway should include CORS headers allowing JS from other origins to read
    // the data cross-origin.
    // OPTIONS to Gateway succeeds
    for method in ["GET", "OPTIONS"] {
        let answer = gateway.ask(method, &format!("/ipfs/{}/", hello.cid()), &[]);
        assert_eq!(answer.header("access-control-allow-origin"), "*");
        for (header, names) in [
            (
                "access-control-allow-methods",
                &["GET", "HEAD", "OPTIONS"][..],
            ),
            (
                "access-control-allow-headers",
                &["Content-Type", "Range", "User-Agent", "X-Requested-With"],
            ),
            (
                "access-control-expose-headers",
                &[
                    "Content-Range",
                    "Content-Length",
                    "X-Ipfs-Path",
                    "X-Ipfs-Roots",
                    "X-Chunked-Output",
                    "X-Stream-Output",
                ],
            ),
        ] {
            let own: Vec<_> = answer.header(header).split(", ").collect();
            assert!(
                names.iter().all(|name| own.contains(name)),
                "{header}: {own:?}"
            );
        }
        if method == "OPTIONS" {
            assert_eq!(answer.status, 204);
        }
    }
    2
}
