//! Modes and times: CIDs from Kubo's `test/sharness/t0047-add-mode-mtime.sh` (kubo 867cdc5).

use cidbucket_dag::unixfs::add::{Added, DirectoryBuilder, FileBuilder, Profile, symlink};
use cidbucket_dag::unixfs::{Metadata, Mtime};

use super::file;

const NONE: Metadata = Metadata {
    mode: None,
    mtime: None,
};

fn mode(mode: u32) -> Metadata {
    Metadata {
        mode: Some(mode),
        ..NONE
    }
}

fn time(seconds: i64, nanoseconds: u32) -> Metadata {
    Metadata {
        mtime: Some(Mtime {
            seconds,
            nanoseconds,
        }),
        ..NONE
    }
}

fn both(mode: Metadata, time: Metadata) -> Metadata {
    Metadata {
        mode: mode.mode,
        mtime: time.mtime,
    }
}

/// The times of the script: of what it preserves, and of what it sets.
const PRESERVED: i64 = 1_604_320_482;
const CUSTOM: i64 = 1_603_539_720;

#[test]
fn files() {
    let (preserved, custom) = (time(PRESERVED, 0), time(CUSTOM, 54_321));
    for (metadata, expected) in [
        (NONE, "QmbFMke1KXqnYyBBWxB74N4c5SBnJMVAiMNRcGu6x1AwQH"),
        (
            mode(0o640),
            "QmQLgxypSNGNFTuUPGCecq6dDEjb6hNB5xSyVmP3cEuNtq",
        ),
        (preserved, "QmQ6kErEW8kztQFV8vbwNU8E4dmtGsYpRiboiLxUEwibvj"),
        (
            both(mode(0o640), preserved),
            "QmYkvboLsvLFcSYmqVJRxvBdYRQLroLv9kELf3LRiCqBri",
        ),
        (
            mode(0o764),
            "QmchD3BN8TQ3RW6jPLxSaNkqvfuj7syKhzTRmL4EpyY1Nz",
        ),
        (
            time(CUSTOM, 0),
            "QmT3aY4avDcYXCWpU8CJzqUkW7YEuEsx36S8cTNoLcuK1B",
        ),
        (custom, "QmaKH8H5rXBUBCX4vdxi7ktGQEL7wejV7L9rX2qpZjwncz"),
        (
            both(mode(0o764), custom),
            "QmUkxrtBA8tPjwCYz1HrsoRfDz6NgKut3asVeHVQNH4C8L",
        ),
        // A mode of nothing is none.
        (mode(0), "QmbFMke1KXqnYyBBWxB74N4c5SBnJMVAiMNRcGu6x1AwQH"),
    ] {
        let (added, blocks) = file(&Profile::kubo(), "".into(), metadata);
        assert_eq!(added.cid.to_string(), expected, "{metadata:?}");
        assert_eq!(blocks.len(), 1);
    }
}

#[test]
fn symlinks() {
    for (time, expected) in [
        (
            time(PRESERVED, 0),
            "QmbJwotgtr84JxcnjpwJ86uZiyMoxbZuNH4YrdJMypkYaB",
        ),
        (
            time(CUSTOM, 0),
            "QmV1Uot2gy4bhY9yvYiZxhhchhyYC6MKKoGV1XtWNmpCLe",
        ),
        (
            time(CUSTOM, 54_321),
            "QmPHYCxYvvHj6VxiPNJ3kXxcPsnJLDYUJqsDJWjvytmrmY",
        ),
    ] {
        let metadata = both(mode(0o777), time);
        let added = symlink(&Profile::kubo(), "nothing", metadata, &mut Vec::new()).unwrap();
        assert_eq!(added.cid.to_string(), expected, "{metadata:?}");
    }
}

fn directory(metadata: Metadata, entries: &[(&str, Added)]) -> Added {
    let mut directory = DirectoryBuilder::new(&Profile::kubo())
        .unwrap()
        .with_metadata(metadata);
    for (name, added) in entries {
        directory.add(*name, added).unwrap();
    }
    directory.finish(&mut Vec::new()).unwrap()
}

#[test]
fn directories() {
    for (metadata, expected) in [
        (NONE, "QmUNLLsPACCz1vLxQVkXqqLX5R1X345qqfHbsf67hvA3Nn"),
        (
            mode(0o755),
            "QmRviohgafvCsbkiTgfQFipbuXJ6k1YtoiaQW4quttJPKu",
        ),
        (
            time(1_655_158_722, 0),
            "QmYMy7CZGb498QFSQBF5ZFwv1FYbrAtYZMe4VxhDXxAcvf",
        ),
        (
            mode(0o713),
            "QmQ1ABnw2iip7sj23EzzBZ9T77KyyfESP6SUboiXPyzNQe",
        ),
        (
            time(CUSTOM, 0),
            "QmfWitW6F13WHFXLbJzXRYmwrS1p4gaAJAfucUSMytRPn3",
        ),
        (
            time(CUSTOM, 54_321),
            "QmZFdCLJay31hT3Tx1LygJ7XfiLEs3qLCXtbeBfhf38aZg",
        ),
    ] {
        let added = directory(metadata, &[]);
        assert_eq!(added.cid.to_string(), expected, "{metadata:?}");
    }
}

#[test]
fn a_tree() {
    let with = |permissions, offset: i64| both(mode(permissions), time(1_655_158_632 + offset, 0));
    let empty = |offset| file(&Profile::kubo(), "".into(), with(0o644, offset)).0;
    let link = with(0o777, 20);
    let link1 = symlink(&Profile::kubo(), "../sub2/file3", link, &mut Vec::new()).unwrap();

    let sub2 = directory(with(0o755, 30), &[("file3", empty(10))]);
    let sub1 = directory(with(0o755, 40), &[("sub2", sub2), ("link1", link1)]);
    assert_eq!(
        sub1.cid.to_string(),
        "QmeQwX5qAX18fcPDxDdkfM6ttuFCZetF5hgeUa6ov8D5oc"
    );
    let dir1 = directory(with(0o755, 90), &[]);
    let dir2 = directory(with(0o755, 50), &[("sub1", sub1)]);
    let dir3 = directory(with(0o755, 70), &[("file2", empty(60))]);
    let file1 = empty(80);
    let entries = [
        ("dir1", dir1),
        ("dir2", dir2),
        ("dir3", dir3),
        ("file1", file1),
    ];
    let root = directory(with(0o700, 0), &entries);
    assert_eq!(
        root.cid.to_string(),
        "QmSioyvQuXetxg7uo8FswGn9XKKEsisDq1HTMzGyWbw2R6"
    );
}

#[test]
fn the_root_alone_has_the_metadata() {
    let profile = Profile {
        chunker: "size-10".parse().unwrap(),
        ..Profile::kubo()
    };
    for length in [0, 1, 10, 11, 2000] {
        let (plain, without) = file(&profile, vec![1; length].into(), NONE);
        let (marked, with) = file(&profile, vec![1; length].into(), mode(0o640));
        assert_eq!(without.len(), with.len(), "{length}");
        let last = with.len() - 1;
        assert_eq!(without[..last], with[..last], "{length}");
        assert_ne!(marked.cid, plain.cid);
        assert_eq!((marked.size, marked.tsize), (plain.size, plain.tsize + 3));
    }
    let raw = FileBuilder::new(&Profile::v1()).unwrap();
    assert!(
        raw.with_metadata(mode(0o640)).is_err(),
        "a raw root has no room"
    );
}
