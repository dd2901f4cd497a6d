//! Blocking sockets and a fixed request: what the kernel alone costs.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Mutex;

use async_trait::async_trait;
use bytes::Bytes;

use super::{Client, Target};

pub(crate) struct RawSockets {
    stream: Mutex<TcpStream>,
    get: Vec<u8>,
    put: Vec<u8>,
    data: Bytes,
}

impl RawSockets {
    pub(crate) fn new(target: &Target) -> Self {
        let host = target.endpoint.trim_start_matches("http://");
        let stream = TcpStream::connect(host).expect("connect");
        stream.set_nodelay(true).expect("nodelay");
        let bucket = &target.bucket;
        Self {
            stream: Mutex::new(stream),
            get: format!("GET /{bucket}/key HTTP/1.1\r\nhost: {host}\r\n\r\n").into(),
            put: format!(
                "PUT /{bucket}/key HTTP/1.1\r\nhost: {host}\r\ncontent-length: {}\r\n\r\n",
                target.data.len()
            )
            .into(),
            data: target.data.clone(),
        }
    }
}

#[async_trait]
impl Client for RawSockets {
    fn name(&self) -> &'static str {
        "raw blocking sockets, unsigned"
    }

    async fn get(&self) -> Result<(), String> {
        let mut stream = self.stream.lock().expect("not poisoned");
        stream.write_all(&self.get).map_err(|e| e.to_string())?;
        let mut head = [0; 512];
        let mut filled = 0;
        let end = loop {
            let read = stream
                .read(&mut head[filled..])
                .map_err(|e| e.to_string())?;
            filled += read;
            if let Some(at) = head[..filled].windows(4).position(|w| w == b"\r\n\r\n") {
                break at + 4;
            }
        };
        let mut body = vec![0; self.data.len()];
        body[..filled - end].copy_from_slice(&head[end..filled]);
        stream
            .read_exact(&mut body[filled - end..])
            .map_err(|e| e.to_string())?;
        std::hint::black_box(&body);
        Ok(())
    }

    async fn put(&self) -> Result<(), String> {
        let mut stream = self.stream.lock().expect("not poisoned");
        stream.write_all(&self.put).map_err(|e| e.to_string())?;
        stream.write_all(&self.data).map_err(|e| e.to_string())?;
        let mut head = [0; 512];
        let mut filled = 0;
        while !head[..filled].ends_with(b"\r\n\r\n") {
            filled += stream
                .read(&mut head[filled..])
                .map_err(|e| e.to_string())?;
        }
        Ok(())
    }
}
