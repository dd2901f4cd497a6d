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

    pub(crate) fn traffic(&self, s3: &MetricsSnapshot) -> Traffic {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Traffic {
            service: Side {
                requests: get(&self.requests),
                bytes_in: get(&self.bytes_in),
                bytes_out: get(&self.bytes_out),
            },
            s3: Side {
                requests: s3.total(),
                bytes_in: s3.bytes_in,
                bytes_out: s3.bytes_out,
            },
            fallbacks: get(&self.fallbacks),
        }
    }
}
