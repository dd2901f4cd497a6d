//! Kubo's RPC, byte by byte: each rule of its wire form, and each command's answer.

use std::io::{Read, Write};
use std::path::Path;

use cidbucket_tests::wire::{Request, Response};
use cidbucket_tests::{Cidbucket, Process, Target};
use serde_json::{Value, json};
use tempfile::TempDir;

/// `CIDv1` of the raw block "hello world\n".
const HELLO: &str = "bafkreifjjcie6lypi6ny7amxnfftagclbuxndqonfipmb64f2km2devei4";
/// A block that is nowhere.
const MISSING: &str = "bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy";
/// How a part of an upload begins and ends.
const BOUNDARY: &str = "bound";

/// A running `cidbucket serve --rpc`.
struct Rpc {
    process: Process,
    authority: String,
    /// Its own, which goes with it.
    folder: Option<TempDir>,
    // It has the process's home.
    _binary: Cidbucket,
}

impl Rpc {
    /// Over a folder of its own.
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut rpc = Self::over(folder.path(), &[]);
        rpc.folder = Some(folder);
        rpc
    }

    fn over(folder: &Path, args: &[&str]) -> Self {
        let store = format!("dir:{}", folder.join("blocks").display());
        let args = [&["--store", &store], args].concat();
        Self::with(Cidbucket::new(), "127.0.0.1:0", &args)
    }

    fn with(binary: Cidbucket, address: &str, args: &[&str]) -> Self {
        let mut command = binary.command();
        command
            .args([
                "serve",
                "--json",
                "--listen",
                "127.0.0.1:0",
                "--rpc",
                address,
            ])
            .args(args);
        let process = Process::start(command);
        let authority = process
            .field("rpc")
            .strip_prefix("http://")
            .unwrap()
            .to_owned();
        Self {
            process,
            authority,
            folder: None,
            _binary: binary,
        }
    }

    fn request(&self, target: &str) -> Request {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let pairs = query.split('&').filter(|pair| !pair.is_empty());
        Request {
            authority: self.authority.clone(),
            method: "POST".into(),
            path: format!("/api/v0/{path}"),
            query: pairs
                .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
                .map(|(name, value)| (name.into(), value.into()))
                .collect(),
            headers: vec![
                ("host".into(), self.authority.clone()),
                ("content-length".into(), "0".into()),
            ],
            body: Vec::new(),
        }
    }

    #[track_caller]
    fn ask(&self, target: &str) -> Response {
        self.request(target).send().unwrap()
    }

    /// A call with headers.
    #[track_caller]
    fn ask_with(&self, target: &str, headers: &[(&str, &str)]) -> Response {
        let mut request = self.request(target);
        for (name, value) in headers {
            request.set_header(name, value);
        }
        request.send().unwrap()
    }

    /// A call with files: name, media type, bytes.
    #[track_caller]
    fn send(&self, target: &str, files: &[(&str, &str, &[u8])]) -> Response {
        let mut request = self.request(target);
        for (name, kind, data) in files {
            let head = format!(
                "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"file\"; \
                 filename=\"{name}\"\r\nContent-Type: {kind}\r\n\r\n"
            );
            request.body.extend(head.as_bytes());
            request.body.extend(*data);
            request.body.extend(b"\r\n");
        }
        request
            .body
            .extend(format!("--{BOUNDARY}--\r\n").as_bytes());
        let kind = format!("multipart/form-data; boundary={BOUNDARY}");
        request.set_header("content-type", &kind);
        request.set_header("content-length", &request.body.len().to_string());
        request.send().unwrap()
    }

    /// Puts one block, and answers with its CID.
    #[track_caller]
    fn put(&self, options: &str, data: &[u8]) -> String {
        let answer = self.send(&format!("block/put?{options}"), &[file(data)]);
        json(&answer)["Key"].as_str().unwrap().to_owned()
    }

    #[track_caller]
    fn dag_put(&self, json: &str) -> String {
        let answer = self.send("dag/put", &[file(json.as_bytes())]);
        self::json(&answer)["Cid"]["/"].as_str().unwrap().to_owned()
    }
}

fn file(data: &[u8]) -> (&str, &str, &[u8]) {
    ("", "application/octet-stream", data)
}

fn text(answer: &Response) -> String {
    String::from_utf8_lossy(&answer.body).into_owned()
}

