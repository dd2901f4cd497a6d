//! What direct access spares the service: bytes through it, direct beside proxied, and how many
//! blocks one core grants.
//!
//! ```text
//! cargo build --release                                # the binary, at the top level
//! cd tests/bench
//! cargo run --release --bin direct                     # 1 GiB each way, 256 KiB and 1 MiB blocks
//! cargo run --release --bin direct -- --total 64MiB --size 262144
//! cargo run --release --bin direct -- --grants         # only the rate of grants
//! ```
//!
//! An S3 server (`serve --dev`) and a service (`serve --store`) run as processes of their own, the
//! service without its cache. A relay that counts stands between client and service, and another
//! between service and S3: whatever the service sends or receives passes one of them, with heads
//! and all. Clients reach S3 past the relays, since grants are signed for its `public-endpoint`.
//!
//! The rate of grants is blocks by CPU time of the service's process, all its threads: reading the
//! request, checking, signing, answering, and for writes the lease that is put to S3.

mod grants;
mod processes;

use std::sync::Arc;

use cidbucket_blockstore::{Block, Blockstore, Cid};
use cidbucket_client::{Direct, DirectBlockstore, DirectConfig, Token};
use futures::StreamExt;
use processes::Setup;

const MIB: u64 = 1 << 20;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let value = |name: &str| {
        args.iter()
            .position(|a| a == name)
            .and_then(|at| args.get(at + 1))
            .cloned()
    };
    let total = value("--total").map_or(1024 * MIB, |text| {
        let text = text.trim_end_matches("MiB");
        text.parse::<u64>().expect("--total as in 64MiB") * MIB
    });
    let sizes = value("--size").map_or(vec![256 << 10, 1 << 20], |size| {
        vec![size.parse().expect("--size in bytes")]
    });
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    let setup = Setup::start();
    if !args.iter().any(|arg| arg == "--grants") {
        for size in sizes {
            runtime.block_on(traffic(&setup, size, total));
        }
    }
    grants::rate(&setup);
}

/// Bytes through the service for `total` bytes of blocks of `size`, up and down, both ways.
async fn traffic(setup: &Setup, size: usize, total: u64) {
    let count = usize::try_from(total).expect("a size") / size;
    println!(
        "\n{count} blocks of {} KiB, {} MiB: bytes on the service's sockets, both sides",
        size >> 10,
        total / MIB
    );
    println!(
        "{:<6} {:>15} {:>9} {:>15} {:>9} {:>9}",
        "", "proxied", "a block", "direct", "a block", "ratio"
    );
    let mut moved = [[0; 2]; 2];
    for (way, direct) in [Direct::Never, Direct::Always].into_iter().enumerate() {
        let mut config = DirectConfig::new(&setup.url()).expect("a URL");
        config.token = Some(Token::new(&setup.token).expect("a token"));
        config.direct = direct;
        let store = Arc::new(DirectBlockstore::new(config).expect("a store"));
        // Other blocks for each way: none may be there before.
        let seed = (size + way) as u64;
        let before = setup.bytes();
        let blocks = futures::stream::iter((0..count).map(|n| block(size, seed, n))).boxed();
        let mut cids: Vec<Cid> = Vec::with_capacity(count);
        let mut puts = store.put_many(blocks);
        while let Some((cid, put)) = puts.next().await {
            put.expect("a put");
            cids.push(cid);
        }
        drop(puts);
        let between = setup.bytes();
        let mut gets = store.get_many(futures::stream::iter(cids).boxed());
        let mut got = 0;
        while let Some((_, block)) = gets.next().await {
            got += block.expect("a get").expect("it was put").len();
        }
        assert_eq!(got, count * size);
        moved[way] = [between - before, setup.bytes() - between];
    }
    for (at, what) in ["up", "down"].into_iter().enumerate() {
        let [proxied, direct] = [moved[0][at], moved[1][at]];
        println!(
            "{what:<6} {proxied:>15} {:>9} {direct:>15} {:>9} {:>8.0}x",
            proxied / count as u64,
            direct / count as u64,
            proxied as f64 / direct as f64
        );
    }
}

/// Block number `n` of a seed: no two are alike.
fn block(size: usize, seed: u64, n: usize) -> Block {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64 ^ (seed << 32) ^ n as u64;
    let mut data = Vec::with_capacity(size);
    while data.len() < size {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        data.extend_from_slice(&state.to_le_bytes());
    }
    data.truncate(size);
    Block::raw(data)
}
