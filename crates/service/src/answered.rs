//! The requests that were answered, by route, method and status. Each has its counter at a place of
//! its own: to find one by its labels would cost more than the rest of the count.

use std::fmt;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http::{Method, StatusCode};
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Unit;

use crate::route::Route;

/// Upper bounds of latencies, in seconds.
const SECONDS: [f64; 14] = [
    0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0,
];
/// Methods by name; the last is for those that are none of ours, as there can be any number.
const METHODS: [&str; 7] = ["GET", "HEAD", "PUT", "POST", "DELETE", "OPTIONS", "other"];
/// The statuses of HTTP from 100 on; others count as the last.
const STATUSES: usize = 500;

/// A request's route and method.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Kind {
    route: usize,
    method: usize,
}

impl Kind {
    pub(crate) fn of(route: Route<'_>, method: &Method) -> Self {
        let method = match *method {
            Method::GET => 0,
            Method::HEAD => 1,
            Method::PUT => 2,
            Method::POST => 3,
            Method::DELETE => 4,
            Method::OPTIONS => 5,
            _ => 6,
        };
        Self {
            route: route.index(),
            method,
        }
    }

    pub(crate) fn is_of(self, route: Route<'_>) -> bool {
        self.route == route.index()
    }

    pub(crate) fn route(self) -> &'static str {
        Route::NAMES[self.route]
    }

    pub(crate) fn method(self) -> &'static str {
        METHODS[self.method]
    }
}

/// What was answered, and how long it took. What never was takes no memory and is not told.
#[derive(Default)]
pub(crate) struct Answered {
    routes: [OfRoute; Route::NAMES.len()],
}

#[derive(Default)]
struct OfRoute {
    latency: OnceLock<Histogram>,
    methods: [OnceLock<Box<[AtomicU64; STATUSES]>>; METHODS.len()],
}

impl Answered {
    pub(crate) fn count(&self, kind: Kind, status: StatusCode, took: Duration) {
        let of_route = &self.routes[kind.route];
        let statuses = of_route.methods[kind.method]
            .get_or_init(|| Box::new([const { AtomicU64::new(0) }; STATUSES]));
        let status = usize::from(status.as_u16()) - 100;
        statuses[status.min(STATUSES - 1)].fetch_add(1, Ordering::Relaxed);
        of_route
            .latency
            .get_or_init(|| Histogram::new(SECONDS))
            .observe(took.as_secs_f64());
    }

    pub(crate) fn encode(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let kind = ConstCounter::new(0_u64).metric_type();
        let mut family = encoder.encode_descriptor("requests", "Requests answered", None, kind)?;
        for (kind, status, count) in self.counts() {
            let labels = [
                ("route", kind.route()),
                ("method", kind.method()),
                ("status", &status.to_string()),
            ];
            ConstCounter::new(count).encode(family.encode_family(&labels)?)?;
        }
        let mut family = encoder.encode_descriptor(
            "request_duration",
            "From the head of a request to its answer",
            Some(&Unit::Seconds),
            prometheus_client::metrics::MetricType::Histogram,
        )?;
        for (of_route, name) in self.routes.iter().zip(Route::NAMES) {
            if let Some(latency) = of_route.latency.get() {
                latency.encode(family.encode_family(&[("route", name)])?)?;
            }
        }
        Ok(())
    }

    /// All counters that have counted.
    fn counts(&self) -> impl Iterator<Item = (Kind, usize, u64)> {
        self.routes.iter().enumerate().flat_map(|(route, of)| {
            of.methods.iter().enumerate().flat_map(move |(method, of)| {
                let statuses = of.get().into_iter().flat_map(|statuses| statuses.iter());
                let counts = statuses.map(|count| count.load(Ordering::Relaxed));
                counts
                    .enumerate()
                    .filter(|(_, count)| *count > 0)
                    .map(move |(status, count)| (Kind { route, method }, status + 100, count))
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_counted_at_its_place() {
        let answered = Answered::default();
        let odd = Method::from_bytes(b"BREW").unwrap();
        for (route, method, status) in [
            (Route::Gateway, &Method::GET, 200),
            (Route::Gateway, &Method::GET, 200),
            (Route::Gateway, &Method::GET, 404),
            (Route::Block("x"), &Method::DELETE, 204),
            (Route::File("/"), &odd, 599),
            (Route::File("/"), &odd, 999),
        ] {
            let status = StatusCode::from_u16(status).unwrap();
            answered.count(Kind::of(route, method), status, Duration::ZERO);
        }
        let counts: Vec<_> = answered
            .counts()
            .map(|(kind, status, count)| (kind.route(), kind.method(), status, count))
            .collect();
        assert_eq!(
            counts,
            [
                ("/v1/blocks/{cid}", "DELETE", 204, 1),
                ("/ipfs/{cid}", "GET", 200, 2),
                ("/ipfs/{cid}", "GET", 404, 1),
                ("/", "other", 599, 2),
            ]
        );
    }

    #[derive(Debug)]
    struct Told;

    impl prometheus_client::collector::Collector for Told {
        fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
            let answered = Answered::default();
            let get = Kind::of(Route::Gateway, &Method::GET);
            for status in [StatusCode::OK, StatusCode::OK, StatusCode::NOT_FOUND] {
                answered.count(get, status, Duration::from_millis(2));
            }
            answered.encode(&mut encoder)
        }
    }

    #[test]
    fn they_are_told_by_their_labels() {
        let mut registry = prometheus_client::registry::Registry::default();
        registry.register_collector(Box::new(Told));
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        for line in [
            r#"requests_total{route="/ipfs/{cid}",method="GET",status="200"} 2"#,
            r#"requests_total{route="/ipfs/{cid}",method="GET",status="404"} 1"#,
            r#"request_duration_seconds_count{route="/ipfs/{cid}"} 3"#,
            r#"request_duration_seconds_bucket{le="0.001",route="/ipfs/{cid}"} 0"#,
            r#"request_duration_seconds_bucket{le="0.0025",route="/ipfs/{cid}"} 3"#,
        ] {
            assert!(text.lines().any(|own| own == line), "{line} in {text}");
        }
        // Of what was not asked nothing is told.
        assert!(
            !text.contains("HEAD") && !text.contains("/v1/info"),
            "{text}"
        );
    }
}
