//! Files and folders added, over a folder.

use std::fs;

use crate::room::Room;

/// Words of the same prime as in the page's tests, whose CIDs Kubo 0.22 gave.
fn pattern(length: u32) -> Vec<u8> {
    (0..length / 4)
        .flat_map(|i| i.wrapping_mul(2_654_435_761).to_le_bytes())
        .collect()
}

/// The folder of the page's tests.
fn folder(room: &Room) {
    room.file("folder/hello.txt", "hello world\n");
    room.file("folder/nested/ünï çødé 文件.txt", "grüße\n");
    room.file("folder/nested/data.bin", pattern(3 << 20));
    room.file("folder/empty.txt", "");
    room.file("folder/nested/deep/a b & c.txt", "a\n");
}

const FOLDER: &str = "QmWPQYUWF5XRKBhfL6uXmruFZZucK2vKFtcwBjsR8p9aD8";
const FILE_OF_HELLO: &str = "QmT78zSuBmuS4z925WZfrqQ1qHaJ56DQaTfyMUF7F8ff5o";
const EMPTY_FILE: &str = "QmbFMke1KXqnYyBBWxB74N4c5SBnJMVAiMNRcGu6x1AwQH";

#[test]
fn a_folder_has_kubos_cids() {
    let room = Room::with_folder_store();
    folder(&room);
    let added = room.run(["add", "-r", "folder"]).ok().lines();
    assert_eq!(added.len(), 8, "{added:?}");
    assert_eq!(added[0], format!("added {EMPTY_FILE} folder/empty.txt"));
    assert_eq!(added[1], format!("added {FILE_OF_HELLO} folder/hello.txt"));
    assert_eq!(added[7], format!("added {FOLDER} folder"));
    // Twelve chunks are more blocks than lines.
    assert_eq!(room.run(["ls"]).ok().lines().len(), 8 + 12);

    // However the folder is named, it has its own name.
    fs::create_dir(room.path("other")).unwrap();
    for path in ["./folder", "folder/", "other/../folder", "folder/nested/.."] {
        let again = room.run(["add", path]).ok().lines();
        assert_eq!(again[7], format!("added {FOLDER} folder"), "{path}");
    }
    assert_eq!(
        room.run(["add", "-Q", "folder"]).ok().out(),
        format!("{FOLDER}\n")
    );
    let quiet = room.run(["add", "-q", "folder"]).ok().lines();
    assert_eq!((quiet.len(), &*quiet[1]), (8, FILE_OF_HELLO));
}

#[test]
fn results_as_json() {
    let room = Room::with_folder_store();
    folder(&room);
    let added = room.run(["add", "--json", "folder"]).ok().json();
    assert_eq!(added[1]["cid"], FILE_OF_HELLO);
    assert_eq!(added[1]["name"], "folder/hello.txt");
    assert_eq!(added[1]["size"], 12);
    assert_eq!(added[1]["root"], false);
    assert_eq!(added[7]["root"], true);
    assert_eq!(added[7]["size"], (3 << 20) + 12 + 8 + 2);
    let last = room.run(["add", "--json", "-Q", "folder"]).ok().json();
    assert_eq!((last.len(), &last[0]["cid"]), (1, &FOLDER.into()));
}

#[test]
fn nothing_but_hashes() {
    let room = Room::new();
    folder(&room);
    // No store is needed, and none is made.
    let hashed = room.run(["add", "-n", "-Q", "folder"]).ok().out();
    assert_eq!(hashed, format!("{FOLDER}\n"));
    room.run(["add", "-n", "--store", "dir:blocks", "folder"])
        .ok();
    assert!(!room.path("blocks").exists());
    room.run(["add", "folder"]).code(2);
}

#[test]
fn standard_input_is_called_by_its_cid() {
    let room = Room::with_folder_store();
    // `test/sharness/t0040-add-and-cat.sh` of Kubo.
    let pipe = room.run_with(["add"], "Hello Neptune!\nHello Pluton!").ok();
    let cid = "QmZDhWpi8NvKrekaYYhxKCdNVGWsFFe1CREnAjP1QbPaB3";
    assert_eq!(pipe.out(), format!("added {cid} {cid}\n"));
    let wrapped = room.run_with(["add", "-w", "-"], "Hello Neptune!\nHello Pluton!");
    let wrapped = wrapped.ok().lines();
    assert_eq!(wrapped.len(), 2);
    assert!(
        wrapped[1].ends_with(' '),
        "the folder has no name: {wrapped:?}"
    );
    let twice = room.run_with(["add", "-", "-"], "x").code(2);
    assert!(twice.err().contains("only once"), "{}", twice.err());
}

