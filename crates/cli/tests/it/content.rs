//! Files and folders out of UnixFS: `cat`, `ls CID`, `get CID/`.

use std::fs;
use std::path::Path;

use crate::room::Room;

/// A room with a store in which these files were added as one folder, whose CID is the answer too.
fn added(files: &[(&str, &[u8])]) -> (Room, String) {
    let room = Room::with_folder_store();
    for (name, data) in files {
        room.file(&format!("in/{name}"), data);
    }
    let cid = room.run(["add", "-Q", "in"]).ok().out();
    (room, cid.trim().into())
}

/// A protobuf field of bytes.
fn bytes(number: u8, value: &[u8]) -> Vec<u8> {
    let mut out = vec![number << 3 | 2];
    let mut length = value.len();
    while length > 0x7f {
        out.push(length.to_le_bytes()[0] | 0x80);
        length >>= 7;
    }
    out.push(length.to_le_bytes()[0]);
    out.extend(value);
    out
}

/// Stores a dag-pb block; answers with its CID, and with that as it stands in a link.
fn dag_pb(room: &Room, links: &[(&str, &[u8])], data: &[u8]) -> (String, Vec<u8>) {
    let mut block = Vec::new();
    for (name, cid) in links {
        block.extend(bytes(
            2,
            &[bytes(1, cid), bytes(2, name.as_bytes())].concat(),
        ));
    }
    block.extend(bytes(1, data));
    put(room, "dag-pb", &block)
}

fn put(room: &Room, codec: &str, block: &[u8]) -> (String, Vec<u8>) {
    let put = room.run_with(["put", "--codec", codec], block).ok();
    let cid = put.out().trim().to_owned();
    let binary: cidbucket::Cid = cid.parse().unwrap();
    (cid, binary.to_bytes())
}

const DIRECTORY: &[u8] = &[8, 1];

fn symlink(room: &Room, target: &str) -> Vec<u8> {
    let data = [&[8, 4][..], &bytes(2, target.as_bytes())].concat();
    dag_pb(room, &[], &data).1
}

/// What is in a folder: names, with the ends of links and the bytes of files.
fn tree(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if let Ok(target) = fs::read_link(&path) {
            found.push(format!("{name} -> {}", target.display()));
        } else if path.is_dir() {
            found.push(format!("{name}/"));
            found.extend(
                tree(&path)
                    .into_iter()
                    .map(|below| format!("{name}/{below}")),
            );
        } else {
            found.push(format!(
                "{name} {}",
                String::from_utf8_lossy(&fs::read(&path).unwrap())
            ));
        }
    }
    found.sort();
    found
}

#[test]
fn a_file_is_read_whole_and_in_part() {
    let content: Vec<u8> = (0..1_000_000_u32).flat_map(u32::to_le_bytes).collect();
    let (room, cid) = added(&[("numbers", &content)]);
    let path = format!("{cid}/numbers");
    assert!(room.run(["cat", &path]).ok().bytes() == content);
    let cat = room.run([
        "cat",
        &format!("/ipfs/{path}"),
        "--offset",
        "1MiB",
        "--length",
        "300000",
    ]);
    assert!(*cat.ok().bytes() == content[1 << 20..(1 << 20) + 300_000]);
    let cat = room.run(["cat", &path, "--offset", "3999999"]);
    assert_eq!(cat.ok().bytes(), &content[3_999_999..]);
    assert_eq!(room.run(["cat", &path, "--offset", "5MB"]).ok().out(), "");
    // To standard output `get` of a path is the same.
    assert!(room.run(["get", &path]).ok().bytes() == content);

    let cat = room.run(["cat", &cid]).code(2);
    assert!(
        cat.err().contains("a directory, not a file"),
        "{}",
        cat.err()
    );
    assert!(cat.err().contains("cidbucket ls"), "{}", cat.err());
    room.run(["cat", &format!("{cid}/none")]).code(3);
    let error = room
        .run(["cat", "--json", &format!("{cid}/none")])
        .code(3)
        .json_error();
    assert_eq!(error["class"], "not-found");
    room.run(["cat", "nonsense"]).code(2);
    room.run(["cat", &format!("{cid}/..")]).code(2);
}

