//! The libp2p side: a swarm that speaks Bitswap.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use cidbucket::Blockstore;
use futures::StreamExt;
use libp2p::multiaddr::Protocol;
use libp2p::swarm::{NetworkBehaviour, SwarmEvent};
use libp2p::{Multiaddr, Swarm, SwarmBuilder, identify, noise, ping, tcp, yamux};

use crate::bitswap::Bitswap;

/// A connection without a stream on it is kept so long.
const IDLE: Duration = Duration::from_secs(60);

/// Add the protocols of your node here.
#[derive(NetworkBehaviour)]
pub struct Behaviour {
    pub bitswap: Bitswap,
    identify: identify::Behaviour,
    ping: ping::Behaviour,
}

/// A node with an identity of its own, which ends with it.
pub struct Node {
    pub swarm: Swarm<Behaviour>,
}

impl Node {
    pub fn new(store: Arc<dyn Blockstore>) -> Result<Self> {
        let swarm = SwarmBuilder::with_new_identity()
            .with_tokio()
            .with_tcp(
                tcp::Config::default().nodelay(true),
                noise::Config::new,
                yamux::Config::default,
            )?
            .with_behaviour(|key| Behaviour {
                bitswap: Bitswap::new(store),
                identify: identify::Behaviour::new(
                    identify::Config::new("/ipfs/id/1.0.0".into(), key.public())
                        .with_agent_version(
                            concat!("cidbucket-bitswap/", env!("CARGO_PKG_VERSION")).into(),
                        ),
                ),
                ping: ping::Behaviour::default(),
            })?
            .with_swarm_config(|config| config.with_idle_connection_timeout(IDLE))
            .build();
        Ok(Self { swarm })
    }

    /// Listens; returns once the address is known.
    pub async fn listen(&mut self, address: Multiaddr) -> Result<()> {
        let cannot = format!("cannot listen on {address}");
        self.swarm
            .listen_on(address)
            .with_context(|| cannot.clone())?;
        loop {
            match self.swarm.select_next_some().await {
                SwarmEvent::NewListenAddr { .. } => return Ok(()),
                SwarmEvent::ListenerClosed { reason, .. } => {
                    reason.context(cannot)?;
                    bail!("the listener closed");
                }
                _ => {}
            }
        }
    }

    /// The addresses it listens on, as peers dial them.
    pub fn addresses(&self) -> Vec<Multiaddr> {
        let id = Protocol::P2p(*self.swarm.local_peer_id());
        (self.swarm.listeners())
            .map(|address| address.clone().with(id.clone()))
            .collect()
    }

    pub fn dial(&mut self, peer: Multiaddr) -> Result<()> {
        let cannot = format!("cannot dial {peer}");
        self.swarm.dial(peer).context(cannot)
    }

    /// Answers peers. beetswap does that by itself, as long as the swarm is polled.
    pub async fn serve(&mut self) -> Result<ExitCode> {
        loop {
            match self.swarm.select_next_some().await {
                SwarmEvent::ConnectionEstablished { peer_id, .. } => {
                    tracing::info!("connected to {peer_id}");
                }
                SwarmEvent::ConnectionClosed { peer_id, cause, .. } => {
                    tracing::info!("{peer_id} is gone: {cause:?}");
                }
                SwarmEvent::OutgoingConnectionError { error, .. } => {
                    tracing::warn!("cannot reach a peer: {error}");
                }
                SwarmEvent::ListenerClosed { reason, .. } => {
                    reason.context("cannot listen any more")?;
                    bail!("the listener closed");
                }
                _ => {}
            }
        }
    }
}
