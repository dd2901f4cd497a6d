//! Single operations.

use futures::future::join_all;

use super::{block, blocks, must};
use crate::{Block, Blockstore, Bytes, DEFAULT_MAX_BLOCK, Error};

/// A block that was put can be read, measured and found, at once.
pub async fn put_then_get(store: &dyn Blockstore) {
    let block = block("put_then_get", 0);
    must("put", store.put(&block).await);
    assert_eq!(
        must("get", store.get(block.cid()).await).as_ref(),
        Some(&block),
        "a get after a put gives the block"
    );
    assert!(must("has", store.has(block.cid()).await), "it is there");
    must("delete", store.delete(block.cid()).await);
}

/// A block that is not there is `None` or `false`, not an error.
pub async fn absent_is_no_error(store: &dyn Blockstore) {
    let block = block("absent_is_no_error", 0);
    assert_eq!(must("get", store.get(block.cid()).await), None);
    assert_eq!(must("size", store.size(block.cid()).await), None);
    assert!(!must("has", store.has(block.cid()).await));
}

/// A deleted block is absent, at once, for every operation.
pub async fn delete_makes_absent(store: &dyn Blockstore) {
    let block = block("delete_makes_absent", 0);
    must("put", store.put(&block).await);
    // Read first, so that a layer that remembers blocks has it to forget.
    assert!(must("get", store.get(block.cid()).await).is_some());
    must("delete", store.delete(block.cid()).await);
    assert_eq!(must("get", store.get(block.cid()).await), None);
    assert_eq!(must("size", store.size(block.cid()).await), None);
    assert!(!must("has", store.has(block.cid()).await));
}

/// Deleting an absent block succeeds, also the second time.
pub async fn delete_is_idempotent(store: &dyn Blockstore) {
    let block = block("delete_is_idempotent", 0);
    must("delete of an absent block", store.delete(block.cid()).await);
    must("put", store.put(&block).await);
    must("delete", store.delete(block.cid()).await);
    must("second delete", store.delete(block.cid()).await);
}

/// Putting a block that is there succeeds and changes nothing.
pub async fn put_again(store: &dyn Blockstore) {
    let block = block("put_again", 0);
    must("put", store.put(&block).await);
    must("second put", store.put(&block).await);
    assert_eq!(
        must("get", store.get(block.cid()).await).as_ref(),
        Some(&block)
    );
    must("delete", store.delete(block.cid()).await);
    assert_eq!(
        must("get", store.get(block.cid()).await),
        None,
        "one delete removes a block that was put twice"
    );
}

/// A block that was found absent, or was deleted, can be put and is there at once.
pub async fn put_after_delete(store: &dyn Blockstore) {
    let block = block("put_after_delete", 0);
    assert_eq!(must("get", store.get(block.cid()).await), None);
    for _ in 0..2 {
        must("put", store.put(&block).await);
        assert!(
            must("has", store.has(block.cid()).await),
            "an earlier absence is not remembered beyond a put"
        );
        assert_eq!(
            must("get", store.get(block.cid()).await).as_ref(),
            Some(&block)
        );
        must("delete", store.delete(block.cid()).await);
        assert_eq!(must("get", store.get(block.cid()).await), None);
    }
}

/// The empty block is a block like any other.
pub async fn zero_length_block(store: &dyn Blockstore) {
    let block = Block::raw(Bytes::new());
    assert_eq!(must("get", store.get(block.cid()).await), None);
    must("put", store.put(&block).await);
    assert_eq!(
        must("get", store.get(block.cid()).await).as_ref(),
        Some(&block)
    );
    assert_eq!(must("size", store.size(block.cid()).await), Some(0));
    assert!(must("has", store.has(block.cid()).await));
    must("delete", store.delete(block.cid()).await);
    assert_eq!(must("size", store.size(block.cid()).await), None);
}

/// `size` gives the number of bytes that `get` gives, and `has` says the same as both.
pub async fn size_and_has_agree(store: &dyn Blockstore) {
    for length in [1, 31, 4096, 65_537, 262_144] {
        let block = Block::raw(vec![0x5a; length]);
        assert_eq!(must("size", store.size(block.cid()).await), None);
        must("put", store.put(&block).await);
        assert_eq!(
            must("size", store.size(block.cid()).await),
            Some(length as u64)
        );
        assert!(must("has", store.has(block.cid()).await));
        let got = must("get", store.get(block.cid()).await).expect("it was just put");
        assert_eq!(got.len(), length);
        must("delete", store.delete(block.cid()).await);
    }
}

/// [`limit_of`] with the default limit of 2 MiB.
pub async fn limit_is_enforced(store: &dyn Blockstore) {
    limit_of(store, DEFAULT_MAX_BLOCK).await;
}

/// A block of `max_block` bytes is accepted; one byte more is [`Error::TooLarge`], and stays out.
pub async fn limit_of(store: &dyn Blockstore, max_block: usize) {
    let largest = Block::raw(vec![0xa5; max_block]);
    must("put of the largest block", store.put(&largest).await);
    assert_eq!(
        must("get of the largest block", store.get(largest.cid()).await).as_ref(),
        Some(&largest)
    );
    must("delete", store.delete(largest.cid()).await);

    let over = Block::raw(vec![0xa5; max_block + 1]);
    let refused = store.put(&over).await;
    assert!(
        matches!(refused, Err(Error::TooLarge(_))),
        "a block above the limit is refused as TooLarge, not {refused:?}"
    );
    assert!(
        !must("has", store.has(over.cid()).await),
        "a refused block is not stored"
    );
}

/// A hundred puts, gets and deletes at once do not disturb each other.
pub async fn many_at_once(store: &dyn Blockstore) {
    let blocks = blocks("many_at_once", 100);
    for put in join_all(blocks.iter().map(|block| store.put(block))).await {
        must("one of 100 puts", put);
    }
    let got = join_all(blocks.iter().map(|block| store.get(block.cid()))).await;
    for (block, got) in blocks.iter().zip(got) {
        assert_eq!(must("one of 100 gets", got).as_ref(), Some(block));
    }
    for delete in join_all(blocks.iter().map(|block| store.delete(block.cid()))).await {
        must("one of 100 deletes", delete);
    }
    for has in join_all(blocks.iter().map(|block| store.has(block.cid()))).await {
        assert!(!must("one of 100 has", has), "all 100 are deleted");
    }
}

/// Writers of the same block all succeed, and so do its readers meanwhile, with the whole block or
/// none.
pub async fn same_block_at_once(store: &dyn Blockstore) {
    let block = Block::raw(vec![0x3c; 100_000]);
    let puts = join_all((0..16).map(|_| store.put(&block)));
    let gets = join_all((0..16).map(|_| store.get(block.cid())));
    let (puts, gets) = futures::join!(puts, gets);
    for put in puts {
        must("one of 16 puts of the same block", put);
    }
    for got in gets {
        let got = must("a get during 16 puts", got);
        assert!(got.is_none_or(|got| got == block));
    }
    assert_eq!(
        must("get", store.get(block.cid()).await).as_ref(),
        Some(&block)
    );
    must("delete", store.delete(block.cid()).await);
    assert!(
        !must("has", store.has(block.cid()).await),
        "one delete removes a block that 16 writers put"
    );
}
