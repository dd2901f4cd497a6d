//! Blocks as objects of a bucket.

mod listing;

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use cidbucket_blockstore::{
    Block, Blockstore, BoxStream, Cid, Cursor, Error, Limits, Listing, Report, Result,
};
use cidbucket_layout::Keys;
use cidbucket_presign::Seal;
use futures::stream::{self, StreamExt};

use crate::client::S3Client;
use crate::config::S3Config;
use crate::operation::{MAX_DELETE, PutObject};
use crate::probe::ProbeCache;

/// How many `DeleteObjects` run at once.
const BULK_DELETES: usize = 4;

/// A block store in a bucket.
///
/// A put is one PUT, a get is one GET. The SHA-256 that S3 checks a put against is the digest in a
/// sha2-256 block's CID, so a put hashes nothing.
pub struct S3Blockstore {
    client: S3Client,
    keys: Keys,
    limits: Limits,
    concurrency: usize,
    /// Puts send `x-amz-checksum-sha256`.
    checksum: bool,
    /// The server has no `DeleteObjects`.
    single_deletes: AtomicBool,
}

impl S3Blockstore {
    /// The store of `config`. Nothing is sent yet.
    ///
    /// # Errors
    /// As [`S3Client::new`].
    pub fn new(config: S3Config) -> Result<Self> {
        Ok(Self::with_client(S3Client::new(config)?))
    }

    /// The store of `client`'s bucket and keys.
    pub fn with_client(client: S3Client) -> Self {
        let keys = client.config().keys.clone();
        Self::with_keys(client, keys)
    }

    /// The store of other keys in `client`'s bucket: a tenant's, say.
    pub fn with_keys(client: S3Client, keys: Keys) -> Self {
        let config = client.config();
        Self {
            keys,
            limits: config.limits,
            concurrency: config.concurrency.max(1),
            checksum: config.send_checksum,
            single_deletes: AtomicBool::new(false),
            client,
        }
    }

    /// The store of `client`'s bucket and keys, as the probe of the bucket says: where it checks
    /// `x-amz-checksum-sha256`, every put sends it. Some servers check nothing else, so this is the
    /// store to write through for whoever does not know the server.
    ///
    /// The probe writes and deletes small objects beside the blocks, and is kept in `probes`. Where
    /// it may not write, the store is that of [`Self::with_client`].
    ///
    /// # Errors
    /// As [`ProbeCache::get`].
    pub async fn probed(client: S3Client, probes: &ProbeCache) -> Result<Self> {
        let probe = probes.get(&client).await?;
        let mut store = Self::with_client(client);
        store.checksum |= probe.seal == Some(Seal::Checksum);
        Ok(store)
    }

    /// The client underneath.
    pub fn client(&self) -> &S3Client {
        &self.client
    }

    /// The keys that blocks have.
    pub fn keys(&self) -> &Keys {
        &self.keys
    }

    /// The object at `key`, if it is the block. Wrong bytes may have gone wrong on the way, so
    /// they are asked for once more, on another connection, before the object is called corrupt.
    async fn get_verified(&self, cid: &Cid, key: &str) -> Result<Option<Block>> {
        let mut fresh = false;
        loop {
            let max = self.limits.max_block;
            let Some(data) = self.client.get_bytes(key, max, fresh).await? else {
                return Ok(None);
            };
            let length = data.len();
            match Block::new(*cid, data) {
                Err(Error::Corrupt(_)) if !fresh => {
                    tracing::warn!(key, %cid, length, "wrong bytes; asking once more");
                    fresh = true;
                }
                Err(Error::Corrupt(_)) => return Err(corrupt(cid, key, length as u64)),
                result => return result.map(Some),
            }
        }
    }

    /// Deletes the objects of some blocks with one request, or with few.
    async fn delete_bulk(&self, cids: Vec<Cid>) -> Vec<(Cid, Result<()>)> {
        let mut results: Vec<(Cid, Result<()>)> = Vec::with_capacity(cids.len());
        let mut owners = Vec::new();
        let mut keys = Vec::new();
        for (index, cid) in cids.into_iter().enumerate() {
            let inline = Block::inline(&cid);
            if matches!(inline, Ok(None)) {
                for key in self.keys.candidates(&cid) {
                    owners.push(index);
                    keys.push(key);
                }
            }
            results.push((cid, inline.map(|_| ())));
        }
        for (owners, keys) in owners.chunks(MAX_DELETE).zip(keys.chunks(MAX_DELETE)) {
            let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
            for (owner, outcome) in owners.iter().zip(self.delete_keys(&keys).await) {
                let (_, result) = &mut results[*owner];
                if result.is_ok() {
                    *result = outcome;
                }
            }
        }
        results
    }

