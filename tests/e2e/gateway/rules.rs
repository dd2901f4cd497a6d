//! The rules of `docs/gateway.md`, each as a client meets it.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::time::{Duration, Instant};

use cidbucket_blockstore::{Block, Cid, Hash};
use cidbucket_tests::service::text;

use crate::client::{Gateway, car, car_begun};
use crate::tree::{Tree, Trees, chunks};

const CAR: &str = "application/vnd.ipld.car";
const RAW: &str = "application/vnd.ipld.raw";

/// A block that nobody has stored.
fn absent() -> Cid {
    *Block::raw("nobody has stored this").cid()
}

#[test]
fn the_form_is_negotiated() {
    let gateway = Gateway::start(&[]);
    let trees = Trees::built();
    gateway.put(&trees.two);
    let root = trees.two.root();
    let path = format!("/ipfs/{root}");
    for (query, accept, status, media_type) in [
        ("", RAW, 200, RAW),
        (
            "",
            CAR,
            200,
            "application/vnd.ipld.car; version=1; order=dfs; dups=n",
        ),
        (
            "?format=car",
            RAW,
            200,
            "application/vnd.ipld.car; version=1; order=dfs; dups=n",
        ),
        ("?format=raw", CAR, 200, RAW),
        (
            "",
            "application/vnd.ipld.car;q=0.4, application/vnd.ipld.raw;q=0.6",
            200,
            RAW,
        ),
        (
            "?format=car&car-dups=y",
            "application/vnd.ipld.car; dups=n",
            200,
            "application/vnd.ipld.car; version=1; order=dfs; dups=y",
        ),
        // Which form is meant is not said.
        ("", "*/*", 400, ""),
        // Forms that are not had here.
        ("", "text/html", 406, ""),
        ("?format=tar", "*/*", 406, ""),
        ("?format=dag-json", "*/*", 406, ""),
        ("", "application/vnd.ipld.car; version=2", 406, ""),
        ("?format=car&car-version=2", "*/*", 400, ""),
        ("?format=car&car-order=bfs", "*/*", 400, ""),
        ("?format=car&dag-scope=some", "*/*", 400, ""),
        ("?format=car&entity-bytes=a:b", "*/*", 400, ""),
    ] {
        let answer = gateway.ask("GET", &format!("{path}{query}"), &[("accept", accept)]);
        assert_eq!(answer.status, status, "{query} {accept}: {}", text(&answer));
        if status == 200 {
            assert_eq!(answer.header("content-type"), media_type);
        }
    }
    // Without Accept too; and a block has no path.
    assert_eq!(gateway.status("GET", &path, &[]), 400);
    assert_eq!(
        gateway.status("GET", &format!("{path}/subdir?format=raw"), &[]),
        400
    );
    assert_eq!(
        gateway.status("GET", &format!("{path}/?format=raw"), &[]),
        200
    );
    // Where the same answer is had by its URL alone.
    let answer = gateway.ask("GET", &path, &[("accept", RAW)]);
    assert_eq!(
        answer.header("content-location"),
        format!("{path}?format=raw")
    );
    assert_eq!(answer.header("vary"), "Accept");
    let accept = "application/vnd.ipld.car;dups=y";
    let answer = gateway.ask(
        "GET",
        &format!("{path}/subdir?dag-scope=block"),
        &[("accept", accept)],
    );
    assert_eq!(
        answer.header("content-location"),
        format!("{path}/subdir?dag-scope=block&format=car&car-dups=y")
    );
    let answer = gateway.ask("GET", &format!("{path}?format=raw"), &[("accept", RAW)]);
    assert_eq!(
        (answer.header("content-location"), answer.header("vary")),
        ("", "")
    );
}

