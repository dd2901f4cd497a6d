//! Ours: the client (the object's bytes, signed) and the store (the verified block).

use async_trait::async_trait;
use cidbucket_blockstore::{Block, Blockstore};
use cidbucket_layout::{Keys, Layout, Prefix};
use cidbucket_presign::{Bucket, Style};
use cidbucket_s3::{CredentialsSource, GetObject, PutObject, S3Blockstore, S3Client, S3Config};
use cidbucket_sigv4::Credentials;

use super::{Client, Target};

fn config(target: &Target) -> S3Config {
    let bucket =
        Bucket::new(&target.endpoint, &target.bucket, "us-east-1", Style::Path).expect("a bucket");
    let mut config = S3Config::new(bucket, Keys::new(Prefix::default(), Layout::default()));
    config.credentials =
        CredentialsSource::Static(Credentials::new(&target.access_key, &target.secret_key));
    config
}

pub(crate) struct OurClient {
    client: S3Client,
    key: String,
    block: Block,
}

impl OurClient {
    pub(crate) async fn new(target: &Target) -> Self {
        let client = S3Client::new(config(target)).expect("a client");
        let block = Block::raw(target.data.clone());
        let key = client.config().keys.key(block.cid());
        let ours = Self { client, key, block };
        ours.put().await.expect("the first put");
        ours
    }
}

#[async_trait]
impl Client for OurClient {
    fn name(&self) -> &'static str {
        "cidbucket client, not verified"
    }

    async fn get(&self) -> Result<(), String> {
        let whole = GetObject::whole(2 << 20);
        let got = self
            .client
            .get_object(&self.key, &whole)
            .await
            .map_err(|e| e.to_string())?;
        let length = got.ok_or("absent")?.data.len();
        (length == self.block.len())
            .then_some(())
            .ok_or_else(|| "wrong length".into())
    }

    async fn put(&self) -> Result<(), String> {
        let object = PutObject::new(self.block.data().clone(), self.block.sha256());
        self.client
            .put_object(&self.key, &object)
            .await
            .map(drop)
            .map_err(|e| e.to_string())
    }
}

pub(crate) struct OurStore {
    store: S3Blockstore,
    block: Block,
}

impl OurStore {
    pub(crate) async fn new(target: &Target) -> Self {
        let store = S3Blockstore::new(config(target)).expect("a store");
        let ours = Self {
            store,
            block: Block::raw(target.data.clone()),
        };
        ours.put().await.expect("the first put");
        ours
    }
}

#[async_trait]
impl Client for OurStore {
    fn name(&self) -> &'static str {
        "cidbucket store, verified"
    }

    async fn get(&self) -> Result<(), String> {
        let block = self
            .store
            .get(self.block.cid())
            .await
            .map_err(|e| e.to_string())?;
        block.map(drop).ok_or_else(|| "absent".into())
    }

    async fn put(&self) -> Result<(), String> {
        self.store.put(&self.block).await.map_err(|e| e.to_string())
    }
}
