//! `GET /v1/blocks`: a page of the listing.

use serde::{Deserialize, Serialize};

use crate::Link;

/// A page of the listing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Page {
    /// The blocks, in no order.
    pub blocks: Vec<Listed>,
    /// Keys that were passed over, as they are no blocks.
    pub foreign: u64,
    /// Where to go on; absent at the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

/// A block that is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listed {
    /// `CIDv1` of codec raw.
    pub cid: Link,
    /// Its size in bytes.
    pub size: u64,
}
