//! For users of the crate `atrium-repo`.

use atrium_repo::blockstore::{AsyncBlockStoreRead, AsyncBlockStoreWrite, Error};
use cidbucket_blockstore::{Block, Blockstore, Bytes, Cid, Error as StoreError, Hash};

/// A store as an [`AsyncBlockStoreRead`] and [`AsyncBlockStoreWrite`], to keep AT Protocol
/// repositories in.
///
/// Those traits read and write by `&mut`, one block at a time. Clone the adapter over a store that
/// clones (a reference, an `Arc`) for several readers at once.
///
/// What its errors stand for:
///
/// | error | when |
/// |---|---|
/// | `CidNotFound` | the block is not there, and nothing else |
/// | `UnsupportedHash` | the hash function is not one that IPFS accepts |
/// | `Other` | all else: a boxed [`cidbucket_blockstore::Error`] |
#[derive(Debug, Clone, Copy, Default)]
pub struct AsAtrium<S>(S);

impl<S: Blockstore> AsAtrium<S> {
    /// `store` in the other traits' clothes.
    pub fn new(store: S) -> Self {
        Self(store)
    }

    /// The store underneath.
    pub fn inner(&self) -> &S {
        &self.0
    }

    /// The store underneath.
    pub fn into_inner(self) -> S {
        self.0
    }

    async fn read(&self, cid: Cid) -> Result<Bytes, Error> {
        supported(cid.hash().code())?;
        match self.0.get(&cid).await.map_err(other)? {
            Some(block) => Ok(block.into_data()),
            None => Err(Error::CidNotFound),
        }
    }
}

impl<S: Blockstore> AsyncBlockStoreRead for AsAtrium<S> {
    async fn read_block_into(&mut self, cid: Cid, contents: &mut Vec<u8>) -> Result<(), Error> {
        let data = self.read(cid).await?;
        contents.clear();
        contents.extend_from_slice(&data);
        Ok(())
    }

    async fn read_block(&mut self, cid: Cid) -> Result<Vec<u8>, Error> {
        Ok(self.read(cid).await?.into())
    }
}

impl<S: Blockstore> AsyncBlockStoreWrite for AsAtrium<S> {
    async fn write_block(&mut self, codec: u64, hash: u64, contents: &[u8]) -> Result<Cid, Error> {
        let hash = supported(hash)?;
        let block = Block::encode(codec, hash, Bytes::copy_from_slice(contents)).map_err(other)?;
        self.0.put(&block).await.map_err(other)?;
        Ok(*block.cid())
    }
}

fn supported(hash: u64) -> Result<Hash, Error> {
    Hash::from_code(hash).ok_or(Error::UnsupportedHash(hash))
}

fn other(error: StoreError) -> Error {
    Error::Other(Box::new(error))
}
