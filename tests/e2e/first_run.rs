//! What a person does first: put a file, get it back, sign URLs for `curl`, look around, clean up.

use std::fs;
use std::path::PathBuf;

use cidbucket_tests::{Cidbucket, Curl, Target};
use serde_json::Value;
use tempfile::TempDir;

/// CIDs that anybody can compute: `hello world\n` as Kubo has it with `--cid-version 1 --raw-leaves`.
const HELLO: &[u8] = b"hello world\n";
const HELLO_CID: &str = "bafkreifjjcie6lypi6ny7amxnfftagclbuxndqonfipmb64f2km2devei4";
/// A block that nobody put.
const ABSENT: &str = "bafkreigq25o3hzc5x7qphxbfmtf6tvem63pmbpoufasaddd765a23l7d4u";

struct Desk {
    target: Target,
    cidbucket: Cidbucket,
    folder: TempDir,
}

impl Desk {
    fn new() -> Self {
        let target = Target::new();
        Self {
            cidbucket: target.cidbucket(),
            target,
            folder: tempfile::tempdir().expect("a temporary folder"),
        }
    }

    fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.folder.path().join(name);
        fs::write(&path, bytes).expect("a file in a temporary folder");
        path
    }

    fn put(&self, bytes: &[u8]) -> String {
        let put = self.cidbucket.run_with(["put"], bytes).ok();
        put.text().trim_end().to_owned()
    }
}

/// Bytes as of a picture: every value, no pattern that a line-wise or textual path would survive.
fn picture(size: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    (0..size)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()[3]
        })
        .collect()
}

#[test]
fn a_file_goes_in_and_the_same_bytes_come_out() {
    let desk = Desk::new();
    let bytes = picture(300_000);
    let photo = desk.file("photo.jpg", &bytes);
    let hello = desk.file("hello.txt", HELLO);

    let put = desk
        .cidbucket
        .run(["put".as_ref(), photo.as_path(), hello.as_path()])
        .ok();
    let [photo_cid, hello_cid] = put.lines()[..] else {
        panic!("not a CID a file: {put:?}");
    };
    assert_eq!(hello_cid, HELLO_CID);

    assert_eq!(desk.cidbucket.run(["get", photo_cid]).ok().stdout, bytes);
    // Blocks come in the order they are asked for.
    let both = desk
        .cidbucket
        .run(["get", hello_cid, photo_cid])
        .ok()
        .stdout;
    assert_eq!(both, [HELLO, &bytes].concat());
    // Into a file.
    let copy = desk.folder.path().join("copy.jpg");
    desk.cidbucket
        .run(["get", photo_cid, "-o", copy.to_str().expect("UTF-8")])
        .ok();
    assert_eq!(fs::read(copy).expect("the file it wrote"), bytes);
    // From standard input, and the empty block.
    assert_eq!(desk.put(HELLO), HELLO_CID);
    let empty = desk.put(b"");
    assert_eq!(
        empty,
        "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku"
    );
    assert_eq!(desk.cidbucket.run(["get", &empty]).ok().stdout, b"");
}

#[test]
fn a_block_is_known_by_its_multihash() {
    let desk = Desk::new();
    desk.put(HELLO);
    // The same multihash as CIDv0, and as CIDv1 with codec dag-pb.
    for alias in [
        "QmZjTnYw2TFhn9Nn7tjmPSoTBoY7YRkwPzwSrSbabY24Kp",
        "bafybeifjjcie6lypi6ny7amxnfftagclbuxndqonfipmb64f2km2devei4",
    ] {
        assert_eq!(
            desk.cidbucket.run(["get", alias]).ok().stdout,
            HELLO,
            "{alias}"
        );
    }
}

#[test]
fn every_hash_goes_through() {
    let desk = Desk::new();
    for hash in [
        "sha2-256",
        "sha2-512",
        "sha3-256",
        "blake2b-256",
        "blake3",
        "dbl-sha2-256",
    ] {
        let put = desk.cidbucket.run_with(["put", "--hash", hash], HELLO).ok();
        let cid = put.text().trim_end();
        assert_eq!(
            desk.cidbucket.run(["get", cid]).ok().stdout,
            HELLO,
            "{hash}"
        );
    }
}

