//! The bucket under test.

use std::env;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use cidbucket_sigv4::{Credentials, Payload, Signer};
use sha2::Digest;
use tempfile::TempDir;

use crate::{Cidbucket, DevServer, wire};

/// A bucket, how to reach it, and a prefix in it that no other test has.
#[derive(Debug, Clone)]
pub struct Target {
    /// Scheme and authority, as `http://127.0.0.1:9000`.
    pub endpoint: String,
    /// Region to sign for.
    pub region: String,
    /// Bucket name. The bucket exists.
    pub bucket: String,
    /// Access key id.
    pub access_key: String,
    /// Secret access key.
    pub secret_key: String,
    /// The seal of a write grant that this server enforces, as `doctor` is to find out.
    pub seal: String,
    /// Where in the bucket this test's blocks go.
    pub prefix: String,
    _embedded: Option<Arc<(DevServer, TempDir)>>,
}

impl Target {
    /// The server that `CIDBUCKET_TEST_*` names, else an embedded one started for this test.
    ///
    /// # Panics
    /// Where `CIDBUCKET_TEST_ENDPOINT` is set and one of its companions is not, or the embedded
    /// server does not start.
    pub fn new() -> Self {
        match env::var("CIDBUCKET_TEST_ENDPOINT") {
            Ok(endpoint) => Self {
                endpoint,
                region: variable("REGION"),
                bucket: variable("BUCKET"),
                access_key: variable("ACCESS_KEY"),
                secret_key: variable("SECRET_KEY"),
                seal: variable("SEAL"),
                prefix: unique_prefix(),
                _embedded: None,
            },
            Err(_) => Self::embedded(),
        }
    }

    /// An embedded server started for this test, whatever the environment says.
    ///
    /// # Panics
    /// Where it does not start.
    pub fn embedded() -> Self {
        let data = tempfile::tempdir().expect("a temporary folder");
        let server = DevServer::start(data.path(), &Cidbucket::new(), &[]);
        Self {
            endpoint: server.field("endpoint").to_owned(),
            region: server.field("region").to_owned(),
            bucket: server.field("bucket").to_owned(),
            access_key: server.field("access_key").to_owned(),
            secret_key: server.field("secret_key").to_owned(),
            seal: "checksum".to_owned(),
            prefix: unique_prefix(),
            _embedded: Some(Arc::new((server, data))),
        }
    }

    /// The same bucket with another prefix: this test's with `suffix` behind it.
    #[must_use]
    pub fn with_suffix(&self, suffix: &str) -> Self {
        Self {
            prefix: format!("{}{suffix}", self.prefix),
            ..self.clone()
        }
    }

    /// The store's URL, with this test's prefix.
    pub fn store(&self) -> String {
        let Self {
            endpoint,
            region,
            bucket,
            prefix,
            ..
        } = self;
        format!("s3://{bucket}/{prefix}?endpoint={endpoint}&region={region}&style=path")
    }

    /// The URL of a store in a bucket that does not exist.
    pub fn missing_store(&self) -> String {
        let Self {
            endpoint, region, ..
        } = self;
        let bucket = unique_prefix().replace('/', "-");
        format!("s3://{bucket}?endpoint={endpoint}&region={region}&style=path")
    }

    /// The binary with this store and these keys.
    pub fn cidbucket(&self) -> Cidbucket {
        Cidbucket::new()
            .env("CIDBUCKET_STORE", self.store())
            .env("AWS_ACCESS_KEY_ID", &*self.access_key)
            .env("AWS_SECRET_ACCESS_KEY", &*self.secret_key)
    }

    /// Stores an object as any S3 client could: whatever bytes under whatever key of the bucket.
    ///
    /// # Panics
    /// Where the server does not take it.
    pub fn put_object(&self, key: &str, bytes: &[u8]) {
        let credentials = Credentials::new(&*self.access_key, &*self.secret_key);
        let signer = Signer::new(credentials, &*self.region).expect("credentials and a region");
        let path = format!("/{}/{key}", self.bucket);
        let request = cidbucket_sigv4::Request {
            method: "PUT",
            path: &path,
            query: &[],
            headers: &[("host", self.authority())],
        };
        let payload = Payload::Sha256(sha2::Sha256::digest(bytes).into());
        let signed = signer
            .sign(&request, payload, SystemTime::now().into())
            .expect("a request that can be signed");
        let mut headers = vec![
            ("host".to_owned(), self.authority().to_owned()),
            ("content-length".to_owned(), bytes.len().to_string()),
        ];
        for (name, value) in signed.iter() {
            headers.push((name.to_owned(), value.to_owned()));
        }
        let response = wire::Request {
            authority: self.authority().to_owned(),
            method: "PUT".to_owned(),
            path: cidbucket_sigv4::encode_path(&path).into_owned(),
            query: Vec::new(),
            headers,
            body: bytes.to_vec(),
        }
        .send();
        match response {
            Ok(response) if response.status == 200 => {}
            other => panic!("{key}: {other:?}"),
        }
    }

    /// Host and port of the endpoint.
    ///
    /// # Panics
    /// Where the endpoint is not plain HTTP: the tests' own requests know no TLS.
    pub fn authority(&self) -> &str {
        self.endpoint
            .strip_prefix("http://")
            .expect("an endpoint of plain HTTP")
            .trim_end_matches('/')
    }
}

impl Default for Target {
    fn default() -> Self {
        Self::new()
    }
}

fn variable(name: &str) -> String {
    let name = format!("CIDBUCKET_TEST_{name}");
    env::var(&name).unwrap_or_else(|_| panic!("CIDBUCKET_TEST_ENDPOINT is set, but {name} is not"))
}

fn unique_prefix() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("a clock after 1970")
        .as_nanos();
    format!(
        "e2e/{now:x}-{}-{}",
        std::process::id(),
        COUNT.fetch_add(1, Ordering::Relaxed)
    )
}
