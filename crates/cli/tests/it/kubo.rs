//! A real Kubo beside `cidbucket add`: the same CIDs, and it reads what we wrote into its repository.
//!
//! Runs where `CIDBUCKET_TEST_KUBO_PYTHON` names a Python that has Kubo as a library (how to get
//! one: `tests/kubo/node.py`), and says so otherwise.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::room::Room;

const NODE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/kubo/node.py");

#[test]
fn kubo_adds_the_same_and_reads_ours() {
    let Ok(python) = std::env::var("CIDBUCKET_TEST_KUBO_PYTHON") else {
        eprintln!("skipped: CIDBUCKET_TEST_KUBO_PYTHON is not set (see tests/kubo/node.py)");
        return;
    };
    let room = Room::new();
    let kubo =
        |command: &str, args: &[&str]| node(&python, command, room.path("repo").as_path(), args);
    kubo("init", &[]);
    let added = |path| {
        // Its libraries print too.
        let answer = kubo("add", &[path]);
        let cid = answer.lines().find_map(|line| line.strip_prefix("CID "));
        cid.expect("a CID").to_owned()
    };

    // What it adds by default, hidden files included.
    for length in [0_usize, 1, 262_144, 262_145, 3_000_000] {
        room.file("file", content(length));
        let ours = room.run(["add", "-nQ", "file"]).ok().out();
        assert_eq!(added("file"), ours.trim_end(), "{length}");
    }
    room.file("folder/.hidden", "1");
    room.file("folder/nested/empty", "");
    room.file("folder/nested/large", content(600_000));
    for n in 0..4500 {
        room.file(&format!("folder/many/{n:030}"), n.to_string());
    }
    let ours = room.run(["add", "-nQH", "folder"]).ok().out();
    assert_eq!(added("folder"), ours.trim_end());

    // What it does not add by default, it reads.
    let data = content(3_000_000);
    room.file("file", &data);
    for flags in [
        &["--profile=unixfs-v1-2025"][..],
        &["--raw-leaves"],
        &["--hash=blake3", "--chunker=size-100000"],
        &["--cid-version=1", "--raw-leaves=false", "--preserve-mode"],
    ] {
        let mut args = vec!["add", "-Q", "--store", "dir:repo/blocks", "file"];
        args.extend(flags);
        let cid = room.run(args).ok().out();
        let _ = std::fs::remove_file(room.path("back"));
        kubo("cat", &[cid.trim_end(), "back"]);
        assert!(
            std::fs::read(room.path("back")).unwrap() == data,
            "{flags:?}"
        );
    }
}

/// Bytes that do not repeat every chunk.
fn content(length: usize) -> Vec<u8> {
    (0_u32..).flat_map(u32::to_le_bytes).take(length).collect()
}

/// Runs Kubo for one command; a node that looks for a block it lacks would go on for ever.
fn node(python: &str, command: &str, repo: &Path, args: &[&str]) -> String {
    let mut child: Child = Command::new(python)
        .args([NODE, command])
        .arg(repo)
        .args(args)
        .current_dir(repo.parent().unwrap())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let deadline = Instant::now() + Duration::from_mins(1);
    while child.try_wait().unwrap().is_none() {
        if Instant::now() > deadline {
            child.kill().unwrap();
            child.wait().unwrap();
            panic!("Kubo did not end: node.py {command} {args:?}");
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "node.py {command} {args:?}");
    String::from_utf8(output.stdout).unwrap()
}