#[test]
fn flags_decide_about_cids() {
    let room = Room::new();
    room.file("hello", "hello world\n");
    for (flags, cid) in [
        ("", FILE_OF_HELLO),
        ("--profile=unixfs-v0-2015", FILE_OF_HELLO),
        ("--cid-version=0", FILE_OF_HELLO),
        (
            "--cid-version=1",
            "bafkreifjjcie6lypi6ny7amxnfftagclbuxndqonfipmb64f2km2devei4",
        ),
        (
            "--raw-leaves",
            "bafkreifjjcie6lypi6ny7amxnfftagclbuxndqonfipmb64f2km2devei4",
        ),
        (
            "--profile=unixfs-v1-2025",
            "bafkreifjjcie6lypi6ny7amxnfftagclbuxndqonfipmb64f2km2devei4",
        ),
    ] {
        let mut args = vec!["add", "-nQ", "hello"];
        args.extend(flags.split_whitespace());
        assert_eq!(room.run(args).ok().out(), format!("{cid}\n"), "{flags}");
    }
    let hashed = |flag| room.run(["add", "-nQ", "hello", flag]).ok().out();
    assert_ne!(hashed("--chunker=size-4"), format!("{FILE_OF_HELLO}\n"));
    let blake3 = hashed("--hash=blake3");
    assert!(blake3.starts_with("bafkr4i"), "{blake3}");
    for (wrong, about) in [
        ("--cid-version=2", "there is no CID version 2"),
        ("--chunker=rabin", "not supported"),
        ("--chunker=size-0", "1 to 2096896"),
        ("--profile=test-cid-v1", "no profile"),
        ("--hash=md5", "md5"),
        ("--hash=identity", "identity"),
    ] {
        let refused = room.run(["add", "-n", "hello", wrong]).code(2);
        assert!(refused.err().contains(about), "{}", refused.err());
    }
    let refused = room.run(["add", "-n", "hello", "--cid-version=0", "--hash=blake3"]);
    assert!(refused.code(2).err().contains("needs CIDv1"));
    let refused = room.run(["add", "-n", "hello", "--raw-leaves", "--preserve-mode"]);
    assert!(refused.code(2).err().contains("raw leaves"));
}

#[test]
fn hidden_files_are_left_out_unless_named() {
    let room = Room::new();
    room.file("d/seen", "1");
    let seen = room.run(["add", "-nQ", "d"]).ok().out();
    room.file("d/.hidden", "2");
    room.file("d/.git/config", "3");
    assert_eq!(room.run(["add", "-nQ", "d"]).ok().out(), seen);
    let all = room.run(["add", "-n", "-H", "d"]).ok().lines();
    assert_eq!(all.len(), 5, "{all:?}");
    let named = room.run(["add", "-n", "d/.hidden"]).ok().out();
    assert!(named.ends_with(" .hidden\n"), "{named}");
}

#[test]
fn what_cannot_be_added_is_named() {
    let room = Room::with_folder_store();
    room.file("good", "1");
    // Nothing is read, nor is the store made, where a path is wrong.
    let missing = room.run(["add", "good", "none"]).code(1);
    assert!(
        missing.err().contains("none: No such file"),
        "{}",
        missing.err()
    );
    assert!(!room.path("blocks").exists());
    assert_eq!(missing.out(), "");
    room.file("other/good", "2");
    let twice = room.run(["add", "-w", "good", "other/good"]).code(2);
    assert!(twice.err().contains("\"good\""), "{}", twice.err());
    let root = room.run(["add", "-n", "/"]).code(2);
    assert!(root.err().contains("has no name"), "{}", root.err());
}

#[test]
fn what_is_there_is_not_written_again() {
    let room = Room::with_folder_store();
    folder(&room);
    room.run(["add", "folder"]).ok();
    let times = || -> Vec<_> {
        let mut times: Vec<_> = walkdir::WalkDir::new(room.path("blocks"))
            .into_iter()
            .map(|entry| entry.unwrap())
            .filter(|entry| entry.file_type().is_file())
            .map(|entry| {
                (
                    entry.metadata().unwrap().modified().unwrap(),
                    entry.into_path(),
                )
            })
            .collect();
        times.sort();
        times
    };
    let before = times();
    room.file("folder/new.txt", "new\n");
    room.run(["add", "--resume", "folder"]).ok();
    let after = times();
    assert_eq!(after[..before.len()], before[..], "as they were");
    assert_eq!(after.len(), before.len() + 2, "a file and its folder");
}

#[cfg(unix)]
mod unix {
    use std::io::Write;
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::os::unix::net::UnixListener;
    use std::process::Command;
    use std::time::Duration;

    use super::*;
    use crate::room::Ran;

