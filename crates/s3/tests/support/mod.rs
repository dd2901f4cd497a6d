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
    /// Wait until the client closes the connection, and count that.
    UntilClosed,
    /// Close in an orderly way.
    Close,
    /// Close with RST.
    Reset,
}

pub(crate) type Step = Vec<Act>;

/// What to do with a request, where that depends on the request.
pub(crate) type Plan = Arc<dyn Fn(&Seen) -> Option<Step> + Send + Sync>;

/// What is answered once the script is at its end.
pub(crate) type Otherwise = Arc<dyn Fn(&Seen) -> Vec<u8> + Send + Sync>;

pub(crate) struct Scripted {
    pub(crate) addr: SocketAddr,
    told: Arc<Told>,
    connections: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

/// What the server is told to do, and what it saw.
struct Told {
    script: Mutex<VecDeque<Step>>,
    plan: Mutex<Option<Plan>>,
    otherwise: Otherwise,
    seen: Mutex<Vec<Seen>>,
    closed: AtomicUsize,
}

impl Scripted {
    pub(crate) async fn start(otherwise: Otherwise) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self::on(listener, otherwise)
    }

    pub(crate) fn on(listener: TcpListener, otherwise: Otherwise) -> Self {
        let addr = listener.local_addr().unwrap();
        let told = Arc::new(Told {
            script: Mutex::default(),
            plan: Mutex::default(),
            otherwise,
            seen: Mutex::default(),
            closed: AtomicUsize::new(0),
        });
        let connections = Arc::new(AtomicUsize::new(0));
        let task = tokio::spawn({
            let (told, connections) = (told.clone(), connections.clone());
            async move {
                let mut serving = JoinSet::new();
                while let Ok((stream, _)) = listener.accept().await {
                    let connection = connections.fetch_add(1, Ordering::SeqCst);
                    serving.spawn(serve(stream, connection, told.clone()));
                }
            }
        });
        Self {
            addr,
            told,
            connections,
            task,
        }
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// What to do with the next requests, one step each.
    pub(crate) fn script(&self, steps: impl IntoIterator<Item = Step>) {
        self.told.script.lock().extend(steps);
    }

    /// What to do with all requests from now on for which there is no script.
    pub(crate) fn plan(&self, plan: impl Fn(&Seen) -> Option<Step> + Send + Sync + 'static) {
        *self.told.plan.lock() = Some(Arc::new(plan));
    }

    /// Steps that no request has come for yet.
    pub(crate) fn left(&self) -> usize {
        self.told.script.lock().len()
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.told.seen.lock().clone()
    }

    /// Connections of which [`Act::UntilClosed`] saw the end.
    pub(crate) fn closed(&self) -> usize {
        self.told.closed.load(Ordering::SeqCst)
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

async fn serve(mut stream: TcpStream, connection: usize, told: Arc<Told>) -> Option<()> {
    stream.set_nodelay(true).ok()?;
    let mut buffer = Vec::new();
    loop {
        let (mut request, length) = read_head(&mut stream, &mut buffer, connection).await?;
        let step = told.script.lock().pop_front();
        let plan = told.plan.lock().clone();
        let step = step.or_else(|| plan?(&request));
        let Some(step) = step else {
            request.body = read_body(&mut stream, &mut buffer, length).await?;
            let is_head = request.method == "HEAD";
            let mut bytes = (told.otherwise)(&request);
            if is_head {
                let end = bytes
                    .windows(4)
                    .position(|four| four == b"\r\n\r\n")
                    .unwrap();
                bytes.truncate(end + 4);
            }
            told.seen.lock().push(request);
            stream.write_all(&bytes).await.ok()?;
            continue;
        };
        let reads = step.iter().any(|act| matches!(act, Act::ReadBody));
        if reads {
            request.body = read_body(&mut stream, &mut buffer, length).await?;
        }
        told.seen.lock().push(request);
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
                Act::UntilClosed => {
                    let _ = stream.read_to_end(&mut Vec::new()).await;
                    told.closed.fetch_add(1, Ordering::SeqCst);
                    return None;
                }
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
