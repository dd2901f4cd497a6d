//! What the service counts, as Prometheus reads it.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use cidbucket_cache::CacheStats;
use cidbucket_s3::{MetricsSnapshot, Operation};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric};
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::registry::Registry;

use crate::answered::Answered;
use crate::settings::Prices;

/// Media type of the text form.
pub(crate) const MEDIA_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByKind {
    kind: &'static str,
}

/// The bytes that went over connections of one side.
#[derive(Debug, Default)]
pub(crate) struct Traffic {
    pub(crate) received: AtomicU64,
    pub(crate) sent: AtomicU64,
}

/// All counters of a service.
pub(crate) struct Metrics {
    registry: Registry,
    pub(crate) answered: Arc<Answered>,
    pub(crate) in_flight: Gauge,
    pub(crate) connections: Gauge,
    grants: Family<ByKind, Counter>,
    leases: Family<ByKind, Counter>,
    pub(crate) quota_refusals: Counter,
    pub(crate) gateway_bytes: Counter,
    pub(crate) gateway_cut_off: Counter,
    /// With clients, on the sockets.
    pub(crate) clients: Arc<Traffic>,
}

/// What is counted elsewhere and looked up when it is asked for.
pub(crate) trait Elsewhere: fmt::Debug + Send + Sync + 'static {
    fn s3(&self) -> Option<MetricsSnapshot>;
    fn cache(&self) -> CacheStats;
    fn memory(&self) -> u64;
}

impl Metrics {
    pub(crate) fn new(elsewhere: impl Elsewhere, prices: Prices) -> Self {
        let mut registry = Registry::with_prefix("cidbucket");
        let metrics = |registry: Registry| Self {
            answered: Arc::default(),
            in_flight: Gauge::default(),
            connections: Gauge::default(),
            grants: Family::default(),
            leases: Family::default(),
            quota_refusals: Counter::default(),
            gateway_bytes: Counter::default(),
            gateway_cut_off: Counter::default(),
            clients: Arc::default(),
            registry,
        };
        let mut own = metrics(Registry::default());
        registry.register("in_flight", "Requests under way", own.in_flight.clone());
        registry.register(
            "connections",
            "Connections of clients",
            own.connections.clone(),
        );
        registry.register("grants", "Grants given, by kind", own.grants.clone());
        registry.register(
            "leases",
            "Leases, by what became of them",
            own.leases.clone(),
        );
        registry.register(
            "quota_refusals",
            "Requests refused because of a token's bytes",
            own.quota_refusals.clone(),
        );
        registry.register(
            "gateway_bytes",
            "Bytes of content that the gateway has answered",
            own.gateway_bytes.clone(),
        );
        registry.register(
            "gateway_cut_off",
            "Answers of the gateway that could not be given whole",
            own.gateway_cut_off.clone(),
        );
        registry.register_collector(Box::new(Lookup {
            elsewhere: Box::new(elsewhere),
            answered: Arc::clone(&own.answered),
            clients: Arc::clone(&own.clients),
            grants: own.grants.clone(),
            prices,
        }));
        own.registry = registry;
        own
    }

    /// Grants were given.
    pub(crate) fn granted(&self, kind: &'static str, grants: usize) {
        if grants > 0 {
            let kind = ByKind { kind };
            self.grants.get_or_create(&kind).inc_by(grants as u64);
        }
    }

    /// Something became of a lease.
    pub(crate) fn lease(&self, kind: &'static str) {
        self.leases.get_or_create(&ByKind { kind }).inc();
    }

    /// All of it, as text.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        encode(&mut text, &self.registry).expect("a String takes all");
        text
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

/// Kinds of grants.
pub(crate) const READ: &str = "read";
pub(crate) const WRITE: &str = "write";
pub(crate) const STAGED: &str = "staged";

/// Looks up what is counted elsewhere.
struct Lookup {
    elsewhere: Box<dyn Elsewhere>,
    answered: Arc<Answered>,
    clients: Arc<Traffic>,
    grants: Family<ByKind, Counter>,
    prices: Prices,
}

impl Collector for Lookup {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        self.answered.encode(&mut encoder)?;
        let s3 = self.elsewhere.s3().unwrap_or_default();
        let counter = ConstCounter::new(0_u64);
        let kind = counter.metric_type();
        let load = |count: &AtomicU64| count.load(Ordering::Relaxed);

