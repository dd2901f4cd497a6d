//! The tree of an AT Protocol repository, kept in a store of cidbucket.
//!
//! ```sh
//! cargo run -p cidbucket-adapters --features atrium --example atrium -- s3://my-bucket
//! ```
//!
//! Without an argument the store is in memory. `atrium_repo::Repository` takes the adapter too; it
//! wants a key to sign commits with, which this example does without.

use std::error::Error;

use atrium_repo::blockstore::{AsyncBlockStoreWrite, DAG_CBOR, SHA2_256};
use atrium_repo::mst::Tree;
use cidbucket_adapters::AsAtrium;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let url = std::env::args()
        .skip(1)
        .find(|argument| argument.contains(':'));
    let store = cidbucket::open(url.as_deref().unwrap_or("memory:")).await?;

    // A clone is another reader and writer of the same store: `store` is an `Arc`.
    let mut records = AsAtrium::new(store.clone());
    let mut tree = Tree::create(AsAtrium::new(store.clone())).await?;

    // `{"text": "hello"}` in DAG-CBOR.
    let record = b"\xa1\x64text\x65hello";
    let record = records.write_block(DAG_CBOR, SHA2_256, record).await?;
    tree.add("app.bsky.feed.post/3jui7kd54zh2y", record).await?;
    let root = tree.root();
    println!("stored a tree {root}");

    // Another process opens it by its root.
    let mut tree = Tree::open(AsAtrium::new(store), root);
    let found = tree.get("app.bsky.feed.post/3jui7kd54zh2y").await?;
    assert_eq!(found, Some(record));
    Ok(())
}

#[test]
fn it_runs() {
    main().expect("it runs");
}
