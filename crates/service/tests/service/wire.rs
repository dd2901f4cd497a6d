//! The listener, byte by byte.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cidbucket_blockstore::{Block, Blockstore, MemoryBlockstore};
use cidbucket_service::{Bounds, Server, Service, ServiceBuilder, Settings};
use http::{Request, Version};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

use crate::fixture::{Tokens, path_of, raw};

/// Long enough for whatever has to happen.
pub(crate) const SOON: Duration = Duration::from_secs(20);

pub(crate) struct Running {
    pub(crate) address: std::net::SocketAddr,
    pub(crate) service: Service,
    pub(crate) store: Arc<MemoryBlockstore>,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

pub(crate) fn service(settings: impl FnOnce(&mut Settings)) -> (Service, Arc<MemoryBlockstore>) {
    let store = Arc::new(MemoryBlockstore::new());
    let tokens = Arc::<Tokens>::default();
    tokens.issue("all", |_| {});
    let service = ServiceBuilder::store(store.clone())
        .authorizer(tokens)
        .settings(crate::fixture::settings(settings))
        .build()
        .unwrap();
    (service, store)
}

pub(crate) async fn run(
    settings: impl FnOnce(&mut Settings),
    bounds: impl FnOnce(&mut Bounds),
    tls: Option<cidbucket_service::Tls>,
) -> Running {
    let (service, store) = service(settings);
    let mut own = Bounds::default();
    bounds(&mut own);
    let address = ([127, 0, 0, 1], 0).into();
    let server = Server::bind(service.clone(), address, own, tls)
        .await
        .unwrap();
    let address = server.address();
    let (stop, stopped) = oneshot::channel();
    let task = tokio::spawn(server.run(async {
        let _ = stopped.await;
    }));
    Running {
        address,
        service,
        store,
        stop,
        task,
    }
}

impl Running {
    pub(crate) async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Sends bytes, and reads until the server closes.
    async fn exchange(&self, bytes: &str) -> String {
        let mut stream = self.connect().await;
        stream.write_all(bytes.as_bytes()).await.unwrap();
        until_closed(&mut stream).await
    }