#[test]
fn a_directory_is_listed() {
    let (room, cid) = added(&[("a.txt", b"hello\n"), ("sub/b", b"")]);
    assert_eq!(room.run(["ls", &cid]).ok().out(), "a.txt\nsub\n");
    let long = room.run(["ls", "-l", &cid]).ok().lines();
    assert!(
        long[0].starts_with("file                 6 Qm"),
        "{}",
        long[0]
    );
    assert!(long[0].ends_with(" a.txt"));
    assert!(
        long[1].starts_with("directory            - Qm"),
        "{}",
        long[1]
    );
    let json = room.run(["ls", "--json", &cid]).ok().json();
    assert_eq!(json[0]["kind"], "file");
    assert_eq!(json[0]["size"], 6);
    assert_eq!(json[1]["name"], "sub");
    let sub = format!("{cid}/sub");
    assert_eq!(room.run(["ls", &sub]).ok().out(), "b\n");
    assert_eq!(room.run(["ls", &format!("{sub}/b")]).ok().out(), "b\n");
    room.run(["ls", &cid, "--after", "x"]).code(2);

    let (x, raw) = put(&room, "raw", b"x");
    let link = symlink(&room, "a.txt");
    let entries = [("esc\u{1b}[2J\nname", &raw[..]), ("link", &link)];
    let (cid, _) = dag_pb(&room, &entries, DIRECTORY);
    assert_eq!(
        room.run(["ls", &cid]).ok().lines(),
        [r"esc\u{1b}[2J\nname", "link"]
    );
    let json = room.run(["ls", "--json", &cid]).ok().json();
    assert_eq!(json[0]["name"], "esc\u{1b}[2J\nname");
    assert_eq!(json[1]["kind"], "symlink");
    assert_eq!(json[1]["target"], "a.txt");
    // What cannot be looked at does not hide the others.
    let gone = symlink(&room, "gone");
    let name: cidbucket::Cid = gone[..].try_into().unwrap();
    room.run(["rm", &name.to_string()]).ok();
    let (cid, _) = dag_pb(&room, &[("gone", &gone), ("x", &raw)], DIRECTORY);
    let ls = room.run(["ls", "--long", &cid]).code(3);
    assert_eq!(ls.lines().len(), 1);
    assert!(ls.out().contains(&x));
    assert_eq!(room.run(["ls", &cid]).ok().out(), "gone\nx\n");
}

#[test]
fn a_folder_goes_round() {
    let large = vec![7; 700_000];
    let (room, cid) = added(&[
        ("a", b"one"),
        ("deep/er/b", b""),
        ("deep/er/large", &large),
        ("with space/ä", b"two"),
    ]);
    let path = format!("{cid}/");
    let get = room.run(["get", &path, "-o", "out"]).code(0);
    assert_eq!((get.out(), get.err()), (String::new(), String::new()));
    assert_eq!(tree(&room.path("out")), tree(&room.path("in")));
    // Only what is needed is written again.
    fs::remove_file(room.path("out/a")).unwrap();
    fs::write(room.path("out/with space/ä"), b"TWO").unwrap();
    fs::write(room.path("out/mine"), b"mine").unwrap();
    let get = room.run(["get", "--json", &path, "-o", "out"]).code(0);
    for line in get.json() {
        let file = line["file"].as_str().unwrap().to_owned();
        let is_kept = file.ends_with("/b") || file.ends_with("/large");
        assert_eq!(line["unchanged"], is_kept, "{file}");
    }
    assert_eq!(get.json().len(), 4);
    fs::remove_file(room.path("out/mine")).unwrap();
    assert_eq!(tree(&room.path("out")), tree(&room.path("in")));
    let get = room.run(["get", &path, "-o", "out"]).code(0);
    assert_eq!(get.err(), "note: 4 files were there already\n");

    // A file, to a file or into a folder.
    let file = format!("{cid}/deep/er/large");
    room.run(["get", &file, "-o", "one"]).ok();
    room.run(["get", &file, "-o", "folder/"]).ok();
    assert_eq!(fs::read(room.path("one")).unwrap(), large);
    assert_eq!(fs::read(room.path("folder/large")).unwrap(), large);
    // A directory has to go somewhere, and paths stand alone.
    let get = room.run(["get", &path]).code(2);
    assert!(get.err().contains("-o FOLDER"), "{}", get.err());
    room.run(["get", &path, &cid, "-o", "out"]).code(2);
    // The CID alone is its block, and a note says so.
    let get = room.run(["get", &cid, "-o", "block"]).code(0);
    assert!(
        get.err().contains(&format!("`cidbucket get {cid}/`")),
        "{}",
        get.err()
    );
    assert_eq!(room.run(["-q", "get", &cid]).ok().err(), "");
}

#[test]
fn what_is_missing_does_not_stop_the_rest() {
    let (room, cid) = added(&[("a", b"one"), ("b", b"two"), ("c/d", b"three")]);
    let b = &room.run(["ls", "--json", &cid]).ok().json()[1];
    room.run(["rm", b["cid"].as_str().unwrap()]).ok();
    let get = room.run(["get", &format!("{cid}/"), "-o", "out"]).code(3);
    assert!(get.err().contains("/b: block"), "{}", get.err());
    assert_eq!(tree(&room.path("out")), ["a one", "c/", "c/d three"]);
}

