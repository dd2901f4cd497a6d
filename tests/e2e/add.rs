//! Files and folders go into the bucket by `cidbucket add`, and come out of it as they were.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use cidbucket_blockstore::{Blockstore, Bytes, Cid};
use cidbucket_dag::unixfs::{Kind, cat, entries, node};
use cidbucket_s3::{Env, S3Blockstore, S3Config};
use cidbucket_tests::{Cidbucket, Target};
use futures::future::{BoxFuture, FutureExt};
use futures::stream::TryStreamExt;

fn store(target: &Target) -> S3Blockstore {
    let env = Env::empty()
        .with("AWS_ACCESS_KEY_ID", &*target.access_key)
        .with("AWS_SECRET_ACCESS_KEY", &*target.secret_key);
    S3Blockstore::new(S3Config::from_url(&target.store(), &env).expect("a store URL"))
        .expect("a client")
}

/// Bytes that do not repeat.
fn bytes(length: usize, seed: u64) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64 ^ seed;
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

/// Everything below a directory: names, and bytes of files, `None` of directories.
fn tree<'a>(
    store: &'a dyn Blockstore,
    root: Cid,
    path: String,
    found: &'a mut BTreeMap<String, Option<Vec<u8>>>,
) -> BoxFuture<'a, ()> {
    async move {
        let kind = node(store, &root).await.expect("a node").kind();
        if kind.is_directory() {
            let below: Vec<_> = entries(store, root).try_collect().await.expect("entries");
            for entry in below {
                tree(store, entry.cid, format!("{path}/{}", entry.name), found).await;
            }
            found.insert(path, None);
        } else if kind == Kind::Symlink {
            let target = node(store, &root).await.expect("a node").data().to_vec();
            found.insert(format!("{path} ->"), Some(target));
        } else {
            let pieces: Vec<Bytes> = cat(store, root, 0..u64::MAX)
                .try_collect()
                .await
                .expect("bytes");
            found.insert(path, Some(pieces.concat()));
        }
    }
    .boxed()
}