        let mut family =
            encoder.encode_descriptor("bytes", "Bytes on sockets, by side", None, kind)?;
        for (side, direction, bytes) in [
            ("client", "in", load(&self.clients.received)),
            ("client", "out", load(&self.clients.sent)),
            ("s3", "in", s3.wire_in),
            ("s3", "out", s3.wire_out),
        ] {
            let labels = [("side", side), ("direction", direction)];
            ConstCounter::new(bytes).encode(family.encode_family(&labels)?)?;
        }

        let mut family = encoder.encode_descriptor(
            "s3_requests",
            "Requests of the service to S3, by operation and class of status",
            None,
            kind,
        )?;
        for (operation, outcomes) in &s3.requests {
            for (class, count) in [
                ("2xx", outcomes.success),
                ("3xx", outcomes.redirect),
                ("4xx", outcomes.client_error),
                ("5xx", outcomes.server_error),
                ("none", outcomes.no_answer),
            ] {
                if count > 0 {
                    let labels = [("operation", operation.name()), ("class", class)];
                    ConstCounter::new(count).encode(family.encode_family(&labels)?)?;
                }
            }
        }

        let mut family = encoder.encode_descriptor(
            "request_cost_usd",
            "What S3 charges for requests: those of the service, and those of clients if each \
             grant was used once",
            None,
            kind,
        )?;
        for (by, cost) in [
            ("service", self.own_cost(&s3)),
            ("clients", self.granted_cost()),
        ] {
            let labels = [("by", by)];
            ConstCounter::new(cost).encode(family.encode_family(&labels)?)?;
        }

        let cache = self.elsewhere.cache();
        for (name, help, count) in [
            ("cache_hits", "Reads answered from the cache", cache.hits),
            ("cache_misses", "Reads that went to the store", cache.misses),
            (
                "cache_evictions",
                "Blocks pushed out of the cache",
                cache.evictions,
            ),
            (
                "s3_retries",
                "Requests to S3 that were another try",
                s3.retries,
            ),
        ] {
            let family = encoder.encode_descriptor(name, help, None, kind)?;
            ConstCounter::new(count).encode(family)?;
        }
        for (name, help, value) in [
            (
                "cache_bytes",
                "Bytes of the blocks in the cache",
                cache.bytes,
            ),
            (
                "memory_bytes",
                "Bytes that requests under way have taken",
                self.elsewhere.memory(),
            ),
        ] {
            let gauge = ConstGauge::new(value);
            let family = encoder.encode_descriptor(name, help, None, gauge.metric_type())?;
            gauge.encode(family)?;
        }
        Ok(())
    }
}

impl fmt::Debug for Lookup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lookup").finish_non_exhaustive()
    }
}

impl Lookup {
    fn own_cost(&self, s3: &MetricsSnapshot) -> f64 {
        let mut cost = 0.0;
        for (operation, outcomes) in &s3.requests {
            let price = match operation {
                Operation::GetObject | Operation::HeadObject | Operation::HeadBucket => {
                    self.prices.get
                }
                Operation::DeleteObject | Operation::DeleteObjects => 0.0,
                _ => self.prices.put,
            };
            cost += thousands(outcomes.total() - outcomes.no_answer) * price;
        }
        cost
    }

    fn granted_cost(&self) -> f64 {
        let of = |kind| self.grants.get_or_create(&ByKind { kind }).get();
        thousands(of(READ)) * self.prices.get + thousands(of(WRITE) + of(STAGED)) * self.prices.put
    }
}

#[expect(clippy::cast_precision_loss, reason = "money, for people")]
fn thousands(count: u64) -> f64 {
    count as f64 / 1000.0
}
