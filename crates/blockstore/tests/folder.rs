//! The folder store: the promises, Kubo's format, crashes, and what else may lie in a folder.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, SystemTime};

use cidbucket_blockstore::{
    Block, Blockstore, Cid, Cursor, Error, FolderBlockstore, Hash, Limits, Sharding, conformance,
};
use futures::StreamExt;
use tempfile::{TempDir, tempdir};

/// The empty block, and its file as Kubo names it.
const CID: &str = "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku";
const FILE: &str = "QV/CIQOHMGEIKMPYHAUTL57JSEZN64SIJ5OIHSGJG4TJSSJLGI3PBJLQVI.data";

async fn new_store() -> (TempDir, FolderBlockstore) {
    let dir = tempdir().unwrap();
    let store = FolderBlockstore::create(dir.path()).await.unwrap();
    (dir, store)
}

async fn list(store: &FolderBlockstore) -> (Vec<Cid>, u64) {
    let mut listing = store.list(Cursor::start());
    let mut cids = Vec::new();
    while let Some(listed) = listing.next().await {
        cids.push(listed.unwrap().cid);
    }
    (cids, listing.foreign())
}

fn temporary_files(dir: &Path) -> usize {
    fs::read_dir(dir.join(".cidbucket-temp")).map_or(0, Iterator::count)
}