#[test]
fn blocks_have_exact_headers() {
    let gateway = Gateway::start(&[]);
    let block = Block::raw("a block of some bytes");
    gateway.put_block(&block);
    let cid = block.cid();
    let target = format!("/ipfs/{cid}?format=raw");
    let answer = gateway.get(&target);
    let expected = [
        ("content-type", RAW.to_owned()),
        ("content-length", block.len().to_string()),
        (
            "content-disposition",
            format!("attachment; filename=\"{cid}.bin\""),
        ),
        ("x-content-type-options", "nosniff".into()),
        (
            "cache-control",
            "public, max-age=29030400, immutable".into(),
        ),
        ("etag", format!("\"{cid}.raw\"")),
        ("x-ipfs-path", format!("/ipfs/{cid}")),
        ("x-ipfs-roots", cid.to_string()),
        ("accept-ranges", "bytes".into()),
    ];
    for (name, value) in &expected {
        assert_eq!(answer.header(name), value, "{name}");
    }
    assert_eq!(&answer.body[..], &block.data()[..]);
    // HEAD says the same, and has no body.
    let head = gateway.ask("HEAD", &target, &[]);
    assert_eq!((head.status, head.body.len()), (200, 0));
    for (name, value) in &expected {
        assert_eq!(head.header(name), value, "HEAD: {name}");
    }
    // The CID of a request may be written otherwise: the block is the same.
    let upper = format!("/ipfs/B{}?format=raw", cid.to_string()[1..].to_uppercase());
    assert_eq!(&gateway.get(&upper).body[..], &block.data()[..]);
}

#[test]
fn ranges_of_blocks() {
    let gateway = Gateway::start(&[]);
    let block = Block::raw("0123456789");
    gateway.put_block(&block);
    let target = format!("/ipfs/{}?format=raw", block.cid());
    let own = format!("\"{}.raw\"", block.cid());
    for (range, if_range, status, body, content_range) in [
        ("bytes=2-4", "", 206, "234", "bytes 2-4/10"),
        ("bytes=-3", "", 206, "789", "bytes 7-9/10"),
        ("bytes=8-100", "", 206, "89", "bytes 8-9/10"),
        ("bytes=2-4", &*own, 206, "234", "bytes 2-4/10"),
        ("bytes=2-4", "\"other\"", 200, "0123456789", ""),
        ("bytes=0-1,4-5", "", 200, "0123456789", ""),
        ("lines=2-4", "", 200, "0123456789", ""),
        ("bytes=10-", "", 416, "", "bytes */10"),
    ] {
        let mut headers = vec![("range", range)];
        if !if_range.is_empty() {
            headers.push(("if-range", if_range));
        }
        let answer = gateway.ask("GET", &target, &headers);
        assert_eq!(answer.status, status, "{range}");
        assert_eq!(answer.header("content-range"), content_range, "{range}");
        if status != 416 {
            assert_eq!(String::from_utf8_lossy(&answer.body), body, "{range}");
        }
    }
    let head = gateway.ask("HEAD", &target, &[("range", "bytes=2-4")]);
    assert_eq!((head.status, head.header("content-length")), (200, "10"));
}

#[test]
fn cars_have_exact_headers_and_their_own_tags() {
    let gateway = Gateway::start(&[]);
    let trees = Trees::built();
    gateway.put(&trees.mixed);
    let root = trees.mixed.root();
    let target = format!("/ipfs/{root}/subdir?format=car");
    let answer = gateway.get(&target);
    for (name, value) in [
        (
            "content-type",
            "application/vnd.ipld.car; version=1; order=dfs; dups=n".to_owned(),
        ),
        (
            "content-disposition",
            format!("attachment; filename=\"{root}.car\""),
        ),
        (
            "cache-control",
            "public, max-age=29030400, immutable".into(),
        ),
        ("accept-ranges", "none".into()),
        ("x-ipfs-path", format!("/ipfs/{root}/subdir")),
        (
            "x-ipfs-roots",
            format!("{root},{}", trees.mixed.at(&["subdir"])),
        ),
        ("content-length", String::new()),
    ] {
        assert_eq!(answer.header(name), value, "{name}");
    }
    let named = gateway.get(&format!("{target}&filename=my.car"));
    assert_eq!(
        named.header("content-disposition"),
        "attachment; filename=\"my.car\""
    );
    // HEAD says the same.
    let head = gateway.ask("HEAD", &target, &[]);
    assert_eq!(
        (head.status, head.header("etag")),
        (200, answer.header("etag"))
    );
    assert_eq!(head.header("content-length"), "");
    // Weak, and another for all that changes the bytes.
    let mut tags = vec![answer.header("etag").to_owned()];
    for query in [
        "/subdir?format=car&dag-scope=block",
        "/subdir?format=car&dag-scope=entity",
        "/subdir?format=car&car-dups=y",
        "/subdir?format=car&entity-bytes=0:9",
        "/subdir?format=car&entity-bytes=0:*",
        "/subdir?format=car&entity-bytes=-9:*",
        "?format=car",
    ] {
        tags.push(
            gateway
                .get(&format!("/ipfs/{root}{query}"))
                .header("etag")
                .to_owned(),
        );
    }
    assert!(
        tags.iter()
            .all(|tag| tag.starts_with(&format!("W/\"{root}.car."))),
        "{tags:?}"
    );
    let count = tags.len();
    tags.sort();
    tags.dedup();
    assert_eq!(tags.len(), count, "{tags:?}");
    // The same thing asked for in another way has the same tag.
    let by_accept = gateway.ask("GET", &format!("/ipfs/{root}/subdir"), &[("accept", CAR)]);
    assert_eq!(by_accept.header("etag"), answer.header("etag"));
}

