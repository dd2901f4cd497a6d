//! `AsAtrium`: the conformance suite by way of the other traits, as far as their shape goes.

use std::sync::Arc;

use async_trait::async_trait;
use atrium_repo::blockstore::{AsyncBlockStoreRead, AsyncBlockStoreWrite, Error as Other};
use cidbucket_adapters::AsAtrium;
use cidbucket_blockstore::{
    Block, Blockstore, Cid, Cursor, Error, FailingBlockstore, Listing, MemoryBlockstore, Operation,
    Report, Result, conformance,
};

/// The way there and back: our trait over the other ones over our store. What those lack (`has`,
/// deletes, the listing) is done by the store underneath.
#[derive(Debug)]
struct ThereAndBack(AsAtrium<Arc<dyn Blockstore>>);

#[async_trait]
impl Blockstore for ThereAndBack {
    async fn get(&self, cid: &Cid) -> Result<Option<Block>> {
        let whole = self.0.clone().read_block(*cid).await;
        let mut into = b"left over".to_vec();
        let read = self.0.clone().read_block_into(*cid, &mut into).await;
        match (whole, read) {
            (Ok(data), Ok(())) => {
                assert_eq!(data, into, "both ways to read agree");
                Block::new(*cid, data).map(Some)
            }
            (Err(Other::CidNotFound), Err(Other::CidNotFound)) => Ok(None),
            (Err(error), Err(_)) => Err(back(error)),
            // A write came between the two.
            _ => self.get(cid).await,
        }
    }

    async fn put(&self, block: &Block) -> Result<()> {
        let (codec, hash) = (block.cid().codec(), block.multihash().code());
        let mut store = self.0.clone();
        let written = store.write_block(codec, hash, block.data()).await;
        assert_eq!(written.map_err(back)?.hash(), block.multihash());
        Ok(())
    }

    async fn size(&self, cid: &Cid) -> Result<Option<u64>> {
        Ok(self.get(cid).await?.map(|block| block.len() as u64))
    }

    async fn delete(&self, cid: &Cid) -> Result<()> {
        self.0.inner().delete(cid).await
    }

    fn list(&self, from: Cursor) -> Listing<'_> {
        self.0.inner().list(from)
    }
}

fn back(error: Other) -> Error {
    match error {
        Other::CidNotFound => panic!("absence is handled where it is read"),
        Other::UnsupportedHash(code) => {
            Error::Invalid(Report::new("atrium", format!("hash {code:#x}")).into())
        }
        Other::Other(error) => *error.downcast().expect("one of ours"),
    }
}

fn there_and_back() -> ThereAndBack {
    ThereAndBack(AsAtrium::new(Arc::new(MemoryBlockstore::new())))
}

#[tokio::test]
async fn the_adapter_keeps_every_promise_it_can() {
    let store = there_and_back();
    // `write_block` is given a hash function, and always writes under the whole digest.
    let cut_short = "truncated_digest_is_a_block_of_its_own";
    let mut left_out = 0;
    for check in conformance::CHECKS {
        if check.name() == cut_short {
            left_out += 1;
        } else {
            check.run(&store).await;
        }
    }
    assert_eq!(left_out, 1);
    for seed in 1..4 {
        conformance::model(&there_and_back(), seed, 300).await;
    }
}

#[tokio::test]
async fn unknown_hashes_are_named() {
    let mut store = AsAtrium::new(MemoryBlockstore::new());
    let murmur3 = store.write_block(0x71, 0x22, b"block").await;
    assert!(matches!(murmur3, Err(Other::UnsupportedHash(0x22))));
    assert!(store.inner().is_empty(), "nothing was stored");
}

#[tokio::test]
async fn an_outage_is_not_taken_for_absence() {
    let store = FailingBlockstore::new(MemoryBlockstore::new());
    let outage = Error::Unavailable(Report::new("get", "no route to host").into());
    store.fail_nth(Operation::Get, 1, outage);
    let mut store = AsAtrium::new(store);
    let absent = *Block::raw("absent").cid();
    let mut contents = b"kept".to_vec();
    let first = store.read_block_into(absent, &mut contents).await;
    assert!(matches!(
        back(first.expect_err("it fails")),
        Error::Unavailable(_)
    ));
    assert_eq!(contents, b"kept", "a failed read leaves the buffer alone");
    assert!(matches!(
        store.read_block(absent).await,
        Err(Other::CidNotFound)
    ));
}
