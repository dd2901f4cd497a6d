//! The direct-access service: says who may, and signs.
//!
//! Clients read and write blocks at S3 themselves, with grants from here. `docs/direct-access.md`
//! specifies the HTTP interface, `docs/serve.md` how to run it. Beside it, at `/ipfs/`, is an IPFS
//! gateway for the same blocks (`docs/gateway.md`).
//!
//! - [`ServiceBuilder`] makes a [`Service`] over a bucket or any other `Blockstore`, with
//!   [`Settings`] and an `Authorizer` of one's own.
//! - [`Service::handle`] answers one request; no socket is needed, so a program can mount it beside
//!   its own routes.
//! - [`Server`] listens: HTTP/1.1 and HTTP/2 on one port, with or without TLS, within [`Bounds`].
//!
//! ```
//! use std::sync::Arc;
//!
//! use bytes::Bytes;
//! use cidbucket_blockstore::MemoryBlockstore;
//! use cidbucket_service::{ServiceBuilder, Settings};
//! use http_body_util::Full;
//!
//! # #[tokio::main]
//! # async fn main() -> cidbucket_blockstore::Result<()> {
//! let mut settings = Settings::default();
//! settings.public_reads = true;
//! let service = ServiceBuilder::store(Arc::new(MemoryBlockstore::new()))
//!     .settings(settings)
//!     .build()?;
//! let request = http::Request::get("/v1/info").body(Full::<Bytes>::default()).unwrap();
//! let answer = service.handle(request).await;
//! assert_eq!(answer.status(), 200);
//! # Ok(())
//! # }
//! ```

mod answer;
mod answered;
mod assets;
mod blocks;
mod body;
mod books;
mod builder;
mod caller;
mod complete;
mod content_policy;
mod failure;
mod gateway;
mod health;
mod listen;
mod listing;
mod memory;
mod metrics;
mod plan;
mod reads;
mod record;
mod route;
mod service;
mod settings;
mod spaces;
mod writes;

pub use builder::{Enforced, ServiceBuilder};
pub use cidbucket_gateway::{Body, CutOff};
pub use cidbucket_records::Conditions;
pub use listen::{Bounds, ListenError, Server, Tls, TlsError};
pub use service::Service;
pub use settings::{GatewaySettings, Pace, Prices, Settings, Verify};
