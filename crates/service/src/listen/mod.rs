//! Listening: one port for HTTP/1.1 and HTTP/2, with or without TLS.

mod activity;
mod connection;
mod desk;
mod socket;
mod tls;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::service::Service;
use crate::settings::Pace;

pub use tls::{Tls, TlsError};

/// What one client, or all of them, may take of the listener.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Bounds {
    /// Connections at once; others wait to be accepted. 2,048.
    pub max_connections: usize,
    /// How long the head of a request may take to come, and the TLS handshake before it. 10 s.
    pub head_timeout: Duration,
    /// Largest head of a request, in bytes; at least 8 KiB. 32 KiB.
    pub max_head: usize,
    /// How long a connection without a request is kept. 75 s, which is longer than balancers keep
    /// theirs.
    pub idle_timeout: Duration,
    /// Requests at once on one HTTP/2 connection. 128.
    pub max_streams: u32,
    /// How fast answers have to be taken.
    pub pace: Pace,
    /// How long requests under way may take once the server is told to stop. 30 s.
    pub drain: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            max_connections: 2048,
            head_timeout: Duration::from_secs(10),
            max_head: 32 << 10,
            idle_timeout: Duration::from_secs(75),
            max_streams: 128,
            pace: Pace::default(),
            drain: Duration::from_secs(30),
        }
    }
}

/// Why a server does not listen.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ListenError {
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {source}")]
    Address {
        /// Which one.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// The certificate or its key cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// A [`Service`] on a port.
#[derive(Debug)]
pub struct Server {
    service: Service,
    listener: TcpListener,
    address: SocketAddr,
    bounds: Bounds,
    tls: Option<Arc<tls::Certificates>>,
}

impl Server {
    /// Listens on an address, with TLS where that is given. Connections wait until
    /// [`run`](Server::run).
    ///
    /// # Errors
    /// [`ListenError`].
    pub async fn bind(
        service: Service,
        address: SocketAddr,
        bounds: Bounds,
        tls: Option<Tls>,
    ) -> Result<Self, ListenError> {
        let tls = tls.map(tls::Certificates::load).transpose()?;
        let failed = |source| ListenError::Address { address, source };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        Ok(Self {
            service,
            address: listener.local_addr().map_err(failed)?,
            listener,
            bounds,
            tls: tls.map(Arc::new),
        })
    }

    /// The address, with the port that was taken.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL of the service.
    pub fn url(&self) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.address)
    }

    /// Serves until `stop` comes. Then no more connections are accepted, requests under way are
    /// finished, and what is held of quotas is handed back.
    pub async fn run(self, stop: impl Future<Output = ()> + Send) {
        let upkeep = {
            let service = self.service.clone();
            tokio::spawn(async move { service.upkeep().await })
        };
        let reload = self.tls.clone().map(|certificates| {
            tokio::spawn(async move { certificates.reload_when_changed().await })
        });
        let service = self.service.clone();
        self.accept(stop).await;
        upkeep.abort();
        if let Some(reload) = reload {
            reload.abort();
        }
        if let Err(error) = service.close().await {
            tracing::warn!(%error, "quotas could not be settled; they are once their time has passed");
        }
    }

    async fn accept(self, stop: impl Future<Output = ()> + Send) {
        let mut stop = std::pin::pin!(stop);
        let (stopping, stopped) = watch::channel(false);
        let places = Arc::new(Semaphore::new(self.bounds.max_connections));
        let drain = self.bounds.drain;
        let acceptor = self.tls.as_deref().map(tls::Certificates::acceptor);
        let shared = Arc::new(connection::Shared::new(self.service, self.bounds, acceptor));
        let mut connections = JoinSet::new();
        loop {
            let place = tokio::select! {
                () = &mut stop => break,
                place = Arc::clone(&places).acquire_owned() => place.expect("it is never closed"),
            };
            tokio::select! {
                () = &mut stop => break,
                accepted = self.listener.accept() => match accepted {
                    Ok((stream, _)) => {
                        let (shared, stopped) = (Arc::clone(&shared), stopped.clone());
                        connections.spawn(async move {
                            connection::serve(stream, shared, stopped).await;
                            drop(place);
                        });
                    }
                    Err(error) => {
                        // Out of file descriptors, mostly: it passes.
                        tracing::warn!(%error, "cannot accept a connection");
                        tokio::time::sleep(Duration::from_millis(50)).await;
                    }
                },
            }
            while connections.try_join_next().is_some() {}
        }
        drop(self.listener);
        shared.service.stop();
        let _ = stopping.send(true);
        let all = async { while connections.join_next().await.is_some() {} };
        if timeout(drain, all).await.is_err() {
            tracing::warn!("requests that took too long are cut off");
        }
    }
}