#[tokio::test]
async fn a_folder_goes_in_and_comes_out() {
    let target = Target::new();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let write = |name: &str, bytes: &[u8]| {
        let path = folder.path().join("photos").join(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("folders");
        fs::write(path, bytes).expect("a file");
    };
    let large = bytes(5_000_000, 1);
    write("2024/large.bin", &large);
    write("2024/empty", b"");
    write("grüße.txt", "grüße\n".as_bytes());
    fs::create_dir(folder.path().join("photos/nothing")).expect("a folder");
    #[cfg(unix)]
    std::os::unix::fs::symlink("../x", folder.path().join("photos/link")).expect("a link");

    for flags in [
        &[][..],
        &["--profile=unixfs-v1-2025"],
        &["--hash=blake3", "--chunker=size-100000"],
    ] {
        let photos = folder.path().join("photos");
        let mut args: Vec<&OsStr> = vec!["add".as_ref(), "-Q".as_ref(), photos.as_ref()];
        args.extend(flags.iter().map(OsStr::new));
        let added = target.cidbucket().run(args).ok();
        let root: Cid = added.text().trim_end().parse().expect("a CID");
        let mut found = BTreeMap::new();
        tree(&store(&target), root, String::new(), &mut found).await;

        let file = |bytes: &[u8]| Some(bytes.to_vec());
        let mut expected = BTreeMap::from([
            (String::new(), None),
            ("/2024".to_owned(), None),
            ("/2024/large.bin".to_owned(), file(&large)),
            ("/2024/empty".to_owned(), file(b"")),
            ("/grüße.txt".to_owned(), file("grüße\n".as_bytes())),
            ("/nothing".to_owned(), None),
        ]);
        if cfg!(unix) {
            expected.insert("/link ->".to_owned(), file(b"../x"));
        }
        assert!(found == expected, "{flags:?}: {:?}", found.keys());
    }
}

/// A running `cidbucket add -Q -`, whose input the test holds.
fn adding(cidbucket: &Cidbucket, flags: &[&str]) -> Child {
    cidbucket
        .command()
        .args(["add", "-Q", "-"])
        .args(flags)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts")
}

#[cfg(unix)]
#[tokio::test]
async fn an_interrupted_add_is_resumed() {
    let target = Target::new();
    let file = bytes(10 << 20, 2);
    let whole = target.cidbucket().run_with(["add", "-nQ"], &file).ok();
    let cid = whole.text().to_owned();
    let blocks = || target.cidbucket().run(["ls"]).ok().lines().len();

    let mut child = adding(&target.cidbucket(), &[]);
    let mut stdin = child.stdin.take().expect("a pipe");
    stdin.write_all(&file[..6 << 20]).expect("it reads");
    let deadline = Instant::now() + Duration::from_mins(1);
    while blocks() < 8 {
        assert!(Instant::now() < deadline, "no blocks come");
        std::thread::sleep(Duration::from_millis(50));
    }
    let interrupted = std::process::Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status();
    assert!(interrupted.expect("kill").success());
    let ended = child.wait_with_output().expect("it ends");
    drop(stdin);
    assert_eq!(ended.status.code(), Some(130));
    assert_eq!(ended.stdout, b"", "no CID of what is not whole");
    let left = blocks();
    assert!(left < 41, "{left}");

    let resumed = target.cidbucket();
    let resumed = resumed.run_with(["add", "-Q", "--resume"], &file).ok();
    assert_eq!(resumed.text(), cid);
    // 40 chunks of 256 KiB, and the root.
    assert_eq!(blocks(), 41);
    let mut found = BTreeMap::new();
    let root = cid.trim_end().parse().expect("a CID");
    tree(&store(&target), root, String::new(), &mut found).await;
    assert!(
        found[""].as_deref() == Some(&*file),
        "the bytes are its own"
    );
}

/// A file of any length and a folder of many files take the memory of a short one.
#[cfg(target_os = "linux")]
#[test]
fn memory_does_not_grow_with_the_file() {
    let target = Target::new();
    let cidbucket = target.cidbucket();
    let piece = bytes(1 << 20, 3);
    let peak_after = |mebibytes: usize| {
        let mut child = adding(&cidbucket, &[]);
        let mut stdin = child.stdin.take().expect("a pipe");
        for n in 0..mebibytes {
            let mut piece = piece.clone();
            piece[..8].copy_from_slice(&n.to_le_bytes());
            stdin.write_all(&piece).expect("it reads");
        }
        // What is not read yet is in a pipe and not in memory: all was, but for some KiB.
        let peak = peak_of(child.id());
        drop(stdin);
        let ended = child.wait_with_output().expect("it ends");
        assert!(ended.status.success(), "{ended:?}");
        peak
    };
    let (short, long) = (peak_after(16), peak_after(160));
    assert!(
        long < short + (24 << 20),
        "{short} bytes for 16 MiB, {long} for 160"
    );
}

/// The most memory that a process had until now, in bytes.
#[cfg(target_os = "linux")]
fn peak_of(process: u32) -> usize {
    let status = fs::read_to_string(Path::new("/proc").join(process.to_string()).join("status"))
        .expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB"));
    kib.and_then(|kib| kib.parse::<usize>().ok())
        .expect("VmHWM in KiB")
        << 10
}

#[test]
fn a_folder_of_many_files_is_sharded() {
    let target = Target::new();
    let folder = tempfile::tempdir().expect("a temporary folder");
    fs::create_dir(folder.path().join("many")).expect("a folder");
    for n in 0..5000 {
        let name = format!("many/{n} {}", "x".repeat(30));
        fs::write(folder.path().join(name), n.to_string()).expect("a file");
    }
    let many = folder.path().join("many");
    let hashed = Cidbucket::new()
        .run(["add".as_ref(), "-nQ".as_ref(), many.as_path()])
        .ok();
    let added = target
        .cidbucket()
        .run(["add".as_ref(), "-Q".as_ref(), many.as_path()])
        .ok();
    assert_eq!(added.text(), hashed.text());
    let blocks = target.cidbucket().run(["ls"]).ok().lines().len();
    assert!(
        blocks > 5000 + 200,
        "a block a file, and the shards: {blocks}"
    );
}
