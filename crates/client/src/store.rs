//! The block store.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use cidbucket_blockstore::{Block, Blockstore, BoxStream, Cid, Cursor, Listing, Result};
use cidbucket_direct::{Grant, Info, Method};
use futures::stream::{self, StreamExt};

use crate::core::Core;
use crate::put_many::PutMany;
use crate::read::Source;
use crate::{DirectConfig, Traffic, listing};

/// A block store over a direct-access service. Clones share everything.
///
/// Reads and writes ask the service for grants, many in one request, and go to S3. What is read is
/// checked against its CID. A `put` has returned when S3 has the block and its lease is completed.
/// Where blocks cannot go straight to S3 they go through the service; so do lists and deletes.
#[derive(Clone)]
pub struct DirectBlockstore {
    core: Arc<Core>,
}

impl DirectBlockstore {
    /// The store of `config`. Nothing is sent yet.
    ///
    /// # Errors
    /// `Invalid` or `Io` where the certificates to trust cannot be read.
    pub fn new(config: DirectConfig) -> Result<Self> {
        Ok(Self {
            core: Arc::new(Core::new(config)?),
        })
    }

    /// How it was configured.
    pub fn config(&self) -> &DirectConfig {
        &self.core.config
    }

    /// What went through the service so far, and what straight to S3.
    pub fn traffic(&self) -> Traffic {
        self.core.traffic()
    }

    /// Grants to read blocks, in their order, for somebody else to use: for as long as asked for
    /// or, where that is less, as the service gives them. Plain URLs where anybody may read.
    ///
    /// # Errors
    /// `Unsupported` where blocks cannot be read at S3; `Invalid` for an identity CID, which holds
    /// its block itself.
    pub async fn read_grants(
        &self,
        cids: &[Cid],
        method: Method,
        seconds: u32,
    ) -> Result<Vec<Grant>> {
        self.core.read_grants(cids, method, seconds).await
    }

    /// What the service says of itself.
    ///
    /// # Errors
    /// As any operation.
    pub async fn info(&self) -> Result<Info> {
        Ok(self.core.known().await?.info.clone())
    }
}

#[async_trait]
impl Blockstore for DirectBlockstore {
    async fn get(&self, cid: &Cid) -> Result<Option<Block>> {
        self.core.get(cid, Source::Usual).await
    }

    async fn put(&self, block: &Block) -> Result<()> {
        self.core.put(block).await
    }

    async fn size(&self, cid: &Cid) -> Result<Option<u64>> {
        self.core.size(cid).await
    }

    async fn delete(&self, cid: &Cid) -> Result<()> {
        if Block::inline(cid)?.is_some() {
            return Ok(());
        }
        self.core.service.delete(cid).await
    }

    fn list(&self, from: Cursor) -> Listing<'_> {
        listing::list(Arc::clone(&self.core), from)
    }

    fn concurrency(&self) -> usize {
        self.core.config.concurrency.max(1)
    }

    fn get_many<'a>(
        &'a self,
        cids: BoxStream<'a, Cid>,
    ) -> BoxStream<'a, (Cid, Result<Option<Block>>)> {
        cids.ready_chunks(self.core.config.batch_blocks.max(1))
            .then(|cids| Arc::clone(&self.core).sources(cids))
            .flat_map(stream::iter)
            .map(move |(cid, source)| async move { (cid, self.core.get(&cid, source).await) })
            .buffered(self.concurrency())
            .boxed()
    }

    fn put_many<'a>(&'a self, blocks: BoxStream<'a, Block>) -> BoxStream<'a, (Cid, Result<()>)> {
        PutMany::new(Arc::clone(&self.core), blocks).boxed()
    }
}

/// Shows no token.
impl fmt::Debug for DirectBlockstore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DirectBlockstore")
            .field("service", &self.core.service)
            .field("direct", &self.core.config.direct)
            .finish_non_exhaustive()
    }
}