#[test]
fn bytes_of_entities() {
    let gateway = Gateway::start(&[]);
    let trees = Trees::built();
    gateway.put(&trees.mixed);
    gateway.put(&trees.cbor);
    let mixed = &trees.mixed;
    let several = mixed.at(&["subdir", "multiblock.txt"]);
    let ask = |cid: &Cid, bytes: &str| {
        gateway.get(&format!("/ipfs/{cid}?format=car&entity-bytes={bytes}"))
    };
    // Known to be outside: 1,026 bytes.
    for bytes in ["1026:*", "5000:6000", "0:-1027"] {
        assert_eq!(ask(&several, bytes).status, 400, "{bytes}");
    }
    // Partly outside, and empty.
    assert_eq!(
        car(&ask(&several, "1025:9999")).1,
        [several, mixed.links(&several)[4]]
    );
    assert_eq!(car(&ask(&several, "700:-700")).1, [several]);
    // It implies `entity`, and means nothing where there are no bytes.
    let document = trees.cbor.at(&["document"]);
    assert_eq!(car(&ask(&document, "5:9")).1, [document]);
    let subdir = mixed.at(&["subdir"]);
    assert_eq!(car(&ask(&subdir, "5:9")).1, [subdir]);
}

#[test]
fn blocks_keep_the_cid_of_their_link() {
    // CIDv0 is what the links say, whatever the store keeps them under.
    let gateway = Gateway::start(&[]);
    let missing = Trees::built().missing;
    gateway.put(&missing);
    let root = missing.root();
    let answer = gateway.get(&format!("/ipfs/{root}?format=car&entity-bytes=0:9"));
    let (roots, blocks) = car(&answer);
    assert_eq!(roots, [root]);
    assert!(
        blocks.iter().all(|cid| cid.to_string().starts_with("Qm")),
        "{blocks:?}"
    );
    // The very same blocks under the root's CIDv1.
    let other = Cid::new_v1(0x70, *root.hash());
    let answer = gateway.get(&format!("/ipfs/{other}?format=car&entity-bytes=0:9"));
    assert_eq!(car(&answer).1, [other, blocks[1]]);
}

#[test]
fn conditions() {
    let gateway = Gateway::start(&[]);
    let trees = Trees::built();
    gateway.put(&trees.two);
    let root = trees.two.root();
    for target in [
        format!("/ipfs/{root}?format=raw"),
        format!("/ipfs/{root}/subdir?format=car"),
        format!("/ipfs/{root}/subdir?format=car&car-dups=y"),
    ] {
        let first = gateway.get(&target);
        let tag = first.header("etag");
        let opposite = match tag.strip_prefix("W/") {
            Some(strong) => strong.to_owned(),
            None => format!("W/{tag}"),
        };
        for (value, status) in [
            (tag.to_owned(), 304),
            (opposite, 304),
            (format!("\"a\", {tag}, W/\"b\""), 304),
            ("*".into(), 304),
            ("\"other\"".into(), 200),
        ] {
            for method in ["GET", "HEAD"] {
                let answer = gateway.ask(method, &target, &[("if-none-match", &value)]);
                assert_eq!(answer.status, status, "{target} {value}");
                assert_eq!(answer.header("etag"), tag);
                assert_eq!(
                    answer.header("cache-control"),
                    first.header("cache-control")
                );
                if status == 304 {
                    assert_eq!(answer.body, b"");
                }
            }
        }
    }
    // `*` does not match what is not there.
    let target = format!("/ipfs/{}?format=raw", absent());
    assert_eq!(
        gateway.status("GET", &target, &[("if-none-match", "*")]),
        404
    );
}