/// The one value of an answer.
#[track_caller]
fn json(answer: &Response) -> Value {
    let mut lines = lines(answer);
    assert_eq!(lines.len(), 1, "{}", text(answer));
    lines.remove(0)
}

/// The values of an answer.
#[track_caller]
fn lines(answer: &Response) -> Vec<Value> {
    assert_eq!(answer.status, 200, "{}", text(answer));
    text(answer)
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[track_caller]
fn header(answer: &Response, name: &str) -> Option<String> {
    answer.head.lines().find_map(|line| {
        let (known, value) = line.split_once(':')?;
        known
            .eq_ignore_ascii_case(name)
            .then(|| value.trim().to_owned())
    })
}

/// The message of an error in JSON.
#[track_caller]
fn failure(answer: &Response, status: u16, code: u64) -> String {
    assert_eq!(answer.status, status, "{}", text(answer));
    assert_eq!(header(answer, "content-type").unwrap(), "application/json");
    let error: Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(error["Code"], code);
    assert_eq!(error["Type"], "error");
    error["Message"].as_str().unwrap().to_owned()
}

#[test]
fn only_post_calls() {
    let rpc = Rpc::start();
    for method in ["GET", "HEAD", "PUT", "DELETE", "PATCH"] {
        let mut request = rpc.request("version");
        request.method = method.into();
        let answer = request.send().unwrap();
        assert_eq!(answer.status, 405, "{method}");
        assert_eq!(header(&answer, "allow").unwrap(), "OPTIONS, POST");
    }
    let mut request = rpc.request("version");
    request.method = "OPTIONS".into();
    let answer = request.send().unwrap();
    assert_eq!((answer.status, answer.body.len()), (204, 0));
    assert_eq!(header(&answer, "allow").unwrap(), "OPTIONS, POST");
}

#[test]
fn what_there_is_not_is_not_found_and_bad_arguments_are_refused() {
    let rpc = Rpc::start();
    for path in [
        "files/ls",
        "nonsense",
        "config/show",
        "pin/remote/ls",
        "block/get/a/b",
        "../../x",
    ] {
        let answer = rpc.ask(path);
        assert_eq!(answer.status, 404, "{path}");
        assert_eq!(text(&answer), "404 page not found\n");
        assert!(
            header(&answer, "content-type")
                .unwrap()
                .starts_with("text/plain")
        );
    }
    let mut elsewhere = rpc.request("version");
    elsewhere.path = "/".into();
    assert_eq!(elsewhere.send().unwrap().status, 404);
    for (target, message) in [
        ("block/get", "argument \"cid\" is required"),
        ("pin/update?arg=x", "argument \"to-path\" is required"),
        ("block/put", "file argument 'data' is required"),
        (
            "cat?arg=x&offset=one",
            "could not convert value \"one\" to type \"int64\"",
        ),
        (
            "cat?arg=x&offset=1&offset=2",
            "expected key offset to have only a single value",
        ),
        ("version?timeout=soon", "invalid timeout"),
        ("version?encoding=xml", "invalid encoding: xml"),
    ] {
        let answer = rpc.ask(target);
        assert_eq!(answer.status, 400, "{target}");
        assert!(
            text(&answer).contains(message),
            "{target}: {}",
            text(&answer)
        );
        assert!(
            header(&answer, "content-type")
                .unwrap()
                .starts_with("text/plain")
        );
    }
    failure(&rpc.ask("block"), 400, 1);
}

#[test]
fn web_pages_of_others_are_kept_out() {
    let rpc = Rpc::start();
    let port = rpc.authority.rsplit(':').next().unwrap();
    let own = format!("http://localhost:{port}");
    for (headers, status) in [
        (&[][..], 200),
        (&[("origin", own.as_str())], 200),
        (&[("origin", "http://evil.example")], 403),
        (&[("origin", "null")], 403),
        (&[("referer", "http://evil.example/page")], 403),
        (&[("referer", &format!("{own}/page"))], 200),
        (&[("user-agent", "Mozilla/5.0 (X11)")], 403),
        (&[("user-agent", "Mozilla/5.0 Electron/30")], 200),
        (&[("user-agent", "Mozilla/5.0"), ("origin", &own)], 200),
        (&[("user-agent", "kubo/0.40.0")], 200),
    ] {
        let answer = rpc.ask_with("version", headers);
        assert_eq!(answer.status, status, "{headers:?}");
        if status == 403 {
            assert_eq!(text(&answer), "403 - Forbidden\n");
        }
    }
    let answer = rpc.ask_with("version", &[("origin", &own)]);
    assert_eq!(header(&answer, "access-control-allow-origin"), Some(own));
    let mut preflight = rpc.request("block/rm");
    preflight.method = "OPTIONS".into();
    preflight.set_header("origin", "http://evil.example");
    preflight.set_header("access-control-request-method", "POST");
    let answer = preflight.send().unwrap();
    assert_eq!(header(&answer, "access-control-allow-origin"), None);
}

#[test]
fn arguments_and_options_in_every_form() {
    let rpc = Rpc::start();
    let cid = rpc.put("", b"hello world\n");
    assert_eq!(cid, HELLO);
    for target in [
        format!("block/get?arg={cid}"),
        format!("block/get/{cid}"),
        format!("block/get?arg=%2Fipfs%2F{cid}"),
        format!("block/get?arg=ipfs://{cid}&unknown=1&unknown=2&stream-channels=true"),
        format!("block/get?arg={cid}&encoding=json&timeout=1m"),
    ] {
        assert_eq!(text(&rpc.ask(&target)), "hello world\n", "{target}");
    }
    // More than one, and lines of a file.
    let other = rpc.put("", b"x");
    assert_eq!(
        text(&rpc.ask(&format!("pin/add?arg={cid}&arg={other}"))),
        format!("{{\"Pins\":[\"{cid}\",\"{other}\"]}}\n")
    );
    let answer = rpc.send("pin/rm", &[file(format!("{cid}\n{other}\n").as_bytes())]);
    assert_eq!(json(&answer), json!({ "Pins": [cid, other] }));
    // CIDs in another base.
    let answer = rpc.ask(&format!("block/stat?arg={cid}&cid-base=base58btc"));
    assert!(json(&answer)["Key"].as_str().unwrap().starts_with('z'));
}

#[test]
fn errors_before_the_answer_and_within_it() {
    let rpc = Rpc::start();
    let message = failure(&rpc.ask(&format!("block/get?arg={MISSING}")), 500, 0);
    assert_eq!(
        message,
        format!("block was not found locally (offline): ipld: could not find {MISSING}")
    );
    failure(&rpc.ask("block/get?arg=nonsense"), 500, 0);

    // Half of a DAG: what is there comes, and then the trailer, announced from the first.
    let root = rpc.dag_put(&format!(
        r#"{{"a":{{"/":"{HELLO}"}},"b":{{"/":"{MISSING}"}}}}"#
    ));
    rpc.put("", b"hello world\n");
    let answer = rpc.ask(&format!("dag/export?arg={root}"));
    assert_eq!(answer.status, 200);
    assert_eq!(header(&answer, "trailer").unwrap(), "X-Stream-Error");
    assert!(text(&answer).contains("hello world"));
    assert!(
        answer
            .trailers
            .to_ascii_lowercase()
            .starts_with("x-stream-error: ")
            && answer.trailers.contains("could not find"),
        "{}",
        answer.trailers
    );
    let whole = rpc.ask(&format!("dag/export?arg={root}&local-only=true"));
    assert_eq!((whole.status, whole.trailers.as_str()), (200, ""));

    // The connection goes on behind the trailer.
    let mut stream = std::net::TcpStream::connect(&rpc.authority).unwrap();
    let mut call = |target: &str, end: &str| {
        let head =
            format!("POST /api/v0/{target} HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n");
        stream.write_all(head.as_bytes()).unwrap();
        let mut answer = Vec::new();
        while !String::from_utf8_lossy(&answer).contains(end) {
            let mut piece = [0; 4096];
            let read = stream.read(&mut piece).unwrap();
            assert!(read > 0, "{}", String::from_utf8_lossy(&answer));
            answer.extend(&piece[..read]);
        }
        String::from_utf8_lossy(&answer).into_owned()
    };
    for _ in 0..2 {
        let failed = call(
            &format!("dag/export?arg={root}"),
            &format!("{MISSING}\r\n\r\n"),
        );
        assert!(failed.starts_with("HTTP/1.1 200"), "{failed}");
        let version = call("version", "\r\n0\r\n\r\n");
        assert!(
            version.starts_with("HTTP/1.1 200") && version.contains("Golang"),
            "{version}"
        );
    }
}

#[test]
fn streams_of_values_and_of_bytes() {
    let rpc = Rpc::start();
    let answer = rpc.send("block/put", &[file(b"a"), file(b"b")]);
    assert_eq!(lines(&answer).len(), 2);
    assert_eq!(header(&answer, "x-chunked-output").unwrap(), "1");
    assert_eq!(header(&answer, "x-stream-output"), None);
    assert_eq!(header(&answer, "content-type").unwrap(), "application/json");
    let cid = rpc.put("", b"bytes");
    let answer = rpc.ask(&format!("cat?arg={cid}"));
    assert_eq!(header(&answer, "x-stream-output").unwrap(), "1");
    assert_eq!(header(&answer, "x-content-length").unwrap(), "5");
    assert_eq!(header(&answer, "content-type").unwrap(), "text/plain");
    let answer = rpc.ask("version");
    assert_eq!(header(&answer, "x-chunked-output"), None);
    assert_eq!(header(&answer, "trailer").unwrap(), "X-Stream-Error");
    let exposed = header(&answer, "access-control-expose-headers").unwrap();
    assert!(exposed.contains("X-Chunked-Output"));
}

#[test]
fn blocks() {
    let rpc = Rpc::start();
    let answer = rpc.send("block/put?mhtype=sha2-512&mhlen=20", &[file(b"x")]);
    let short = json(&answer)["Key"].as_str().unwrap().to_owned();
    assert_eq!(json(&answer)["Size"], 1);
    assert_eq!(text(&rpc.ask(&format!("block/get?arg={short}"))), "x");
    for (options, prefix) in [
        ("", "bafkrei"),
        ("cid-codec=dag-pb", "bafybei"),
        ("format=v0", "Qm"),
        ("format=protobuf", "bafybei"),
        ("format=cbor", "bafyrei"),
    ] {
        let cid = rpc.put(options, b"any");
        assert!(cid.starts_with(prefix), "{options}: {cid}");
        let answer = rpc.ask(&format!("block/get?arg={cid}"));
        assert_eq!(text(&answer), "any");
        assert_eq!(
            header(&answer, "content-type").unwrap(),
            "application/vnd.ipld.raw"
        );
        let stat = json(&rpc.ask(&format!("block/stat?arg={cid}")));
        assert_eq!(stat, json!({ "Key": cid, "Size": 3 }));
    }
    let big = vec![7; (2 << 20) + 1];
    let message = failure(&rpc.send("block/put", &[file(&big)]), 500, 0);
    assert!(
        message.starts_with("produced block is over 2MiB"),
        "{message}"
    );
    for (options, message) in [
        ("mhtype=md5", "unrecognized multihash function: md5"),
        ("cid-codec=nonsense", "unknown multicodec"),
        (
            "format=v0&mhtype=sha2-512",
            "only sha2-256-32 is allowed with CIDv0",
        ),
        ("mhlen=33", "has no 33 bytes"),
        ("mhlen=10", "digest"),
    ] {
        let told = failure(
            &rpc.send(&format!("block/put?{options}"), &[file(b"x")]),
            500,
            0,
        );
        assert!(told.contains(message), "{options}: {told}");
    }
    // Removing.
    let cid = rpc.put("", b"gone");
    assert_eq!(
        json(&rpc.ask(&format!("block/rm?arg={cid}"))),
        json!({ "Hash": cid })
    );
    let again = json(&rpc.ask(&format!("block/rm?arg={cid}")));
    assert_eq!(again["Error"], format!("ipld: could not find {cid}"));
    assert_eq!(
        json(&rpc.ask(&format!("block/rm?arg={cid}&force=true"))),
        json!({ "Hash": cid })
    );
    assert!(lines(&rpc.ask(&format!("block/rm?arg={cid}&force=true&quiet=true"))).is_empty());
    // A pinned one, under whatever CID it is named.
    let cid = rpc.put("pin=true", b"kept");
    let other = json(&rpc.send("block/put?cid-codec=dag-cbor", &[file(b"kept")]));
    for cid in [&cid, other["Key"].as_str().unwrap()] {
        let told = json(&rpc.ask(&format!("block/rm?arg={cid}&force=true")));
        assert!(told["Error"].as_str().unwrap().contains("pinned"), "{told}");
    }
}

#[test]
fn dags() {
    let rpc = Rpc::start();
    let child = rpc.put("", b"hello world\n");
    let root = rpc.dag_put(&format!(r#"{{"n":[1,{{"x":"y"}}],"l":{{"/":"{child}"}}}}"#));
    assert!(root.starts_with("bafyrei"));
    let answer = rpc.ask(&format!("dag/get?arg={root}"));
    assert_eq!(header(&answer, "content-type").unwrap(), "text/plain");
    assert_eq!(
        text(&answer),
        format!(r#"{{"l":{{"/":"{child}"}},"n":[1,{{"x":"y"}}]}}"#)
    );
    assert_eq!(
        text(&rpc.ask(&format!("dag/get?arg={root}/n/1/x"))),
        "\"y\""
    );
    let raw = rpc.ask(&format!("dag/get?arg={root}/l&output-codec=raw"));
    assert_eq!(text(&raw), "hello world\n");
    let resolved = json(&rpc.ask(&format!("dag/resolve?arg={root}/n/1")));
    assert_eq!(resolved, json!({ "Cid": { "/": root }, "RemPath": "/n/1" }));
    let nowhere = failure(&rpc.ask(&format!("dag/resolve?arg={root}/none")), 500, 0);
    assert_eq!(nowhere, format!("no link named \"none\" under {root}"));
    let stat = lines(&rpc.ask(&format!("dag/stat?arg={root}&progress=false"))).remove(0);
    assert_eq!(stat["UniqueBlocks"], 2);
    assert_eq!(stat["DagStats"][0]["NumBlocks"], 2);

    // Out of one node and into another.
    let answer = rpc.ask(&format!("dag/export?arg={root}"));
    assert_eq!(
        header(&answer, "content-type").unwrap(),
        "application/vnd.ipld.car"
    );
    let other = Rpc::start();
    let imported = lines(&other.send("dag/import?stats=true", &[file(&answer.body)]));
    let told = json!({ "Root": { "Cid": { "/": root }, "PinErrorMsg": "" } });
    assert_eq!(imported[0], told);
    assert_eq!(imported[1]["Stats"]["BlockCount"], 2);
    assert_eq!(
        text(&other.ask(&format!("block/get?arg={child}"))),
        "hello world\n"
    );
    let pins = json(&other.ask("pin/ls?type=recursive"));
    assert_eq!(
        pins,
        json!({ "Keys": { &root: { "Type": "recursive", "Name": "" } } })
    );
    // A flipped bit.
    let mut flipped = answer.body.clone();
    *flipped.last_mut().unwrap() ^= 1;
    let message = failure(&Rpc::start().send("dag/import", &[file(&flipped)]), 500, 0);
    assert!(message.starts_with("import failed"), "{message}");
}

#[test]
fn files() {
    let rpc = Rpc::start();
    let octets = "application/octet-stream";
    let added = lines(&rpc.send(
        "add?progress=true",
        &[
            ("top", "application/x-directory", b""),
            ("top%2Fa%20b", octets, b"hello world\n"),
            ("top%2Flink", "application/symlink", b"a b"),
        ],
    ));
    let hashes: Vec<_> = added
        .iter()
        .filter(|line| line.get("Hash").is_some())
        .collect();
    assert!(
        added.contains(&json!({ "Name": "top/a b", "Bytes": 12 })),
        "{added:?}"
    );
    assert_eq!(hashes[0]["Name"], "top/a b");
    assert_eq!(
        hashes[0]["Hash"],
        "QmT78zSuBmuS4z925WZfrqQ1qHaJ56DQaTfyMUF7F8ff5o"
    );
    assert_eq!(hashes[0]["Size"], "20");
    let top = hashes.last().unwrap();
    assert_eq!(top["Name"], "top");
    let top = top["Hash"].as_str().unwrap();
    assert_eq!(
        text(&rpc.ask(&format!("cat?arg={top}/a%20b&offset=6&length=5"))),
        "world"
    );
    let listed = json(&rpc.ask(&format!("ls?arg={top}")));
    let links = &listed["Objects"][0]["Links"];
    assert_eq!(listed["Objects"][0]["Hash"], top);
    assert_eq!(
        (&links[0]["Name"], &links[0]["Type"], &links[0]["Size"]),
        (&"a b".into(), &2.into(), &12.into())
    );
    assert_eq!(
        (&links[1]["Type"], &links[1]["Target"]),
        (&4.into(), &"a b".into())
    );
    let streamed = lines(&rpc.ask(&format!("ls?arg={top}&stream=true")));
    assert_eq!(streamed.len(), 2);
    let archive = rpc.ask(&format!("get?arg={top}"));
    assert_eq!(
        header(&archive, "content-type").unwrap(),
        "application/x-tar"
    );
    assert_eq!(archive.body.len() % 512, 0);
    assert!(text(&archive).contains("hello world"));
    let pins = json(&rpc.ask(&format!("pin/ls?arg={top}")));
    assert_eq!(pins["Keys"][top]["Type"], "recursive");
    assert_eq!(
        failure(&rpc.ask(&format!("cat?arg={top}")), 500, 0),
        "this dag node is a directory"
    );
    // An upload that breaks off is no file.
    let mut broken = rpc.request("add");
    let kind = format!("multipart/form-data; boundary={BOUNDARY}");
    broken.set_header("content-type", &kind);
    broken.body = format!(
        "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"x\"\r\n\r\nhalf"
    )
    .into_bytes();
    broken.set_header("content-length", &broken.body.len().to_string());
    let answer = broken.send().unwrap();
    assert!(answer.status >= 400, "{}", text(&answer));
}

#[test]
fn pins() {
    let rpc = Rpc::start();
    let child = rpc.put("", b"hello world\n");
    let root = rpc.dag_put(&format!(r#"{{"l":{{"/":"{child}"}}}}"#));
    let added = lines(&rpc.ask(&format!("pin/add?arg={root}&progress=true&name=photos")));
    assert_eq!(added[0]["Progress"], 2);
    assert_eq!(added[1], json!({ "Pins": [root] }));
    let streamed = lines(&rpc.ask("pin/ls?stream=true&names=true"));
    assert_eq!(
        streamed[0],
        json!({ "Cid": root, "Name": "photos", "Type": "recursive" })
    );
    assert_eq!(streamed[1], json!({ "Cid": child, "Type": "indirect" }));
    let through = json(&rpc.ask(&format!("pin/ls?arg={child}")));
    assert_eq!(
        through["Keys"][&child]["Type"],
        format!("indirect through {root}")
    );
    let message = failure(&rpc.ask(&format!("pin/ls?arg={child}&type=direct")), 500, 0);
    assert_eq!(message, format!("path '{child}' is not pinned"));
    assert_eq!(
        failure(&rpc.ask(&format!("pin/rm?arg={child}")), 500, 0),
        "not pinned or pinned indirectly"
    );
    assert!(lines(&rpc.ask("pin/verify")).is_empty());
    assert_eq!(
        json(&rpc.ask("pin/verify?verbose=true")),
        json!({ "Cid": root, "Ok": true })
    );
    // What is lost is told.
    let blocks = rpc.folder.as_ref().unwrap().path().join("blocks");
    remove(&blocks, "hello world\n");
    let broken = json(&rpc.ask("pin/verify"));
    assert_eq!(broken["BadNodes"][0]["Cid"], child);
    let other = rpc.dag_put("{}");
    let updated = json(&rpc.ask(&format!("pin/update?arg={root}&arg={other}")));
    assert_eq!(updated, json!({ "Pins": [root, other] }));
    assert_eq!(
        json(&rpc.ask(&format!("pin/rm?arg={other}"))),
        json!({ "Pins": [other] })
    );
    assert_eq!(json(&rpc.ask("pin/ls")), json!({}));
}

/// Removes the file that has these bytes.
fn remove(folder: &Path, content: &str) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            remove(&path, content);
        } else if std::fs::read(&path).unwrap() == content.as_bytes() {
            std::fs::remove_file(&path).unwrap();
        }
    }
}

#[test]
fn the_store_as_a_whole() {
    let rpc = Rpc::start();
    let v0 = rpc.put("format=v0", b"hello world\n");
    // Whatever its CID was, it is a raw block here.
    assert_eq!(
        json(&rpc.ask("refs/local")),
        json!({ "Ref": HELLO, "Err": "" })
    );
    let root = rpc.dag_put(&format!(r#"{{"a":{{"/":"{HELLO}"}}}}"#));
    let refs = json(&rpc.ask(&format!(
        "refs?arg={root}&format=%3Csrc%3E-%3Clinkname%3E-%3Cdst%3E"
    )));
    assert_eq!(refs["Ref"], format!("{root}-a-{HELLO}"));
    let stat = json(&rpc.ask("repo/stat"));
    assert_eq!(stat["NumObjects"], 2);
    assert_eq!(stat["Version"], "fs-repo@18");
    assert_eq!(json(&rpc.ask("repo/stat?size-only=true"))["NumObjects"], 0);
    let verified = lines(&rpc.ask("repo/verify"));
    assert_eq!(
        verified.last().unwrap()["Msg"],
        "verify complete, all blocks validated."
    );
    let message = failure(&rpc.ask("repo/gc"), 500, 0);
    assert!(message.contains("nothing was removed"), "{message}");
    assert_eq!(
        text(&rpc.ask(&format!("block/get?arg={v0}"))),
        "hello world\n"
    );

    let version = json(&rpc.ask("version"));
    assert!(version["Version"].as_str().unwrap().starts_with("0."));
    let id = json(&rpc.ask("id"));
    assert!(id["ID"].as_str().unwrap().starts_with("12D3KooW"));
    assert_eq!(id["Addresses"].as_array().unwrap().len(), 1);
    assert_eq!(json(&rpc.ask("swarm/peers")), json!({ "Peers": [] }));
    let formatted = json(&rpc.ask(&format!("cid/base32?arg={v0}")));
    assert!(
        formatted["Formatted"]
            .as_str()
            .unwrap()
            .starts_with("bafybei")
    );
    for path in ["cid/bases", "cid/codecs", "cid/hashes"] {
        assert!(
            !json(&rpc.ask(path)).as_array().unwrap().is_empty(),
            "{path}"
        );
    }
}

#[test]
fn corrupt_blocks_are_found_and_never_given_out() {
    let folder = tempfile::tempdir().unwrap();
    let rpc = Rpc::over(folder.path(), &[]);
    let cid = rpc.put("", b"hello world\n");
    corrupt(&folder.path().join("blocks"), "hello world\n");
    let message = failure(&rpc.ask(&format!("block/get?arg={cid}")), 500, 0);
    assert!(message.contains("corrupt"), "{message}");
    let answer = rpc.ask("repo/verify");
    assert!(
        text(&answer).contains(&format!("block {cid} was corrupt")),
        "{}",
        text(&answer)
    );
    assert!(
        answer.trailers.contains("1 blocks corrupt"),
        "{}",
        answer.trailers
    );
    let told = lines(&rpc.ask("repo/verify?drop=true"));
    assert_eq!(
        told.last().unwrap()["Msg"],
        "verify complete, 1 blocks corrupt, 1 removed"
    );
    failure(&rpc.ask(&format!("block/get?arg={cid}")), 500, 0);
}

fn corrupt(folder: &Path, content: &str) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            corrupt(&path, content);
        } else if std::fs::read(&path).unwrap() == content.as_bytes() {
            std::fs::write(&path, content.to_uppercase()).unwrap();
        }
    }
}

#[test]
fn a_timeout_ends_a_call() {
    let rpc = Rpc::start();
    // Of an upload that does not come to its end.
    let mut request = rpc.request("block/put?timeout=300ms");
    let kind = format!("multipart/form-data; boundary={BOUNDARY}");
    request.set_header("content-type", &kind);
    request.set_header("content-length", "1000");
    request.body = format!("--{BOUNDARY}\r\n").into_bytes();
    let message = failure(&request.send().unwrap(), 500, 0);
    assert_eq!(message, "context deadline exceeded");
}

#[test]
fn pins_and_names_are_in_the_bucket_for_every_instance() {
    let target = Target::new();
    let store = target.store();
    let args = ["--store", store.as_str()];
    let first = Rpc::with(target.cidbucket(), "127.0.0.1:0", &args);
    let second = Rpc::with(target.cidbucket(), "127.0.0.1:0", &args);
    let cid = first.put("pin=true", b"hello world\n");
    let pins = json(&second.ask("pin/ls?names=true"));
    assert_eq!(pins["Keys"][&cid]["Type"], "recursive");
    let told = json(&second.ask(&format!("block/rm?arg={cid}")));
    assert_eq!(told["Error"], "pinned: recursive");
    assert_eq!(json(&first.ask("id"))["ID"], json(&second.ask("id"))["ID"]);
    json(&second.ask(&format!("pin/rm?arg={cid}")));
    assert_eq!(json(&first.ask("pin/ls")), json!({}));
    // No listing of blocks shows what is kept beside them.
    assert_eq!(lines(&first.ask("refs/local")).len(), 1);
    assert_eq!(target.cidbucket().run(["ls"]).ok().lines().len(), 1);
}

#[test]
fn who_may_call_is_asked_where_others_can() {
    let folder = tempfile::tempdir().unwrap();
    let store = format!("dir:{}", folder.path().join("blocks").display());
    let serve = [
        "serve",
        "--store",
        &store,
        "--listen",
        "127.0.0.1:0",
        "--rpc",
        "0.0.0.0:0",
    ];
    let refused = Cidbucket::new().run(serve).failed_with(2);
    assert!(
        refused.stderr.contains("--rpc-authorizations"),
        "{}",
        refused.stderr
    );

    let file = folder.path().join("users.json");
    let users = r#"{
        "alice": {"AuthSecret": "basic:alice:canary-password", "AllowedPaths": ["/api/v0/block"]},
        "bob": {"AuthSecret": "bearer:canary-token", "AllowedPaths": ["/api/v0"]}
    }"#;
    std::fs::write(&file, users).unwrap();
    let file = file.to_str().unwrap();
    let args = ["--store", &store, "--rpc-authorizations", file, "-v"];
    let rpc = Rpc::with(Cidbucket::new(), "0.0.0.0:0", &args);
    let alice = "Basic YWxpY2U6Y2FuYXJ5LXBhc3N3b3Jk";
    for (authorization, target, status) in [
        ("", "version", 403),
        ("Bearer wrong", "version", 403),
        (alice, "version", 200),
        (alice, "block/stat?arg=bafkqaaa", 200),
        (alice, "id", 403),
        (alice, "pin/ls", 403),
        ("Bearer canary-token", "pin/ls", 200),
    ] {
        let answer = match authorization {
            "" => rpc.ask(target),
            value => rpc.ask_with(target, &[("authorization", value)]),
        };
        assert_eq!(
            answer.status,
            status,
            "{authorization} {target}: {}",
            text(&answer)
        );
        if status == 403 {
            assert!(text(&answer).starts_with("Kubo RPC Access Denied"));
        }
    }
    let (stdout, stderr) = rpc.process.kill();
    assert!(
        stderr.contains("/api/v0/pin/ls"),
        "calls are logged: {stderr}"
    );
    assert!(!format!("{stdout}{stderr}").contains("canary"), "{stderr}");

    for (text, told) in [
        ("{}", "no user"),
        ("{\"a\":\"canary\"}", "users"),
        ("canary", "users"),
    ] {
        std::fs::write(file, text).unwrap();
        let args = [
            "serve",
            "--store",
            &store,
            "--rpc",
            "127.0.0.1:0",
            "--rpc-authorizations",
            file,
        ];
        let refused = Cidbucket::new().run(args).failed_with(2).stderr;
        assert!(
            refused.contains(told) && !refused.contains("canary"),
            "{refused}"
        );
    }
}

#[test]
fn the_configuration_file_and_the_environment_say_it_too() {
    let folder = tempfile::tempdir().unwrap();
    let store = format!("dir:{}", folder.path().join("blocks").display());
    let config = folder.path().join("config.toml");
    std::fs::write(
        &config,
        format!("store = {store:?}\n[serve]\nrpc = \"127.0.0.1:0\"\n"),
    )
    .unwrap();
    let config = config.to_str().unwrap();
    let binary = Cidbucket::new().env("CIDBUCKET_CONFIG", config);
    let mut command = binary.command();
    command.args(["serve", "--json", "--listen", "127.0.0.1:0"]);
    assert!(
        Process::start(command)
            .field("rpc")
            .starts_with("http://127.0.0.1:")
    );
    let binary = binary.env("CIDBUCKET_RPC", "somewhere");
    let refused = binary.run(["serve"]).failed_with(2);
    assert!(
        refused.stderr.contains("CIDBUCKET_RPC"),
        "{}",
        refused.stderr
    );
    // Who keeps pins nowhere cannot answer.
    let args = ["serve", "--store", "http://127.0.0.1:9", "--rpc"];
    let refused = Cidbucket::new().run(args).failed_with(2);
    assert!(refused.stderr.contains("pins"), "{}", refused.stderr);
}
