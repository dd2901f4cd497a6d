//! HTTPS with a certificate from files.

use std::{fs, sync::Arc};

use cidbucket_dev_s3::{DevS3, StartError};
use rustls::{ClientConfig, RootCertStore, pki_types::ServerName};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::client::{Client, borrowed};

#[tokio::test(flavor = "multi_thread")]
async fn requests_over_tls() {
    let dir = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (cert, key) = (dir.path().join("cert.pem"), dir.path().join("key.pem"));
    fs::write(&cert, made.cert.pem()).unwrap();
    fs::write(&key, made.signing_key.serialize_pem()).unwrap();

    let builder = DevS3::builder().bucket("bucket");
    let missing = builder
        .clone()
        .tls_pem(dir.path().join("none"), &key)
        .start()
        .await;
    assert!(
        matches!(missing, Err(StartError::Certificate { .. })),
        "{missing:?}"
    );
    let server = builder.tls_pem(&cert, &key).start().await.unwrap();
    assert!(server.endpoint().starts_with("https://"));

    let mut roots = RootCertStore::empty();
    roots.add(made.cert.der().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let tls = TlsConnector::from(Arc::new(config));
    let client = Client::of(&server);
    for (method, body) in [("PUT", &b"over tls"[..]), ("GET", b"")] {
        let tcp = TcpStream::connect(server.addr()).await.unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        let stream = tls.connect(name, tcp).await.unwrap();
        let unsigned = cidbucket_sigv4::Payload::Unsigned;
        let headers = client.signed(method, "/bucket/k", &[], &[], unsigned);
        let headers = borrowed(&headers);
        let reply = client
            .over(stream, method, "/bucket/k", &headers, body)
            .await;
        let reply = reply.unwrap().ok();
        if method == "GET" {
            assert_eq!(reply.text(), "over tls");
        }
    }
    let plain = client.raw("GET", "/bucket/k", &[], b"").await;
    assert!(plain.is_err());
}