    async fn delete_keys(&self, keys: &[&str]) -> Vec<Result<()>> {
        if !self.single_deletes.load(Ordering::Relaxed) {
            match self.client.delete_objects(keys).await {
                Ok(results) => return results,
                Err(Error::Unsupported(_)) => self.single_deletes.store(true, Ordering::Relaxed),
                Err(error) => return keys.iter().map(|_| Err(error.clone())).collect(),
            }
        }
        let deletes: Vec<_> = keys
            .iter()
            .map(|key| self.client.delete_object(key))
            .collect();
        stream::iter(deletes)
            .buffered(self.concurrency)
            .collect()
            .await
    }
}

#[async_trait]
impl Blockstore for S3Blockstore {
    async fn get(&self, cid: &Cid) -> Result<Option<Block>> {
        if let Some(block) = Block::inline(cid)? {
            return Ok(Some(block));
        }
        // Nearly every block lies under the first candidate.
        let mut others = None;
        let mut key = self.keys.key(cid);
        let mut wrong = None;
        loop {
            match self.get_verified(cid, &key).await {
                Ok(None) => {}
                Ok(Some(block)) => return Ok(Some(block)),
                Err(error @ Error::Corrupt(_)) => {
                    wrong.get_or_insert(error);
                }
                Err(error) => return Err(error),
            }
            let others = others.get_or_insert_with(|| self.keys.candidates(cid).skip(1));
            match others.next() {
                Some(next) => key = next,
                None => return wrong.map_or(Ok(None), Err),
            }
        }
    }

    async fn put(&self, block: &Block) -> Result<()> {
        self.limits.check(block)?;
        if Block::inline(block.cid())?.is_some() {
            return Ok(());
        }
        let config = self.client.config();
        let mut put = PutObject::new(block.data().clone(), block.sha256());
        put.content_type = &config.content_type;
        put.checksum = self.checksum;
        put.if_absent = config.conditional_put;
        put.cache_control = config.cache_control.as_deref();
        put.storage_class = config.storage_class.as_deref();
        put.encryption = config.encryption.as_ref();
        // Written now, or there before: the block is there.
        self.client
            .put_and(&self.keys.key(block.cid()), &put, |_| ())
            .await
            .map(|_| ())
    }

    async fn size(&self, cid: &Cid) -> Result<Option<u64>> {
        if let Some(block) = Block::inline(cid)? {
            return Ok(Some(block.len() as u64));
        }
        for key in self.keys.candidates(cid) {
            if let Some(info) = self.client.head_object(&key).await? {
                if info.size == 0 && Block::new(*cid, Bytes::new()).is_err() {
                    return Err(corrupt(cid, &key, 0));
                }
                return Ok(Some(info.size));
            }
        }
        Ok(None)
    }

    async fn delete(&self, cid: &Cid) -> Result<()> {
        if Block::inline(cid)?.is_some() {
            return Ok(());
        }
        for key in self.keys.candidates(cid) {
            self.client.delete_object(&key).await?;
        }
        Ok(())
    }

    fn list(&self, from: Cursor) -> Listing<'_> {
        listing::list(self, from)
    }

    fn concurrency(&self) -> usize {
        self.concurrency
    }

    fn delete_many<'a>(&'a self, cids: BoxStream<'a, Cid>) -> BoxStream<'a, (Cid, Result<()>)> {
        cids.ready_chunks(MAX_DELETE)
            .map(|cids| self.delete_bulk(cids))
            .buffered(BULK_DELETES)
            .flat_map(stream::iter)
            .boxed()
    }
}

impl fmt::Debug for S3Blockstore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("S3Blockstore")
            .field("client", &self.client)
            .field("checksum", &self.checksum)
            .finish_non_exhaustive()
    }
}

fn corrupt(cid: &Cid, key: &str, length: u64) -> Error {
    Error::Corrupt(
        Report::new(
            "get",
            format!("the object has {length} bytes that are not those of {cid}"),
        )
        .with_key(key)
        .into(),
    )
}