#[test]
fn only_if_cached() {
    let gateway = Gateway::start(&[]);
    let block = Block::raw("it is here");
    gateway.put_block(&block);
    let cached = [("cache-control", "only-if-cached")];
    for query in ["?format=raw", "?format=car", ""] {
        let here = format!("/ipfs/{}{query}", block.cid());
        let gone = format!("/ipfs/{}{query}", absent());
        assert_eq!(gateway.status("HEAD", &here, &cached), 200, "{query}");
        assert_eq!(gateway.status("HEAD", &gone, &cached), 412, "{query}");
        if !query.is_empty() {
            assert_eq!(gateway.status("GET", &here, &cached), 200, "{query}");
            assert_eq!(gateway.status("GET", &gone, &cached), 412, "{query}");
        }
    }
}

#[test]
fn errors() {
    let gateway = Gateway::start(&[]);
    let trees = Trees::built();
    gateway.put(&trees.two);
    gateway.put(&trees.missing);
    let root = trees.two.root();
    let sha3 = Block::encode(0x55, Hash::from_name("sha3-256").unwrap(), "x").unwrap();
    let murmur = "bafksecbjrq3dtynrfm"; // a hash function that is not accepted
    let unknown = Block::encode(0x1234, Hash::Sha2_256, "no codec").unwrap();
    gateway.put_block(&unknown);
    for (path, status) in [
        ("nonsense".to_owned(), 400),
        (murmur.to_owned(), 400),
        (absent().to_string(), 404),
        (sha3.cid().to_string(), 404),
    ] {
        for query in ["format=raw", "format=car"] {
            for method in ["GET", "HEAD"] {
                let target = format!("/ipfs/{path}?{query}");
                assert_eq!(
                    gateway.status(method, &target, &[]),
                    status,
                    "{method} {target}"
                );
            }
        }
    }
    for (target, status) in [
        (format!("/ipfs/{root}/subdir/nothing?format=car"), 404),
        (
            format!("/ipfs/{root}/subdir/ascii.txt/more?format=car"),
            404,
        ),
        (format!("/ipfs/{root}/../x?format=car"), 400),
        (format!("/ipfs/{root}/%ff?format=car"), 400),
        (format!("/ipfs/{}?format=raw", unknown.cid()), 200),
        (format!("/ipfs/{}/a?format=car", unknown.cid()), 400),
        ("/ipfs/?format=raw".into(), 400),
        ("/ipfs/".into(), 400),
    ] {
        let answer = gateway.get(&target);
        assert_eq!(answer.status, status, "{target}: {}", text(&answer));
        if status >= 400 {
            assert_eq!(answer.header("cache-control"), "no-store");
            assert_eq!(answer.header("content-type"), "text/plain; charset=utf-8");
        }
    }
    let put = gateway.ask("PUT", &format!("/ipfs/{root}"), &[]);
    assert_eq!(
        (put.status, put.header("allow")),
        (405, "GET, HEAD, OPTIONS")
    );
    let long = format!("/ipfs/{root}{}?format=car", "/x".repeat(1000));
    assert_eq!(gateway.status("GET", &long, &[]), 400);
}

