//! Blocks in, out, listed and removed, over a folder.

use std::process::Stdio;

use crate::room::Room;

/// sha2-256 of "hello\n", codec raw.
const HELLO: &str = "bafkreicysg23kiwv34eg2d7qweipxwosdo2py4ldv42nbauguluen5v6am";
const ABSENT: &str = "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku";

#[test]
fn a_block_goes_round() {
    let room = Room::with_folder_store();
    room.file("hello.txt", "hello\n");
    let put = room.run(["put", "hello.txt"]).ok();
    assert_eq!(put.out(), format!("{HELLO}\n"));
    assert_eq!(room.run(["get", HELLO]).ok().out(), "hello\n");
    assert_eq!(
        room.run(["stat", HELLO]).ok().out(),
        format!("{HELLO} 6 raw sha2-256\n")
    );
    assert_eq!(room.run(["ls"]).ok().out(), format!("{HELLO}\n"));
    room.run(["rm", HELLO]).ok();
    assert_eq!(room.run(["ls"]).ok().out(), "");
    // Removing what is not there is no error.
    room.run(["rm", HELLO]).ok();
}

#[test]
fn cids_come_in_the_order_of_the_files() {
    let room = Room::with_folder_store();
    let names: Vec<_> = (0..50).map(|n| format!("{n}.bin")).collect();
    for (n, name) in names.iter().enumerate() {
        room.file(name, vec![7; n * 4000]);
    }
    let mut args = vec!["put".to_owned()];
    args.extend(names.iter().cloned());
    let cids = room.run(&args).ok().lines();
    assert_eq!(cids.len(), 50);

    // And the bytes come in the order of the CIDs, from standard input too.
    let all = room.run_with(["get", "-"], cids.join("\n")).ok();
    assert_eq!(all.bytes().len(), (0..50).map(|n| n * 4000).sum::<usize>());
    for (n, cid) in cids.iter().enumerate() {
        assert_eq!(room.run(["get", cid]).ok().bytes(), vec![7; n * 4000]);
        if n == 3 {
            break;
        }
    }
    let sizes: Vec<_> = room
        .run_with(["stat", "-"], cids.join("\n"))
        .ok()
        .lines()
        .iter()
        .map(|line| line.split(' ').nth(1).unwrap().parse::<usize>().unwrap())
        .collect();
    assert_eq!(sizes, (0..50).map(|n| n * 4000).collect::<Vec<_>>());

    // The output of ls --long is input for rm.
    let listed = room.run(["ls", "--long"]).ok().out();
    room.run_with(["rm", "-"], listed).ok();
    assert_eq!(room.run(["ls"]).ok().out(), "");
}

#[test]
fn codec_and_hash_make_the_cid() {
    let room = Room::with_folder_store();
    let cid = room
        .run_with(["put", "--codec", "dag-cbor", "--hash", "blake3"], [0xa0])
        .ok()
        .out();
    let stat = room.run(["stat", "--json", cid.trim()]).ok().json();
    assert_eq!(stat[0]["codec"], "dag-cbor");
    assert_eq!(stat[0]["hash"], "blake3");
    assert_eq!(stat[0]["size"], 1);
    // Any codec of the same hash is the same block.
    let raw = room.run(["ls"]).ok().out();
    assert_ne!(raw, cid);
    assert_eq!(room.run(["get", raw.trim()]).ok().bytes(), [0xa0]);
    room.run(["put", "--hash", "md5"]).code(2);
    room.run(["put", "--codec", "dag-cobr"]).code(2);
}

#[test]
fn one_bad_file_does_not_stop_the_others() {
    let room = Room::with_folder_store();
    room.file("a", "a");
    room.file("b", "b");
    room.file("big", vec![0; (2 << 20) + 1]);
    room.file("full", vec![0; 2 << 20]);
    let put = room.run(["put", "a", "none", "big", "full", "b"]).code(1);
    assert_eq!(put.lines().len(), 3);
    assert!(put.err().contains("none"), "{}", put.err());
    assert!(
        put.err().contains("big is larger than one block (2 MiB)"),
        "{}",
        put.err()
    );
    assert_eq!(room.run(["ls"]).ok().lines().len(), 3);
}

#[test]
fn a_pipe_that_is_too_long_is_refused_early() {
    let room = Room::with_folder_store();
    let put = room.run_with(["put", "-"], vec![0; 8 << 20]).code(2);
    assert!(put.err().contains("larger than one block"), "{}", put.err());
    assert_eq!(room.run(["ls"]).ok().out(), "");
}

