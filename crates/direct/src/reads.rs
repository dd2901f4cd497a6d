//! `POST /v1/reads`. The answer is a batch.

use cid::Cid;
use cidbucket_presign::Method;
use serde::{Deserialize, Serialize};

use crate::Link;

/// Which blocks are to be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reads {
    /// The blocks.
    pub cids: Vec<Link>,
    /// `GET` unless set; `HEAD` is the other one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<Method>,
    /// For how many seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<u32>,
}

impl Reads {
    /// Reads of these blocks, for as long as the service gives.
    pub fn of(cids: impl IntoIterator<Item = Cid>) -> Self {
        Self {
            cids: cids.into_iter().map(Link).collect(),
            method: None,
            expires: None,
        }
    }
}
