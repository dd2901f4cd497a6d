//! What the gateway adds to the cost of HTTP: blocks from the hot cache through the whole service,
//! beside a bare hyper server that answers as many bytes.
//!
//! ```text
//! cd tests/bench
//! cargo run --release --bin gateway                    # 1 KiB, 256 KiB and 1 MiB
//! cargo run --release --bin gateway -- --rounds 21 --size 1024
//! ```
//!
//! Each server is a process of its own; 16 connections of one client ask it in turns of half a
//! second, so that what else goes on on the machine meets both. Printed are the medians of requests
//! a second and of the server's CPU time a request.

use std::convert::Infallible;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use cidbucket_bench::memory_server::block_bytes;
use cidbucket_blockstore::{Block, Blockstore, MemoryBlockstore};
use cidbucket_service::{Bounds, Server, ServiceBuilder, Settings};
use http_body_util::Full;
use hyper_util::rt::TokioIo;
use memchr::memmem;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const CONNECTIONS: usize = 16;
const TURN: Duration = Duration::from_millis(500);

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if let [what, size] = &args[..]
        && what.starts_with("--be-")
    {
        let size = size.parse().expect("a size in bytes");
        return runtime().block_on(serve(what, size));
    }
    let value = |name: &str| {
        let at = args.iter().position(|arg| arg == name)?;
        args.get(at + 1)?.parse::<usize>().ok()
    };
    let rounds = value("--rounds").unwrap_or(11);
    let sizes = value("--size").map_or(vec![1 << 10, 256 << 10, 1 << 20], |size| vec![size]);
    println!(
        "{:>9} {:>12} {:>12} {:>7} {:>10} {:>10} {:>7}",
        "bytes", "bare req/s", "ours req/s", "ratio", "bare µs", "ours µs", "ratio"
    );
    for size in sizes {
        let bare = Served::start("--be-bare", size);
        let ours = Served::start("--be-service", size);
        let (mut of_bare, mut of_ours) = (Vec::new(), Vec::new());
        // The first turn fills the cache, and is not counted.
        for round in 0..=rounds {
            for (server, taken) in [(&bare, &mut of_bare), (&ours, &mut of_ours)] {
                let turn = runtime().block_on(server.turn(size));
                if round > 0 {
                    taken.push(turn);
                }
            }
        }
        let (bare, ours) = (median(of_bare), median(of_ours));
        println!(
            "{size:>9} {:>12.0} {:>12.0} {:>6.0}% {:>10.1} {:>10.1} {:>6.0}%",
            bare.0,
            ours.0,
            100.0 * ours.0 / bare.0,
            bare.1,
            ours.1,
            100.0 * bare.1 / ours.1
        );
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime")
}

/// Requests a second, and microseconds of the server's CPU time a request.
type Turn = (f64, f64);

fn median(mut turns: Vec<Turn>) -> Turn {
    let at = turns.len() / 2;
    turns.sort_by(|a, b| a.0.total_cmp(&b.0));
    let rate = turns[at].0;
    turns.sort_by(|a, b| a.1.total_cmp(&b.1));
    (rate, turns[at].1)
}

// The servers --------------------------------------------------------------------------------------

async fn serve(what: &str, size: usize) {
    // Ends with whoever started it.
    std::thread::spawn(|| {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        std::process::exit(0);
    });
    let body = Bytes::from(block_bytes(size));
    if what == "--be-bare" {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
        println!("{} /", listener.local_addr().expect("an address"));
        loop {
            let (stream, _) = listener.accept().await.expect("a connection");
            stream.set_nodelay(true).expect("a socket");
            let body = body.clone();
            let service = hyper::service::service_fn(move |_| {
                let answer = http::Response::new(Full::new(body.clone()));
                async { Ok::<_, Infallible>(answer) }
            });
            tokio::spawn(
                hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service),
            );
        }
    }
    let store = MemoryBlockstore::new();
    let block = Block::raw(body);
    store.put(&block).await.expect("stored");
    let mut settings = Settings::default();
    settings.public_reads = true;
    let service = ServiceBuilder::store(Arc::new(store))
        .settings(settings)
        .cache(64 << 20)
        .build()
        .expect("a service");
    let address = "127.0.0.1:0".parse().expect("an address");
    let server = Server::bind(service, address, Bounds::default(), None).await;
    let server = server.expect("bind");
    println!("{} /ipfs/{}?format=raw", server.address(), block.cid());
    server.run(std::future::pending()).await;
}