#[test]
fn what_is_absent_says_so() {
    let room = Room::with_folder_store();
    room.run_with(["put"], "hello\n").ok();
    let has = room.run(["has", HELLO, ABSENT]).code(3);
    assert_eq!(has.out(), format!("{HELLO} present\n{ABSENT} absent\n"));
    assert_eq!(has.err(), "");
    room.run(["has", HELLO]).ok();
    let stat = room.run(["stat", HELLO, ABSENT]).code(3);
    assert_eq!(stat.lines().len(), 1);
    // Nothing after the gap: half a file must not look like a whole one.
    let get = room.run(["get", HELLO, ABSENT, HELLO]).code(3);
    assert_eq!(get.out(), "hello\n");
    assert!(get.err().contains(ABSENT));
}

#[test]
fn corrupt_bytes_never_come_out() {
    let room = Room::with_folder_store();
    room.run_with(["put"], "hello\n").ok();
    let file = walk(&room.path("blocks"))
        .into_iter()
        .find(|path| path.extension().is_some_and(|e| e == "data"))
        .unwrap();
    std::fs::write(&file, "hellO\n").unwrap();
    let get = room.run(["get", HELLO]).code(5);
    assert_eq!(get.out(), "");
    let get = room.run(["get", HELLO, "-o", "out"]).code(5);
    assert_eq!(get.out(), "");
    assert!(!room.path("out").exists());
}

#[test]
fn get_writes_files_whole() {
    let room = Room::with_folder_store();
    room.run_with(["put"], "hello\n").ok();
    room.file("out", "something longer that was there before");
    room.run(["get", HELLO, "-o", "out"]).ok();
    assert_eq!(std::fs::read(room.path("out")).unwrap(), b"hello\n");
    let get = room
        .run(["get", "--json", HELLO, ABSENT, "-o", "folder/"])
        .code(3);
    assert_eq!(get.json()[0]["size"], 6);
    assert_eq!(get.json_error()["class"], "not-found");
    let names: Vec<_> = std::fs::read_dir(room.path("folder"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(names, [HELLO]);
    room.run(["get", HELLO, ABSENT, "-o", "file"]).code(2);
}

#[test]
fn json_is_one_object_a_line() {
    let room = Room::with_folder_store();
    room.file("a", "hello\n");
    let put = room.run(["put", "--json", "a"]).ok().json();
    assert_eq!(put[0]["cid"], HELLO);
    assert_eq!(put[0]["size"], 6);
    assert_eq!(put[0]["file"], "a");
    let ls = room.run(["ls", "--json"]).ok().json();
    assert_eq!(ls[0]["cid"], HELLO);
    assert_eq!(ls[0]["size"], 6);
    assert!(ls[0]["modified"].as_str().unwrap().ends_with('Z'));
    let has = room.run(["has", "--json", HELLO, ABSENT]).code(3).json();
    assert_eq!(has[0]["present"], true);
    assert_eq!(has[1]["present"], false);
    assert_eq!(
        room.run(["rm", "--json", HELLO]).ok().json()[0]["removed"],
        true
    );
}

#[test]
fn identity_cids_need_no_store() {
    let room = Room::new().env("CIDBUCKET_STORE", "memory:");
    let cid = room
        .run_with(["put", "--hash", "identity"], "inline")
        .ok()
        .out();
    assert_eq!(room.run(["get", cid.trim()]).ok().out(), "inline");
    room.run_with(["put", "--hash", "identity"], [0; 200])
        .code(2);
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let room = Room::with_folder_store();
    for n in 0..40u8 {
        room.file(&format!("f/{n}"), vec![n; 100_000]);
    }
    let names: Vec<_> = (0..40).map(|n| format!("f/{n}")).collect();
    let mut args = vec!["put"];
    args.extend(names.iter().map(String::as_str));
    let cids = room.run(args).ok().lines();
    let mut command = room.command(["get"].into_iter().chain(cids.iter().map(String::as_str)));
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let ran = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8_lossy(&ran.stderr), "");
    assert_eq!(ran.status.code(), Some(141));
}

#[test]
fn bench_leaves_nothing_behind() {
    let room = Room::with_folder_store();
    room.run_with(["put"], "hello\n").ok();
    let bench = room
        .run(["bench", "--blocks", "20", "--size", "1KiB", "--json"])
        .ok()
        .json();
    assert_eq!(bench[0]["blocks"], 20);
    for phase in ["put", "get"] {
        for figure in ["mb_per_s", "ops_per_s", "p50_ms", "p99_ms"] {
            assert!(bench[0][phase][figure].as_f64().unwrap() > 0.0);
        }
    }
    assert_eq!(room.run(["ls"]).ok().out(), format!("{HELLO}\n"));
    let table = room.run(["bench", "--blocks", "2", "--size", "1KiB"]).ok();
    assert!(table.out().contains("ops/s"), "{}", table.out());
}

fn walk(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .flat_map(|path| {
            if path.is_dir() {
                walk(&path)
            } else {
                vec![path]
            }
        })
        .collect()
}
