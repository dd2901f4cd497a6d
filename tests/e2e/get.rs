//! Files and folders come out of the bucket by `cidbucket get CID/`, `cat` and `ls`, as they went in.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use cidbucket_tests::Target;

/// Bytes that do not repeat.
fn bytes(length: usize, seed: u64) -> Vec<u8> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64 ^ seed;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

/// Everything below a folder: bytes of files, targets of links, nothing of folders.
fn tree(folder: &Path) -> BTreeMap<String, Option<Vec<u8>>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        let name = path
            .file_name()
            .expect("a name")
            .to_string_lossy()
            .into_owned();
        if let Ok(target) = fs::read_link(&path) {
            let target = target.to_string_lossy().into_owned();
            found.insert(format!("{name} ->"), Some(target.into()));
        } else if path.is_dir() {
            let below = tree(&path).into_iter();
            found.extend(below.map(|(below, bytes)| (format!("{name}/{below}"), bytes)));
            found.insert(name, None);
        } else {
            found.insert(name, Some(fs::read(&path).expect("a file")));
        }
    }
    found
}

fn write(folder: &Path, name: &str, bytes: &[u8]) {
    let path = folder.join(name);
    fs::create_dir_all(path.parent().expect("a folder")).expect("folders");
    fs::write(path, bytes).expect("a file");
}

/// Adds a folder and answers with its CID.
fn add(target: &Target, folder: &Path, flags: &[&str]) -> String {
    let mut args = vec!["add".as_ref(), "-Q".as_ref(), folder];
    args.extend(flags.iter().map(Path::new));
    let added = target.cidbucket().run(args).ok();
    added.text().trim().to_owned()
}

#[test]
fn a_folder_goes_round() {
    let target = Target::new();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let source = folder.path().join("photos");
    let large = bytes(5_000_000, 1);
    write(&source, "2024/large.bin", &large);
    write(&source, "2024/empty", b"");
    write(&source, "grüße.txt", "grüße\n".as_bytes());
    fs::create_dir(source.join("nothing")).expect("a folder");
    #[cfg(unix)]
    std::os::unix::fs::symlink("../grüße.txt", source.join("2024/link")).expect("a link");

    for (n, flags) in [
        &[][..],
        &["--profile=unixfs-v1-2025"],
        &["--chunker=size-30000"],
    ]
    .into_iter()
    .enumerate()
    {
        let cid = add(&target, &source, flags);
        let out = folder.path().join(n.to_string());
        let path = format!("{cid}/");
        let out_arg = out.to_str().expect("UTF-8");
        let cidbucket = target.cidbucket();
        assert_eq!(cidbucket.run(["get", &path, "-o", out_arg]).ok().text(), "");
        assert!(
            tree(&out) == tree(&source),
            "{flags:?}: {:?}",
            tree(&out).keys()
        );

        let file = format!("{cid}/2024/large.bin");
        let part = ["cat", &file, "--offset", "1999999", "--length", "1000001"];
        let part = cidbucket.run(part).ok();
        assert!(part.stdout == large[1_999_999..3_000_000], "{flags:?}");
        let names = cidbucket.run(["ls", &cid]).ok();
        assert_eq!(names.lines(), ["2024", "grüße.txt", "nothing"]);
    }
}

#[test]
fn a_sharded_folder_goes_round() {
    let target = Target::new();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let source = folder.path().join("many");
    for n in 0..1500 {
        let name = format!("{n} {}", "x".repeat(200));
        write(&source, &name, n.to_string().as_bytes());
    }
    let cid = add(&target, &source, &[]);
    let cidbucket = target.cidbucket();
    let blocks = cidbucket.run(["ls"]).ok().lines().len();
    assert!(blocks > 1501, "it is sharded");
    let out = folder.path().join("out");
    let path = format!("{cid}/");
    cidbucket
        .run(["get", &path, "-o", out.to_str().expect("UTF-8")])
        .ok();
    assert!(tree(&out) == tree(&source));
    let one = format!("{cid}/777 {}", "x".repeat(200));
    assert_eq!(cidbucket.run(["cat", &one]).ok().text(), "777");
    assert_eq!(cidbucket.run(["ls", &cid]).ok().lines().len(), 1500);
}

#[cfg(unix)]
#[test]
fn an_interrupted_get_is_completed() {
    let target = Target::new();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let source = folder.path().join("in");
    for n in 0..300 {
        write(&source, &format!("{}/{n}", n % 7), &bytes(400_000, n));
    }
    let cid = add(&target, &source, &[]);
    let out = folder.path().join("out");
    let args = [
        format!("{cid}/"),
        "-o".into(),
        out.to_string_lossy().into_owned(),
    ];

    let child = target
        .cidbucket()
        .command()
        .arg("get")
        .args(&args)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    let files = || tree(&out).into_values().flatten().count();
    let deadline = Instant::now() + Duration::from_mins(1);
    while !out.join("0").exists() || fs::read_dir(out.join("0")).expect("a folder").count() < 3 {
        assert!(Instant::now() < deadline, "no files come");
        std::thread::sleep(Duration::from_millis(5));
    }
    let interrupted = std::process::Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status();
    assert!(interrupted.expect("kill").success());
    let ended = child.wait_with_output().expect("it ends");
    assert_eq!(ended.status.code(), Some(130), "{ended:?}");

    let whole = tree(&source);
    for (name, found) in tree(&out) {
        assert!(
            whole.get(&name) == Some(&found),
            "{name} is whole, and there is no other"
        );
    }
    let before = files();
    assert!(before < 300, "{before}");
    let mut all = vec!["get".to_owned(), "--json".into()];
    all.extend(args);
    let resumed = target.cidbucket().run(&all).ok();
    let kept = |line: &&&str| line.contains(r#""unchanged":true"#);
    let kept = resumed.lines().iter().filter(kept).count();
    assert_eq!((kept, resumed.lines().len()), (before, 300));
    assert!(tree(&out) == whole);
}
