//! An S3 server in this process, over a folder, for development and tests.
//!
//! **Not for production**: one pair of keys, one process, no replication, and it listens on loopback.
//! Use AWS S3, Ceph, Garage, `SeaweedFS`, `MinIO`, R2 or B2 there.
//!
//! It is strict where a lenient server would hide a client's mistakes: every checksum a request claims
//! is verified before anything becomes visible, conditional writes are atomic, signatures must be for
//! the right region and cover every `x-amz-*` header. What is stored survives `kill -9`. Server-side
//! encryption headers are kept and given back, but nothing is encrypted.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use cidbucket_dev_s3::{DevS3, Fault, Rule};
//!
//! let s3 = DevS3::builder().bucket("blocks").start().await?;
//! println!("{} {} {}", s3.endpoint(), s3.access_key(), s3.secret_key());
//!
//! // The next two GETs are answered with 503 SlowDown.
//! let slow_down = Fault::status(503, "SlowDown");
//! s3.faults().push(Rule::new(slow_down).operation("GetObject").times(2));
//!
//! s3.shutdown().await;
//! # Ok(())
//! # }
//! ```
//!
//! HTTP routing, XML and signatures are by the `s3s` crate. Around it and under it:
//!
//! | module | what |
//! |---|---|
//! | `builder` | settings and start |
//! | `server` | the listener, TLS, connections, stopping |
//! | `service` | one request: faults, CORS, digests of documents |
//! | `target` | bucket, key and operation of a request |
//! | `scope` | region, service and life of a signature |
//! | `access` | keys, session token, anonymous reads |
//! | `api` | the S3 operations |
//! | `store` | buckets, objects and uploads in a folder |
//! | `cors`, `policy` | a bucket's rules |
//! | `fault`, `body` | faults for tests and how they spoil an answer |

mod access;
mod api;
mod body;
mod builder;
mod clock;
mod cors;
mod fault;
mod policy;
mod received;
mod scope;
mod server;
mod service;
mod store;
mod target;

use std::{
    fmt,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use tempfile::TempDir;
use tokio::{sync::watch, task::JoinHandle};

pub use self::{
    builder::{Builder, StartError},
    fault::{Fault, Faults, Rule},
};

/// A running server. Dropping it stops it at once; [`shutdown`](Self::shutdown) lets requests finish.
pub struct DevS3 {
    endpoint: String,
    addr: SocketAddr,
    keys: access::Keys,
    region: String,
    data_dir: PathBuf,
    faults: Faults,
    stop: watch::Sender<bool>,
    task: Option<JoinHandle<()>>,
    _temporary: Option<TempDir>,
}

impl DevS3 {
    /// Settings of a server to [`start`](Builder::start).
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// Starts a server with the defaults, an empty bucket named `bucket`, and a temporary folder that
    /// goes with it.
    pub async fn temporary() -> Result<Self, StartError> {
        Self::builder().bucket("bucket").start().await
    }

    /// URL to give to S3 clients, without a slash at its end: `http://127.0.0.1:PORT`.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Address the server listens on.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The access key id.
    pub fn access_key(&self) -> &str {
        &self.keys.access_key
    }

    /// The secret access key.
    pub fn secret_key(&self) -> &str {
        &self.keys.secret_key
    }

    /// The session token requests must bring, if one was set.
    pub fn session_token(&self) -> Option<&str> {
        self.keys.session_token.as_deref()
    }

    /// The region that signatures must be for.
    pub fn region(&self) -> &str {
        &self.region
    }

    /// The folder with the data.
    pub fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    /// Faults and counts of requests.
    pub fn faults(&self) -> &Faults {
        &self.faults
    }

    /// Stops listening, and waits for requests under way up to 5 seconds.
    pub async fn shutdown(mut self) {
        let _ = self.stop.send(true);
        if let Some(task) = self.task.take() {
            let _ = task.await;
        }
    }
}

impl Drop for DevS3 {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

impl fmt::Debug for DevS3 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DevS3")
            .field("endpoint", &self.endpoint)
            .field("region", &self.region)
            .field("data_dir", &self.data_dir)
            .finish_non_exhaustive()
    }
}
