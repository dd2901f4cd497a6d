//! Code that asks for a `wnfs_common::BlockStore`, over a store of cidbucket.
//!
//! ```sh
//! cargo run -p cidbucket-adapters --features wnfs --example wnfs -- s3://my-bucket
//! ```
//!
//! Without an argument the store is in memory.

use std::error::Error;

use cidbucket_adapters::AsWnfs;
use wnfs_common::Storable;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let url = std::env::args()
        .skip(1)
        .find(|argument| argument.contains(':'));
    let store = cidbucket::open(url.as_deref().unwrap_or("memory:")).await?;

    // Every function of WNFS that takes `&impl BlockStore` takes this.
    let store = AsWnfs::new(store);
    let greeting = String::from("hello");
    let cid = greeting.store(&store).await?;
    println!("stored {cid}");
    assert_eq!(String::load(&cid, &store).await?, greeting);
    Ok(())
}

#[test]
fn it_runs() {
    main().expect("it runs");
}
