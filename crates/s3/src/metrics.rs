//! Counters: what the client asked of S3 and what came of it.

use std::sync::atomic::{AtomicU64, Ordering};

use http::StatusCode;

use crate::operation::Operation;
use crate::transport::Wire;

/// How requests ended: by class of status, or without an answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Outcomes {
    /// 2xx.
    pub success: u64,
    /// 3xx.
    pub redirect: u64,
    /// 4xx.
    pub client_error: u64,
    /// 5xx.
    pub server_error: u64,
    /// No whole answer came, or it was no longer waited for.
    pub no_answer: u64,
}

impl Outcomes {
    /// All requests.
    pub fn total(&self) -> u64 {
        self.success + self.redirect + self.client_error + self.server_error + self.no_answer
    }
}

/// The counters at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct MetricsSnapshot {
    /// Requests by operation; those never made are left out.
    pub requests: Vec<(Operation, Outcomes)>,
    /// Requests that were another try of the same operation.
    pub retries: u64,
    /// Requests that were sent beside one of the same read whose answer took long.
    pub hedges: u64,
    /// Bytes of the bodies of answers.
    pub bytes_in: u64,
    /// Bytes of the bodies of requests.
    pub bytes_out: u64,
    /// Bytes that came in through the client's sockets: heads, bodies and TLS, also of answers that
    /// were given up, and of requests beside S3's own.
    pub wire_in: u64,
    /// Bytes that went out through them.
    pub wire_out: u64,
}

impl MetricsSnapshot {
    /// Outcomes of one operation.
    pub fn of(&self, operation: Operation) -> Outcomes {
        self.requests
            .iter()
            .find_map(|(own, outcomes)| (*own == operation).then_some(*outcomes))
            .unwrap_or_default()
    }

    /// All requests.
    pub fn total(&self) -> u64 {
        self.requests.iter().map(|(_, o)| o.total()).sum()
    }
}

/// Status classes, and "no answer" in the place of 1xx.
const CLASSES: usize = 5;

#[derive(Debug, Default)]
pub(crate) struct Metrics {
    requests: [[AtomicU64; CLASSES]; Operation::ALL.len()],
    retries: AtomicU64,
    hedges: AtomicU64,
    bytes_in: AtomicU64,
    bytes_out: AtomicU64,
}

impl Metrics {
    /// A request with a body of `sent` bytes. It counts once it has ended, dropped or not.
    pub(crate) fn request(&self, operation: Operation, sent: usize) -> Request<'_> {
        Request {
            metrics: self,
            operation,
            sent,
            answer: None,
        }
    }

    pub(crate) fn retry(&self) {
        self.retries.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn hedge(&self) {
        self.hedges.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn snapshot(&self, wire: &Wire) -> MetricsSnapshot {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let requests = Operation::ALL
            .into_iter()
            .map(|operation| {
                let [no_answer, success, redirect, client_error, server_error] =
                    self.requests[operation as usize].each_ref().map(get);
                let outcomes = Outcomes {
                    success,
                    redirect,
                    client_error,
                    server_error,
                    no_answer,
                };
                (operation, outcomes)
            })
            .filter(|(_, outcomes)| outcomes.total() > 0)
            .collect();
        MetricsSnapshot {
            requests,
            retries: get(&self.retries),
            hedges: get(&self.hedges),
            bytes_in: get(&self.bytes_in),
            bytes_out: get(&self.bytes_out),
            wire_in: wire.read(),
            wire_out: wire.written(),
        }
    }
}

/// A request under way.
#[derive(Debug)]
pub(crate) struct Request<'a> {
    metrics: &'a Metrics,
    operation: Operation,
    sent: usize,
    answer: Option<(StatusCode, usize)>,
}

impl Request<'_> {
    /// An answer came, with a body of `received` bytes.
    pub(crate) fn answered(&mut self, status: StatusCode, received: usize) {
        self.answer = Some((status, received));
    }
}

impl Drop for Request<'_> {
    fn drop(&mut self) {
        let metrics = self.metrics;
        let class = self
            .answer
            .map_or(0, |(status, _)| usize::from(status.as_u16() / 100) - 1);
        let counters = &metrics.requests[self.operation as usize];
        counters[class.min(CLASSES - 1)].fetch_add(1, Ordering::Relaxed);
        if self.sent > 0 {
            let sent = self.sent as u64;
            metrics.bytes_out.fetch_add(sent, Ordering::Relaxed);
        }
        if let Some((_, received)) = self.answer
            && received > 0
        {
            let received = received as u64;
            metrics.bytes_in.fetch_add(received, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_by_operation_and_class() {
        let metrics = Metrics::default();
        let answered = |operation, sent, status, received| {
            metrics.request(operation, sent).answered(status, received);
        };
        answered(Operation::GetObject, 0, StatusCode::OK, 5);
        answered(Operation::GetObject, 0, StatusCode::NOT_FOUND, 1);
        drop(metrics.request(Operation::PutObject, 7));
        answered(Operation::PutObject, 7, StatusCode::BAD_GATEWAY, 0);
        metrics.hedge();
        metrics.retry();
        let snapshot = metrics.snapshot(&Wire::default());
        assert_eq!(snapshot.total(), 4);
        assert_eq!(snapshot.of(Operation::GetObject).success, 1);
        assert_eq!(snapshot.of(Operation::GetObject).client_error, 1);
        assert_eq!(snapshot.of(Operation::PutObject).no_answer, 1);
        assert_eq!(snapshot.of(Operation::PutObject).server_error, 1);
        assert_eq!(snapshot.of(Operation::HeadObject), Outcomes::default());
        assert_eq!((snapshot.bytes_in, snapshot.bytes_out), (6, 14));
        assert_eq!((snapshot.retries, snapshot.hedges), (1, 1));
    }
}
