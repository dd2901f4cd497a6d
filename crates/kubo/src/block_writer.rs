//! Storing many blocks while more of them come.

use std::sync::Arc;

use cidbucket_blockstore::{Block, Blockstore};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;

use crate::wire::failure::Failure;

/// Memory for the blocks that all calls together are storing.
#[derive(Debug, Clone)]
pub(crate) struct WriteMemory(Arc<Semaphore>);

/// What memory is counted in, in bytes.
const UNIT: usize = 1 << 10;
/// How much there is, in these: 128 MiB.
const UNITS: usize = 128 << 10;

impl WriteMemory {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Semaphore::new(UNITS)))
    }

    /// Waits for room for a block.
    async fn reserve(&self, bytes: usize) -> Option<OwnedSemaphorePermit> {
        let units = bytes.div_ceil(UNIT).clamp(1, UNITS);
        let units = u32::try_from(units).unwrap_or(u32::MAX);
        Arc::clone(&self.0).acquire_many_owned(units).await.ok()
    }
}

/// Stores blocks, several at once. Dropping it ends what is under way.
pub(crate) struct BlockWriter {
    store: Arc<dyn Blockstore>,
    memory: WriteMemory,
    running: JoinSet<cidbucket_blockstore::Result<()>>,
    concurrency: usize,
}

impl BlockWriter {
    pub(crate) fn new(store: Arc<dyn Blockstore>, memory: WriteMemory) -> Self {
        Self {
            concurrency: store.concurrency().max(1),
            store,
            memory,
            running: JoinSet::new(),
        }
    }

    /// Stores a block, once there is room for it.
    ///
    /// # Errors
    /// Those of blocks before it, too.
    pub(crate) async fn put(&mut self, block: Block) -> Result<(), Failure> {
        while self.running.len() >= self.concurrency {
            self.one().await?;
        }
        // What is under way gives back its room by itself, so nobody waits for himself.
        let room = self.memory.reserve(block.len()).await;
        let store = Arc::clone(&self.store);
        self.running.spawn(async move {
            let stored = store.put(&block).await;
            drop(room);
            stored
        });
        Ok(())
    }

    /// Waits until all are stored.
    pub(crate) async fn finish(mut self) -> Result<(), Failure> {
        while !self.running.is_empty() {
            self.one().await?;
        }
        Ok(())
    }

    async fn one(&mut self) -> Result<(), Failure> {
        match self.running.join_next().await {
            None => Ok(()),
            Some(Ok(stored)) => Ok(stored?),
            Some(Err(error)) => Err(Failure::new(format!("storing a block failed: {error}"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use cidbucket_blockstore::MemoryBlockstore;

    use super::*;

    #[tokio::test]
    async fn all_blocks_are_stored() {
        let store = Arc::new(MemoryBlockstore::new());
        let memory = WriteMemory(Arc::new(Semaphore::new(1)));
        let mut writer = BlockWriter::new(store.clone(), memory.clone());
        let blocks: Vec<_> = (0..100_u32).map(|n| Block::raw(n.to_string())).collect();
        for block in &blocks {
            writer.put(block.clone()).await.unwrap();
        }
        writer.finish().await.unwrap();
        for block in &blocks {
            assert!(store.has(block.cid()).await.unwrap());
        }
        assert_eq!(memory.0.available_permits(), 1);
    }
}
