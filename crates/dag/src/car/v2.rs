//! What a `CARv2` has before its payload, which is a `CARv1`.
//!
//! The pragma (a header of version 2, without roots) is followed by 40 bytes: 16 of
//! characteristics, then as little-endian integers of 64 bits the payload's offset and size, and
//! the index's offset. The index says where the payload's blocks are. It may be wrong, and whoever
//! reads all of them does not need it: it is skipped, like the padding before and after the
//! payload.

use std::ops::Range;

use super::CarError;

/// Length of the fixed header, in bytes.
pub(super) const LENGTH: usize = 40;

/// Where the payload is, counted from the beginning of the CAR. `offset` is that of this header.
pub(super) fn payload(header: &[u8; LENGTH], offset: u64) -> Result<Range<u64>, CarError> {
    let integer = |at: usize| {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&header[at..at + 8]);
        u64::from_le_bytes(bytes)
    };
    let refuse = |at: u64, reason| {
        Err(CarError::V2Header {
            offset: offset + at,
            reason,
        })
    };
    let (start, size) = (integer(16), integer(24));
    if start < offset + LENGTH as u64 {
        return refuse(16, "the payload begins within the header");
    }
    if size == 0 {
        return refuse(24, "the payload is empty: the CAR was never finished");
    }
    match start.checked_add(size) {
        Some(end) => Ok(start..end),
        None => refuse(24, "the payload ends beyond 64 bits"),
    }
}
