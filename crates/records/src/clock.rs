//! Times and randomness, as records have them.

use std::time::{SystemTime, UNIX_EPOCH};

use cidbucket_blockstore::{Error, Report, Result};

/// Seconds since 1970.
pub(crate) fn unix(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

/// Random bytes from the operating system.
pub(crate) fn random() -> Result<[u8; 16]> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| {
        let report = Report::new("random", "the system gives no random bytes");
        Error::Io(report.with_source(error).into())
    })?;
    Ok(bytes)
}
