//! The certificate: read from files, and read again when they change.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use parking_lot::RwLock;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio_rustls::TlsAcceptor;

/// How often the files are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Where the certificate is: PEM files. They are read again when they change, so that a renewed
/// certificate needs no restart; files that cannot be used leave the old one in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tls {
    /// The certificate, followed by those that vouch for it.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// Why a certificate cannot be used. Nothing of the key is part of it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A file cannot be read, or is no PEM of what it should have.
    #[error("{}: {reason}", .path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The key is not that of the certificate, or of a kind that is not known.
    #[error("{} and {}: {reason}", .certificate.display(), .key.display())]
    Pair {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// Why.
        reason: String,
    },
}

/// The certificate in force.
pub(super) struct Certificates {
    files: Tls,
    current: Arc<Current>,
}

#[derive(Debug)]
struct Current(RwLock<Arc<CertifiedKey>>);

/// By what a file's change is seen.
type Stamp = Option<(SystemTime, u64)>;

impl Certificates {
    pub(super) fn load(files: Tls) -> Result<Self, TlsError> {
        let key = read(&files)?;
        Ok(Self {
            files,
            current: Arc::new(Current(RwLock::new(Arc::new(key)))),
        })
    }

    /// TLS 1.2 and 1.3, with HTTP/2 before HTTP/1.1.
    pub(super) fn acceptor(&self) -> TlsAcceptor {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let resolver = Arc::clone(&self.current);
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("the provider has what the versions need")
            .with_no_client_auth()
            .with_cert_resolver(resolver);
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        TlsAcceptor::from(Arc::new(config))
    }

    /// Looks at the files, for as long as it is polled.
    pub(super) async fn reload_when_changed(&self) {
        let mut seen = self.stamps();
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            let stamps = self.stamps();
            if stamps == seen {
                continue;
            }
            seen = stamps;
            match read(&self.files) {
                Ok(key) => {
                    *self.current.0.write() = Arc::new(key);
                    tracing::info!("the certificate was read again");
                }
                // One of the two may be yet to come.
                Err(error) => tracing::warn!(%error, "the old certificate stays in force"),
            }
        }
    }

    fn stamps(&self) -> (Stamp, Stamp) {
        let stamp = |path: &Path| {
            let metadata = fs::metadata(path).ok()?;
            Some((metadata.modified().ok()?, metadata.len()))
        };
        (stamp(&self.files.certificate), stamp(&self.files.key))
    }
}

impl ResolvesServerCert for Current {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0.read()))
    }
}

impl fmt::Debug for Certificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificates")
            .field("files", &self.files)
            .finish_non_exhaustive()
    }
}

fn read(files: &Tls) -> Result<CertifiedKey, TlsError> {
    let chain = CertificateDer::pem_file_iter(&files.certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| file(&files.certificate, error))?;
    if chain.is_empty() {
        return Err(file(&files.certificate, "it has no certificate"));
    }
    let key = PrivateKeyDer::from_pem_file(&files.key).map_err(|error| file(&files.key, error))?;
    let provider = rustls::crypto::ring::default_provider();
    CertifiedKey::from_der(chain, key, &provider).map_err(|error| TlsError::Pair {
        certificate: files.certificate.clone(),
        key: files.key.clone(),
        reason: error.to_string(),
    })
}

fn file(path: &Path, reason: impl fmt::Display) -> TlsError {
    TlsError::File {
        path: path.into(),
        reason: reason.to_string(),
    }
}