#[test]
fn a_car_that_lacks_a_block_is_cut_off() {
    let gateway = Gateway::start(&[]);
    let missing = Trees::built().missing;
    gateway.put(&missing);
    let root = missing.root();
    let target = format!("/ipfs/{root}?format=car");
    // HTTP/1.1: the last chunk does not come.
    let answer = gateway.get(&target);
    assert_eq!(answer.status, 200);
    assert!(
        !answer.whole,
        "a CAR that lacks a block ended as if it were whole"
    );
    assert_eq!(car_begun(&answer.body).1, [root, missing.links(&root)[0]]);
    // HTTP/2: the stream is reset, which curl calls 92.
    let url = format!("{}{target}", gateway.service.url());
    for (version, code) in [("--http1.1", 18), ("--http2-prior-knowledge", 92)] {
        let curl = Command::new("curl")
            .args([
                "--disable",
                "--silent",
                "--noproxy",
                "*",
                "--max-time",
                "30",
                version,
                &url,
            ])
            .output()
            .expect("curl");
        assert_eq!(curl.status.code(), Some(code), "{version}");
    }
    // HTTP/1.0 has no way to say it: the end of the connection is the end.
    let mut old = TcpStream::connect(gateway.service.authority()).unwrap();
    write!(old, "GET {target} HTTP/1.0\r\n\r\n").unwrap();
    let mut answer = String::new();
    old.read_to_string(&mut answer).unwrap();
    assert!(
        answer.starts_with("HTTP/1.0 505 ") || answer.starts_with("HTTP/1.1 505 "),
        "{answer}"
    );
    let cut = gateway.service.metric("cidbucket_gateway_cut_off", "");
    assert!((cut - 3.0).abs() < 0.1, "{cut}");
}

#[test]
fn identity_cids_are_their_own_blocks() {
    let gateway = Gateway::start(&[]);
    // "hello\n", nowhere stored.
    let cid = "bafkqabtimvwgy3yk";
    let answer = gateway.get(&format!("/ipfs/{cid}?format=raw"));
    assert_eq!((answer.status, &answer.body[..]), (200, &b"hello\n"[..]));
    let answer = gateway.get(&format!("/ipfs/{cid}?format=car"));
    assert_eq!(car(&answer), (vec![cid.parse().unwrap()], vec![]));
    // In a DAG they are passed over, and what is around them comes.
    let mut tree = Tree::default();
    let profile = chunks(256);
    let other = tree.file(&profile, "stored");
    let mut inline = other;
    inline.cid = cid.parse().unwrap();
    let root = tree.directory(&profile, &[("a", inline), ("b", other)]).cid;
    gateway.put(&tree);
    let answer = gateway.get(&format!("/ipfs/{root}?format=car&car-dups=y"));
    assert_eq!(car(&answer).1, [root, other.cid]);
}

#[test]
fn the_probe_needs_no_permission() {
    // Of two services: one for everybody, one for those with a token.
    for gateway in [Gateway::start(&[]), Gateway::with(&[])] {
        for (method, query, accept) in [
            ("HEAD", "?format=raw", "*/*"),
            ("GET", "?format=raw", "*/*"),
            ("GET", "", RAW),
        ] {
            let answer = gateway.ask(
                method,
                &format!("/ipfs/bafkqaaa{query}"),
                &[("accept", accept)],
            );
            assert_eq!(
                (answer.status, &answer.body[..]),
                (200, &b""[..]),
                "{}",
                text(&answer)
            );
            assert_eq!(answer.header("content-length"), "0");
        }
        let answer = gateway.get("/ipfs/bafkqaaa?format=car");
        assert_eq!(car(&answer), (vec!["bafkqaaa".parse().unwrap()], vec![]));
    }
}

