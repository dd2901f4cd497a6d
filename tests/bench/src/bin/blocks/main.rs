//! Put and get of blocks: client CPU per block and allocations per operation, ours beside its
//! rivals, a bare hyper client and raw sockets, in one run.
//!
//! ```text
//! cargo run --release --features rivals --bin blocks            # the whole table
//! cargo run --release --features rivals --bin blocks -- --size 262144 --concurrency 16
//! cargo run --release --features rivals --bin blocks -- --endpoint http://127.0.0.1:8333 \
//!     --access-key K --secret-key S --bucket B                  # against a real server
//! ```
//!
//! Without `--endpoint`, a server of the bench's own answers from memory in one write, in a process
//! of its own: a real server would hide the client's cost. CPU is user + system time of this
//! process (`CLOCK_PROCESS_CPUTIME_ID`). The clients take turns in every round, and the best round
//! counts: whatever else runs on the machine can only add. Ratios are to the bare hyper client, and
//! to one that sends the same headers as ours, signed beforehand.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cidbucket_bench::alloc;
use cidbucket_bench::memory_server::{MemoryServer, block_bytes};
use futures::StreamExt;

mod clients;

use clients::{Client, Target};

#[global_allocator]
static ALLOCATOR: alloc::Counting = alloc::Counting;

const ROUNDS: usize = 21;

fn main() {
    MemoryServer::become_server_if_asked();
    let args: Vec<String> = std::env::args().skip(1).collect();
    let value = |name: &str| {
        args.iter()
            .position(|a| a == name)
            .and_then(|at| args.get(at + 1))
            .cloned()
    };
    let server = value("--endpoint").is_none().then(MemoryServer::start);
    let endpoint = value("--endpoint")
        .unwrap_or_else(|| format!("http://{}", server.as_ref().expect("started").addr));
    let numbers = |name: &str, all: &[usize]| match value(name) {
        Some(number) => vec![number.parse().expect("a number")],
        None => all.to_vec(),
    };
    let sizes = numbers("--size", &[1 << 10, 64 << 10, 256 << 10, 1 << 20]);
    let concurrencies = numbers("--concurrency", &[1, 16, 64]);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("runtime");
    // Puts first: a real server has then what the gets ask for.
    for put in [true, false] {
        for &size in &sizes {
            let target = Target {
                endpoint: endpoint.clone(),
                bucket: value("--bucket").unwrap_or_else(|| format!("b{size}")),
                access_key: value("--access-key").unwrap_or_else(|| "AKIDEXAMPLE".into()),
                secret_key: value("--secret-key").unwrap_or_else(|| "secret".into()),
                data: Bytes::from(block_bytes(size)),
            };
            for &concurrency in &concurrencies {
                let mut clients = runtime.block_on(clients::all(&target, server.is_some()));
                if let Some(only) = value("--only") {
                    clients.retain(|client| client.name().contains(&only));
                }
                cell(&runtime, &clients, put, size, concurrency, server.is_some());
            }
        }
    }
}

/// One cell of the table: every client in turn, round by round.
fn cell(
    runtime: &tokio::runtime::Runtime,
    clients: &[Arc<dyn Client>],
    put: bool,
    size: usize,
    concurrency: usize,
    memory: bool,
) {
    // About 64 MiB or 4,000 operations a turn, whichever is less; at least 64.
    let ops = ((64 << 20) / size).clamp(64, 4_000);
    let mut cpu = vec![Vec::new(); clients.len()];
    let mut allocations = vec![0.0; clients.len()];
    let mut failed = vec![false; clients.len()];
    for round in 0..=ROUNDS {
        for (index, client) in clients.iter().enumerate() {
            if failed[index] {
                continue;
            }
            let before_allocations = alloc::count();
            let before = cpu_time();
            if let Err(error) = runtime.block_on(turn(client.as_ref(), put, ops, concurrency)) {
                eprintln!("{}: {error}", client.name());
                failed[index] = true;
                continue;
            }
            // The first round fills pools and caches.
            if round > 0 {
                #[allow(clippy::cast_precision_loss)]
                cpu[index].push((cpu_time() - before).as_secs_f64() * 1e6 / ops as f64);
                #[allow(clippy::cast_precision_loss)]
                {
                    allocations[index] = (alloc::count() - before_allocations) as f64 / ops as f64;
                }
            }
        }
    }
    println!(
        "\n{} {} KiB, concurrency {concurrency}, {} ({ops} operations × {ROUNDS} rounds)",
        if put { "PUT" } else { "GET" },
        size >> 10,
        if memory {
            "server in memory"
        } else {
            "real server"
        },
    );
    println!(
        "  {:<34} {:>10} {:>12} {:>15} {:>8}",
        "client", "CPU µs/op", "× bare hyper", "× same headers", "allocs"
    );
    let best = |index: usize| cpu[index].iter().copied().fold(f64::INFINITY, f64::min);
    // Against a real server, which wants signatures, neither takes part.
    let ratio = |own: f64, other: &str| match clients.iter().position(|c| c.name() == other) {
        Some(index) => format!("{:.2}", own / best(index)),
        None => "-".into(),
    };
    for (index, client) in clients.iter().enumerate() {
        if failed[index] {
            println!("  {:<34} {:>10}", client.name(), "failed");
            continue;
        }
        let own = best(index);
        println!(
            "  {:<34} {own:>10.1} {:>12} {:>15} {:>8.1}",
            client.name(),
            ratio(own, clients::BARE_HYPER),
            ratio(own, clients::PRESIGNED),
            allocations[index]
        );
    }
}

async fn turn(
    client: &dyn Client,
    put: bool,
    ops: usize,
    concurrency: usize,
) -> Result<(), String> {
    let mut results = futures::stream::iter(0..ops)
        .map(|_| async move {
            if put {
                client.put().await
            } else {
                client.get().await
            }
        })
        .buffer_unordered(concurrency);
    while let Some(result) = results.next().await {
        result?;
    }
    Ok(())
}

fn cpu_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(
        u64::try_from(time.tv_sec).expect("CPU time is positive"),
        u32::try_from(time.tv_nsec).expect("below a second"),
    )
}