/// A server in a process of its own.
struct Served {
    child: Child,
    address: String,
    request: String,
}

impl Served {
    fn start(what: &str, size: usize) -> Self {
        let mut child = Command::new(std::env::current_exe().expect("own path"))
            .args([what, &size.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("start the server");
        let mut line = String::new();
        let output = child.stdout.as_mut().expect("piped");
        BufReader::new(output)
            .read_line(&mut line)
            .expect("its address");
        let (address, path) = line.trim().split_once(' ').expect("address and path");
        Self {
            address: address.to_owned(),
            request: format!("GET {path} HTTP/1.1\r\nhost: {address}\r\n\r\n"),
            child,
        }
    }

    async fn turn(&self, size: usize) -> Turn {
        let stop = Arc::new(AtomicBool::new(false));
        let answered = Arc::new(AtomicU64::new(0));
        let before = self.cpu();
        let begun = Instant::now();
        let clients: Vec<_> = (0..CONNECTIONS)
            .map(|_| {
                let (address, request) = (self.address.clone(), self.request.clone());
                let (stop, answered) = (Arc::clone(&stop), Arc::clone(&answered));
                tokio::spawn(async move {
                    let mut stream = TcpStream::connect(address).await.expect("connect");
                    stream.set_nodelay(true).expect("a socket");
                    let mut buffer = vec![0; 256 << 10];
                    while !stop.load(Ordering::Relaxed) {
                        stream.write_all(request.as_bytes()).await.expect("sent");
                        answer(&mut stream, &mut buffer, size).await;
                        answered.fetch_add(1, Ordering::Relaxed);
                    }
                })
            })
            .collect();
        tokio::time::sleep(TURN).await;
        stop.store(true, Ordering::Relaxed);
        for client in clients {
            client.await.expect("a client");
        }
        #[expect(clippy::cast_precision_loss, reason = "small numbers")]
        let count = answered.load(Ordering::Relaxed) as f64;
        let cpu = self.cpu() - before;
        (
            count / begun.elapsed().as_secs_f64(),
            cpu.as_secs_f64() * 1e6 / count,
        )
    }

    /// CPU time of the process: fields 14 and 15 of its `stat`, in hundredths of a second.
    fn cpu(&self) -> Duration {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id()));
        let stat = stat.expect("a process of Linux");
        let (_, fields) = stat.rsplit_once(") ").expect("a name in brackets");
        let ticks: u64 = fields
            .split(' ')
            .skip(11)
            .take(2)
            .map(|field| field.parse::<u64>().expect("a number"))
            .sum();
        Duration::from_millis(ticks * 10)
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reads one answer, whose body has `size` bytes.
async fn answer(stream: &mut TcpStream, buffer: &mut [u8], size: usize) {
    let mut have = 0;
    let head = loop {
        have += stream.read(&mut buffer[have..]).await.expect("an answer");
        // Quickly, as one answer has a longer head than the other.
        if let Some(end) = memmem::find(&buffer[..have], b"\r\n\r\n") {
            break end + 4;
        }
    };
    assert!(buffer.starts_with(b"HTTP/1.1 200 "));
    let mut left = size - (have - head);
    while left > 0 {
        let most = left.min(buffer.len());
        left -= stream.read(&mut buffer[..most]).await.expect("its body");
    }
}