#[test]
fn who_may_not_read_is_told_403() {
    let gateway = Gateway::with(&[]);
    let trees = Trees::built();
    gateway.put(&trees.two);
    let root = trees.two.root();
    let targets = [
        format!("/ipfs/{root}?format=raw"),
        format!("/ipfs/{root}?format=car"),
    ];
    let reader = gateway.key.issue(&["--sub", "reader", "--ops", "read"]);
    let writer = gateway.key.issue(&["--sub", "writer", "--ops", "write"]);
    for target in &targets {
        assert_eq!(gateway.status("GET", target, &[]), 403);
        for token in ["nonsense", &writer] {
            let bearer = format!("Bearer {token}");
            let answer = gateway.ask("GET", target, &[("authorization", &bearer)]);
            assert_eq!(answer.status, 403, "{}", text(&answer));
        }
        let bearer = format!("Bearer {reader}");
        let answer = gateway.ask("GET", target, &[("authorization", &bearer)]);
        assert_eq!(answer.status, 200);
        // No shared cache is to keep what only some may read.
        assert_eq!(
            answer.header("cache-control"),
            "private, max-age=29030400, immutable"
        );
    }
    // What a token does not cover is not there, wherever in a DAG.
    let narrow = gateway
        .key
        .issue(&["--sub", "narrow", "--ops", "read", "--codecs", "dag-pb"]);
    let bearer = format!("Bearer {narrow}");
    let file = trees.two.at(&["subdir", "ascii.txt"]);
    let of_file = format!("/ipfs/{file}?format=raw");
    assert_eq!(
        gateway.status("GET", &of_file, &[("authorization", &bearer)]),
        404
    );
    let answer = gateway.ask("GET", &targets[1], &[("authorization", &bearer)]);
    assert!(answer.status == 200 && !answer.whole);
    assert_eq!(car_begun(&answer.body).1, [root, trees.two.at(&["subdir"])]);
}

#[test]
fn who_asks_too_often_is_told_when_to_come_back() {
    let gateway = Gateway::with(&[]);
    let block = Block::raw("x");
    gateway.put_block(&block);
    let token = gateway
        .key
        .issue(&["--sub", "fast", "--ops", "read", "--rate", "1"]);
    let bearer = format!("Bearer {token}");
    let target = format!("/ipfs/{}?format=raw", block.cid());
    let refused = (0..100)
        .map(|_| gateway.ask("GET", &target, &[("authorization", &bearer)]))
        .find(|answer| answer.status == 429)
        .expect("a limit");
    assert_eq!(refused.header("retry-after"), "1");
}

#[test]
fn tenants_read_their_own_blocks() {
    let gateway = Gateway::start(&[]);
    let block = Block::raw("a tenant's");
    let token = gateway
        .key
        .issue(&["--sub", "t", "--tenant", "t", "--ops", "read,write"]);
    let path = format!("/v1/blocks/{}", block.cid());
    let put = gateway
        .service
        .ask("PUT", &path, &token, block.data().to_vec());
    assert_eq!(put.status, 204, "{}", text(&put));
    let target = format!("/ipfs/{}?format=raw", block.cid());
    let bearer = format!("Bearer {token}");
    assert_eq!(
        gateway.status("GET", &target, &[("authorization", &bearer)]),
        200
    );
    assert_eq!(gateway.status("GET", &target, &[]), 404);
}

#[test]
fn headers_stay_below_two_kibibytes() {
    let gateway = Gateway::start(&[]);
    let mut tree = Tree::default();
    let profile = chunks(256);
    let mut added = tree.file(&profile, "deep down");
    let name = "ä".repeat(40);
    for _ in 0..60 {
        added = tree.directory(&profile, &[(&name, added)]);
    }
    gateway.put(&tree);
    let escaped = "/%C3%A4".to_owned() + &"%C3%A4".repeat(39);
    let target = format!(
        "/ipfs/{}{}?filename={}",
        added.cid,
        escaped.repeat(60),
        "%C3%A4".repeat(500)
    );
    // `ask` looks at the size of every head.
    let answer = gateway.ask("GET", &target, &[("accept", CAR)]);
    assert_eq!(answer.status, 200, "{}", text(&answer));
    assert_eq!(car(&answer).1.len(), 61);
}

#[test]
fn redirects_are_for_those_who_asked_for_them() {
    let gateway = Gateway::start(&["--gateway-redirect"]);
    let block = Block::raw("to be had from S3");
    gateway.put_block(&block);
    let target = format!("/ipfs/{}?format=raw", block.cid());
    let answer = gateway.get(&target);
    assert_eq!(
        (answer.status, answer.header("cache-control")),
        (307, "no-store")
    );
    let curl = Command::new("curl")
        .args([
            "--disable",
            "--silent",
            "--fail",
            "--noproxy",
            "*",
            "--max-time",
            "30",
        ])
        .arg(answer.header("location"))
        .output()
        .expect("curl");
    assert_eq!(&curl.stdout[..], &block.data()[..]);
    // Never HEAD, the probe, an absent block, a CAR.
    assert_eq!(gateway.status("HEAD", &target, &[]), 200);
    assert_eq!(gateway.status("GET", "/ipfs/bafkqaaa?format=raw", &[]), 200);
    assert_eq!(
        gateway.status("GET", "/ipfs/bafkqabtimvwgy3yk?format=raw", &[]),
        200
    );
    assert_eq!(
        gateway.status("GET", &format!("/ipfs/{}?format=raw", absent()), &[]),
        404
    );
    assert_eq!(
        gateway.status("GET", &format!("/ipfs/{}?format=car", block.cid()), &[]),
        200
    );
    assert_eq!(
        gateway.status("GET", &target, &[("range", "bytes=0-1")]),
        206
    );
}

