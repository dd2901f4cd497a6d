//! A relay that counts: every byte of every connection through it, both ways.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

/// Listens on loopback and passes everything on to one address.
#[derive(Debug)]
pub struct Relay {
    addr: SocketAddr,
    bytes: Arc<AtomicU64>,
}

impl Relay {
    /// A relay to `to`.
    pub fn start(to: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
        let addr = listener.local_addr().expect("address");
        let bytes = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&bytes);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let Ok(other) = TcpStream::connect(to) else {
                    continue;
                };
                let _ = stream.set_nodelay(true);
                let _ = other.set_nodelay(true);
                for (from, to) in [(&stream, &other), (&other, &stream)] {
                    let (Ok(from), Ok(to)) = (from.try_clone(), to.try_clone()) else {
                        continue;
                    };
                    let counted = Arc::clone(&counted);
                    thread::spawn(move || pass(from, to, &counted));
                }
            }
        });
        Self { addr, bytes }
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Bytes passed on so far, both ways together.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }
}

fn pass(mut from: TcpStream, mut to: TcpStream, counted: &AtomicU64) {
    let mut buffer = vec![0; 256 << 10];
    let moved: io::Result<()> = (|| {
        loop {
            let read = from.read(&mut buffer)?;
            if read == 0 {
                return Ok(());
            }
            counted.fetch_add(read as u64, Ordering::Relaxed);
            to.write_all(&buffer[..read])?;
        }
    })();
    let _ = moved;
    let _ = to.shutdown(Shutdown::Write);
}
