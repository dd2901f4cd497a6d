//! `AsWnfs`: the conformance suite by way of the other trait, and how that trait makes CIDs.

use std::sync::Arc;

use async_trait::async_trait;
use cidbucket_adapters::AsWnfs;
use cidbucket_blockstore::{
    Block, Blockstore, Cid, Cursor, Error, FailingBlockstore, Hash, Listing, MemoryBlockstore,
    Operation, Report, Result, conformance,
};
use wnfs_common::{BlockStore, BlockStoreError, CODEC_DAG_CBOR, CODEC_RAW, MAX_BLOCK_SIZE};

/// The way there and back: our trait over the other one over our store. Deletes and the listing,
/// which the other trait lacks, are those of the store underneath.
#[derive(Debug)]
struct ThereAndBack(AsWnfs<Arc<dyn Blockstore>>);

#[async_trait]
impl Blockstore for ThereAndBack {
    async fn get(&self, cid: &Cid) -> Result<Option<Block>> {
        match self.0.get_block(cid).await {
            Ok(data) => Block::new(*cid, data).map(Some),
            Err(BlockStoreError::CIDNotFound(missing)) => {
                assert_eq!(&missing, cid, "the error names the CID");
                Ok(None)
            }
            Err(error) => Err(back(error)),
        }
    }

    async fn put(&self, block: &Block) -> Result<()> {
        let put = self.0.put_block_keyed(*block.cid(), block.data().clone());
        put.await.map_err(back)
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

    async fn has(&self, cid: &Cid) -> Result<bool> {
        self.0.has_block(cid).await.map_err(back)
    }
}

fn back(error: BlockStoreError) -> Error {
    match error {
        BlockStoreError::MaximumBlockSizeExceeded(size) => {
            Error::TooLarge(Report::new("wnfs", format!("{size} bytes")).into())
        }
        BlockStoreError::Custom(error) => error.downcast().expect("one of ours"),
        other => panic!("no error that the adapter gives: {other}"),
    }
}

fn there_and_back() -> ThereAndBack {
    ThereAndBack(AsWnfs::new(Arc::new(MemoryBlockstore::new())))
}

#[tokio::test]
async fn the_adapter_keeps_every_promise() {
    conformance::all(&there_and_back()).await;
    for seed in 1..4 {
        conformance::model(&there_and_back(), seed, 300).await;
    }
}

#[tokio::test]
async fn bytes_of_another_block_are_refused() {
    let store = AsWnfs::new(MemoryBlockstore::new());
    let right = Block::raw("right");
    let refused = store.put_block_keyed(*right.cid(), &b"wrong"[..]).await;
    assert!(matches!(
        back(refused.expect_err("wrong bytes")),
        Error::Corrupt(_)
    ));
    assert!(store.inner().is_empty(), "nothing was stored");
}

#[tokio::test]
async fn an_outage_is_not_taken_for_absence() {
    let store = FailingBlockstore::new(MemoryBlockstore::new());
    let outage = Error::Unavailable(Report::new("get", "no route to host").into());
    store.fail_nth(Operation::Get, 1, outage);
    let store = AsWnfs::new(store);
    let block = Block::raw("absent");
    let first = store.get_block(block.cid()).await.expect_err("it fails");
    assert!(matches!(back(first), Error::Unavailable(_)));
    let second = store
        .get_block(block.cid())
        .await
        .expect_err("it is absent");
    assert!(matches!(second, BlockStoreError::CIDNotFound(_)));
}

#[tokio::test]
async fn new_blocks_have_the_hash_that_was_chosen() {
    for (hash, store) in [
        (Hash::Sha2_256, AsWnfs::new(MemoryBlockstore::new())),
        (
            Hash::Blake3,
            AsWnfs::new(MemoryBlockstore::new()).with_hash(Hash::Blake3),
        ),
    ] {
        let cid = store
            .put_block(&b"hello"[..], CODEC_DAG_CBOR)
            .await
            .expect("stored");
        assert_eq!(
            (cid.codec(), cid.hash().code()),
            (CODEC_DAG_CBOR, hash.code())
        );
        assert_eq!(
            store.create_cid(b"hello", CODEC_DAG_CBOR).expect("a CID"),
            cid
        );
        assert_eq!(store.get_block(&cid).await.expect("it is there"), "hello");
    }
    // By the trait's own default, to the bit.
    let theirs = wnfs_common::MemoryBlockStore::new();
    let theirs = theirs
        .put_block(&b"hello"[..], CODEC_RAW)
        .await
        .expect("stored");
    let ours = AsWnfs::new(MemoryBlockstore::new()).with_hash(Hash::Blake3);
    assert_eq!(
        ours.put_block(&b"hello"[..], CODEC_RAW)
            .await
            .expect("stored"),
        theirs
    );
}

#[tokio::test]
async fn new_blocks_keep_to_the_limit_of_wnfs() {
    let store = AsWnfs::new(MemoryBlockstore::new());
    let largest = vec![7; MAX_BLOCK_SIZE];
    store.put_block(largest, CODEC_RAW).await.expect("it fits");
    let over = vec![7; MAX_BLOCK_SIZE + 1];
    for refused in [
        store.create_cid(&over, CODEC_RAW),
        store.put_block(over, CODEC_RAW).await,
    ] {
        assert!(matches!(
            refused,
            Err(BlockStoreError::MaximumBlockSizeExceeded(size)) if size == MAX_BLOCK_SIZE + 1
        ));
    }
    assert_eq!(store.into_inner().len(), 1);
}
