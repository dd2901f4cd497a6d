//! `GET /v1/info`.

use cidbucket_presign::{Batch, Seal};
use serde::{Deserialize, Serialize};

/// The version of the protocol.
pub const VERSION: u32 = 1;

/// What a service is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Info {
    /// [`VERSION`].
    pub version: u32,
    /// Product and version, for people.
    pub server: String,
    /// Who may read.
    pub reads: ReadMode,
    /// Plain URLs of the shared blocks, where anybody may read them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public: Option<Batch>,
    /// `false` where blocks cannot be read at S3.
    #[serde(default = "yes", skip_serializing_if = "is_true")]
    pub direct_reads: bool,
    /// How blocks are written.
    pub writes: WriteMode,
    /// The seal of write grants, where writes are direct.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seal: Option<Seal>,
    /// The name of the key layout, where the store is in S3.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layout: Option<String>,
    /// What can be asked for.
    pub limits: Limits,
}

impl Info {
    /// A service that neither reads nor writes directly. The rest is public to be set.
    pub fn new(server: impl Into<String>, limits: Limits) -> Self {
        Self {
            version: VERSION,
            server: server.into(),
            reads: ReadMode::Authorised,
            public: None,
            direct_reads: false,
            writes: WriteMode::Proxied,
            seal: None,
            layout: None,
            limits,
        }
    }
}

/// Who may read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ReadMode {
    /// Whoever has a token that allows it.
    Authorised,
    /// Anybody.
    Public,
}

/// How blocks are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WriteMode {
    /// At S3, which refuses other bytes.
    Direct,
    /// Through the service.
    Proxied,
    /// Not at all.
    None,
}

/// What can be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// The largest block, in bytes.
    pub max_block: u64,
    /// The most blocks of one request.
    pub max_blocks: usize,
    /// The largest body of a request, in bytes.
    pub max_body: usize,
    /// How long read grants live, and the most that can be asked for, in seconds.
    pub read_expires: u32,
    /// The same of write grants.
    pub write_expires: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_block: 2 << 20,
            max_blocks: cidbucket_presign::MAX_BATCH,
            max_body: 8 << 20,
            read_expires: 600,
            write_expires: 900,
        }
    }
}

const fn yes() -> bool {
    true
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the form that serde calls"
)]
const fn is_true(value: &bool) -> bool {
    *value
}
