//! beetswap with a store of cidbucket under it.

use std::sync::Arc;
use std::task::{Context, Poll};

use beetswap::multihasher::{Multihasher, MultihasherError};
use blockstore::Error;
use cid::CidGeneric;
use cidbucket::adapters::AsBlockstore;
use cidbucket::{Blockstore, Cid, Hash, Multihash};
use libp2p::Multiaddr;
use libp2p::core::Endpoint;
use libp2p::core::transport::PortUse;
use libp2p::identity::PeerId;
use libp2p::swarm::{
    ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, THandler, THandlerInEvent,
    THandlerOutEvent, ToSwarm,
};

use crate::messages::Handler;

/// Bitswap over a store: what a libp2p swarm takes as its behaviour.
pub struct Bitswap(beetswap::Behaviour<64, Source>);

impl Bitswap {
    pub fn new(store: Arc<dyn Blockstore>) -> Self {
        let source = Source(AsBlockstore::new(store));
        Self(
            beetswap::Behaviour::builder(Arc::new(source))
                .register_multihasher(Hashes)
                .build(),
        )
    }

    /// Asks the peers for a block.
    pub fn get(&mut self, cid: &Cid) -> beetswap::QueryId {
        self.0.get(cid)
    }
}

impl NetworkBehaviour for Bitswap {
    type ConnectionHandler = Handler;
    type ToSwarm = beetswap::Event;

    fn handle_established_inbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: PeerId,
        local: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        (self.0)
            .handle_established_inbound_connection(connection, peer, local, remote)
            .map(Handler::new)
    }

    fn handle_established_outbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: PeerId,
        address: &Multiaddr,
        role: Endpoint,
        port: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        (self.0)
            .handle_established_outbound_connection(connection, peer, address, role, port)
            .map(Handler::new)
    }

    fn on_swarm_event(&mut self, event: FromSwarm) {
        self.0.on_swarm_event(event);
    }

    fn on_connection_handler_event(
        &mut self,
        peer: PeerId,
        connection: ConnectionId,
        event: THandlerOutEvent<Self>,
    ) {
        (self.0).on_connection_handler_event(peer, connection, event);
    }

    fn poll(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<ToSwarm<Self::ToSwarm, THandlerInEvent<Self>>> {
        self.0.poll(cx)
    }
}

/// The store as far as beetswap may have it: for reading.
///
/// beetswap puts each block that arrives, and says nothing where that fails. So it stores nothing
/// here, and whoever asked for a block stores it and sees what becomes of that.
struct Source(AsBlockstore<Arc<dyn Blockstore>>);

impl blockstore::Blockstore for Source {
    async fn get<const S: usize>(
        &self,
        cid: &CidGeneric<S>,
    ) -> blockstore::Result<Option<Vec<u8>>> {
        let found = blockstore::Blockstore::get(&self.0, cid).await;
        // beetswap keeps this to itself. CIDs that are refused are the peer's affair.
        if let Err(error @ (Error::FatalDatabaseError(_) | Error::StoredDataError(_))) = &found {
            tracing::warn!("a block is not served: {error}");
        }
        found
    }

    async fn has<const S: usize>(&self, cid: &CidGeneric<S>) -> blockstore::Result<bool> {
        blockstore::Blockstore::has(&self.0, cid).await
    }

    async fn put_keyed<const S: usize>(
        &self,
        _: &CidGeneric<S>,
        _: &[u8],
    ) -> blockstore::Result<()> {
        Ok(())
    }

    async fn remove<const S: usize>(&self, _: &CidGeneric<S>) -> blockstore::Result<()> {
        Err(Error::FatalDatabaseError("for reading only".into()))
    }

    async fn close(self) -> blockstore::Result<()> {
        Ok(())
    }
}

/// The hash functions that the store takes. beetswap by itself knows those that features of the
/// crate `multihash-codetable` turn on, which may be none at all.
struct Hashes;

impl Multihasher<64> for Hashes {
    async fn hash(&self, code: u64, input: &[u8]) -> Result<Multihash, MultihasherError> {
        let hash = Hash::from_code(code).ok_or(MultihasherError::UnknownMultihashCode)?;
        hash.digest(input).map_err(MultihasherError::custom)
    }
}