#[tokio::test]
async fn keeps_the_promises() {
    let (dir, store) = new_store().await;
    conformance::all(&store).await;
    conformance::model(&new_store().await.1, 5, 300).await;
    assert_eq!(store.path(), dir.path().canonicalize().unwrap());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keeps_the_promises_in_every_sharding() {
    for sharding in [
        Sharding::Prefix(5),
        Sharding::Suffix(1),
        Sharding::NextToLast(70),
    ] {
        let dir = tempdir().unwrap();
        let store = FolderBlockstore::create_sharded(dir.path(), sharding);
        conformance::model(&store.await.unwrap(), 6, 200).await;
    }
    let (_dir, store) = new_store().await;
    let store = store.with_limits(Limits { max_block: 999 });
    conformance::limit_of(&store, 999).await;
}

#[tokio::test]
async fn writes_what_kubo_writes() {
    let (dir, store) = new_store().await;
    store.put(&Block::raw(Vec::new())).await.unwrap();
    assert_eq!(
        fs::read_to_string(dir.path().join("SHARDING")).unwrap(),
        "/repo/flatfs/shard/v1/next-to-last/2\n"
    );
    let cid: Cid = CID.parse().unwrap();
    assert_eq!(store.file(&cid), store.path().join(FILE));
    assert_eq!(fs::read(dir.path().join(FILE)).unwrap(), b"");
    assert_eq!(temporary_files(dir.path()), 0);
}

#[tokio::test]
async fn reads_what_kubo_wrote() {
    let dir = tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    fs::write(at("SHARDING"), "/repo/flatfs/shard/v1/next-to-last/2\n").unwrap();
    fs::write(at("_README"), "This is a repository of IPLD objects.").unwrap();
    fs::write(at("diskUsage.cache"), "{}").unwrap();
    fs::create_dir(at(".temp")).unwrap();
    fs::write(at(".temp/temp-1"), "Kubo is writing this").unwrap();
    fs::create_dir(at("QV")).unwrap();
    fs::write(at("QV/put-123"), "a crash of an old Kubo left this").unwrap();
    fs::write(at(FILE), "").unwrap();

    let store = FolderBlockstore::open(dir.path()).await.unwrap();
    assert_eq!(list(&store).await, (vec![CID.parse().unwrap()], 0));
    assert!(store.get(&CID.parse().unwrap()).await.unwrap().is_some());
    assert!(at(".temp/temp-1").exists(), "Kubo's files are left alone");
}

#[tokio::test]
async fn foreign_files_are_counted_and_left_alone() {
    let (dir, store) = new_store().await;
    let at = |name: &str| dir.path().join(name);
    let block = Block::raw(Vec::new());
    store.put(&block).await.unwrap();
    let inline = Block::encode(0x55, Hash::Identity, &b"inline"[..]).unwrap();
    let foreign = [
        "notes.txt".to_owned(),
        "QV/notes.data".to_owned(),
        FILE.replace("QV/", "QV/B"),
        // A block's name in the wrong shard would not be found by get.
        FILE.replace("QV/", "VI/"),
        Sharding::default().path(inline.multihash()),
    ];
    for name in &foreign {
        fs::create_dir_all(at(name).parent().unwrap()).unwrap();
        fs::write(at(name), "mine").unwrap();
    }
    // A directory in a shard, and one beside the shards, count once each.
    fs::create_dir(at("QV/CIQ")).unwrap();
    fs::create_dir_all(at("backup/5X")).unwrap();
    assert_eq!(list(&store).await, (vec![*block.cid()], 7));

    store.delete(block.cid()).await.unwrap();
    assert_eq!(list(&store).await, (vec![], 7));
    for name in &foreign {
        assert!(at(name).exists(), "{name}");
    }
}

#[tokio::test]
async fn records_beside_the_blocks_are_no_blocks_and_not_foreign() {
    let (dir, store) = new_store().await;
    store.put(&Block::raw("x")).await.unwrap();
    let pins = dir.path().join(".cidbucket/pins/direct");
    fs::create_dir_all(&pins).unwrap();
    fs::write(pins.join(CID), "a pin").unwrap();
    assert_eq!(list(&store).await, (vec![*Block::raw("x").cid()], 0));
    FolderBlockstore::create(dir.path()).await.unwrap();
    assert!(pins.join(CID).exists());
}

#[tokio::test]
async fn only_foreign_files() {
    let (dir, store) = new_store().await;
    fs::write(dir.path().join("notes.txt"), "mine").unwrap();
    assert_eq!(list(&store).await, (vec![], 1));
    let pages: Vec<_> = store.list(Cursor::start()).into_pages().collect().await;
    let cursor = pages[0].as_ref().unwrap().cursor.clone();
    assert_eq!(store.list(cursor).count().await, 0);
}

#[tokio::test]
async fn damaged_files_are_corrupt_and_a_put_repairs_them() {
    let (_dir, store) = new_store().await;
    let block = Block::raw(vec![7; 5000]);
    store.put(&block).await.unwrap();
    let file = store.file(block.cid());
    for damage in [&b""[..], &[7; 4999], &[7; 5001], &[8; 5000]] {
        fs::write(&file, damage).unwrap();
        let error = store.get(block.cid()).await.unwrap_err();
        assert!(matches!(error, Error::Corrupt(_)), "{error}");
        assert!(error.to_string().contains("put the block again"));
        store.put(&block).await.unwrap();
        assert_eq!(store.get(block.cid()).await.unwrap().as_ref(), Some(&block));
    }
}

#[tokio::test]
async fn a_file_above_the_limit_is_not_read() {
    let (_dir, store) = new_store().await;
    let block = Block::raw(&b"x"[..]);
    store.put(&block).await.unwrap();
    // Sparse: reading it would need a terabyte of memory.
    let file = fs::File::options()
        .write(true)
        .open(store.file(block.cid()));
    file.unwrap().set_len(1 << 40).unwrap();
    let error = store.get(block.cid()).await.unwrap_err();
    assert!(matches!(error, Error::TooLarge(_)), "{error}");
    store.delete(block.cid()).await.unwrap();
    assert!(!store.has(block.cid()).await.unwrap());
}

#[tokio::test]
async fn what_is_no_store_is_said() {
    let dir = tempdir().unwrap();
    let error = FolderBlockstore::open(dir.path().join("missing")).await;
    assert!(matches!(&error, Err(Error::NoStore(_))), "{error:?}");
    let error = FolderBlockstore::open(dir.path()).await;
    assert!(matches!(&error, Err(Error::NoStore(_))), "{error:?}");

    // The repository instead of its blocks.
    FolderBlockstore::create(dir.path().join("blocks"))
        .await
        .unwrap();
    let error = FolderBlockstore::open(dir.path()).await.unwrap_err();
    assert!(matches!(error, Error::NoStore(_)));
    assert!(error.to_string().contains("its blocks are in"), "{error}");
    let error = FolderBlockstore::create(dir.path()).await.unwrap_err();
    assert!(matches!(error, Error::Invalid(_)), "{error}");

    // Another sharding than the folder has.
    let other = FolderBlockstore::create_sharded(dir.path().join("blocks"), Sharding::Prefix(2));
    assert!(matches!(other.await, Err(Error::Invalid(_))));

    fs::write(dir.path().join("blocks/SHARDING"), "by colour").unwrap();
    let error = FolderBlockstore::open(dir.path().join("blocks")).await;
    assert!(matches!(&error, Err(Error::Invalid(_))), "{error:?}");

    // A file.
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    assert!(FolderBlockstore::open(&file).await.is_err());
    assert!(FolderBlockstore::create(&file).await.is_err());
}

#[tokio::test]
async fn a_folder_that_went_away_is_not_an_empty_store() {
    let (dir, store) = new_store().await;
    let block = Block::raw(&b"x"[..]);
    store.put(&block).await.unwrap();
    let away = tempdir().unwrap();
    fs::rename(dir.path(), away.path().join("unmounted")).unwrap();
    // A mount point stays behind as an empty directory.
    fs::create_dir(dir.path()).unwrap();
    let no_store = |error: Option<Error>| matches!(error, Some(Error::NoStore(_)));
    assert!(no_store(store.get(block.cid()).await.err()));
    assert!(no_store(store.size(block.cid()).await.err()));
    assert!(no_store(store.has(block.cid()).await.err()));
    assert!(no_store(store.delete(block.cid()).await.err()));
    let listed = store.list(Cursor::start()).next().await.unwrap();
    assert!(no_store(listed.err()));
    assert!(no_store(store.put(&block).await.err()));
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn leftovers_of_crashes_are_removed_once_they_are_old() {
    let (dir, store) = new_store().await;
    store.put(&Block::raw(&b"x"[..])).await.unwrap();
    let temp = dir.path().join(".cidbucket-temp");
    fs::write(temp.join("1-1"), "old").unwrap();
    fs::write(temp.join("1-2"), "somebody is writing this").unwrap();
    let two_hours_ago = SystemTime::now() - Duration::from_hours(2);
    let old = fs::File::options().write(true).open(temp.join("1-1"));
    old.unwrap().set_modified(two_hours_ago).unwrap();
    let store = FolderBlockstore::open(dir.path()).await.unwrap();
    assert!(!temp.join("1-1").exists());
    assert!(temp.join("1-2").exists());
    assert_eq!(list(&store).await.1, 0, "they are not foreign");
}

#[tokio::test]
async fn a_temporary_directory_or_shard_removed_meanwhile_is_made_again() {
    let (dir, store) = new_store().await;
    let block = Block::raw(&b"x"[..]);
    for _ in 0..2 {
        store.put(&block).await.unwrap();
        fs::remove_dir_all(dir.path().join(".cidbucket-temp")).unwrap();
        fs::remove_dir_all(store.file(block.cid()).parent().unwrap()).unwrap();
        assert!(!store.has(block.cid()).await.unwrap());
    }
    store.put(&block).await.unwrap();
    assert!(store.has(block.cid()).await.unwrap());
}

#[cfg(unix)]
#[tokio::test]
async fn links_are_not_followed() {
    use std::os::unix::fs::symlink;

    let (dir, store) = new_store().await;
    let outside = tempdir().unwrap();
    let block = Block::raw(&b"x"[..]);
    let file = store.file(block.cid());
    let shard = file.parent().unwrap();
    let invalid = |error: Option<Error>| matches!(error, Some(Error::Invalid(_)));

    // A shard that leads outside.
    symlink(outside.path(), shard).unwrap();
    assert!(invalid(store.put(&block).await.err()));
    assert!(invalid(store.get(block.cid()).await.err()));
    assert!(invalid(store.has(block.cid()).await.err()));
    fs::write(outside.path().join(file.file_name().unwrap()), "x").unwrap();
    assert!(invalid(store.delete(block.cid()).await.err()));
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 1);
    assert_eq!(list(&store).await, (vec![], 1));
    fs::remove_file(shard).unwrap();

    // A block's name that leads outside: neither read nor written through.
    fs::create_dir(shard).unwrap();
    let target = outside.path().join("target");
    fs::write(&target, "secret").unwrap();
    symlink(&target, &file).unwrap();
    assert!(invalid(store.get(block.cid()).await.err()));
    assert!(invalid(store.delete(block.cid()).await.err()));
    assert_eq!(list(&store).await, (vec![], 1));
    store.put(&block).await.unwrap();
    assert_eq!(store.get(block.cid()).await.unwrap(), Some(block.clone()));
    assert_eq!(fs::read(&target).unwrap(), b"secret");

    // The place of temporary files.
    let temp = dir.path().join(".cidbucket-temp");
    fs::remove_dir_all(&temp).unwrap();
    symlink(outside.path(), &temp).unwrap();
    store.put(&block).await.unwrap_err();
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 2);

    // The folder itself may be a link.
    let link = outside.path().join("link");
    symlink(dir.path(), &link).unwrap();
    let store = FolderBlockstore::open(&link).await.unwrap();
    assert!(store.has(block.cid()).await.unwrap());
}