    pub(crate) async fn stop(self) {
        self.stop.send(()).unwrap();
        timeout(SOON, self.task).await.unwrap().unwrap();
    }
}

async fn until_closed(stream: &mut TcpStream) -> String {
    let mut text = Vec::new();
    // A reset is an end as well: the server may close on bytes that it has not read.
    let _ = timeout(SOON, stream.read_to_end(&mut text))
        .await
        .expect("it is closed");
    String::from_utf8_lossy(&text).into_owned()
}

fn statuses(text: &str) -> Vec<&str> {
    text.match_indices("HTTP/1.1 ")
        .map(|(at, _)| &text[at + 9..at + 12])
        .collect()
}

fn head(method: &str, path: &str, more: &str) -> String {
    format!("{method} {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer all\r\n{more}\r\n")
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let server = run(|_| {}, |_| {}, None).await;
    let block = raw("a block");
    server.store.put(&block).await.unwrap();
    let path = path_of(&block);
    let absent = path_of(&raw("absent"));
    let requests = [
        head("GET", &path, ""),
        head("HEAD", &path, ""),
        head("PUT", &path, "content-length: 7\r\n") + "a block",
        head("GET", &absent, ""),
        head("HEAD", &absent, ""),
        head("GET", "/healthz", "connection: close\r\n"),
    ]
    .concat();
    let text = server.exchange(&requests).await;
    assert_eq!(
        statuses(&text),
        ["200", "200", "204", "404", "404", "200"],
        "{text}"
    );
    assert_eq!(text.matches("content-length: 7\r\n").count(), 2, "{text}");
    assert_eq!(text.matches("a block").count(), 1, "{text}");
    server.stop().await;
}

#[tokio::test]
async fn what_can_be_understood_in_two_ways_ends_the_connection() {
    let server = run(|_| {}, |_| {}, None).await;
    let smuggled = head("GET", "/healthz", "");
    let path = path_of(&raw("x"));
    for (headers, body, accepted) in [
        // hyper goes by the chunks, as RFC 9112 §6.1 allows, and closes.
        (
            "content-length: 1\r\ntransfer-encoding: chunked\r\n",
            "1\r\nx\r\n0\r\n\r\n",
            true,
        ),
        (
            "transfer-encoding: chunked\r\ncontent-length: 1\r\n",
            "1\r\nx\r\n0\r\n\r\n",
            true,
        ),
        ("content-length: 1\r\ncontent-length: 2\r\n", "x", false),
        ("content-length: 1, 2\r\n", "x", false),
        ("content-length: +1\r\n", "x", false),
        ("content-length: -1\r\n", "x", false),
        ("transfer-encoding: gzip\r\n", "x", false),
        ("transfer-encoding: chunked, gzip\r\n", "x", false),
        (
            "transfer-encoding : chunked\r\n",
            "1\r\nx\r\n0\r\n\r\n",
            false,
        ),
        (" folded: x\r\n", "", false),
    ] {
        let request = head("PUT", &path, headers) + body + &smuggled;
        let text = server.exchange(&request).await;
        let expected: &[&str] = if accepted { &["204"] } else { &["400"] };
        assert_eq!(statuses(&text), expected, "{headers}: {text}");
    }
    // A chunk that breaks off, or has no size.
    for body in ["zz\r\nx\r\n", "-1\r\nx", "1\r\nxx\r\n0\r\n\r\n"] {
        let text = server
            .exchange(&(head("PUT", &path, "transfer-encoding: chunked\r\n") + body))
            .await;
        assert_eq!(statuses(&text), ["400"], "{body}: {text}");
    }
    server.stop().await;
}

#[tokio::test]
async fn heads_and_bodies_have_limits() {
    let server = run(|_| {}, |bounds| bounds.max_head = 8 << 10, None).await;
    let text = server
        .exchange(&head(
            "GET",
            "/healthz",
            &format!("x: {}\r\n", "y".repeat(9000)),
        ))
        .await;
    assert_eq!(statuses(&text), ["431"], "{text}");
    let text = server
        .exchange(&format!("GET /{} HTTP/1.1\r\n\r\n", "y".repeat(9000)))
        .await;
    assert!(["414", "431"].contains(&statuses(&text)[0]), "{text}");
    let many = "x: y\r\n".repeat(200);
    let text = server.exchange(&head("GET", "/healthz", &many)).await;
    assert_eq!(statuses(&text), ["431"], "{text}");
    // An announced body that is too large is refused before any of it comes.
    let path = path_of(&raw("x"));
    let text = server
        .exchange(&head("PUT", &path, "content-length: 2097153\r\n"))
        .await;
    assert_eq!(statuses(&text), ["413"], "{text}");
    assert!(text.contains("too-large"));
    // And one that is not announced, once it is.
    let mut stream = server.connect().await;
    stream
        .write_all(head("PUT", &path, "transfer-encoding: chunked\r\n").as_bytes())
        .await
        .unwrap();
    let chunk = format!("10000\r\n{}\r\n", "x".repeat(0x10000));
    for _ in 0..33 {
        if stream.write_all(chunk.as_bytes()).await.is_err() {
            break;
        }
    }
    let text = until_closed(&mut stream).await;
    assert!(text.is_empty() || statuses(&text) == ["413"], "{text}");
    server.stop().await;
}

#[tokio::test]
async fn who_is_slow_is_not_waited_for() {
    let server = run(
        |settings| settings.pace.grace = Duration::from_millis(300),
        |bounds| {
            bounds.head_timeout = Duration::from_millis(300);
            bounds.idle_timeout = Duration::from_secs(2);
            bounds.pace.grace = Duration::from_millis(300);
        },
        None,
    )
    .await;
    // Nothing, or a head that never ends.
    for begin in ["", "G", "GET /healthz HTTP/1.1\r\nhost: x\r\n"] {
        let begun = Instant::now();
        let mut stream = server.connect().await;
        stream.write_all(begin.as_bytes()).await.unwrap();
        let (mut reader, mut writer) = stream.into_split();
        let drip = tokio::spawn(async move {
            while writer.write_all(b"x").await.is_ok() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        });
        if begin.is_empty() {
            drip.abort();
        }
        let mut text = Vec::new();
        let _ = timeout(SOON, reader.read_to_end(&mut text))
            .await
            .expect("it is closed");
        assert!(begun.elapsed() < Duration::from_secs(5), "{begin:?}");
        drip.abort();
    }
    // A body that does not come.
    let path = path_of(&raw("0123456789"));
    let text = server
        .exchange(&(head("PUT", &path, "content-length: 10\r\n") + "01234"))
        .await;
    assert_eq!(statuses(&text), ["408"], "{text}");
    // A connection that was used may be idle for longer, and then ends.
    let begun = Instant::now();
    let text = server.exchange(&head("GET", "/healthz", "")).await;
    assert_eq!(statuses(&text), ["200"]);
    assert!(begun.elapsed() >= Duration::from_millis(1900));
    server.stop().await;
}

#[tokio::test]
async fn who_does_not_take_the_answer_is_not_waited_for() {
    let server = run(
        |settings| settings.max_requests = 1,
        |bounds| bounds.pace.grace = Duration::from_millis(300),
        None,
    )
    .await;
    let block = Block::raw(vec![7; 2 << 20]);
    server.store.put(&block).await.unwrap();
    let path = path_of(&block);
    // More than all buffers on the way hold.
    let mut stream = server.connect().await;
    stream
        .write_all(head("GET", &path, "").repeat(12).as_bytes())
        .await
        .unwrap();
    // Its place is taken as long as its answer is not.
    let busy = || async {
        server
            .exchange(&head("GET", &path, "connection: close\r\n"))
            .await
    };
    let begun = Instant::now();
    while statuses(&busy().await) != ["200"] {
        assert!(begun.elapsed() < SOON, "the place is never given back");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let mut taken = Vec::new();
    let _ = timeout(SOON, stream.read_to_end(&mut taken))
        .await
        .expect("it is closed");
    assert!(taken.len() < 12 * block.len());
    server.stop().await;
}

#[tokio::test]
async fn connections_wait_for_a_place() {
    let server = run(
        |_| {},
        |bounds| {
            bounds.max_connections = 1;
            bounds.idle_timeout = Duration::from_millis(300);
        },
        None,
    )
    .await;
    let mut first = server.connect().await;
    first
        .write_all(head("GET", "/healthz", "").as_bytes())
        .await
        .unwrap();
    let mut answer = [0; 12];
    first.read_exact(&mut answer).await.unwrap();
    // Accepted once the first is idle for too long.
    let text = server
        .exchange(&head("GET", "/healthz", "connection: close\r\n"))
        .await;
    assert_eq!(statuses(&text), ["200"]);
    server.stop().await;
}

#[tokio::test]
async fn a_stop_lets_requests_end() {
    let server = run(|_| {}, |_| {}, None).await;
    let block = raw("late");
    let mut busy = server.connect().await;
    let request = head(
        "PUT",
        &path_of(&block),
        "content-length: 4\r\nexpect: 100-continue\r\n",
    );
    busy.write_all(request.as_bytes()).await.unwrap();
    let mut first = [0; 25];
    busy.read_exact(&mut first).await.unwrap();
    assert_eq!(&first, b"HTTP/1.1 100 Continue\r\n\r\n");
    let mut idle = server.connect().await;
    idle.write_all(head("GET", "/readyz", "").as_bytes())
        .await
        .unwrap();
    let mut answer = [0; 12];
    idle.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200");

    let Running {
        address,
        service,
        store,
        stop,
        task,
    } = server;
    stop.send(()).unwrap();
    // Who waits is let go at once, and nobody else gets in.
    until_closed(&mut idle).await;
    assert_eq!(
        service
            .handle(
                Request::get("/readyz")
                    .body(Full::<Bytes>::default())
                    .unwrap()
            )
            .await
            .status(),
        503
    );
    assert!(TcpStream::connect(address).await.is_err());
    assert!(!task.is_finished());
    busy.write_all(b"late").await.unwrap();
    let text = until_closed(&mut busy).await;
    assert_eq!(statuses(&text), ["204"], "{text}");
    timeout(SOON, task).await.unwrap().unwrap();
    assert!(store.has(block.cid()).await.unwrap());
}

#[tokio::test]
async fn a_stop_does_not_wait_for_ever() {
    let server = run(
        |_| {},
        |bounds| bounds.drain = Duration::from_millis(100),
        None,
    )
    .await;
    let mut busy = server.connect().await;
    let request = head(
        "PUT",
        &path_of(&raw("never")),
        "content-length: 5\r\nexpect: 100-continue\r\n",
    );
    busy.write_all(request.as_bytes()).await.unwrap();
    let mut first = [0; 25];
    busy.read_exact(&mut first).await.unwrap();
    server.stop().await;
}

#[tokio::test]
async fn http2_without_tls() {
    let server = run(|_| {}, |_| {}, None).await;
    let block = raw("over http/2");
    server.store.put(&block).await.unwrap();
    let stream = server.connect().await;
    let (mut sender, connection) = hyper::client::conn::http2::Builder::new(TokioExecutor::new())
        .handshake(TokioIo::new(stream))
        .await
        .unwrap();
    let driver = tokio::spawn(connection);
    two_requests(&mut sender, "http", &block).await;
    drop(sender);
    timeout(SOON, driver).await.unwrap().unwrap().unwrap();
    server.stop().await;
}

type H2 = hyper::client::conn::http2::SendRequest<Full<Bytes>>;

async fn two_requests(sender: &mut H2, scheme: &str, block: &Block) {
    for method in ["GET", "HEAD"] {
        let request = Request::builder()
            .method(method)
            .uri(format!("{scheme}://localhost{}", path_of(block)))
            .header("authorization", "Bearer all")
            .body(Full::default())
            .unwrap();
        let answer = timeout(SOON, sender.send_request(request))
            .await
            .unwrap()
            .unwrap();
        assert_eq!(
            (answer.status().as_u16(), answer.version()),
            (200, Version::HTTP_2)
        );
        assert_eq!(answer.headers()["content-length"], block.len().to_string());
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(
            body,
            if method == "GET" {
                block.data().clone()
            } else {
                Bytes::new()
            }
        );
    }
}

#[tokio::test]
async fn http2_resets_end_the_connection() {
    let server = run(|_| {}, |_| {}, None).await;
    let mut stream = server.connect().await;
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    bytes.extend([0, 0, 0, 4, 0, 0, 0, 0, 0]); // SETTINGS
    // HEADERS (:method GET, :scheme http, :path /) and RST_STREAM, over and over.
    for n in 0..5000_u32 {
        let id = (2 * n + 1).to_be_bytes();
        bytes.extend([0, 0, 3, 1, 5]);
        bytes.extend(id);
        bytes.extend([0x82, 0x86, 0x84]);
        bytes.extend([0, 0, 4, 3, 0]);
        bytes.extend(id);
        bytes.extend([0, 0, 0, 8]);
    }
    let (mut reader, mut writer) = stream.split();
    let write = async {
        let _ = writer.write_all(&bytes).await;
    };
    let read = async {
        let mut answer = Vec::new();
        let _ = reader.read_to_end(&mut answer).await;
        answer
    };
    let ((), answer) = timeout(SOON, futures::future::join(write, read))
        .await
        .expect("it is closed");
    // GOAWAY with ENHANCE_YOUR_CALM.
    let calm = [0, 0, 0, 11];
    assert!(answer.windows(4).any(|window| window == calm), "no GOAWAY");
    server.stop().await;
}

mod tls {
    use rustls::pki_types::{CertificateDer, ServerName};
    use rustls::{ClientConfig, RootCertStore};
    use tokio_rustls::TlsConnector;
    use tokio_rustls::client::TlsStream;

    use super::*;

    struct Certificate {
        pem: String,
        key: String,
        der: CertificateDer<'static>,
    }

    fn certificate() -> Certificate {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        Certificate {
            pem: made.cert.pem(),
            key: made.signing_key.serialize_pem(),
            der: made.cert.der().clone(),
        }
    }

    fn write(folder: &std::path::Path, certificate: &str, key: &str) -> cidbucket_service::Tls {
        let tls = cidbucket_service::Tls {
            certificate: folder.join("cert.pem"),
            key: folder.join("key.pem"),
        };
        std::fs::write(&tls.certificate, certificate).unwrap();
        std::fs::write(&tls.key, key).unwrap();
        tls
    }

    async fn connect(
        server: &Running,
        trusted: &Certificate,
        alpn: &[&str],
    ) -> std::io::Result<TlsStream<TcpStream>> {
        let mut roots = RootCertStore::empty();
        roots.add(trusted.der.clone()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        let name = ServerName::try_from("localhost").unwrap();
        let stream = server.connect().await;
        TlsConnector::from(Arc::new(config))
            .connect(name, stream)
            .await
    }

    #[tokio::test]
    async fn both_versions_by_alpn() {
        let folder = tempfile::tempdir().unwrap();
        let own = certificate();
        let server = run(
            |_| {},
            |_| {},
            Some(write(folder.path(), &own.pem, &own.key)),
        )
        .await;
        let block = raw("over tls");
        server.store.put(&block).await.unwrap();

        let stream = connect(&server, &own, &["h2", "http/1.1"]).await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
        let (mut sender, connection) =
            hyper::client::conn::http2::Builder::new(TokioExecutor::new())
                .handshake(TokioIo::new(stream))
                .await
                .unwrap();
        let driver = tokio::spawn(connection);
        two_requests(&mut sender, "https", &block).await;
        driver.abort();

        for alpn in [&["http/1.1"][..], &[]] {
            let mut stream = connect(&server, &own, alpn).await.unwrap();
            let request = head("GET", &path_of(&block), "connection: close\r\n");
            stream.write_all(request.as_bytes()).await.unwrap();
            let mut text = String::new();
            timeout(SOON, stream.read_to_string(&mut text))
                .await
                .unwrap()
                .unwrap();
            assert!(text.ends_with("over tls"), "{text}");
        }
        // Whoever speaks without TLS is let go.
        let text = server.exchange(&head("GET", "/healthz", "")).await;
        assert!(statuses(&text).is_empty(), "{text}");
        server.stop().await;
    }

    #[tokio::test]
    async fn a_renewed_certificate_is_used_and_a_broken_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let (first, second) = (certificate(), certificate());
        let server = run(
            |_| {},
            |_| {},
            Some(write(folder.path(), &first.pem, &first.key)),
        )
        .await;
        connect(&server, &first, &[]).await.unwrap();
        // The certificate is new, and its key is yet to come: the old pair stays.
        write(folder.path(), &second.pem, &first.key);
        tokio::time::sleep(Duration::from_millis(2500)).await;
        connect(&server, &first, &[]).await.unwrap();
        write(folder.path(), &second.pem, &second.key);
        let begun = Instant::now();
        while connect(&server, &second, &[]).await.is_err() {
            assert!(begun.elapsed() < SOON, "the new certificate is not used");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert!(connect(&server, &first, &[]).await.is_err());
        server.stop().await;
    }

    #[tokio::test]
    async fn files_that_cannot_be_used() {
        let folder = tempfile::tempdir().unwrap();
        let (first, second) = (certificate(), certificate());
        for (pem, key) in [
            ("", &*first.key),
            (&first.pem, ""),
            (&first.pem, &second.key),
            ("x", "y"),
        ] {
            let tls = write(folder.path(), pem, key);
            let (service, _) = service(|_| {});
            let address = ([127, 0, 0, 1], 0).into();
            let error = Server::bind(service, address, Bounds::default(), Some(tls))
                .await
                .unwrap_err();
            let text = error.to_string();
            assert!(text.contains(".pem") && !text.contains("BEGIN"), "{text}");
        }
    }

    #[tokio::test]
    async fn a_handshake_that_does_not_come() {
        let folder = tempfile::tempdir().unwrap();
        let own = certificate();
        let tls = write(folder.path(), &own.pem, &own.key);
        let server = run(
            |_| {},
            |b| b.head_timeout = Duration::from_millis(200),
            Some(tls),
        )
        .await;
        let mut stream = server.connect().await;
        assert_eq!(until_closed(&mut stream).await, "");
        server.stop().await;
    }
}

#[tokio::test]
async fn bytes_are_counted_on_the_sockets() {
    let server = run(|_| {}, |_| {}, None).await;
    let request = head("GET", "/healthz", "connection: close\r\n");
    let answer = server.exchange(&request).await;
    let metrics = Request::get("/metrics")
        .body(Full::<Bytes>::default())
        .unwrap();
    let text = server
        .service
        .handle(metrics)
        .await
        .into_body()
        .collect()
        .await
        .unwrap()
        .to_bytes();
    let text = String::from_utf8_lossy(&text).into_owned();
    for (direction, bytes) in [("in", request.len()), ("out", answer.len())] {
        let line =
            format!("cidbucket_bytes_total{{side=\"client\",direction=\"{direction}\"}} {bytes}");
        assert!(text.contains(&line), "{line}\n{text}");
    }
    server.stop().await;
}
