//! The clients that take turns: each reads or writes the same block again and again.

mod hyper_client;
mod ours;
mod raw_sockets;
#[cfg(feature = "rivals")]
mod rivals;

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

/// The name every ratio is against.
pub const BARE_HYPER: &str = "bare hyper, unsigned";
/// The name every second ratio is against.
pub const PRESIGNED: &str = "bare hyper, our headers, presigned";

/// What to talk to, and the block.
#[derive(Debug, Clone)]
pub struct Target {
    pub endpoint: String,
    pub bucket: String,
    pub access_key: String,
    pub secret_key: String,
    pub data: Bytes,
}

/// One client with one block.
#[async_trait]
pub trait Client: Send + Sync {
    fn name(&self) -> &'static str;
    async fn get(&self) -> Result<(), String>;
    async fn put(&self) -> Result<(), String>;
}

/// Every client. Those that cannot sign are left out where the server is a real one.
pub async fn all(target: &Target, server_in_memory: bool) -> Vec<Arc<dyn Client>> {
    let mut clients: Vec<Arc<dyn Client>> = Vec::new();
    if server_in_memory {
        clients.push(Arc::new(raw_sockets::RawSockets::new(target)));
        clients.push(Arc::new(hyper_client::BareHyper::new(target)));
        clients.push(Arc::new(hyper_client::BareHyper::signed(target)));
    }
    clients.push(Arc::new(ours::OurClient::new(target).await));
    clients.push(Arc::new(ours::OurStore::new(target).await));
    #[cfg(feature = "rivals")]
    {
        clients.push(Arc::new(rivals::ObjectStoreClient::new(target)));
        clients.push(Arc::new(rivals::AwsSdk::new(target)));
    }
    clients
}
