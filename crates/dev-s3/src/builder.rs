//! Settings of a server, and starting it.

use std::{
    fmt, io,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    sync::{Arc, atomic::AtomicU64},
};

use rustls::{
    ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use s3s::{path::check_bucket_name, service::S3ServiceBuilder};
use tempfile::TempDir;
use tokio::{net::TcpListener, sync::watch};

use crate::{
    DevS3,
    access::{Gate, Keys},
    api::Api,
    fault::Faults,
    server,
    service::Shared,
    store::{self, Store},
    target::Hosts,
};

/// Why a server did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The data folder cannot be opened: in use, damaged or not accessible.
    #[error("cannot open the data folder {}", .path.display())]
    Data {
        /// The folder.
        path: PathBuf,
        /// What is wrong with it.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The address cannot be listened on.
    #[error("cannot listen on {addr}")]
    Listen {
        /// The address.
        addr: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// The certificate or its key cannot be used.
    #[error("cannot use the certificate {}", .path.display())]
    Certificate {
        /// The file of the certificate.
        path: PathBuf,
        /// What is wrong with it or its key.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A bucket's name breaks S3's rules: 3 to 63 of `a-z`, `0-9`, `-` and `.`.
    #[error("{0:?} is not a bucket name: use 3 to 63 of a-z, 0-9, - and .")]
    BucketName(String),
    /// A region is `a-z`, `0-9` and `-`.
    #[error("{0:?} is not a region: use a-z, 0-9 and -")]
    Region(String),
}

/// Settings of a [`DevS3`].
#[derive(Clone)]
pub struct Builder {
    data_dir: Option<PathBuf>,
    addr: SocketAddr,
    keys: Keys,
    region: String,
    buckets: Vec<(String, bool)>,
    domain: Option<String>,
    tls: Tls,
    faults: Faults,
}

#[derive(Clone)]
enum Tls {
    None,
    Config(Arc<ServerConfig>),
    Pem { cert: PathBuf, key: PathBuf },
}

impl Default for Builder {
    fn default() -> Self {
        Self {
            data_dir: None,
            addr: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            keys: Keys {
                access_key: "DEVACCESSKEY".to_owned(),
                secret_key: "dev-secret-key".to_owned(),
                session_token: None,
            },
            region: "us-east-1".to_owned(),
            buckets: Vec::new(),
            domain: None,
            tls: Tls::None,
            faults: Faults::default(),
        }
    }
}

impl Builder {
    /// Folder for the data, made if it is not there. Default: a temporary folder that goes with the
    /// server, and whose files are not synced to disk.
    #[must_use]
    pub fn data_dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.data_dir = Some(dir.into());
        self
    }

    /// Address to listen on. Default: `127.0.0.1`, a free port. This server is not made to be reached
    /// by others: keep to loopback.
    #[must_use]
    pub fn addr(mut self, addr: SocketAddr) -> Self {
        self.addr = addr;
        self
    }

    /// The one pair of keys. Default: `DEVACCESSKEY` and `dev-secret-key`.
    #[must_use]
    pub fn credentials(mut self, access_key: &str, secret_key: &str) -> Self {
        access_key.clone_into(&mut self.keys.access_key);
        secret_key.clone_into(&mut self.keys.secret_key);
        self
    }

    /// Makes the keys temporary ones: every request must bring this session token. Without it, none
    /// may bring one.
    #[must_use]
    pub fn session_token(mut self, token: &str) -> Self {
        self.keys.session_token = Some(token.to_owned());
        self
    }

    /// The region, which signatures must be for. Default: `us-east-1`.
    #[must_use]
    pub fn region(mut self, region: &str) -> Self {
        region.clone_into(&mut self.region);
        self
    }

    /// Makes this bucket if it is not there; only the holder of the keys may read it.
    #[must_use]
    pub fn bucket(mut self, name: &str) -> Self {
        self.buckets.push((name.to_owned(), false));
        self
    }

    /// Makes this bucket if it is not there; everybody may read and list it.
    #[must_use]
    pub fn public_bucket(mut self, name: &str) -> Self {
        self.buckets.push((name.to_owned(), true));
        self
    }

    /// Also serves virtual-host style: `http://BUCKET.DOMAIN:PORT/KEY`. `localhost` is a good domain:
    /// many systems resolve all names below it to loopback.
    #[must_use]
    pub fn domain(mut self, domain: &str) -> Self {
        self.domain = Some(domain.to_owned());
        self
    }

    /// Serves HTTPS. The configuration must not offer HTTP/2 by ALPN.
    #[must_use]
    pub fn tls(mut self, config: Arc<ServerConfig>) -> Self {
        self.tls = Tls::Config(config);
        self
    }

    /// Serves HTTPS with a certificate (chain) and its private key in PEM files.
    #[must_use]
    pub fn tls_pem(mut self, cert: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        self.tls = Tls::Pem {
            cert: cert.into(),
            key: key.into(),
        };
        self
    }

    /// Faults to begin with. Default: none; see [`DevS3::faults`].
    #[must_use]
    pub fn faults(mut self, faults: Faults) -> Self {
        self.faults = faults;
        self
    }

    /// Starts the server on the current Tokio runtime. It is ready when this returns.
    ///
    /// # Panics
    /// Outside a Tokio runtime.
    pub async fn start(self) -> Result<DevS3, StartError> {
        if let Some((name, _)) = self
            .buckets
            .iter()
            .find(|(name, _)| !check_bucket_name(name))
        {
            return Err(StartError::BucketName(name.clone()));
        }
        let in_region = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        if self.region.is_empty() || !self.region.bytes().all(in_region) {
            return Err(StartError::Region(self.region));
        }
        let tls = acceptor(self.tls)?;
        let scheme = if tls.is_some() { "https" } else { "http" };
        let (temporary, data_dir) = match self.data_dir {
            Some(dir) => (None, dir),
            None => temporary()?,
        };
        let sync = temporary.is_none();
        let store = {
            let (dir, buckets) = (data_dir.clone(), self.buckets);
            let opened = tokio::task::spawn_blocking(move || open(&dir, buckets, sync));
            match opened.await {
                Ok(opened) => opened.map_err(|e| data_error(&data_dir, e))?,
                Err(panicked) => return Err(data_error(&data_dir, panicked)),
            }
        };
        let listen_error = |source| StartError::Listen {
            addr: self.addr,
            source,
        };
        let listener = TcpListener::bind(self.addr).await.map_err(listen_error)?;
        let addr = listener.local_addr().map_err(listen_error)?;

        let hosts = Hosts {
            domain: self.domain,
        };
        let mut s3 = S3ServiceBuilder::new(Api {
            store: Arc::clone(&store),
            region: self.region.clone(),
        });
        s3.set_host(hosts.clone());
        s3.set_auth(self.keys.clone());
        s3.set_access(Gate {
            keys: self.keys.clone(),
            store: Arc::clone(&store),
        });
        let shared = Arc::new(Shared {
            s3: s3.build(),
            store,
            hosts,
            region: self.region.clone(),
            faults: self.faults.clone(),
            requests: AtomicU64::new(0),
        });
        let (stop, stopped) = watch::channel(false);
        let task = tokio::spawn(server::run(listener, tls, shared, stopped));
        Ok(DevS3 {
            endpoint: format!("{scheme}://{addr}"),
            addr,
            keys: self.keys,
            region: self.region,
            data_dir,
            faults: self.faults,
            stop,
            task: Some(task),
            _temporary: temporary,
        })
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("data_dir", &self.data_dir)
            .field("addr", &self.addr)
            .field("keys", &self.keys)
            .field("region", &self.region)
            .field("buckets", &self.buckets)
            .field("domain", &self.domain)
            .finish_non_exhaustive()
    }
}

fn temporary() -> Result<(Option<TempDir>, PathBuf), StartError> {
    let made = tempfile::Builder::new()
        .prefix("cidbucket-dev-s3-")
        .tempdir();
    let dir = made.map_err(|e| data_error(&std::env::temp_dir(), e))?;
    let path = dir.path().to_owned();
    Ok((Some(dir), path))
}

fn open(dir: &Path, buckets: Vec<(String, bool)>, sync: bool) -> store::Result<Arc<Store>> {
    let store = Store::open(dir, sync)?;
    for (name, public) in buckets {
        let bucket = match store.bucket(&name) {
            Ok(bucket) => bucket,
            Err(_) => store.create_bucket(&name)?,
        };
        if bucket.config().anonymous_read != public {
            bucket.configure(|config| config.anonymous_read = public)?;
        }
    }
    Ok(Arc::new(store))
}

fn data_error(path: &Path, e: impl std::error::Error + Send + Sync + 'static) -> StartError {
    StartError::Data {
        path: path.to_owned(),
        source: Box::new(e),
    }
}

fn acceptor(tls: Tls) -> Result<Option<tokio_rustls::TlsAcceptor>, StartError> {
    let config = match tls {
        Tls::None => return Ok(None),
        Tls::Config(config) => config,
        Tls::Pem { cert, key } => {
            let config = pem_config(&cert, &key);
            Arc::new(config.map_err(|source| StartError::Certificate { path: cert, source })?)
        }
    };
    Ok(Some(config.into()))
}

fn pem_config(
    cert: &Path,
    key: &Path,
) -> Result<ServerConfig, Box<dyn std::error::Error + Send + Sync>> {
    let chain = CertificateDer::pem_file_iter(cert)?.collect::<Result<Vec<_>, _>>()?;
    let key = PrivateKeyDer::from_pem_file(key)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    Ok(config)
}
