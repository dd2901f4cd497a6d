//! A real Kubo and the folder store on one repository.
//!
//! Runs where `CIDBUCKET_TEST_KUBO_PYTHON` names a Python that has Kubo as a library (how to get
//! one: `tests/kubo/node.py`), and says so otherwise.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use cidbucket_blockstore::{Block, Blockstore, Cid, Cursor, FolderBlockstore};
use futures::StreamExt;

const NODE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/kubo/node.py");

#[tokio::test]
async fn kubo_and_the_folder_store_read_each_others_blocks() {
    let Ok(python) = std::env::var("CIDBUCKET_TEST_KUBO_PYTHON") else {
        eprintln!("skipped: CIDBUCKET_TEST_KUBO_PYTHON is not set (see tests/kubo/node.py)");
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let repo = dir.path().join("repo");
    node(&python, "init", &repo, &[]);

    // Kubo writes: a file of some 12 blocks under a root. We read, and verify by reading.
    let file = dir.path().join("file");
    let content: Vec<u8> = (0..3_000_000_u32)
        .flat_map(u32::to_le_bytes)
        .take(3_000_000)
        .collect();
    std::fs::write(&file, &content).unwrap();
    let answer = node(&python, "add", &repo, &[file.to_str().unwrap()]);
    let root = answer.lines().find_map(|line| line.strip_prefix("CID "));
    let root: Cid = root.expect("a CID").parse().unwrap();
    let store = FolderBlockstore::open(repo.join("blocks")).await.unwrap();
    assert!(store.get(&root).await.unwrap().is_some());
    let mut listing = store.list(Cursor::start());
    let mut bytes = 0;
    while let Some(listed) = listing.next().await {
        let listed = listed.unwrap();
        let block = store.get(&listed.cid).await.unwrap().expect("listed");
        assert_eq!(block.len() as u64, listed.size);
        bytes += block.len();
    }
    assert_eq!(listing.foreign(), 0);
    assert!(bytes >= content.len());

    // We write: a raw block, which is a file to Kubo. Kubo reads it from its repository.
    let block = Block::raw(vec![0x42; 100_000]);
    store.put(&block).await.unwrap();
    let back = dir.path().join("back");
    let cid = block.cid().to_string();
    node(&python, "cat", &repo, &[&cid, back.to_str().unwrap()]);
    assert_eq!(std::fs::read(&back).unwrap(), block.data().as_ref());

    // We delete and put again the root of Kubo's file; Kubo reads the file.
    let same = Block::new(root, store.get(&root).await.unwrap().unwrap().into_data()).unwrap();
    store.delete(&root).await.unwrap();
    store.put(&same).await.unwrap();
    let back = dir.path().join("back again");
    node(
        &python,
        "cat",
        &repo,
        &[&root.to_string(), back.to_str().unwrap()],
    );
    assert_eq!(std::fs::read(&back).unwrap(), content);
}

/// Runs Kubo for one command; a node that looks for a block it lacks would go on for ever.
fn node(python: &str, command: &str, repo: &Path, args: &[&str]) -> String {
    let mut child = Command::new(python)
        .args([NODE, command])
        .arg(repo)
        .args(args)
        // Kubo writes a log file into the current directory.
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
