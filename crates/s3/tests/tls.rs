//! TLS: a private authority is trusted when it is named, and nothing else gets through: no wrong
//! authority, no expired or foreign certificate, no retry in hope, no fall-back to http.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use cidbucket_blockstore::{Block, Blockstore};
use cidbucket_dev_s3::DevS3;
use cidbucket_s3::{CredentialsSource, Env, Error, S3Blockstore, S3Client, S3Config};
use cidbucket_sigv4::Credentials;
use parking_lot::Mutex;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tempfile::TempDir;
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

/// A certificate authority of our own.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    folder: TempDir,
}

impl Authority {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params
            .distinguished_name
            .push(rcgen::DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("ca.pem"), certificate.pem()).unwrap();
        Self {
            issuer: Issuer::new(params, key),
            folder,
        }
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// A server that shows a certificate of this authority for `name`.
    fn server(&self, name: &str, expired: bool) -> Arc<ServerConfig> {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        if expired {
            params.not_before = date_time_ymd(2020, 1, 1);
            params.not_after = date_time_ymd(2021, 1, 1);
        }
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        server_config(
            &certificate.pem(),
            &key.serialize_pem(),
            rustls::DEFAULT_VERSIONS,
        )
    }
}

fn server_config(
    certificate: &str,
    key: &str,
    versions: &[&'static rustls::SupportedProtocolVersion],
) -> Arc<ServerConfig> {
    let certificate = CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap();
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(versions)
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    Arc::new(config)
}

/// Takes connections, counts them, keeps their first byte, and does the server's part of TLS.
struct Listener {
    port: u16,
    connections: Arc<AtomicUsize>,
    first_bytes: Arc<Mutex<Vec<u8>>>,
    task: JoinHandle<()>,
}

impl Listener {
    async fn start(tls: Arc<ServerConfig>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let connections = Arc::new(AtomicUsize::new(0));
        let first_bytes = Arc::new(Mutex::new(Vec::new()));
        let (count, bytes) = (connections.clone(), first_bytes.clone());
        let task = tokio::spawn(async move {
            let acceptor = TlsAcceptor::from(tls);
            while let Ok((stream, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::SeqCst);
                let mut first = [0];
                if stream.peek(&mut first).await.is_ok() {
                    bytes.lock().push(first[0]);
                }
                // A client that is content with the certificate would send its request now.
                if let Ok(mut stream) = acceptor.accept(stream).await {
                    let mut request = [0; 1];
                    if stream.read(&mut request).await.is_ok_and(|count| count > 0) {
                        bytes.lock().push(request[0]);
                    }
                }
            }
        });
        Self {
            port,
            connections,
            first_bytes,
            task,
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn config(endpoint: &str, ca: Option<PathBuf>) -> S3Config {
    let url = format!("s3://blocks?endpoint={endpoint}");
    let mut config = S3Config::from_url(&url, &Env::empty()).unwrap();
    config.credentials = CredentialsSource::Static(Credentials::new("AKID", "secret"));
    config.ca_file = ca;
    config
}

/// Nothing but one handshake is seen, and it fails at once.
async fn refused(server: Arc<ServerConfig>, ca: Option<PathBuf>, words: &str) {
    let listener = Listener::start(server).await;
    let endpoint = format!("https://localhost:{}", listener.port);
    let store = S3Blockstore::new(config(&endpoint, ca)).unwrap();
    let start = Instant::now();
    let error = store.put(&Block::raw("hello")).await.unwrap_err();
    assert!(!error.is_transient(), "{error}");
    assert_eq!(error.report().attempts(), 1, "{error}");
    assert!(error.to_string().contains(words), "{error}");
    assert!(start.elapsed() < Duration::from_secs(5));
    let error = store.get(Block::raw("hello").cid()).await.unwrap_err();
    assert!(!error.is_transient(), "{error}");
    assert_eq!(
        listener.connections.load(Ordering::SeqCst),
        2,
        "one for each operation"
    );
    // 22 begins a TLS record; a letter would begin an HTTP request.
    assert_eq!(
        *listener.first_bytes.lock(),
        [22, 22],
        "nothing was sent in the clear"
    );
}

#[tokio::test]
async fn a_private_authority_is_trusted_when_named() {
    let authority = Authority::new("ours");
    let server = DevS3::builder()
        .bucket("blocks")
        .tls(authority.server("localhost", false))
        .start()
        .await
        .unwrap();
    let endpoint = format!("https://localhost:{}", server.addr().port());
    let mut config = config(&endpoint, Some(authority.file()));
    config.credentials =
        CredentialsSource::Static(Credentials::new(server.access_key(), server.secret_key()));
    let store = S3Blockstore::new(config).unwrap();
    let block = Block::raw("hello");
    store.put(&block).await.unwrap();
    let got = store.get(block.cid()).await.unwrap().unwrap();
    assert_eq!(got.data(), block.data());
    // The server's certificate went over the wire, too.
    let metrics = store.client().metrics();
    assert!(metrics.wire_in > 1_000, "{metrics:?}");
}

#[tokio::test]
async fn tls_1_2_is_enough() {
    let authority = Authority::new("ours");
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec!["localhost".to_owned()])
        .unwrap()
        .signed_by(&key, &authority.issuer)
        .unwrap();
    let tls = server_config(
        &certificate.pem(),
        &key.serialize_pem(),
        &[&rustls::version::TLS12],
    );
    let server = DevS3::builder()
        .bucket("blocks")
        .tls(tls)
        .start()
        .await
        .unwrap();
    let endpoint = format!("https://localhost:{}", server.addr().port());
    let mut config = config(&endpoint, Some(authority.file()));
    config.credentials =
        CredentialsSource::Static(Credentials::new(server.access_key(), server.secret_key()));
    S3Client::new(config).unwrap().head_bucket().await.unwrap();
}

#[tokio::test]
async fn an_authority_that_is_not_named_is_refused() {
    let authority = Authority::new("ours");
    let server = authority.server("localhost", false);
    refused(server, None, "certificate").await;
}

#[tokio::test]
async fn another_authority_than_the_named_is_refused() {
    let (ours, other) = (Authority::new("ours"), Authority::new("other"));
    let server = other.server("localhost", false);
    refused(server, Some(ours.file()), "certificate").await;
}

#[tokio::test]
async fn an_expired_certificate_is_refused() {
    let authority = Authority::new("ours");
    let server = authority.server("localhost", true);
    refused(server, Some(authority.file()), "expired").await;
}

#[tokio::test]
async fn a_certificate_for_another_host_is_refused() {
    let authority = Authority::new("ours");
    let server = authority.server("s3.example.org", false);
    refused(server, Some(authority.file()), "not valid for name").await;
}

#[tokio::test]
async fn https_does_not_talk_to_http() {
    let server = DevS3::builder().bucket("blocks").start().await.unwrap();
    let endpoint = format!("https://localhost:{}", server.addr().port());
    let store = S3Blockstore::new(config(&endpoint, None)).unwrap();
    let error = store.put(&Block::raw("hello")).await.unwrap_err();
    assert!(!error.is_transient(), "{error}");
    assert_eq!(server.faults().total(), 0, "no request came through");
}

#[tokio::test]
async fn a_file_that_holds_no_authority_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("empty.pem");
    std::fs::write(&path, "").unwrap();
    let error = S3Client::new(config("https://localhost", Some(path))).unwrap_err();
    assert!(matches!(error, Error::Invalid(_)), "{error}");
    assert!(error.to_string().contains("empty.pem"), "{error}");
}
