//! The header of a `CARv1`, which is the pragma of a `CARv2` too.

use bytes::Bytes;
use cidbucket_blockstore::Cid;
use serde::{Deserialize, Serialize};

use super::{CarError, CarLimits};

/// What a CAR says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CarHeader {
    /// 1 or 2.
    pub version: u64,
    /// The roots, as they stand in the CAR: nothing says that their blocks are in it.
    pub roots: Vec<Cid>,
}

/// The header of a `CARv1` with these roots, its length before it.
#[expect(clippy::missing_panics_doc, reason = "it cannot panic")]
pub fn header(roots: &[Cid]) -> Bytes {
    // The fields in the order of DAG-CBOR: the shorter name first.
    #[derive(Serialize)]
    struct Header<'a> {
        roots: &'a [Cid],
        version: u64,
    }
    let header = serde_ipld_dagcbor::to_vec(&Header { roots, version: 1 })
        .expect("CIDs and an integer are always encoded");
    let mut buffer = unsigned_varint::encode::usize_buffer();
    let length = unsigned_varint::encode::usize(header.len(), &mut buffer);
    [length, &header].concat().into()
}

/// What a header says: its own version, and its roots.
pub(super) enum Known {
    V1(Vec<Cid>),
    /// The pragma: a header of its own follows.
    V2,
}

/// Reads a header without the length before it, found at `offset`.
pub(super) fn parse(data: &[u8], offset: u64, limits: &CarLimits) -> Result<Known, CarError> {
    // Roots may be absent or null, which is how some writers say that there are none.
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Header {
        version: u64,
        #[serde(default)]
        roots: Option<Vec<Cid>>,
    }
    let header: Header =
        serde_ipld_dagcbor::from_slice(data).map_err(|error| CarError::Header {
            offset,
            reason: error.to_string(),
        })?;
    match (header.version, header.roots) {
        (1, roots) => {
            let roots = roots.unwrap_or_default();
            if roots.len() > limits.max_roots {
                return Err(CarError::TooManyRoots {
                    offset,
                    count: roots.len(),
                    limit: limits.max_roots,
                });
            }
            Ok(Known::V1(roots))
        }
        (2, None) => Ok(Known::V2),
        (2, Some(_)) => Err(CarError::Header {
            offset,
            reason: "the pragma of a CARv2 has no roots".into(),
        }),
        (version, _) => Err(CarError::Version { offset, version }),
    }
}
