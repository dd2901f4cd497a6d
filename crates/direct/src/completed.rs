//! `POST /v1/writes/{lease}/complete`.

use serde::{Deserialize, Serialize};

/// A lease that was completed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Completed {
    /// The lease.
    pub lease: String,
    /// The number of its blocks.
    pub blocks: u64,
    /// Their bytes.
    pub bytes: u64,
}