#[test]
fn blocks_are_listed_looked_up_and_removed() {
    let desk = Desk::new();
    let mut cids = vec![desk.put(HELLO), desk.put(b"one"), desk.put(b"two")];
    cids.sort();

    let ls = desk.cidbucket.run(["ls"]).ok();
    let mut listed = ls.lines();
    listed.sort_unstable();
    assert_eq!(listed, cids);

    let ls = desk.cidbucket.run(["ls", "--json"]).ok();
    let rows: Vec<Value> = ls
        .lines()
        .iter()
        .map(|line| serde_json::from_str(line).expect("an object a line"))
        .collect();
    let row = rows.iter().find(|row| row["cid"] == HELLO_CID);
    assert_eq!(row.expect("the block in the listing")["size"], HELLO.len());

    let stat = desk
        .cidbucket
        .run(["stat", "--json", HELLO_CID])
        .ok()
        .json();
    assert_eq!(
        (&stat["size"], &stat["hash"]),
        (&HELLO.len().into(), &"sha2-256".into())
    );

    desk.cidbucket.run(["has", HELLO_CID]).ok();
    desk.cidbucket
        .run(["has", HELLO_CID, ABSENT])
        .failed_with(3);

    desk.cidbucket.run(["rm", HELLO_CID]).ok();
    desk.cidbucket.run(["has", HELLO_CID]).failed_with(3);
    // Again: nothing to do is no failure.
    desk.cidbucket.run(["rm", HELLO_CID]).ok();
    let rest = desk.cidbucket.run(["ls"]).ok().stdout;
    desk.cidbucket.run_with(["rm", "-"], &rest).ok();
    assert_eq!(desk.cidbucket.run(["ls"]).ok().text(), "");
}

#[test]
fn a_block_is_read_by_curl_through_a_signed_url() {
    let desk = Desk::new();
    let bytes = picture(200_000);
    let cid = desk.put(&bytes);

    let url = desk.cidbucket.run(["presign", "get", &cid]).ok();
    assert_eq!(url.lines().len(), 1, "{url:?}");
    let grant = desk
        .cidbucket
        .run(["presign", "get", &cid, "--format", "json"])
        .ok()
        .json();
    assert_eq!(grant["method"], "GET");
    let (status, body) = Curl::grant(&grant).send();
    assert_eq!((status, body == bytes), (200, true));

    // The printed command does the same.
    let line = desk
        .cidbucket
        .run(["presign", "get", &cid, "--format", "curl"])
        .ok();
    assert_eq!(shell(&desk, line.text()), bytes);

    // A grant for a block that is not there is no way to learn more than that.
    let grant = desk
        .cidbucket
        .run(["presign", "get", ABSENT, "--format", "json"])
        .ok()
        .json();
    assert_eq!(Curl::grant(&grant).send().0, 404);
}

#[test]
fn a_block_is_written_by_curl_and_s3_refuses_other_bytes() {
    let desk = Desk::new();
    let bytes = picture(200_000);
    let right = desk.file("right.bin", &bytes);
    let mut other = bytes.clone();
    other[100_000] ^= 1;
    let wrong = desk.file("wrong.bin", &other);
    let short = desk.file("short.bin", &bytes[..199_999]);

    let sign = [
        "presign".as_ref(),
        "put".as_ref(),
        right.as_path(),
        "--format".as_ref(),
        "json".as_ref(),
    ];
    let grant = desk.cidbucket.run(sign).ok().json();
    assert_eq!(grant["method"], "PUT");
    for refused in [&wrong, &short] {
        let (status, _) = Curl::grant(&grant).body(refused).send();
        assert!(status >= 400, "{}: {status}", refused.display());
        assert_eq!(
            desk.cidbucket.run(["ls"]).ok().text(),
            "",
            "{}",
            refused.display()
        );
    }
    let (status, _) = Curl::grant(&grant).body(&right).send();
    assert_eq!(status, 200);
    let cid = desk.cidbucket.run(["ls"]).ok().text().trim_end().to_owned();
    assert_eq!(desk.cidbucket.run(["get", &cid]).ok().stdout, bytes);

    // With the good block there, the wrong one is refused still, and does not replace it.
    let (status, _) = Curl::grant(&grant).body(&wrong).send();
    assert!(status >= 400, "{status}");
    assert_eq!(desk.cidbucket.run(["get", &cid]).ok().stdout, bytes);

    // By CID and size, without the bytes at hand, and by the printed command.
    desk.cidbucket.run(["rm", &cid]).ok();
    let by_cid = [
        "presign", "put", "--cid", &cid, "--size", "200000", "--format", "json",
    ];
    let grant = desk.cidbucket.run(by_cid).ok().json();
    assert_eq!(Curl::grant(&grant).body(&right).send().0, 200);
    desk.cidbucket.run(["rm", &cid]).ok();
    let sign = [
        "presign".as_ref(),
        "put".as_ref(),
        right.as_path(),
        "--format".as_ref(),
        "curl".as_ref(),
    ];
    let line = desk.cidbucket.run(sign).ok();
    shell(&desk, line.text());
    assert_eq!(desk.cidbucket.run(["get", &cid]).ok().stdout, bytes);
}

