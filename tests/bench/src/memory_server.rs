//! An S3-shaped server that answers from memory in one write, so that what is measured beside it is
//! the client. It checks nothing and stores nothing.
//!
//! The bucket's name is `b` and a size: every GET in bucket `b262144` answers [`block_bytes`] of
//! that size, whatever the key. A PUT's body is read and dropped.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};

/// The bytes of the block of `size`: not all alike, the same in both processes.
pub fn block_bytes(size: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64 ^ size as u64;
    (0..size)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()[0]
        })
        .collect()
}

/// A server in a process of its own, so that its CPU time is not the client's.
#[derive(Debug)]
pub struct MemoryServer {
    child: Child,
    /// Where it listens.
    pub addr: SocketAddr,
}

impl MemoryServer {
    /// Starts this very program again as the server.
    pub fn start() -> Self {
        let mut child = Command::new(std::env::current_exe().expect("own path"))
            .arg(SERVER_ARG)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("start the server process");
        let mut line = String::new();
        std::io::BufRead::read_line(
            &mut std::io::BufReader::new(child.stdout.as_mut().expect("piped")),
            &mut line,
        )
        .expect("the server prints its address");
        Self {
            child,
            addr: line.trim().parse().expect("an address"),
        }
    }

    /// Call first in `main`: becomes the server where this process was started as one.
    pub fn become_server_if_asked() {
        if std::env::args().nth(1).as_deref() == Some(SERVER_ARG) {
            serve();
        }
    }
}

impl Drop for MemoryServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const SERVER_ARG: &str = "--be-the-memory-server";

fn serve() -> ! {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
    println!("{}", listener.local_addr().expect("address"));
    // Ends with the client: its end of our stdin closes.
    std::thread::spawn(|| {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        std::process::exit(0);
    });
    for stream in listener.incoming() {
        let stream = stream.expect("accept");
        std::thread::spawn(move || connection(stream));
    }
    unreachable!("a listener never ends")
}

fn connection(mut stream: TcpStream) -> Option<()> {
    stream.set_nodelay(true).ok()?;
    let mut answers: std::collections::HashMap<usize, Vec<u8>> = std::collections::HashMap::new();
    let mut buffer = vec![0; 2 << 20];
    let mut filled = 0;
    loop {
        let head_end = loop {
            if let Some(at) = buffer[..filled].windows(4).position(|w| w == b"\r\n\r\n") {
                break at + 4;
            }
            let read = stream.read(&mut buffer[filled..]).ok()?;
            if read == 0 {
                return None;
            }
            filled += read;
        };
        let head = std::str::from_utf8(&buffer[..head_end]).ok()?;
        let is_put = head.starts_with("PUT");
        let size: usize = head
            .split('/')
            .nth(1)?
            .strip_prefix('b')?
            .split(['/', '?', ' '])
            .next()?
            .parse()
            .ok()?;
        let length: usize = head
            .lines()
            .find_map(|line| {
                let (name, value) = line.split_once(':')?;
                name.eq_ignore_ascii_case("content-length")
                    .then(|| value.trim().parse().ok())?
            })
            .unwrap_or(0);
        let expects_continue = head.to_ascii_lowercase().contains("expect: 100-continue");
        if expects_continue {
            stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").ok()?;
        }
        if is_put {
            let mut left = length.saturating_sub(filled - head_end);
            while left > 0 {
                let want = left.min(buffer.len());
                let read = stream.read(&mut buffer[..want]).ok()?;
                if read == 0 {
                    return None;
                }
                left -= read;
            }
            filled = 0;
            stream
                .write_all(b"HTTP/1.1 200 OK\r\nETag: \"0123456789abcdef0123456789abcdef\"\r\nx-amz-request-id: R\r\nContent-Length: 0\r\n\r\n")
                .ok()?;
        } else {
            buffer.copy_within(head_end..filled, 0);
            filled -= head_end;
            let answer = answers.entry(size).or_insert_with(|| {
                let mut answer = format!(
                    "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: {size}\r\nETag: \"0123456789abcdef0123456789abcdef\"\r\nLast-Modified: Mon, 01 Jan 2024 00:00:00 GMT\r\nx-amz-request-id: R\r\nAccept-Ranges: bytes\r\n\r\n"
                )
                .into_bytes();
                answer.extend(block_bytes(size));
                answer
            });
            stream.write_all(answer).ok()?;
        }
    }
}