#[cfg(unix)]
#[test]
fn nothing_is_written_outside_the_folder() {
    let room = Room::with_folder_store();
    let (_, evil) = put(&room, "raw", b"evil");
    let (_, inner) = dag_pb(&room, &[("file", &evil)], DIRECTORY);
    for (name, is_written) in [
        ("..", false),
        (".", false),
        ("", false),
        ("../outside", false),
        ("/tmp/cidbucket-outside", false),
        ("a/b", false),
        ("nul\0", false),
        ("...", true),
        ("-rf", true),
        ("esc\u{1b}", true),
    ] {
        let (cid, _) = dag_pb(&room, &[(name, &evil), ("zz", &evil)], DIRECTORY);
        let get = room.run(["get", &format!("{cid}/"), "-o", "top/out"]);
        let get = get.code(i32::from(!is_written));
        assert_eq!(get.err().contains("the name"), !is_written, "{}", get.err());
        assert!(!get.err().contains('\u{1b}') && !get.err().contains('\0'));
        let found = tree(&room.path("top"));
        assert_eq!(found.len(), 2 + usize::from(is_written), "{found:?}");
        assert!(!room.path("outside").exists());
        fs::remove_dir_all(room.path("top")).unwrap();
    }

    // Links that leave, and entries that would go through one.
    let up = symlink(&room, "../outside");
    let root = symlink(&room, "/etc");
    let fooled = symlink(&room, "down/../..");
    let fine = symlink(&room, "../zz");
    let (_, sub) = dag_pb(
        &room,
        &[("fine", &fine), ("up", &symlink(&room, "../../x"))],
        DIRECTORY,
    );
    let entries = [
        ("down", &sub[..]),
        ("fooled", &fooled),
        ("link", &root),
        ("link", &inner),
        ("up", &up),
        ("zz", &evil),
    ];
    let (cid, _) = dag_pb(&room, &entries, DIRECTORY);
    let path = format!("{cid}/");
    let get = room.run(["get", &path, "-o", "out"]).code(1);
    assert_eq!(
        get.err().matches("not in the folder").count(),
        4,
        "{}",
        get.err()
    );
    assert!(get.err().contains("there twice"), "{}", get.err());
    assert_eq!(
        tree(&room.path("out")),
        ["down/", "down/fine -> ../zz", "zz evil"]
    );

    // A link that lies there already is not gone through, and not written to.
    fs::create_dir(room.path("outside")).unwrap();
    fs::write(room.path("precious"), "precious").unwrap();
    fs::remove_dir_all(room.path("out/down")).unwrap();
    std::os::unix::fs::symlink("../outside", room.path("out/down")).unwrap();
    fs::remove_file(room.path("out/zz")).unwrap();
    std::os::unix::fs::symlink("../precious", room.path("out/zz")).unwrap();
    let get = room.run(["get", &path, "-o", "out"]).code(1);
    assert!(
        get.err().contains("no folder is in its place"),
        "{}",
        get.err()
    );
    assert_eq!(fs::read_dir(room.path("outside")).unwrap().count(), 0);
    assert_eq!(
        fs::read_to_string(room.path("precious")).unwrap(),
        "precious"
    );
    assert!(!room.path("out/zz").is_symlink());
}

#[cfg(unix)]
#[test]
fn permissions_and_times_come_back_without_setuid() {
    use std::os::unix::fs::PermissionsExt;
    let room = Room::with_folder_store();
    // A file of mode 06755 and 1970-01-12, and a folder of mode 0500 around it.
    let file = [
        &[8, 2][..],
        &bytes(2, b"run"),
        &[24, 3, 56, 0xed, 0x1b],
        &bytes(8, &[8, 0xc0, 0x84, 0x3d]),
    ]
    .concat();
    let (_, file) = dag_pb(&room, &[], &file);
    let folder = [DIRECTORY, &[56, 0xc0, 2], &bytes(8, &[8, 100])].concat();
    let (_, folder) = dag_pb(&room, &[("file", &file)], &folder);
    let (cid, _) = dag_pb(&room, &[("folder", &folder)], DIRECTORY);
    for _ in 0..2 {
        room.run(["get", &format!("{cid}/"), "-o", "out"]).code(0);
        let file = fs::metadata(room.path("out/folder/file")).unwrap();
        assert_eq!(file.permissions().mode() & 0o7777, 0o755);
        let seconds = |time: std::time::SystemTime| {
            time.duration_since(std::time::UNIX_EPOCH)
                .unwrap()
                .as_secs()
        };
        assert_eq!(seconds(file.modified().unwrap()), 1_000_000);
        let folder = fs::metadata(room.path("out/folder")).unwrap();
        assert_eq!(folder.permissions().mode() & 0o7777, 0o500);
        assert_eq!(seconds(folder.modified().unwrap()), 100);
    }
    // The top is left as it was, unless it was made.
    let cid: cidbucket::Cid = folder[..].try_into().unwrap();
    fs::create_dir(room.path("mine")).unwrap();
    for (top, mode) in [("mine", None), ("new", Some(0o500))] {
        room.run(["get", &format!("{cid}/"), "-o", top]).ok();
        let found = fs::metadata(room.path(top)).unwrap().permissions().mode() & 0o7777;
        assert_eq!(found == 0o500, mode.is_some(), "{top}: {found:o}");
    }
    // A device is written to.
    room.run(["get", &format!("{cid}/file"), "-o", "/dev/null"])
        .ok();
    assert!(!fs::metadata("/dev/null").unwrap().is_file());
    let all = fs::Permissions::from_mode(0o700);
    fs::set_permissions(room.path("new"), all.clone()).unwrap();
    fs::set_permissions(room.path("out/folder"), all).unwrap();
}
