//! Code that asks for a `blockstore::Blockstore`, over a store of cidbucket.
//!
//! ```sh
//! cargo run -p cidbucket-adapters --features blockstore --example blockstore -- s3://my-bucket
//! ```
//!
//! Without an argument the store is in memory. For a node that hands the adapter to Bitswap, see
//! `examples/bitswap` at the top of the repository.

use std::error::Error;
use std::sync::Arc;

use blockstore::Blockstore;
use cid::Cid;
use cidbucket_adapters::AsBlockstore;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let url = std::env::args()
        .skip(1)
        .find(|argument| argument.contains(':'));
    let store = cidbucket::open(url.as_deref().unwrap_or("memory:")).await?;

    // Such code wants an `Arc<impl Blockstore>`: beetswap does, for one.
    let store = Arc::new(AsBlockstore::new(store));
    let cid = keep_a_greeting(Arc::clone(&store)).await?;
    println!("stored {cid}");

    // The store underneath has the block too, and lists it, which the other trait cannot.
    let block = cidbucket::Blockstore::get(store.inner(), &cid).await?;
    assert!(block.is_some_and(|block| block.data() == "hello\n"));
    Ok(())
}

/// Somebody's library.
async fn keep_a_greeting(store: Arc<impl Blockstore>) -> blockstore::Result<Cid> {
    let cid = Cid::try_from("bafkreicysg23kiwv34eg2d7qweipxwosdo2py4ldv42nbauguluen5v6am")
        .expect("a CID");
    if !store.has(&cid).await? {
        store.put_keyed(&cid, b"hello\n").await?;
    }
    assert_eq!(store.get(&cid).await?.as_deref(), Some(&b"hello\n"[..]));
    Ok(cid)
}

#[test]
fn it_runs() {
    main().expect("it runs");
}
