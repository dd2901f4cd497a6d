//! A scripted HTTP server on loopback, for the tests of the sources.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::transport::{HttpClient, TransportOptions};

pub(super) struct FakeServer {
    url: String,
    requests: Arc<Mutex<Vec<String>>>,
    task: JoinHandle<()>,
}

pub(super) struct Reply {
    status: u16,
    kind: &'static str,
    body: String,
}

impl Reply {
    pub(super) fn status(status: u16) -> Self {
        Self {
            status,
            kind: "text/plain",
            body: String::new(),
        }
    }

    pub(super) fn text(body: &str) -> Self {
        Self::status(200).body(body)
    }

    pub(super) fn json(body: &str) -> Self {
        Self {
            kind: "application/json",
            ..Self::text(body)
        }
    }

    pub(super) fn body(self, body: &str) -> Self {
        Self {
            body: body.to_owned(),
            ..self
        }
    }
}

impl FakeServer {
    /// Answers its n-th request, from 0 on, with `reply(n)`.
    pub(super) async fn start(reply: impl Fn(usize) -> Reply + Send + Sync + 'static) -> Self {
        Self::serve(Some(Arc::new(reply))).await
    }

    /// Takes connections and says nothing.
    pub(super) async fn silent() -> Self {
        Self::serve(None).await
    }

    /// An address at which nothing listens.
    pub(super) async fn closed_url() -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        format!("http://{}", listener.local_addr().unwrap())
    }

    async fn serve(reply: Option<Arc<dyn Fn(usize) -> Reply + Send + Sync>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let log = requests.clone();
        let task = tokio::spawn(async move {
            let mut open = Vec::new();
            while let Ok((mut stream, _)) = listener.accept().await {
                let Some(reply) = &reply else {
                    open.push(stream);
                    continue;
                };
                let request = read_request(&mut stream).await;
                let count = {
                    let mut log = log.lock();
                    log.push(request);
                    log.len() - 1
                };
                let Reply { status, kind, body } = reply(count);
                let head = format!(
                    "HTTP/1.1 {status} Status\r\ncontent-type: {kind}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                    body.len()
                );
                let _ = stream.write_all(format!("{head}{body}").as_bytes()).await;
            }
        });
        Self {
            url,
            requests,
            task,
        }
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }

    /// Heads and bodies of the requests so far.
    pub(super) fn requests(&self) -> Vec<String> {
        self.requests.lock().clone()
    }
}

impl Drop for FakeServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn read_request(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length: "))
                .map_or(0, |length| length.parse().unwrap());
            if body.len() >= length {
                return text;
            }
        }
        match stream.read(&mut buffer).await {
            Ok(0) | Err(_) => return text,
            Ok(count) => bytes.extend_from_slice(&buffer[..count]),
        }
    }
}

/// A client as the sources get it.
pub(super) fn http() -> HttpClient {
    HttpClient::new(TransportOptions::default(), crate::tls::Trust::default())
}
