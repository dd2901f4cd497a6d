//! What is counted and logged of a request.

use std::sync::Arc;
use std::time::Instant;

use cidbucket_gateway::Seen;
use http::{Method, StatusCode};

use crate::answered::Kind;
use crate::route::Route;
use crate::service::Inner;

/// A request, which is under way until this is dropped; then it is logged.
pub(crate) struct Record {
    inner: Arc<Inner>,
    kind: Kind,
    quiet: bool,
    /// 0 until it is answered.
    status: u16,
    begun: Instant,
    received: u64,
    pub(crate) sent: u64,
    cut_off: bool,
    pub(crate) subject: String,
}

impl Record {
    /// A request has come.
    pub(crate) fn begin(
        inner: &Arc<Inner>,
        route: Route<'_>,
        method: &Method,
        received: u64,
    ) -> Self {
        inner.metrics.in_flight.inc();
        Self {
            inner: Arc::clone(inner),
            kind: Kind::of(route, method),
            // Neither path nor query nor headers: they name blocks, and may hold secrets.
            quiet: matches!(route, Route::Healthz | Route::Readyz | Route::Metrics),
            status: 0,
            begun: Instant::now(),
            received,
            sent: 0,
            cut_off: false,
            subject: String::new(),
        }
    }

    /// It is answered, though the body may be yet to come.
    pub(crate) fn answered(&mut self, status: StatusCode) {
        self.status = status.as_u16();
        let took = self.begun.elapsed();
        let metrics = &self.inner.metrics;
        metrics.answered.count(self.kind, status, took);
    }

    /// What became of the body.
    pub(crate) fn saw(&mut self, seen: Seen<'_>) {
        match seen {
            Seen::Given(bytes) => self.sent += bytes.len() as u64,
            Seen::CutOff => self.cut_off = true,
            Seen::Asked | Seen::Ended => {}
        }
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        let metrics = &self.inner.metrics;
        metrics.in_flight.dec();
        if self.kind.is_of(Route::Gateway) {
            metrics.gateway_bytes.inc_by(self.sent);
            if self.cut_off {
                metrics.gateway_cut_off.inc();
            }
        }
        if self.status == 0 {
            return; // the client has gone before it was answered
        }
        macro_rules! log {
            ($level:ident) => {
                tracing::$level!(
                    method = self.kind.method(),
                    route = self.kind.route(),
                    status = self.status,
                    ms = self.begun.elapsed().as_secs_f64() * 1000.0,
                    bytes_in = self.received,
                    bytes_out = self.sent,
                    cut_off = self.cut_off,
                    subject = self.subject,
                    "request"
                )
            };
        }
        if self.quiet {
            log!(debug);
        } else {
            log!(info);
        }
    }
}