#[test]
fn exit_codes_say_what_went_wrong() {
    let desk = Desk::new();
    let cidbucket = &desk.cidbucket;
    // Not there.
    let absent = cidbucket.run(["get", ABSENT]).failed_with(3);
    assert_eq!(absent.stdout, b"");
    assert!(absent.stderr.contains(ABSENT), "{absent:?}");
    // Wrong usage and input.
    cidbucket.run(["get", "not-a-cid"]).failed_with(2);
    cidbucket.run(["no-such-command"]).failed_with(2);
    Cidbucket::new().run(["ls"]).failed_with(2);
    cidbucket
        .run(["--store", "ftp://bucket", "ls"])
        .failed_with(2);
    cidbucket
        .run_with(["put"], &picture((2 << 20) + 1))
        .failed_with(2);
    assert_eq!(
        cidbucket.run(["ls"]).ok().text(),
        "",
        "too large, and nothing of it stored"
    );
    // Denied.
    let mallory = cidbucket
        .clone()
        .env("AWS_SECRET_ACCESS_KEY", "a-secret-that-is-wrong");
    for command in [
        &["get", ABSENT][..],
        &["ls"],
        &["rm", ABSENT],
        &["has", ABSENT],
    ] {
        mallory.run(command).failed_with(4);
    }
    mallory.run_with(["put"], HELLO).failed_with(4);
    // No such bucket.
    let missing = desk.target.missing_store();
    let ls = cidbucket.run(["--store", &missing, "ls"]);
    ls.failed_with(7);
    let put = cidbucket.run_with(["--store", &missing, "put"], HELLO);
    if put.code == Some(0) {
        // SeaweedFS makes the bucket for an administrator. Then the block is there.
        cidbucket.run(["--store", &missing, "get", HELLO_CID]).ok();
        cidbucket.run(["--store", &missing, "rm", HELLO_CID]).ok();
    } else {
        put.failed_with(7);
    }
}

#[test]
fn an_endpoint_that_is_not_there_is_unavailable() {
    // A port that was free a moment ago.
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .expect("a free port")
        .port();
    let cidbucket = Cidbucket::new()
        .env("AWS_ACCESS_KEY_ID", "key")
        .env("AWS_SECRET_ACCESS_KEY", "secret")
        .env(
            "CIDBUCKET_STORE",
            format!("s3://bucket?endpoint=http://127.0.0.1:{port}&region=us-east-1"),
        );
    cidbucket.run(["get", ABSENT]).failed_with(6);
}

#[test]
fn errors_in_json_have_a_class() {
    let desk = Desk::new();
    let absent = desk.cidbucket.run(["--json", "get", ABSENT]).failed_with(3);
    let error: Value = serde_json::from_str(&absent.stderr).expect("one JSON object");
    assert_eq!(error["error"]["class"], "not-found");
    let mallory = desk
        .cidbucket
        .clone()
        .env("AWS_SECRET_ACCESS_KEY", "a-secret-that-is-wrong");
    let denied = mallory.run(["--json", "get", ABSENT]).failed_with(4);
    let error: Value = serde_json::from_str(&denied.stderr).expect("one JSON object");
    assert_eq!(error["error"]["class"], "denied");
    assert_eq!(error["error"]["status"], 403);
    assert!(error["error"]["hint"].is_string());
}

/// Runs a line that a person would paste into a shell, and gives its standard output.
fn shell(desk: &Desk, line: &str) -> Vec<u8> {
    let output = std::process::Command::new("sh")
        .args(["-euc", line])
        .env("no_proxy", "*")
        .current_dir(desk.folder.path())
        .output()
        .expect("a shell");
    assert!(
        output.status.success(),
        "{line}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    output.stdout
}
