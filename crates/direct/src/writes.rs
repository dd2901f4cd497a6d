//! `POST /v1/writes`.

use cid::Cid;
use cidbucket_presign::{Batch, Grant};
use serde::{Deserialize, Serialize};

use crate::Link;

/// Which blocks are to be written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Writes {
    /// The blocks.
    pub blocks: Vec<Write>,
    /// For how many seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<u32>,
}

/// A block that is to be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Write {
    /// Its CID.
    pub cid: Link,
    /// Its exact size in bytes.
    pub size: u64,
    /// Its SHA-256, where its CID has another hash and it is to be uploaded directly.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "crate::hex")]
    pub sha256: Option<[u8; 32]>,
}

impl Write {
    /// A block of `size` bytes, without its SHA-256.
    pub const fn new(cid: Cid, size: u64) -> Self {
        Self {
            cid: Link(cid),
            size,
            sha256: None,
        }
    }
}

/// The grants for [`Writes`], and the lease under which they are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Granted {
    /// The lease to complete.
    pub lease: String,
    /// When it ends unless completed, in seconds since 1970.
    pub expires: u64,
    /// Grants of the blocks in none of the lists below, in order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub direct: Option<Batch>,
    /// The same, where the seal has no batch.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub direct_grants: Vec<Grant>,
    /// Grants of the blocks in `staged_blocks`, in order, under the raw sha2-256 CID.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub staged: Option<Batch>,
    /// The same, where the seal has no batch.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub staged_grants: Vec<Grant>,
    /// Blocks that need no upload, by index, ascending.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stored: Vec<usize>,
    /// Blocks that are uploaded to a staging key.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub staged_blocks: Vec<usize>,
    /// Blocks that are uploaded through the service.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub proxied: Vec<usize>,
}

impl Granted {
    /// A lease that grants nothing yet.
    pub fn new(lease: impl Into<String>, expires: u64) -> Self {
        Self {
            lease: lease.into(),
            expires,
            direct: None,
            direct_grants: Vec::new(),
            staged: None,
            staged_grants: Vec::new(),
            stored: Vec::new(),
            staged_blocks: Vec::new(),
            proxied: Vec::new(),
        }
    }

    /// The way of each of `blocks` blocks.
    ///
    /// # Errors
    /// [`WayError`] where the lists are not ascending, overlap, or go beyond `blocks`.
    pub fn ways(&self, blocks: usize) -> Result<Ways, WayError> {
        let mut ways = vec![None; blocks];
        put(&mut ways, &self.stored, |_| Way::Stored)?;
        put(&mut ways, &self.staged_blocks, Way::Staged)?;
        put(&mut ways, &self.proxied, |_| Way::Proxied)?;
        let mut direct = 0;
        Ok(Ways(
            ways.into_iter()
                .map(|way| {
                    way.unwrap_or_else(|| {
                        direct += 1;
                        Way::Direct(direct - 1)
                    })
                })
                .collect(),
        ))
    }
}

/// Sends the blocks of a list, which is ascending, their way.
fn put(
    ways: &mut [Option<Way>],
    list: &[usize],
    way: impl Fn(usize) -> Way,
) -> Result<(), WayError> {
    let mut last = None;
    for (nth, &index) in list.iter().enumerate() {
        if last.is_some_and(|last| index <= last) {
            return Err(WayError { index });
        }
        last = Some(index);
        match ways.get_mut(index) {
            Some(slot @ None) => *slot = Some(way(nth)),
            _ => return Err(WayError { index }),
        }
    }
    Ok(())
}

/// Which way each block goes, in the order of the request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ways(pub Vec<Way>);

/// Which way a block goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// To S3, with this grant of [`Granted::direct`].
    Direct(usize),
    /// Nowhere: it is there.
    Stored,
    /// To a staging key, with this grant of [`Granted::staged`].
    Staged(usize),
    /// Through the service.
    Proxied,
}

/// Lists of blocks that contradict each other or the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the answer's lists of blocks make no sense at block {index}")]
pub struct WayError {
    /// The index at which they do.
    pub index: usize,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Encoding;

    const SHA256: &str = "bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy";

    #[test]
    fn ways() {
        let mut granted = Granted::new("l", 1);
        granted.stored = vec![1];
        granted.staged_blocks = vec![0, 4];
        granted.proxied = vec![3];
        assert_eq!(
            granted.ways(6).unwrap().0,
            [
                Way::Staged(0),
                Way::Stored,
                Way::Direct(0),
                Way::Proxied,
                Way::Staged(1),
                Way::Direct(1)
            ]
        );
        assert_eq!(granted.ways(4), Err(WayError { index: 4 }));
        granted.proxied = vec![1];
        assert_eq!(granted.ways(6), Err(WayError { index: 1 }));
        granted.proxied = vec![3, 3];
        assert_eq!(granted.ways(6), Err(WayError { index: 3 }));
    }

    #[test]
    fn both_encodings() {
        let cid: Cid = SHA256.parse().unwrap();
        let mut writes = Writes {
            blocks: vec![Write::new(cid, 11)],
            expires: None,
        };
        let json = Encoding::Json.encode(&writes);
        assert_eq!(
            String::from_utf8_lossy(&json),
            format!(r#"{{"blocks":[{{"cid":"{SHA256}","size":11}}]}}"#)
        );
        writes.blocks[0].sha256 = Some([7; 32]);
        for encoding in [Encoding::Json, Encoding::DagCbor] {
            let bytes = encoding.encode(&writes);
            let back: Writes = encoding.decode("request", &bytes).unwrap();
            assert_eq!(back, writes);
        }
        // A map of one list of one map, whose CID is a link: tag 42, a byte string that begins with 0.
        let cbor = Encoding::DagCbor.encode(&writes);
        assert_eq!(cbor[0], 0xa1);
        assert!(cbor.windows(5).any(|w| w == [0xd8, 0x2a, 0x58, 0x25, 0]));
    }

    #[test]
    fn what_is_unknown_is_refused() {
        let json = format!(r#"{{"blocks":[{{"cid":"{SHA256}","size":11,"until":5}}]}}"#);
        let error = Encoding::Json.decode::<Writes>("request for writes", json.as_bytes());
        assert!(error.unwrap_err().to_string().contains("until"));
    }
}
