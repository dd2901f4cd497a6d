//! Rivals, with their defaults: object_store and the AWS SDK, both with S3-checked integrity.

use async_trait::async_trait;
use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_s3::primitives::ByteStream;
use bytes::Bytes;
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::path::Path;
use object_store::{ObjectStoreExt, PutPayload};

use super::{Client, Target};

const KEY: &str = "blocks/CIQMPUAUREEAQWGFAADFQNWGLD4EPJWKM7CIMRQZEEV6J6BABZF3VTQ";

pub(crate) struct ObjectStoreClient {
    store: AmazonS3,
    path: Path,
    data: Bytes,
}

impl ObjectStoreClient {
    pub(crate) fn new(target: &Target) -> Self {
        let store = AmazonS3Builder::new()
            .with_endpoint(&target.endpoint)
            .with_allow_http(true)
            .with_region("us-east-1")
            .with_bucket_name(&target.bucket)
            .with_access_key_id(&target.access_key)
            .with_secret_access_key(&target.secret_key)
            .build()
            .expect("object_store");
        Self {
            store,
            path: Path::from(KEY),
            data: target.data.clone(),
        }
    }
}

#[async_trait]
impl Client for ObjectStoreClient {
    fn name(&self) -> &'static str {
        "object_store"
    }

    async fn get(&self) -> Result<(), String> {
        let answer = self
            .store
            .get(&self.path)
            .await
            .map_err(|e| e.to_string())?;
        let body = answer.bytes().await.map_err(|e| e.to_string())?;
        (body.len() == self.data.len())
            .then_some(())
            .ok_or_else(|| "wrong length".into())
    }

    async fn put(&self) -> Result<(), String> {
        let payload = PutPayload::from(self.data.clone());
        self.store
            .put(&self.path, payload)
            .await
            .map(drop)
            .map_err(|e| e.to_string())
    }
}

pub(crate) struct AwsSdk {
    client: aws_sdk_s3::Client,
    bucket: String,
    data: Bytes,
}

impl AwsSdk {
    pub(crate) fn new(target: &Target) -> Self {
        let credentials =
            Credentials::new(&target.access_key, &target.secret_key, None, None, "bench");
        let config = aws_sdk_s3::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .endpoint_url(&target.endpoint)
            .region(Region::new("us-east-1"))
            .force_path_style(true)
            .credentials_provider(credentials)
            .build();
        Self {
            client: aws_sdk_s3::Client::from_conf(config),
            bucket: target.bucket.clone(),
            data: target.data.clone(),
        }
    }
}

#[async_trait]
impl Client for AwsSdk {
    fn name(&self) -> &'static str {
        "aws-sdk-s3"
    }

    async fn get(&self) -> Result<(), String> {
        let answer = self
            .client
            .get_object()
            .bucket(&self.bucket)
            .key(KEY)
            .send()
            .await
            .map_err(|e| format!("{e:?}"))?;
        let body = answer
            .body
            .collect()
            .await
            .map_err(|e| e.to_string())?
            .into_bytes();
        (body.len() == self.data.len())
            .then_some(())
            .ok_or_else(|| "wrong length".into())
    }

    async fn put(&self) -> Result<(), String> {
        self.client
            .put_object()
            .bucket(&self.bucket)
            .key(KEY)
            .body(ByteStream::from(self.data.clone()))
            .send()
            .await
            .map(drop)
            .map_err(|e| format!("{e:?}"))
    }
}
