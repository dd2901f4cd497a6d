//! A DAG, from a peer into the store.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use beetswap::QueryId;
use cidbucket::{Block, Blockstore, Cid};
use cidbucket_dag::links;
use futures::future::BoxFuture;
use futures::stream::{FuturesUnordered, StreamExt};
use libp2p::Multiaddr;
use libp2p::swarm::SwarmEvent;
use tokio::time::{Instant, sleep_until};

use crate::node::{BehaviourEvent, Node};

/// Blocks that are looked for, asked for or being stored at once.
const AT_ONCE: usize = 32;

/// What a fetch did.
#[derive(Debug, Default)]
pub struct Fetched {
    /// Blocks that came from peers and are stored now.
    pub blocks: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Blocks that were in the store before.
    pub present: u64,
}

/// Fetches everything under `roots` that the store has not.
///
/// Every block is checked, and stored before it counts. What came stays where the rest fails: the
/// next fetch goes on from there. A block that is there already is not asked for, but what it links
/// to is looked at: it may be the rest of a fetch that was broken off.
pub async fn fetch(
    node: &mut Node,
    store: &Arc<dyn Blockstore>,
    peers: Vec<Multiaddr>,
    roots: Vec<Cid>,
    timeout: Duration,
) -> Result<Fetched> {
    if peers.is_empty() {
        bail!("nobody to fetch from; name a peer with --peer ADDR");
    }
    connect(node, peers, timeout).await?;

    let mut fetched = Fetched::default();
    let mut dag = Dag::new(roots);
    // The first two are for the store, the third is for the peers.
    let mut looking: FuturesUnordered<BoxFuture<'_, (Cid, cidbucket::Result<Option<Block>>)>> =
        FuturesUnordered::new();
    let mut storing: FuturesUnordered<BoxFuture<'_, (u64, cidbucket::Result<()>)>> =
        FuturesUnordered::new();
    let mut wanted: HashMap<QueryId, Cid> = HashMap::new();
    let mut progress = Instant::now();
    loop {
        while looking.len() + storing.len() + wanted.len() < AT_ONCE
            && let Some(cid) = dag.next()
        {
            looking.push(Box::pin(async move { (cid, store.get(&cid).await) }));
        }
        if looking.is_empty() && storing.is_empty() && wanted.is_empty() {
            return Ok(fetched);
        }
        tokio::select! {
            Some((cid, found)) = looking.next() => {
                progress = Instant::now();
                match found.with_context(|| format!("cannot read {cid} from the store"))? {
                    Some(block) => {
                        fetched.present += u64::from(!block.is_inline());
                        dag.visit(&block)?;
                    }
                    None => {
                        let query = node.swarm.behaviour_mut().bitswap.get(&cid);
                        wanted.insert(query, cid);
                    }
                }
            }
            Some((bytes, stored)) = storing.next() => {
                progress = Instant::now();
                stored.context("cannot store a block")?;
                fetched.blocks += 1;
                fetched.bytes += bytes;
            }
            event = node.swarm.select_next_some() => match event {
                SwarmEvent::Behaviour(BehaviourEvent::Bitswap(event)) => {
                    let (query, data) = match event {
                        beetswap::Event::GetQueryResponse { query_id, data } => (query_id, Ok(data)),
                        beetswap::Event::GetQueryError { query_id, error } => (query_id, Err(error)),
                    };
                    let Some(cid) = wanted.remove(&query) else { continue };
                    progress = Instant::now();
                    let data = data.with_context(|| format!("cannot ask for {cid}"))?;
                    let block = Block::new(cid, data)?;
                    dag.visit(&block)?;
                    storing.push(Box::pin(async move {
                        (block.len() as u64, store.put(&block).await)
                    }));
                }
                SwarmEvent::ConnectionClosed { peer_id, cause, num_established: 0, .. }
                    if node.swarm.connected_peers().next().is_none() =>
                {
                    let why = cause.map_or("closed the connection".into(), |error| error.to_string());
                    bail!("the last peer is gone: {peer_id}: {why}");
                }
                _ => {}
            },
            () = sleep_until(progress + timeout) => bail!(
                "no block for {} s; {} are wanted, such as {}. The peer may not have it",
                timeout.as_secs(),
                wanted.len(),
                wanted.values().next().map_or("none".into(), Cid::to_string),
            ),
        }
    }
}

/// Waits for one of the peers.
async fn connect(node: &mut Node, peers: Vec<Multiaddr>, timeout: Duration) -> Result<()> {
    let mut left = peers.len();
    for peer in peers {
        node.dial(peer)?;
    }
    let connected = async {
        loop {
            match node.swarm.select_next_some().await {
                SwarmEvent::ConnectionEstablished { endpoint, .. } if endpoint.is_dialer() => {
                    return Ok(());
                }
                SwarmEvent::OutgoingConnectionError { error, .. } => {
                    left -= 1;
                    if left == 0 {
                        bail!("cannot reach a peer: {error}");
                    }
                }
                _ => {}
            }
        }
    };
    tokio::time::timeout(timeout, connected)
        .await
        .with_context(|| format!("no peer answered within {} s", timeout.as_secs()))?
}

/// What is left to fetch of a DAG. Depth first, so that little is remembered.
struct Dag {
    todo: Vec<Cid>,
    seen: HashSet<Cid>,
}

impl Dag {
    fn new(roots: Vec<Cid>) -> Self {
        let mut dag = Self {
            todo: Vec::new(),
            seen: HashSet::new(),
        };
        dag.add(roots);
        dag
    }

    fn next(&mut self) -> Option<Cid> {
        self.todo.pop()
    }

    /// Goes on with what a block links to.
    fn visit(&mut self, block: &Block) -> Result<()> {
        let links = links(block.cid(), block.data())
            .with_context(|| format!("cannot follow the links of {}", block.cid()))?;
        self.add(links);
        Ok(())
    }

    /// The first of them comes next.
    fn add(&mut self, cids: Vec<Cid>) {
        for cid in cids.into_iter().rev() {
            if self.seen.insert(cid) {
                self.todo.push(cid);
            }
        }
    }
}
