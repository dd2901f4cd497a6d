//! How many blocks the service grants in a second of one core.

use std::io::{Read, Write};
use std::net::TcpStream;

use cidbucket_blockstore::Block;
use cidbucket_direct::{Cid, Encoding, Reads, Write as Upload, Writes};

use crate::processes::Setup;

/// Blocks in a request.
const BATCH: usize = 10_000;
/// Requests that are counted. The clock of CPU time has ticks of 10 ms, so they must be many.
const REQUESTS: usize = 100;

/// Prints the table.
pub fn rate(setup: &Setup) {
    let cids: Vec<Cid> = (0..BATCH)
        .map(|n| *Block::raw(n.to_le_bytes().to_vec()).cid())
        .collect();
    println!("\nBlocks granted by second of the service's CPU time, {BATCH} in a request");
    println!("{:<8} {:>12} {:>12}", "", "reads", "writes");
    for (name, encoding) in [("DAG-CBOR", Encoding::DagCbor), ("JSON", Encoding::Json)] {
        let reads = encoding.encode(&Reads::of(cids.iter().copied()));
        let blocks = cids.iter().map(|cid| Upload::new(*cid, 8)).collect();
        let writes = encoding.encode(&Writes {
            blocks,
            expires: None,
        });
        let rates = [("/v1/reads", reads), ("/v1/writes", writes)].map(|(path, body)| {
            let mut connection = TcpStream::connect(setup.service()).expect("connect");
            connection.set_nodelay(true).expect("no delay");
            let mut ask = |times| {
                for _ in 0..times {
                    post(&mut connection, setup, path, encoding, &body);
                }
            };
            ask(3);
            let before = setup.cpu();
            ask(REQUESTS);
            (BATCH * REQUESTS) as f64 / (setup.cpu() - before)
        });
        println!("{name:<8} {:>12.0} {:>12.0}", rates[0], rates[1]);
    }
}

/// Sends a request on a kept connection, and reads its answer to the end.
fn post(stream: &mut TcpStream, setup: &Setup, path: &str, encoding: Encoding, body: &[u8]) {
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {}\r\ncontent-type: {}\r\n\
         content-length: {}\r\n\r\n",
        setup.service(),
        setup.token,
        encoding.media_type(),
        body.len()
    );
    stream.write_all(head.as_bytes()).expect("send");
    stream.write_all(body).expect("send");
    let mut answer = Vec::new();
    let mut buffer = vec![0; 256 << 10];
    loop {
        let read = stream.read(&mut buffer).expect("an answer");
        assert!(read > 0, "the service closed the connection");
        answer.extend_from_slice(&buffer[..read]);
        let Some(end) = answer.windows(4).position(|four| four == b"\r\n\r\n") else {
            continue;
        };
        let head = String::from_utf8_lossy(&answer[..end]).to_ascii_lowercase();
        assert!(head.starts_with("http/1.1 200"), "{head}");
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length:"))
            .map(|length| length.trim().parse::<usize>().expect("a length"));
        let whole = match length {
            Some(length) => answer.len() == end + 4 + length,
            None => answer.ends_with(b"\r\n0\r\n\r\n"),
        };
        if whole {
            return;
        }
    }
}
