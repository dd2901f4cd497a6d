//! A libp2p node over a store of cidbucket: it serves the store's blocks over Bitswap, and fetches
//! DAGs from its peers into the store.
//!
//! Read it in this order; a node of your own takes the first two as they are:
//!
//! - `bitswap`: beetswap with a store of cidbucket under it.
//! - `messages`: sends blocks in messages that other nodes accept.
//! - `node`: the libp2p side.
//! - `fetch`: a DAG, from a peer into the store.

mod bitswap;
mod fetch;
mod messages;
mod node;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use cidbucket::{Blockstore, Cid, Location};
use clap::{Parser, Subcommand};
use libp2p::Multiaddr;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

use crate::node::Node;

/// Serves a store's blocks over Bitswap, and fetches DAGs into it.
#[derive(Debug, Parser)]
#[command(version)]
struct Args {
    /// The store, as for `cidbucket`: s3://BUCKET[/PREFIX][?…], http(s)://HOST, dir:PATH
    #[arg(long, value_name = "URL", env = "CIDBUCKET_STORE")]
    store: String,

    /// Where to listen; `tcp/0` takes a free port
    #[arg(long, value_name = "ADDR", default_value = "/ip4/127.0.0.1/tcp/0")]
    listen: Multiaddr,

    /// A peer to connect to; may be given again
    #[arg(long, value_name = "ADDR")]
    peer: Vec<Multiaddr>,

    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Answer peers until stopped; prints the addresses it listens on
    Serve,
    /// Fetch DAGs from the peers into the store
    Fetch {
        /// Roots
        #[arg(value_name = "CID", required = true)]
        cids: Vec<Cid>,
        /// Give up where no block came for so long
        #[arg(long, value_name = "SECONDS", default_value_t = 30)]
        timeout: u64,
    },
}

#[tokio::main]
async fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_env_filter(
            EnvFilter::builder()
                .with_default_directive(LevelFilter::WARN.into())
                .from_env_lossy(),
        )
        .with_writer(std::io::stderr)
        .init();
    let run = run(Args::parse());
    let ended = tokio::select! {
        ended = run => ended,
        // What was fetched stays; the same command goes on with the rest.
        interrupted = interrupted() => interrupted,
    };
    match ended {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(args: Args) -> Result<ExitCode> {
    let location = Location::parse(&args.store)?;
    let store: Arc<dyn Blockstore> = match args.command {
        Command::Serve => location.open().await?,
        Command::Fetch { .. } => location.open_or_create().await?,
    };
    let mut node = Node::new(Arc::clone(&store))?;
    node.listen(args.listen).await?;
    match args.command {
        Command::Serve => {
            for address in node.addresses() {
                println!("listening on {address}");
            }
            for peer in args.peer {
                node.dial(peer)?;
            }
            node.serve().await
        }
        Command::Fetch { cids, timeout } => {
            let timeout = Duration::from_secs(timeout);
            let fetched = fetch::fetch(&mut node, &store, args.peer, cids, timeout).await?;
            println!(
                "fetched {} blocks, {} bytes; {} were there",
                fetched.blocks, fetched.bytes, fetched.present
            );
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// Ends at SIGINT or SIGTERM, with the exit code that a shell gives for it.
async fn interrupted() -> Result<ExitCode> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate()).context("cannot wait for SIGTERM")?;
    tokio::select! {
        interrupt = tokio::signal::ctrl_c() => {
            interrupt.context("cannot wait for SIGINT")?;
            Ok(ExitCode::from(130))
        }
        _ = terminate.recv() => Ok(ExitCode::from(143)),
    }
}