#[test]
fn what_is_denied_is_gone() {
    let trees = Trees::built();
    let two = &trees.two;
    let (root, file) = (two.root(), two.at(&["subdir", "ascii.txt"]));
    let list = tempfile::NamedTempFile::new().unwrap();
    let text = format!("# by order of the court\n{file} # a file\n\nbafkqabtimvwgy3yk\n");
    std::fs::write(list.path(), text).unwrap();
    let gateway = Gateway::start(&["--gateway-deny", list.path().to_str().unwrap()]);
    gateway.put(two);
    for query in ["?format=raw", "?format=car"] {
        for method in ["GET", "HEAD"] {
            // Under its other CIDs too: it is the content that is denied.
            for cid in [file, Cid::new_v1(0x70, *file.hash())] {
                assert_eq!(
                    gateway.status(method, &format!("/ipfs/{cid}{query}"), &[]),
                    410
                );
            }
        }
        assert_eq!(
            gateway.status("GET", &format!("/ipfs/bafkqabtimvwgy3yk{query}"), &[]),
            410
        );
    }
    // Within something else it is missing.
    let target = format!("/ipfs/{root}/subdir/ascii.txt?format=car");
    assert_eq!(gateway.status("GET", &target, &[]), 404);
    let answer = gateway.get(&format!("/ipfs/{root}?format=car"));
    assert!(answer.status == 200 && !answer.whole);
}

#[test]
fn a_gateway_can_be_switched_off() {
    let gateway = Gateway::start(&["--gateway=false"]);
    let block = Block::raw("x");
    gateway.put_block(&block);
    let target = format!("/ipfs/{}?format=raw", block.cid());
    assert_eq!(
        gateway.service.ask("GET", &target, "", Vec::new()).status,
        404
    );
}

#[test]
fn a_slow_reader_holds_up_the_reading() {
    let gateway = Gateway::start(&["--body-grace", "2s", "--cache", "0"]);
    let profile = chunks(256 << 10);
    let mut tree = Tree::default();
    // Large enough that no buffer of a socket takes it.
    let bytes: Vec<u8> = (0..6_000_000_u32).flat_map(u32::to_be_bytes).collect();
    let root = tree.file(&profile, bytes).cid;
    gateway.put(&tree);
    let total = tree.blocks().count();
    assert!(total > 90);
    let before = gateway
        .service
        .metric("cidbucket_s3_requests_total", "GetObject");
    let mut slow = TcpStream::connect(gateway.service.authority()).unwrap();
    write!(
        slow,
        "GET /ipfs/{root}?format=car HTTP/1.1\r\nhost: x\r\n\r\n"
    )
    .unwrap();
    let mut first = [0; 64];
    slow.read_exact(&mut first).unwrap();
    // It is cut off, in its time, and no more was read for it than the sockets took.
    let begun = Instant::now();
    loop {
        let in_flight = gateway.service.metric("cidbucket_in_flight", "");
        // The request for the metrics is one.
        if in_flight < 1.5 {
            break;
        }
        assert!(begun.elapsed() < Duration::from_mins(1), "nobody ends it");
        std::thread::sleep(Duration::from_millis(200));
    }
    let read = gateway
        .service
        .metric("cidbucket_s3_requests_total", "GetObject")
        - before;
    assert!(read < 60.0, "{read} of {total} blocks were read");
    // Whoever takes it gets it.
    let answer = gateway.get(&format!("/ipfs/{root}?format=car"));
    assert_eq!(car(&answer).1.len(), total);
}
