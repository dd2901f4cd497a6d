//! What went through the service, and what went straight to S3.

use std::sync::atomic::{AtomicU64, Ordering};

use cidbucket_s3::MetricsSnapshot;

/// Counts since the store was made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Traffic {
    /// Between us and the service.
    pub service: Side,
    /// Between us and S3.
    pub s3: Side,
    /// Blocks that went through the service because S3 could not be reached.
    pub fallbacks: u64,
}

/// One side of the [`Traffic`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Side {
    /// Requests, each try of them.
    pub requests: u64,
    /// Bytes of the bodies of answers.
    pub bytes_in: u64,
    /// Bytes of the bodies of requests.
    pub bytes_out: u64,
    /// Bytes that were read from sockets: heads, bodies and TLS.
    pub wire_in: u64,
    /// Bytes that were written to sockets.
    pub wire_out: u64,
}

/// The counters of the service's side.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    requests: AtomicU64,
    bytes_in: AtomicU64,
    bytes_out: AtomicU64,
    fallbacks: AtomicU64,
}

impl Counters {
    pub(crate) fn sent(&self, bytes: usize) {
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.bytes_out.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(crate) fn received(&self, bytes: usize) {
        self.bytes_in.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(crate) fn fallback(&self) {
        self.fallbacks.fetch_add(1, Ordering::Relaxed);
    }

    /// The counts of both sides; `wire` is what was read from and written to the service's sockets.
    pub(crate) fn traffic(&self, wire: (u64, u64), s3: &MetricsSnapshot) -> Traffic {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Traffic {
            service: Side {
                requests: get(&self.requests),
                bytes_in: get(&self.bytes_in),
                bytes_out: get(&self.bytes_out),
                wire_in: wire.0,
                wire_out: wire.1,
            },
            s3: Side {
                requests: s3.total(),
                bytes_in: s3.bytes_in,
                bytes_out: s3.bytes_out,
                wire_in: s3.wire_in,
                wire_out: s3.wire_out,
            },
            fallbacks: get(&self.fallbacks),
        }
    }
}
