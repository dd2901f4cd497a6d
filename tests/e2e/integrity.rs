//! Objects that are no blocks, or not the blocks that their keys name.

use cidbucket_tests::wire::Request;
use cidbucket_tests::{Cidbucket, Target};

const GOOD: &[u8] = b"the bytes that were put";
const BAD: &[u8] = b"the bytes that lie here";

/// The object key of a block, read off a signed URL.
fn key(target: &Target, cidbucket: &Cidbucket, cid: &str) -> String {
    let sign = ["presign", "get", cid, "--format", "json"];
    let path = Request::grant(&cidbucket.run(sign).ok().json(), b"").path;
    let bucket = format!("/{}/", target.bucket);
    path.strip_prefix(&bucket)
        .expect("a path in the bucket")
        .to_owned()
}

#[test]
fn wrong_bytes_under_a_key_are_never_given_out() {
    let target = Target::new();
    let cidbucket = target.cidbucket();
    let put = cidbucket.run_with(["put"], GOOD).ok();
    let cid = put.text().trim_end();
    let key = key(&target, &cidbucket, cid);
    for bad in [BAD, b"", &GOOD[..GOOD.len() - 1], &[GOOD, b"!"].concat()] {
        target.put_object(&key, bad);
        let get = cidbucket.run(["get", cid]).failed_with(5);
        assert_eq!(get.stdout, b"", "{get:?}");
        assert!(get.stderr.contains(cid), "{get:?}");
        let json = cidbucket.run(["--json", "get", cid]).failed_with(5);
        assert!(json.stderr.contains(r#""class":"corrupt""#), "{json:?}");
    }
    // Putting the block again heals it.
    cidbucket.run_with(["put"], GOOD).ok();
    assert_eq!(cidbucket.run(["get", cid]).ok().stdout, GOOD);
}

#[test]
fn an_object_larger_than_a_block_is_refused() {
    let target = Target::new();
    let cidbucket = target.cidbucket();
    let put = cidbucket.run_with(["put"], GOOD).ok();
    let cid = put.text().trim_end();
    target.put_object(&key(&target, &cidbucket, cid), &vec![7; 5 << 20]);
    let get = cidbucket.run(["get", cid]);
    assert!(get.code != Some(0) && get.stdout.is_empty(), "{get:?}");
}

#[test]
fn foreign_objects_are_counted_and_left_alone() {
    let target = Target::new();
    let cidbucket = target.cidbucket();
    let put = cidbucket.run_with(["put"], GOOD).ok();
    let cid = put.text().trim_end();
    for name in ["README.txt", "folder/", "a b+c&d=é%2F\"<>", "CIQ"] {
        target.put_object(&format!("{}/{name}", target.prefix), BAD);
    }
    let ls = cidbucket.run(["ls"]).ok();
    assert_eq!(ls.lines(), [cid]);
    assert!(ls.stderr.contains('4'), "{ls:?}");
    // Removing all that is listed removes no foreign object.
    cidbucket.run_with(["rm", "-"], &ls.stdout).ok();
    let ls = cidbucket.run(["ls"]).ok();
    assert_eq!(ls.text(), "");
    assert!(ls.stderr.contains('4'), "{ls:?}");
}

#[test]
fn a_prefix_is_a_store_of_its_own() {
    let target = Target::new();
    // It shares its first characters, and lies beside it.
    let neighbour = target.with_suffix("x");
    let inside = target.with_suffix("/inside");
    let put = target.cidbucket().run_with(["put"], GOOD).ok();
    neighbour.cidbucket().run_with(["put"], b"next door").ok();
    inside.cidbucket().run_with(["put"], b"inside").ok();
    let ls = target.cidbucket().run(["ls"]).ok();
    assert_eq!(ls.lines(), put.lines());
    neighbour
        .cidbucket()
        .run(["get", put.text().trim_end()])
        .failed_with(3);
}
