//! TLS: what is trusted, and nothing less.
//!
//! There is no switch that turns verification off: a private authority is named by a file.

use std::path::Path;
use std::sync::{Arc, OnceLock};

use cidbucket_blockstore::{Error, Report, Result};
use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

/// Whom to trust: the system's certificate authorities, and those of a PEM file.
///
/// The file is read here, so that what is wrong with it is said at once. The system's authorities
/// are read at the first `https` connection: it takes tens of milliseconds, and `http` needs none.
#[derive(Debug, Clone, Default)]
pub struct Trust {
    /// The authorities of the file. A store of them also proves that each can be used.
    file: Option<RootCertStore>,
    /// All of them, once they were read. Clones share it.
    all: Arc<OnceLock<Arc<RootCertStore>>>,
}

impl Trust {
    /// The system's authorities, and those of the PEM file `ca_file`.
    ///
    /// # Errors
    /// [`Error::Io`] where the file cannot be read, [`Error::Invalid`] where it holds no usable
    /// certificate. A system without any authorities is no error; every `https` connection then
    /// fails.
    pub fn new(ca_file: Option<&Path>) -> Result<Self> {
        Ok(Self {
            file: ca_file.map(read_file).transpose()?,
            all: Arc::default(),
        })
    }

    /// TLS 1.2 and 1.3 with the ring provider. Reads the system's authorities, and so blocks.
    pub(crate) fn client_config(&self) -> ClientConfig {
        let roots = self.all.get_or_init(|| {
            let mut roots = self.file.clone().unwrap_or_else(RootCertStore::empty);
            let native = rustls_native_certs::load_native_certs();
            for error in &native.errors {
                tracing::warn!(%error, "some of the system's certificate authorities cannot be read");
            }
            roots.add_parsable_certificates(native.certs);
            roots.into()
        });
        ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
            .expect("ring has the suites of both versions")
            .with_root_certificates(Arc::clone(roots))
            .with_no_client_auth()
    }
}

fn read_file(path: &Path) -> Result<RootCertStore> {
    let report = |message: &'static str| {
        Report::new("read CA file", message).with_key(path.display().to_string())
    };
    let pem = std::fs::read(path)
        .map_err(|error| Error::Io(report("cannot read the file").with_source(error).into()))?;
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        let certificate = certificate.map_err(|error| {
            Error::Invalid(report("the file is not PEM").with_source(error).into())
        })?;
        roots.add(certificate).map_err(|error| {
            Error::Invalid(
                report("a certificate in the file cannot be used")
                    .with_source(error)
                    .into(),
            )
        })?;
    }
    if roots.is_empty() {
        return Err(Error::Invalid(
            report(
                "the file holds no certificate: it must have a block -----BEGIN CERTIFICATE-----",
            )
            .into(),
        ));
    }
    Ok(roots)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_file_is_a_clear_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ca.pem");
        let error = Trust::new(Some(&path)).unwrap_err();
        assert!(matches!(error, Error::Io(_)), "{error}");
        assert!(error.to_string().contains("ca.pem"), "{error}");
        for content in [
            "",
            "not PEM",
            "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n",
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        ] {
            std::fs::write(&path, content).unwrap();
            let error = Trust::new(Some(&path)).unwrap_err();
            assert!(matches!(error, Error::Invalid(_)), "{content:?}: {error}");
        }
    }
}
