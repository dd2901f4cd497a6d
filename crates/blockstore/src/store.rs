//! The trait that every store and layer implements.

use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;
use futures::stream::{BoxStream, StreamExt};

use crate::{Block, Cid, Cursor, Listing, Result};

/// How many operations of a batch run at once unless a store knows better.
pub const DEFAULT_CONCURRENCY: usize = 16;

/// A store of IPFS blocks.
///
/// The promises, in short (in full: `docs/semantics.md`):
///
/// - A block's identity is its **multihash**: `CIDv0`, `CIDv1` and all codecs of it are one block.
///   `get` answers with the very CID it was asked for.
/// - What comes out was checked against its CID; what goes in is a [`Block`], so it was too.
/// - An absent block is `None` or `false`, never an error, and no refusal or outage looks like it.
/// - Identity CIDs are answered from the CID itself and never stored.
/// - A `put` that returned is durable and can be read. Putting a block again, and deleting an
///   absent one, succeed.
/// - Dropping a future leaves nothing half-done: the block is there whole, or not at all.
///
/// The batch methods take and give streams, so a batch of any length needs memory only for what is
/// under way. Each answers once per item, in order, and one item's failure does not stop the rest.
/// It answers the items it has, without waiting for more of them to come.
#[async_trait]
pub trait Blockstore: Debug + Send + Sync {
    /// Reads a block; `None` where it is absent.
    async fn get(&self, cid: &Cid) -> Result<Option<Block>>;

    /// Stores a block.
    async fn put(&self, block: &Block) -> Result<()>;

    /// A block's size in bytes; `None` where it is absent.
    async fn size(&self, cid: &Cid) -> Result<Option<u64>>;

    /// Removes a block. Succeeds where it was absent.
    async fn delete(&self, cid: &Cid) -> Result<()>;

    /// Lists every block from `from` on ([`Cursor::start`] for all).
    fn list(&self, from: Cursor) -> Listing<'_>;

    /// Whether a block is there.
    async fn has(&self, cid: &Cid) -> Result<bool> {
        Ok(self.size(cid).await?.is_some())
    }

    /// How many operations of a batch run at once; 0 is taken for 1.
    fn concurrency(&self) -> usize {
        DEFAULT_CONCURRENCY
    }

    /// Reads many blocks.
    fn get_many<'a>(
        &'a self,
        cids: BoxStream<'a, Cid>,
    ) -> BoxStream<'a, (Cid, Result<Option<Block>>)> {
        cids.map(move |cid| async move { (cid, self.get(&cid).await) })
            .buffered(self.concurrency().max(1))
            .boxed()
    }

    /// Stores many blocks.
    fn put_many<'a>(&'a self, blocks: BoxStream<'a, Block>) -> BoxStream<'a, (Cid, Result<()>)> {
        blocks
            .map(move |block| async move { (*block.cid(), self.put(&block).await) })
            .buffered(self.concurrency().max(1))
            .boxed()
    }

    /// Removes many blocks.
    fn delete_many<'a>(&'a self, cids: BoxStream<'a, Cid>) -> BoxStream<'a, (Cid, Result<()>)> {
        cids.map(move |cid| async move { (cid, self.delete(&cid).await) })
            .buffered(self.concurrency().max(1))
            .boxed()
    }
}

/// A pointer to a store is that store.
macro_rules! forward {
    ($pointer:ty) => {
        #[async_trait]
        impl<S: Blockstore + ?Sized> Blockstore for $pointer {
            async fn get(&self, cid: &Cid) -> Result<Option<Block>> {
                (**self).get(cid).await
            }
            async fn put(&self, block: &Block) -> Result<()> {
                (**self).put(block).await
            }
            async fn size(&self, cid: &Cid) -> Result<Option<u64>> {
                (**self).size(cid).await
            }
            async fn delete(&self, cid: &Cid) -> Result<()> {
                (**self).delete(cid).await
            }
            fn list(&self, from: Cursor) -> Listing<'_> {
                (**self).list(from)
            }
            async fn has(&self, cid: &Cid) -> Result<bool> {
                (**self).has(cid).await
            }
            fn concurrency(&self) -> usize {
                (**self).concurrency()
            }
            fn get_many<'a>(
                &'a self,
                cids: BoxStream<'a, Cid>,
            ) -> BoxStream<'a, (Cid, Result<Option<Block>>)> {
                (**self).get_many(cids)
            }
            fn put_many<'a>(
                &'a self,
                blocks: BoxStream<'a, Block>,
            ) -> BoxStream<'a, (Cid, Result<()>)> {
                (**self).put_many(blocks)
            }
            fn delete_many<'a>(
                &'a self,
                cids: BoxStream<'a, Cid>,
            ) -> BoxStream<'a, (Cid, Result<()>)> {
                (**self).delete_many(cids)
            }
        }
    };
}

forward!(&S);
forward!(Box<S>);
forward!(Arc<S>);
