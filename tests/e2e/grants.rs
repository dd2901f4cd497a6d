//! Grants, mutated field by field: every mutation is refused and leaves nothing behind, and the
//! grant as it was given is accepted.

use std::fs;
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use cidbucket_tests::mutation::{Mutation, bodies_mutated, is_accepted, requests_mutated};
use cidbucket_tests::wire::Request;
use cidbucket_tests::{Cidbucket, Target};

const SIZE: usize = 3000;

/// A write grant, the bytes it is for, and a way to look at what lies there without our client.
struct Write {
    cidbucket: Cidbucket,
    bytes: Vec<u8>,
    cid: String,
    grant: Request,
    look: Request,
}

impl Write {
    fn new(target: &Target, bytes: Vec<u8>, options: &[&str]) -> Self {
        let cidbucket = target.cidbucket();
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = folder.path().join("block");
        fs::write(&file, &bytes).expect("a file in a temporary folder");
        // The CID is computed by a store that has nothing to do with the target.
        let put = Cidbucket::new().run([
            Path::new("--store"),
            Path::new("memory:"),
            Path::new("put"),
            &file,
        ]);
        let cid = put.ok().text().trim_end().to_owned();
        let sign = ["presign", "put", "--format", "json"];
        let grant = cidbucket.run(
            sign.map(Path::new)
                .into_iter()
                .chain(options.iter().map(Path::new))
                .chain([&*file]),
        );
        let look = cidbucket
            .run(["presign", "get", &cid, "--format", "json"])
            .ok()
            .json();
        Self {
            grant: Request::grant(&grant.ok().json(), &bytes),
            look: Request::grant(&look, b""),
            cidbucket,
            bytes,
            cid,
        }
    }

    /// The bytes under the block's key.
    #[track_caller]
    fn stored(&self) -> Option<Vec<u8>> {
        let response = self.look.send().expect("a response");
        match response.status {
            200 => Some(response.body),
            404 => None,
            _ => panic!("{response:?}"),
        }
    }

    /// Asserts that the prefix is empty: no block, no other key.
    #[track_caller]
    fn nothing_is_left(&self) {
        let ls = self.cidbucket.run(["ls"]).ok();
        assert_eq!((ls.text(), &*ls.stderr), ("", ""), "{ls:?}");
    }
}

#[test]
fn every_mutation_of_a_write_grant_is_refused() {
    let target = Target::new();
    let write = Write::new(&target, bytes(SIZE), &[]);
    let mutations = [
        requests_mutated(
            &write.grant,
            &[("x-amz-acl", "public-read"), ("partNumber", "1")],
        ),
        bodies_mutated(&write.grant),
    ]
    .concat();
    assert!(mutations.len() > 200, "only {} mutations", mutations.len());
    let mut accepted = Vec::new();
    for mutation in mutations {
        assert_ne!(
            mutation.request, write.grant,
            "{} is no mutation",
            mutation.what
        );
        let outcome = mutation.request.send();
        let stored = write.stored();
        let granted = mutation.respelled && stored.as_ref() == Some(&write.bytes);
        if (is_accepted(&outcome) || stored.is_some()) && !granted {
            let stored = stored.as_ref().map(Vec::len);
            accepted.push(format!(
                "{}: {outcome:?}, {stored:?} bytes stored",
                mutation.what
            ));
        }
        if stored.is_some() {
            write.cidbucket.run(["rm", &write.cid]).ok();
        }
    }
    assert!(accepted.is_empty(), "accepted:\n{}", accepted.join("\n"));
    write.nothing_is_left();

    // So none was refused for a fault of the grant itself.
    let response = write.grant.send().expect("a response");
    assert_eq!(response.status, 200, "{response:?}");
    assert_eq!(write.stored().as_ref(), Some(&write.bytes));
    let get = write.cidbucket.run(["get", &write.cid]).ok();
    assert_eq!(get.stdout, write.bytes);
}

#[test]
fn a_good_block_is_not_replaced_by_wrong_bytes() {
    let target = Target::new();
    let write = Write::new(&target, bytes(SIZE), &[]);
    assert_eq!(write.grant.send().expect("a response").status, 200);
    for Mutation { what, request, .. } in bodies_mutated(&write.grant) {
        let outcome = request.send();
        assert!(!is_accepted(&outcome), "{what}: {outcome:?}");
        assert_eq!(write.stored().as_ref(), Some(&write.bytes), "{what}");
    }
    // The grant itself may be used again: the same bytes, the same block.
    let again = write.grant.send().expect("a response");
    assert!([200, 412].contains(&again.status), "{again:?}");
    assert_eq!(write.stored().as_ref(), Some(&write.bytes));
}

