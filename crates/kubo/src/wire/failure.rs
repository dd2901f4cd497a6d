//! Why a call fails, as its client is told.

use cidbucket_blockstore::{Cid, Error};
use cidbucket_dag::DagError;
use serde_json::{Value, json};

/// Why a call fails: the message, and whose fault it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) message: String,
    pub(crate) code: Code,
}

/// Whose fault it is, with the numbers of go-ipfs-cmds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Code {
    /// The command failed.
    Normal = 0,
    /// The call makes no sense.
    Client = 1,
}

impl Failure {
    /// The command failed.
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            code: Code::Normal,
        }
    }

    /// The call makes no sense.
    pub(crate) fn client(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            code: Code::Client,
        }
    }

    /// A block is not in the store.
    pub(crate) fn not_found(cid: &Cid) -> Self {
        Self::new(format!(
            "block was not found locally (offline): {}",
            could_not_find(cid)
        ))
    }

    /// The call took longer than its `timeout` allows. Clients know these words.
    pub(crate) fn deadline() -> Self {
        Self::new("context deadline exceeded")
    }

    pub(crate) fn json(&self) -> Value {
        json!({ "Message": self.message, "Code": self.code as u8, "Type": "error" })
    }
}

/// What IPLD's libraries say of a block that is missing.
pub(crate) fn could_not_find(cid: &Cid) -> String {
    format!("ipld: could not find {cid}")
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::new(error.to_string())
    }
}

impl From<DagError> for Failure {
    fn from(error: DagError) -> Self {
        match error {
            DagError::Missing { cid, .. } => Self::not_found(&cid),
            error => Self::new(error.to_string()),
        }
    }
}