/// A limit on the size of files stands for a disk that is full: the write fails in its middle.
#[cfg(target_os = "linux")]
#[test]
fn a_write_that_does_not_fit_is_an_error_and_leaves_nothing() {
    let dir = tempdir().unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let store = runtime
        .block_on(FolderBlockstore::create(dir.path()))
        .unwrap();
    let child = Command::new("sh")
        // Blocks of 512 bytes; the signal that comes with the error is ignored.
        .args(["-c", "trap '' XFSZ; ulimit -f 16; exec \"$0\" \"$@\""])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "limited_process", "--nocapture"])
        .env(LIMITED, dir.path())
        .stdout(Stdio::null())
        .status()
        .unwrap();
    assert!(child.success());
    assert_eq!(runtime.block_on(list(&store)), (vec![], 0));
    assert_eq!(temporary_files(dir.path()), 0);
}

/// The other end of the test above: not a test of its own.
#[tokio::test]
async fn limited_process() {
    let Ok(path) = std::env::var(LIMITED) else {
        return;
    };
    let store = FolderBlockstore::open(path).await.unwrap();
    let error = store.put(&Block::raw(vec![1; 100_000])).await.unwrap_err();
    assert!(matches!(error, Error::Io(_)), "{error}");
}

/// Several processes put the same blocks; one after another is killed at any moment.
#[test]
fn processes_share_a_folder_and_may_be_killed() {
    let dir = tempdir().unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let store = runtime
        .block_on(FolderBlockstore::create(dir.path()))
        .unwrap();
    for round in 0..6_u64 {
        let mut writers: Vec<_> = (0..3).map(|_| start_writer(dir.path())).collect();
        // On a busy machine the first of them takes its time to begin.
        while round == 0 && runtime.block_on(list(&store)).0.is_empty() {
            std::thread::sleep(Duration::from_millis(20));
        }
        std::thread::sleep(Duration::from_millis(20 + 37 * round));
        for writer in &mut writers {
            assert!(
                writer.try_wait().unwrap().is_none(),
                "a writer fails only by being killed"
            );
            writer.kill().unwrap();
            writer.wait().unwrap();
        }
    }
    runtime.block_on(async {
        let (cids, foreign) = list(&store).await;
        assert!(!cids.is_empty(), "something was written");
        assert_eq!(foreign, 0);
        for cid in cids {
            store.get(&cid).await.unwrap().expect("listed, so there");
        }
    });
}

/// The other end of the test above: not a test of its own.
#[test]
fn writer_process() {
    let Ok(path) = std::env::var(WRITER) else {
        return;
    };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let store = FolderBlockstore::create(path).await.unwrap();
        loop {
            let blocks = (0..40_u8).map(|n| Block::raw(vec![n; 30_000]));
            let mut answers = store.put_many(futures::stream::iter(blocks).boxed());
            while let Some((_, answer)) = answers.next().await {
                answer.unwrap();
            }
        }
    });
}

const WRITER: &str = "CIDBUCKET_TEST_WRITER";
#[cfg(target_os = "linux")]
const LIMITED: &str = "CIDBUCKET_TEST_LIMITED";

fn start_writer(path: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "writer_process", "--nocapture"])
        .env(WRITER, path)
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}
