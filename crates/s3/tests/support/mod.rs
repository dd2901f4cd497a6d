//! A server that does to each request what its script says: raw TCP on loopback.

use std::collections::VecDeque;
use std::fmt::Write;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

/// A request as it came in.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    /// The connection it came on, counted from 0.
    pub(crate) connection: usize,
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Seen {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find_map(|(own, value)| (own == name).then_some(value.as_str()))
    }
}

/// What is done with a connection, one after another.
#[derive(Debug, Clone)]
pub(crate) enum Act {
    /// Read the body of the request, too. Otherwise only its head is read.
    ReadBody,
    Send(Vec<u8>),
    /// Send byte by byte, at this interval.
    Drip(Vec<u8>, Duration),
    Wait(Duration),
    /// Close in an orderly way.
    Close,
    /// Close with RST.
    Reset,
}

pub(crate) type Step = Vec<Act>;

/// What is answered once the script is at its end.
pub(crate) type Otherwise = Arc<dyn Fn(&Seen) -> Vec<u8> + Send + Sync>;

pub(crate) struct Scripted {
    pub(crate) addr: SocketAddr,
    script: Arc<Mutex<VecDeque<Step>>>,
    seen: Arc<Mutex<Vec<Seen>>>,
    connections: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Scripted {
    pub(crate) async fn start(otherwise: Otherwise) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self::on(listener, otherwise)
    }

    pub(crate) fn on(listener: TcpListener, otherwise: Otherwise) -> Self {
        let addr = listener.local_addr().unwrap();
        let script = Arc::new(Mutex::new(VecDeque::new()));
        let seen = Arc::new(Mutex::new(Vec::new()));
        let connections = Arc::new(AtomicUsize::new(0));
        let task = tokio::spawn({
            let (script, seen, connections) = (script.clone(), seen.clone(), connections.clone());
            async move {
                let mut serving = JoinSet::new();
                while let Ok((stream, _)) = listener.accept().await {
                    let connection = connections.fetch_add(1, Ordering::SeqCst);
                    serving.spawn(serve(
                        stream,
                        connection,
                        script.clone(),
                        seen.clone(),
                        otherwise.clone(),
                    ));
                }
            }
        });
        Self {
            addr,
            script,
            seen,
            connections,
            task,
        }
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// What to do with the next requests, one step each.
    pub(crate) fn script(&self, steps: impl IntoIterator<Item = Step>) {
        self.script.lock().extend(steps);
    }

    /// Steps that no request has come for yet.
    pub(crate) fn left(&self) -> usize {
        self.script.lock().len()
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().clone()
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// An answer with a right `Content-Length`.
pub(crate) fn answer(status: u16, headers: &[(&str, &str)], body: impl AsRef<[u8]>) -> Vec<u8> {
    let body = body.as_ref();
    let mut out = format!("HTTP/1.1 {status} X\r\n");
    for (name, value) in headers {
        let _ = write!(out, "{name}: {value}\r\n");
    }
    if status != 204 && !headers.iter().any(|(name, _)| *name == "content-length") {
        let _ = write!(out, "content-length: {}\r\n", body.len());
    }
    out.push_str("\r\n");
    let mut out = out.into_bytes();
    out.extend_from_slice(body);
    out
}

/// Reads the request and answers it with these bytes.
pub(crate) fn reply(bytes: Vec<u8>) -> Step {
    vec![Act::ReadBody, Act::Send(bytes)]
}

async fn serve(
    mut stream: TcpStream,
    connection: usize,
    script: Arc<Mutex<VecDeque<Step>>>,
    seen: Arc<Mutex<Vec<Seen>>>,
    otherwise: Otherwise,
) -> Option<()> {
    stream.set_nodelay(true).ok()?;
    let mut buffer = Vec::new();
    loop {
        let (mut request, length) = read_head(&mut stream, &mut buffer, connection).await?;
        let step = script.lock().pop_front();
        let Some(step) = step else {
            request.body = read_body(&mut stream, &mut buffer, length).await?;
            let is_head = request.method == "HEAD";
            let mut bytes = otherwise(&request);
            if is_head {
                let end = bytes
                    .windows(4)
                    .position(|four| four == b"\r\n\r\n")
                    .unwrap();
                bytes.truncate(end + 4);
            }
            seen.lock().push(request);
            stream.write_all(&bytes).await.ok()?;
            continue;
        };
        let reads = step.iter().any(|act| matches!(act, Act::ReadBody));
        if reads {
            request.body = read_body(&mut stream, &mut buffer, length).await?;
        }
        seen.lock().push(request);
        for act in step {
            match act {
                Act::ReadBody => {}
                Act::Send(bytes) => stream.write_all(&bytes).await.ok()?,
                Act::Drip(bytes, interval) => {
                    for byte in bytes {
                        stream.write_all(&[byte]).await.ok()?;
                        tokio::time::sleep(interval).await;
                    }
                }
                Act::Wait(time) => tokio::time::sleep(time).await,
                Act::Close => {
                    stream.shutdown().await.ok();
                    return None;
                }
                Act::Reset => {
                    stream.set_zero_linger().ok();
                    return None;
                }
            }
        }
    }
}

async fn read_head(
    stream: &mut TcpStream,
    buffer: &mut Vec<u8>,
    connection: usize,
) -> Option<(Seen, usize)> {
    let end = loop {
        if let Some(end) = buffer.windows(4).position(|four| four == b"\r\n\r\n") {
            break end;
        }
        if stream.read_buf(buffer).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8(buffer.drain(..end + 4).collect()).ok()?;
    let mut lines = head.trim_end().split("\r\n");
    let mut first = lines.next()?.split(' ');
    let (method, target) = (first.next()?.to_owned(), first.next()?.to_owned());
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    let seen = Seen {
        connection,
        method,
        target,
        headers,
        body: Vec::new(),
    };
    let length = seen
        .header("content-length")
        .map_or(0, |length| length.parse().unwrap());
    Some((seen, length))
}

async fn read_body(stream: &mut TcpStream, buffer: &mut Vec<u8>, length: usize) -> Option<Vec<u8>> {
    while buffer.len() < length {
        if stream.read_buf(buffer).await.ok()? == 0 {
            return None;
        }
    }
    Some(buffer.drain(..length).collect())
}
