//! A relay that counts what passes.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Hands bytes on between whoever connects to it and one authority, and counts them. It ends with
/// the process.
#[derive(Debug)]
pub struct Relay {
    address: SocketAddr,
    bytes: Arc<AtomicU64>,
}

impl Relay {
    /// A relay to `HOST:PORT`, on a free port.
    ///
    /// # Panics
    /// Where there is no free port.
    pub fn to(authority: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let bytes = Arc::<AtomicU64>::default();
        let (counted, authority) = (Arc::clone(&bytes), authority.to_owned());
        std::thread::spawn(move || {
            for near in listener.incoming().flatten() {
                // Where the other side is gone, the near one is told by the end of its connection.
                if let Ok(far) = TcpStream::connect(&authority) {
                    hand_on(&near, &far, &counted);
                    hand_on(&far, &near, &counted);
                }
            }
        });
        Self { address, bytes }
    }

    /// The URL of whoever is behind it.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Bytes that passed so far, both ways together, heads of HTTP included.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }
}

fn hand_on(from: &TcpStream, to: &TcpStream, bytes: &Arc<AtomicU64>) {
    let (Ok(mut from), Ok(mut to)) = (from.try_clone(), to.try_clone()) else {
        return;
    };
    let bytes = Arc::clone(bytes);
    std::thread::spawn(move || {
        let mut buffer = [0; 16 << 10];
        while let Ok(read @ 1..) = from.read(&mut buffer) {
            bytes.fetch_add(read as u64, Ordering::Relaxed);
            if to.write_all(&buffer[..read]).is_err() {
                break;
            }
        }
        let _ = to.shutdown(Shutdown::Write);
    });
}
