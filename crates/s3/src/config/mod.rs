//! What an S3 store is told: where its bucket is, how it signs, and what it may cost.

mod env;
mod profile;
mod url;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use cidbucket_blockstore::Limits;
use cidbucket_layout::Keys;
use cidbucket_presign::Bucket;
use cidbucket_sigv4::Credentials;

use crate::credentials::CredentialsProvider;

pub use env::Env;
pub(crate) use profile::{Profiles, Properties};

/// Everything that can be set about an S3 store. Every default is safe on every known server.
///
/// Make one with [`S3Config::from_url`] or [`S3Config::new`], then set what should differ:
///
/// ```
/// use cidbucket_s3::{Env, S3Config};
///
/// let mut config = S3Config::from_url(
///     "s3://my-bucket/blocks?endpoint=http://127.0.0.1:9000",
///     &Env::from_process(),
/// )?;
/// config.conditional_put = true;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
#[non_exhaustive]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each switch is independent of the others"
)]
pub struct S3Config {
    /// The bucket: endpoint, name, region and addressing style.
    pub bucket: Bucket,
    /// The same bucket as others reach it, where that is by another endpoint: what signed URLs
    /// that are given away are for. Our own requests never go there.
    pub public: Option<Bucket>,
    /// Prefix and layout: which key a block has.
    pub keys: Keys,
    /// Where the credentials come from.
    pub credentials: CredentialsSource,
    /// How long anything may take.
    pub timeouts: Timeouts,
    /// How often and at what pace a failed request is tried again.
    pub retry: Retry,
    /// Send a read of a block a second time, on a new connection, once it takes longer than 98 of
    /// 100 do (at least 50 ms, at most 2 s), and take the answer that comes first. This costs at
    /// most two more requests per hundred reads, and ten that are saved up. On by default.
    pub hedge_reads: bool,
    /// Certificate authorities to trust beside the system's: a PEM file.
    pub ca_file: Option<PathBuf>,
    /// Send `If-None-Match: *` with every put, so that S3 refuses to overwrite. Servers that do
    /// not know it ignore it (Garage) or refuse every put (Swift), hence off by default.
    pub conditional_put: bool,
    /// Send a block's SHA-256 as `x-amz-checksum-sha256` too. Some servers check only that, some
    /// know no such header, hence off by default; [`S3Blockstore::probed`](crate::S3Blockstore::probed) finds out.
    pub send_checksum: bool,
    /// `x-amz-storage-class` of every put, such as `STANDARD_IA`.
    pub storage_class: Option<String>,
    /// Encryption at rest, asked for with every put.
    pub encryption: Option<Encryption>,
    /// `Cache-Control` of every put. A block never changes, so caches may keep it for ever.
    pub cache_control: Option<String>,
    /// `Content-Type` of every put.
    pub content_type: String,
    /// Pay for requests to a bucket of another owner: `x-amz-request-payer: requester`.
    pub requester_pays: bool,
    /// How many requests of a batch run at once.
    pub concurrency: usize,
    /// The largest block.
    pub limits: Limits,
}

/// Where credentials come from.
#[derive(Clone)]
#[non_exhaustive]
pub enum CredentialsSource {
    /// The AWS tools' places, in their order: environment, profile files, web identity, container
    /// endpoint, instance metadata.
    Chain {
        /// The snapshot to look in.
        env: Env,
        /// A profile named explicitly. The keys of the environment are then passed over.
        profile: Option<String>,
    },
    /// These.
    Static(Credentials),
    /// The application's own.
    Provider(Arc<dyn CredentialsProvider>),
    /// None: requests are not signed, the bucket must be public.
    Anonymous,
}

impl CredentialsSource {
    /// Whether requests go out unsigned.
    pub fn is_anonymous(&self) -> bool {
        matches!(self, Self::Anonymous)
    }
}

/// Names the source, never what is in it.
impl fmt::Debug for CredentialsSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Chain { profile, .. } => f
                .debug_struct("Chain")
                .field("profile", profile)
                .finish_non_exhaustive(),
            Self::Static(credentials) => f
                .debug_tuple("Static")
                .field(&credentials.access_key_id())
                .finish(),
            Self::Provider(provider) => f.debug_tuple("Provider").field(provider).finish(),
            Self::Anonymous => f.write_str("Anonymous"),
        }
    }
}

/// How long anything may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Timeouts {
    /// To resolve the name, connect and finish the TLS handshake. 5 s.
    pub connect: Duration,
    /// From the last byte that the server took to the first byte of its answer. 20 s.
    pub first_byte: Duration,
    /// While less than 1 KiB per second comes of an answer's body. 10 s.
    pub stall: Duration,
    /// For a whole operation, over all its tries. 120 s.
    pub total: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            first_byte: Duration::from_secs(20),
            stall: Duration::from_secs(10),
            total: Duration::from_mins(2),
        }
    }
}

/// How often and at what pace a failed request is tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Retry {
    /// Tries of one operation, the first included. 6.
    pub max_attempts: u32,
    /// The shortest pause before another try. 50 ms.
    pub min_delay: Duration,
    /// The longest pause, also where the server asks for more by `Retry-After`. 10 s.
    pub max_delay: Duration,
    /// Tokens of the client's retry budget. A retry takes five, a success returns one; with none
    /// left, errors come back at once, so that an outage is not made worse. 500.
    pub budget: u32,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            max_attempts: 6,
            min_delay: Duration::from_millis(50),
            max_delay: Duration::from_secs(10),
            budget: 500,
        }
    }
}

/// Encryption at rest by the server.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Encryption {
    /// `AES256`: keys kept by S3.
    Aes256,
    /// `aws:kms`: keys kept by the key management service.
    Kms {
        /// The key's id or ARN; the account's default key where there is none.
        key_id: Option<String>,
        /// Use an S3 bucket key, which saves requests to the key service.
        bucket_key: bool,
    },
}

impl S3Config {
    /// The defaults for a bucket, with credentials from the AWS tools' places in this process's
    /// environment.
    pub fn new(bucket: Bucket, keys: Keys) -> Self {
        Self {
            bucket,
            public: None,
            keys,
            credentials: CredentialsSource::Chain {
                env: Env::from_process(),
                profile: None,
            },
            timeouts: Timeouts::default(),
            retry: Retry::default(),
            hedge_reads: true,
            ca_file: None,
            conditional_put: false,
            send_checksum: false,
            storage_class: None,
            encryption: None,
            cache_control: Some("public, max-age=31536000, immutable".to_owned()),
            content_type: "application/vnd.ipld.raw".to_owned(),
            requester_pays: false,
            concurrency: cidbucket_blockstore::DEFAULT_CONCURRENCY,
            limits: Limits::default(),
        }
    }
}

/// The URL form, which holds no secret.
impl fmt::Display for S3Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_url())
    }
}

impl fmt::Debug for S3Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("S3Config")
            .field("url", &self.to_url())
            .field("credentials", &self.credentials)
            .field("timeouts", &self.timeouts)
            .field("retry", &self.retry)
            .field("hedge_reads", &self.hedge_reads)
            .field("concurrency", &self.concurrency)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}
