//! For users of the crate `blockstore`.

use std::sync::{Mutex, PoisonError};

use ::blockstore::block::{Block as Encoded, CidError};
use ::blockstore::cond_send::{CondSend, CondSync};
use ::blockstore::{Error, Result};
use cid::CidGeneric;
use cidbucket_blockstore::{Block, Blockstore, Bytes, Cid, Error as StoreError, Multihash};
use futures::stream::{self, StreamExt};

/// A store as a [`blockstore::Blockstore`](::blockstore::Blockstore).
///
/// What its errors stand for:
///
/// | error | when |
/// |---|---|
/// | `CidTooLarge` | the CID's digest has more than 64 bytes |
/// | `ValueTooLarge` | the block is above the store's limit, 2 MiB unless set |
/// | `CidError(InvalidCid)` | the CID's hash is not accepted, or the bytes put do not have it |
/// | `StoredDataError` | what the store holds under the CID does not match it |
/// | `FatalDatabaseError` | all else. The text begins with the class of our error: `throttled` and `unavailable` may pass, the rest will not |
///
/// Batches run as the store's own do, many at once: at the first failure no further item is begun,
/// but later ones that were under way may have been stored.
#[derive(Debug, Clone, Copy, Default)]
pub struct AsBlockstore<S>(S);

impl<S: Blockstore> AsBlockstore<S> {
    /// `store` in the other trait's clothes.
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

    /// Stores checked blocks until one is refused, by the check or by the store.
    async fn put_until_refused(
        &self,
        blocks: impl Iterator<Item = Result<Block>> + Send,
    ) -> Result<()> {
        let refused = Mutex::new(None);
        let accepted = blocks.map_while(|block| match block {
            Ok(block) => Some(block),
            Err(error) => {
                *refused.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                None
            }
        });
        let mut answers = self.0.put_many(stream::iter(accepted).boxed());
        while let Some((_, answer)) = answers.next().await {
            answer.map_err(translate)?;
        }
        drop(answers);
        match refused.into_inner().unwrap_or_else(PoisonError::into_inner) {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }
}

impl<S: Blockstore> ::blockstore::Blockstore for AsBlockstore<S> {
    async fn get<const N: usize>(&self, cid: &CidGeneric<N>) -> Result<Option<Vec<u8>>> {
        let found = self.0.get(&resize(cid)?).await.map_err(translate)?;
        Ok(found.map(|block| block.into_data().into()))
    }

    async fn put_keyed<const N: usize>(&self, cid: &CidGeneric<N>, data: &[u8]) -> Result<()> {
        let block = check(cid, data)?;
        self.0.put(&block).await.map_err(translate)
    }

    async fn remove<const N: usize>(&self, cid: &CidGeneric<N>) -> Result<()> {
        self.0.delete(&resize(cid)?).await.map_err(translate)
    }

    async fn has<const N: usize>(&self, cid: &CidGeneric<N>) -> Result<bool> {
        self.0.has(&resize(cid)?).await.map_err(translate)
    }

    async fn put_many<const N: usize, B, I>(&self, blocks: I) -> Result<()>
    where
        B: Encoded<N>,
        I: IntoIterator<Item = B> + CondSend,
        <I as IntoIterator>::IntoIter: Send,
    {
        let checked = (blocks.into_iter()).map(|block| check(&block.cid()?, block.data()));
        self.put_until_refused(checked).await
    }

    async fn put_many_keyed<const N: usize, D, I>(&self, blocks: I) -> Result<()>
    where
        D: AsRef<[u8]> + CondSync,
        I: IntoIterator<Item = (CidGeneric<N>, D)> + CondSend,
        <I as IntoIterator>::IntoIter: Send,
    {
        let checked = (blocks.into_iter()).map(|(cid, data)| check(&cid, data.as_ref()));
        self.put_until_refused(checked).await
    }

    /// Nothing to do: a put that returned is durable.
    async fn close(self) -> Result<()> {
        Ok(())
    }
}

/// The CID with room for 64 bytes of digest, as ours are.
fn resize<const N: usize>(cid: &CidGeneric<N>) -> Result<Cid> {
    let multihash =
        Multihash::wrap(cid.hash().code(), cid.hash().digest()).map_err(|_| Error::CidTooLarge)?;
    Cid::new(cid.version(), cid.codec(), multihash)
        .map_err(|error| CidError::InvalidCid(error.to_string()).into())
}

fn check<const N: usize>(cid: &CidGeneric<N>, data: &[u8]) -> Result<Block> {
    Block::new(resize(cid)?, Bytes::copy_from_slice(data))
        .map_err(|error| CidError::InvalidCid(error.to_string()).into())
}

/// The other trait's error for what a store answered.
#[expect(clippy::needless_pass_by_value, reason = "as `map_err` has it")]
fn translate(error: StoreError) -> Error {
    match error {
        StoreError::TooLarge(_) => Error::ValueTooLarge,
        StoreError::Invalid(_) => CidError::InvalidCid(error.to_string()).into(),
        StoreError::Corrupt(_) => Error::StoredDataError(error.to_string()),
        _ => Error::FatalDatabaseError(error.to_string()),
    }
}
