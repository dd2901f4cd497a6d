//! Listening: HTTP/1.1 on one address.

mod connection;
mod socket;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::node::Node;

/// What clients may take of the listener.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Bounds {
    /// Connections at once; others wait to be accepted. 256.
    pub max_connections: usize,
    /// Largest head of a request, in bytes; at least 8 KiB. 64 KiB: arguments are in it.
    pub max_head: usize,
    /// How long a connection is kept on which no head of a request is complete. 75 s.
    pub idle_timeout: Duration,
    /// How long a client may take none of an answer that waits for it. 60 s.
    pub patience: Duration,
    /// How long requests under way may take once the server is told to stop. 30 s.
    pub drain: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            max_connections: 256,
            max_head: 64 << 10,
            idle_timeout: Duration::from_secs(75),
            patience: Duration::from_mins(1),
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
    /// Others than this machine could call, and nothing says who may.
    #[error(
        "on {address} others could call Kubo's RPC, and so read and remove everything: say who may \
         (Authorizations), or listen on 127.0.0.1"
    )]
    Open {
        /// The address.
        address: SocketAddr,
    },
}

/// A [`Node`] on a port.
#[derive(Debug)]
pub struct Server {
    node: Node,
    listener: TcpListener,
    address: SocketAddr,
    bounds: Bounds,
}

impl Server {
    /// Listens on an address: of this machine alone, unless the node has authorizations. A node
    /// listens on one address. Connections wait until [`run`](Server::run).
    ///
    /// # Errors
    /// [`ListenError`].
    pub async fn bind(
        node: Node,
        address: SocketAddr,
        bounds: Bounds,
    ) -> Result<Self, ListenError> {
        if !address.ip().is_loopback() && node.settings().authorizations.is_none() {
            return Err(ListenError::Open { address });
        }
        let failed = |source| ListenError::Address { address, source };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        node.listen_on(address);
        Ok(Self {
            node,
            listener,
            address,
            bounds,
        })
    }

    /// The address, with the port that was taken.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `stop` comes. Then no more connections are accepted, and calls under way are
    /// finished, within [`Bounds::drain`].
    #[expect(clippy::missing_panics_doc, reason = "it cannot panic")]
    pub async fn run(self, stop: impl Future<Output = ()> + Send) {
        let mut stop = std::pin::pin!(stop);
        let (stopping, stopped) = watch::channel(false);
        let places = Arc::new(Semaphore::new(self.bounds.max_connections));
        let bounds = Arc::new(self.bounds);
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
                        let (node, bounds) = (self.node.clone(), Arc::clone(&bounds));
                        let stopped = stopped.clone();
                        connections.spawn(async move {
                            connection::serve(stream, node, &bounds, stopped).await;
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
        let _ = stopping.send(true);
        let all = async { while connections.join_next().await.is_some() {} };
        if timeout(bounds.drain, all).await.is_err() {
            tracing::warn!("calls that took too long are cut off");
        }
    }
}
