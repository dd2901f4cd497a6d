//! `serve --rpc`: Kubo's RPC, on a listener of its own.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use cidbucket::cache::{CacheOptions, CachedBlockstore};
use cidbucket::layout::{Keys, Layout, Prefix};
use cidbucket::s3::{S3Blockstore, S3Client};
use cidbucket::{Blockstore, Location};
use cidbucket_kubo::{Authorizations, Bounds, ListenError, Node, Server, Settings};
use cidbucket_records::{Control, FolderRecords, MemoryRecords, Records, S3Records};
use cidbucket_service::Conditions;

use super::options::Said;
use crate::failure::{Exit, Failure, Outcome};

/// Where it listens unless told otherwise, as Kubo does.
const USUAL: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 5001);

/// As typed.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Kubo's RPC")]
pub(super) struct RpcOptions {
    /// Answer Kubo's RPC (/api/v0) too, on an address of its own [without ADDR: 127.0.0.1:5001]
    #[arg(long, value_name = "ADDR", num_args = 0..=1, default_missing_value = "true")]
    rpc: Option<String>,
    /// Who may call what: JSON as in API.Authorizations of Kubo's configuration
    #[arg(long, value_name = "FILE")]
    rpc_authorizations: Option<String>,
    /// Origins of web pages that may call, beside those of this machine, with commas between them
    #[arg(long, value_name = "ORIGINS")]
    rpc_origins: Option<String>,
}

/// What holds.
#[derive(Debug)]
pub(super) struct Rpc {
    address: SocketAddr,
    settings: Settings,
}

impl RpcOptions {
    pub(super) fn resolve(self, said: &Said<'_>) -> Result<Option<Rpc>, Failure> {
        let address = said.get(self.rpc, "rpc", address)?.flatten();
        let mut settings = Settings::default();
        let file = said.text(self.rpc_authorizations, "rpc_authorizations");
        settings.authorizations = match file {
            None => None,
            Some((path, _)) => Some(authorizations(Path::new(&path))?),
        };
        if let Some((origins, _)) = said.text(self.rpc_origins, "rpc_origins") {
            let origins = origins.split(',').map(str::trim);
            settings.origins = origins
                .filter(|origin| !origin.is_empty())
                .map(|origin| origin.trim_end_matches('/').to_owned())
                .collect();
        }
        Ok(address.map(|address| Rpc { address, settings }))
    }
}

fn address(text: &str) -> Result<Option<SocketAddr>, String> {
    match text {
        "true" | "yes" | "on" => Ok(Some(USUAL)),
        "false" | "no" | "off" => Ok(None),
        text => text.parse().map(Some).map_err(|_| {
            "give an address with its port, such as 127.0.0.1:5001 or [::1]:5001".to_owned()
        }),
    }
}

fn authorizations(path: &Path) -> Result<Authorizations, Failure> {
    let text = std::fs::read(path).map_err(|error| {
        Failure::usage(format!(
            "cannot read the authorizations in {}: {error}",
            path.display()
        ))
    })?;
    Authorizations::parse(&text).map_err(|error| {
        Failure::usage(error.to_string())
            .about(path.display())
            .with_hint(
                "it is of the form {\"alice\": {\"AuthSecret\": \"bearer:…\", \"AllowedPaths\": \
                 [\"/api/v0\"]}}",
            )
    })
}

/// A store, and the records beside it.
pub(super) struct Opened {
    pub(super) store: Arc<dyn Blockstore>,
    records: Arc<dyn Records>,
    control: Control,
    name: String,
}

impl Opened {
    /// A bucket, with `cache` bytes of memory for hot blocks.
    pub(super) fn bucket(client: &S3Client, conditions: Conditions, cache: usize) -> Self {
        let options = CacheOptions {
            capacity: cache,
            ..CacheOptions::default()
        };
        let store = S3Blockstore::with_client(client.clone());
        Self {
            store: Arc::new(CachedBlockstore::new(store, options)),
            records: Arc::new(S3Records::new(client.clone(), conditions)),
            control: Control::new(&client.config().keys),
            name: client.config().to_string(),
        }
    }

    /// A store that is no bucket.
    pub(super) fn other(location: &Location, store: Arc<dyn Blockstore>) -> Result<Self, Failure> {
        let records: Arc<dyn Records> = match location {
            Location::Folder(path) => Arc::new(FolderRecords::new(path)),
            Location::Memory => Arc::new(MemoryRecords::new()),
            _ => {
                return Err(
                    Failure::usage("--rpc keeps pins in the store, and here it cannot")
                        .with_hint("give the bucket itself, s3://BUCKET, or a folder, dir:PATH"),
                );
            }
        };
        let root = Keys::new(Prefix::default(), Layout::Kubo);
        Ok(Self {
            store,
            records,
            control: Control::new(&root),
            name: location.to_string(),
        })
    }
}

impl Rpc {
    /// Listens.
    pub(super) async fn listen(self, opened: Opened) -> Outcome<Server> {
        let mut settings = self.settings;
        settings.store_name = opened.name;
        let node = Node::new(opened.store, opened.records, opened.control, settings).await?;
        let listening = Server::bind(node, self.address, Bounds::default()).await;
        Ok(listening.map_err(|error| not_listening(&error))?)
    }
}

fn not_listening(error: &ListenError) -> Failure {
    match error {
        ListenError::Open { .. } => Failure::usage(error.to_string()).with_hint(
            "give --rpc-authorizations FILE with secrets of your users, in the form of \
             API.Authorizations in Kubo's configuration",
        ),
        ListenError::Address { source, .. } if source.kind() == std::io::ErrorKind::AddrInUse => {
            Failure::new(Exit::Other, "io", error.to_string())
                .with_hint("is Kubo running here? --rpc 127.0.0.1:0 takes a free port")
        }
        _ => Failure::new(Exit::Other, "io", error.to_string()),
    }
}
