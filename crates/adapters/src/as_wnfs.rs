//! For users of the crate `wnfs-common`.

use cidbucket_blockstore::{Block, Blockstore, Bytes, Cid, Error, Hash};
use wnfs_common::utils::CondSend;
use wnfs_common::{BlockStore, BlockStoreError, MAX_BLOCK_SIZE};

type Result<T> = std::result::Result<T, BlockStoreError>;

/// A store as a [`wnfs_common::BlockStore`].
///
/// New CIDs (`put_block`, `create_cid`) are made with SHA-256, where WNFS by itself takes BLAKE3:
/// S3 checks SHA-256 on every upload and every grant, and no S3 server knows BLAKE3. Use
/// [`AsWnfs::with_hash`] to have BLAKE3, say because CIDs must be those that other stores give.
/// Blocks of either are read alike.
///
/// What its errors stand for:
///
/// | error | when |
/// |---|---|
/// | `CIDNotFound` | the block is not there, and nothing else |
/// | `MaximumBlockSizeExceeded` | the bytes put are above WNFS's limit (256 KiB) in `put_block`, or above the store's in `put_block_keyed` |
/// | `Custom` | all else. It holds a [`cidbucket_blockstore::Error`]: `error.downcast_ref()` gets it back |
#[derive(Debug, Clone, Copy)]
pub struct AsWnfs<S> {
    store: S,
    hash: Hash,
}

impl<S: Blockstore> AsWnfs<S> {
    /// `store` in the other trait's clothes.
    pub fn new(store: S) -> Self {
        let hash = Hash::Sha2_256;
        Self { store, hash }
    }

    /// Sets the hash function of new CIDs.
    #[must_use]
    pub fn with_hash(mut self, hash: Hash) -> Self {
        self.hash = hash;
        self
    }

    /// The store underneath.
    pub fn inner(&self) -> &S {
        &self.store
    }

    /// The store underneath.
    pub fn into_inner(self) -> S {
        self.store
    }

    async fn put(&self, block: Block) -> Result<()> {
        match self.store.put(&block).await {
            Err(Error::TooLarge(_)) => Err(BlockStoreError::MaximumBlockSizeExceeded(block.len())),
            answer => answer.map_err(custom),
        }
    }
}

impl<S: Blockstore> BlockStore for AsWnfs<S> {
    async fn get_block(&self, cid: &Cid) -> Result<Bytes> {
        match self.store.get(cid).await.map_err(custom)? {
            Some(block) => Ok(block.into_data()),
            None => Err(BlockStoreError::CIDNotFound(*cid)),
        }
    }

    // As the trait's own, but hashing once.
    async fn put_block(&self, bytes: impl Into<Bytes> + CondSend, codec: u64) -> Result<Cid> {
        let bytes = bytes.into();
        within_limit(&bytes)?;
        let block = Block::encode(codec, self.hash, bytes).map_err(custom)?;
        let cid = *block.cid();
        self.put(block).await?;
        Ok(cid)
    }

    async fn put_block_keyed(&self, cid: Cid, bytes: impl Into<Bytes> + CondSend) -> Result<()> {
        self.put(Block::new(cid, bytes).map_err(custom)?).await
    }

    async fn has_block(&self, cid: &Cid) -> Result<bool> {
        self.store.has(cid).await.map_err(custom)
    }

    fn create_cid(&self, bytes: &[u8], codec: u64) -> Result<Cid> {
        within_limit(bytes)?;
        Ok(Cid::new_v1(codec, self.hash.digest(bytes).map_err(custom)?))
    }
}

/// The limit that WNFS has for blocks it makes.
fn within_limit(bytes: &[u8]) -> Result<()> {
    if bytes.len() > MAX_BLOCK_SIZE {
        return Err(BlockStoreError::MaximumBlockSizeExceeded(bytes.len()));
    }
    Ok(())
}

fn custom(error: Error) -> BlockStoreError {
    anyhow::Error::new(error).into()
}