/// The seal that needs no trial, since every server enforces one of its two hashes.
#[test]
fn checksum_and_md5_together_hold_on_every_server() {
    let target = Target::new();
    let write = Write::new(&target, bytes(SIZE), &["--seal", "checksum-md5"]);
    for Mutation { what, request, .. } in bodies_mutated(&write.grant) {
        let outcome = request.send();
        assert!(!is_accepted(&outcome), "{what}: {outcome:?}");
        assert_eq!(write.stored(), None, "{what}");
    }
    assert_eq!(write.grant.send().expect("a response").status, 200);
    assert_eq!(write.stored().as_ref(), Some(&write.bytes));
}

#[test]
fn blocks_of_every_size_are_sealed() {
    let target = Target::new();
    for size in [0, 1, 1024, 256 << 10, 2 << 20] {
        let write = Write::new(&target, bytes(size), &[]);
        let mut wrong = write.grant.clone();
        if let Some(last) = wrong.body.last_mut() {
            *last ^= 1;
        } else {
            wrong.body.push(0);
            wrong.set_header("content-length", "1");
        }
        let outcome = wrong.send();
        assert!(!is_accepted(&outcome), "{size}: {outcome:?}");
        assert_eq!(write.stored(), None, "{size}");
        let response = write.grant.send().expect("a response");
        assert_eq!(response.status, 200, "{size}: {response:?}");
        assert!(write.stored().as_ref() == Some(&write.bytes), "{size}");
    }
}

#[test]
fn a_write_grant_ends_when_it_expires() {
    let target = Target::new();
    let write = Write::new(&target, bytes(SIZE), &["--expires", "1s"]);
    sleep(Duration::from_millis(2500));
    for request in expiry_respelled(&write.grant) {
        let outcome = request.send();
        assert!(!is_accepted(&outcome), "{:?}: {outcome:?}", request.query);
        assert_eq!(write.stored(), None);
    }
    write.nothing_is_left();
}

#[test]
fn every_mutation_of_a_read_grant_is_refused() {
    let target = Target::new();
    let cidbucket = target.cidbucket();
    let secret = b"nobody without a grant is to read this";
    let put = cidbucket.run_with(["put"], secret).ok();
    let cid = put.text().trim_end();
    let other = cidbucket.run_with(["put"], b"another block").ok();
    let other = cidbucket
        .run([
            "presign",
            "get",
            other.text().trim_end(),
            "--format",
            "json",
        ])
        .ok();
    let other = Request::grant(&other.json(), b"");
    let json = cidbucket
        .run(["presign", "get", cid, "--format", "json"])
        .ok()
        .json();
    let grant = Request::grant(&json, b"");

    let mut mutations = requests_mutated(
        &grant,
        &[
            ("response-content-type", "text/html"),
            ("versionId", "null"),
        ],
    );
    // One grant's key with another's signature.
    for (what, path, query) in [
        ("the key of another block", &other.path, &grant.query),
        ("the query of another grant", &grant.path, &other.query),
    ] {
        mutations.push(Mutation {
            what: what.to_owned(),
            request: Request {
                path: path.clone(),
                query: query.clone(),
                ..grant.clone()
            },
            respelled: false,
        });
    }
    assert!(mutations.len() > 150, "only {} mutations", mutations.len());
    for Mutation {
        what,
        request,
        respelled,
    } in mutations
    {
        assert_ne!(request, grant, "{what} is no mutation");
        let outcome = request.send();
        let told = match &outcome {
            Ok(response) if respelled && response.status == 200 => {
                assert_eq!(response.body, secret, "{what}");
                continue;
            }
            Ok(response) => &*response.body,
            Err(_) => b"",
        };
        assert!(!is_accepted(&outcome), "{what}: {outcome:?}");
        assert!(
            !told.windows(secret.len()).any(|part| part == secret),
            "{what}"
        );
    }
    let response = grant.send().expect("a response");
    assert_eq!((response.status, &*response.body), (200, &secret[..]));
    // No mutation of a read has changed anything.
    cidbucket.run(["get", cid]).ok();
}

#[test]
fn a_read_grant_ends_when_it_expires() {
    let target = Target::new();
    let cidbucket = target.cidbucket();
    let put = cidbucket.run_with(["put"], b"for a second").ok();
    let sign = [
        "presign",
        "get",
        put.text().trim_end(),
        "--expires",
        "1s",
        "--format",
        "json",
    ];
    let grant = Request::grant(&cidbucket.run(sign).ok().json(), b"");
    sleep(Duration::from_millis(2500));
    for request in expiry_respelled(&grant) {
        let outcome = request.send();
        assert!(!is_accepted(&outcome), "{:?}: {outcome:?}", request.query);
    }
}

/// The grant as it is, and with a longer life claimed before and behind the signed one.
fn expiry_respelled(grant: &Request) -> Vec<Request> {
    let longer = ("X-Amz-Expires".to_owned(), "3600".to_owned());
    let mut before = grant.clone();
    before.query.insert(0, longer.clone());
    let mut behind = grant.clone();
    behind.query.push(longer);
    vec![grant.clone(), before, behind]
}

fn bytes(size: usize) -> Vec<u8> {
    (0..size)
        .map(|at| u8::try_from(at * 31 % 251).expect("below 251"))
        .collect()
}