    /// `test/sharness/t0044-add-symlink.sh` of Kubo.
    #[test]
    fn links_stay_links() {
        let room = Room::new();
        room.file("files/foo/baz", "some text\n");
        fs::create_dir(room.path("files/bar")).unwrap();
        symlink("files/foo/baz", room.path("files/bar/baz")).unwrap();
        symlink("files/does/not/exist", room.path("files/bad")).unwrap();
        for (args, cid) in [
            (
                vec!["files"],
                "QmWdiHKoeSW8G1u7ATCgpx4yMoUhYaJBQGkyPLkS9goYZ8",
            ),
            (
                vec!["files", "--cid-version=1"],
                "bafybeibyhlx64cklod6isy3h7tsmr4qvam3ae3b74n3hfes5bythjrwyua",
            ),
            (
                vec!["files/bad"],
                "QmWYN8SEXCgNT2PSjB6BnxAx6NJQtazWoBkTRH9GRfPFFQ",
            ),
        ] {
            let args = ["add", "-nQ"].into_iter().chain(args);
            assert_eq!(room.run(args).ok().out(), format!("{cid}\n"));
        }
        // Followed only where that is asked for.
        symlink("files", room.path("link")).unwrap();
        let link = room.run(["add", "-n", "link"]).ok().lines();
        assert_eq!(link.len(), 1);
        let followed = room
            .run(["add", "-n", "--dereference-args", "link"])
            .ok()
            .lines();
        assert_eq!(followed.len(), 6);
        assert!(followed[5].ends_with(" link"), "{followed:?}");
        room.run(["add", "-n", "--dereference-args", "files/bad"])
            .code(1);
    }

    /// `test/sharness/t0047-add-mode-mtime.sh` of Kubo.
    #[test]
    fn modes_and_times_are_kept() {
        let room = Room::new();
        let file = room.file("test.txt", "");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
        let touched = |path: &std::path::Path, time: &str| {
            let status = Command::new("touch")
                .args(["-h", "-m", "-d", time])
                .arg(path)
                .status();
            assert!(status.unwrap().success());
        };
        touched(&file, "@1604320482");
        symlink("nothing", room.path("link")).unwrap();
        touched(&room.path("link"), "@1604320482");
        for (args, cid) in [
            (vec!["test.txt"], EMPTY_FILE),
            (
                vec!["--preserve-mode", "test.txt"],
                "QmQLgxypSNGNFTuUPGCecq6dDEjb6hNB5xSyVmP3cEuNtq",
            ),
            (
                vec!["--preserve-mtime", "test.txt"],
                "QmQ6kErEW8kztQFV8vbwNU8E4dmtGsYpRiboiLxUEwibvj",
            ),
            (
                vec!["--preserve-mode", "--preserve-mtime", "test.txt"],
                "QmYkvboLsvLFcSYmqVJRxvBdYRQLroLv9kELf3LRiCqBri",
            ),
            (
                vec!["--preserve-mtime", "link"],
                "QmbJwotgtr84JxcnjpwJ86uZiyMoxbZuNH4YrdJMypkYaB",
            ),
        ] {
            let args = ["add", "-nQ"].into_iter().chain(args);
            assert_eq!(room.run(args).ok().out(), format!("{cid}\n"));
        }
    }

    #[test]
    fn special_files_and_names_are_refused() {
        let room = Room::with_folder_store();
        room.file("d/a", "1");
        let _socket = UnixListener::bind(room.path("d/socket")).unwrap();
        let refused = room.run(["add", "d"]).code(2);
        assert!(
            refused.err().contains("d/socket is a socket"),
            "{}",
            refused.err()
        );
        fs::remove_file(room.path("d/socket")).unwrap();

        let refused = room.run(["add", "-n", "/dev/null"]).code(2);
        assert!(
            refused.err().contains("/dev/null is a device"),
            "{}",
            refused.err()
        );

        let name = std::ffi::OsStr::from_bytes(b"d/\xff");
        fs::write(room.path(name), "2").unwrap();
        let refused = room.run(["add", "d"]).code(2);
        assert!(refused.err().contains("not UTF-8"), "{}", refused.err());
    }

    #[test]
    fn names_do_not_move_the_cursor() {
        let room = Room::new();
        room.file("a\nb\x1b[2K", "1");
        let added = room.run(["add", "-n", "a\nb\x1b[2K"]).ok().out();
        assert!(added.ends_with(" a\\nb\\u{1b}[2K\n"), "{added}");
    }

    #[test]
    fn a_file_that_changes_meanwhile_is_refused() {
        let room = Room::new();
        // More than is read ahead, in so many blocks that it takes a while.
        let file = room.file("growing", vec![7; 8 << 20]);
        let mut child = room
            .command(["add", "-n", "-s", "size-100", "growing"])
            .spawn()
            .unwrap();
        let mut growing = fs::OpenOptions::new().append(true).open(file).unwrap();
        while child.try_wait().unwrap().is_none() {
            growing.write_all(b"more").unwrap();
            std::thread::sleep(Duration::from_millis(20));
        }
        let ran = Ran(child.wait_with_output().unwrap()).code(1);
        assert!(
            ran.err().contains("changed while it was read"),
            "{}",
            ran.err()
        );
        assert_eq!(ran.out(), "");
    }
}
