//! The server's metrics: all names, help texts and labels, and `GET /metrics` in Prometheus' text
//! format. prometheus-client counts and encodes; values that other modules already count are read
//! at each scrape.

use std::{
    fmt::{self, Debug, Formatter},
    sync::Arc,
    time::Duration,
};

use actix_web::{HttpResponse, web};
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric, prometheus_text},
    metrics::{
        MetricType,
        counter::{ConstCounter, Counter},
        family::Family,
        gauge::{ConstGauge, Gauge},
        histogram::Histogram,
    },
    registry::Registry,
};

use super::{
    log,
    peers::{CLOSED, Peers, Resource},
    rules,
    tls::Counters,
};
use crate::{
    kinds::{self, SERVICE},
    platform::process::usage,
    webhook::admission::Record,
};

/// Upper bounds of the latency histogram in seconds: a review takes tens of microseconds.
const BOUNDS: [f64; 7] = [0.000_01, 0.000_03, 0.000_1, 0.000_3, 0.001, 0.01, 0.1];

/// The values of the labels; any other value becomes [`OTHER`], so that a sender cannot create
/// endless series.
const OPERATIONS: [&str; 4] = ["CONNECT", "CREATE", "DELETE", "UPDATE"];
const OTHER: &str = "other";

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReviewLabels {
    operation: &'static str,
    kind: &'static str,
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RefusedLabels {
    code: u16,
}

/// Metrics of the review handlers.
pub(super) struct Metrics {
    reviews: Family<ReviewLabels, Counter>,
    seconds: Histogram,
    refused: Family<RefusedLabels, Counter>,
    /// Reviews whose body is being received.
    pub(super) arriving: Gauge,
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            reviews: Family::default(),
            seconds: Histogram::new(BOUNDS),
            refused: Family::default(),
            arriving: Gauge::default(),
        }
    }
}

impl Metrics {
    /// Counts a request that got the HTTP status `code` instead of an AdmissionReview.
    pub(super) fn refused(&self, code: u16) {
        self.refused.get_or_create(&RefusedLabels { code }).inc();
    }

    /// Counts an answered review.
    pub(super) fn answered(&self, record: &Record, took: Duration) {
        let operation = OPERATIONS.into_iter().find(|known| *known == record.operation);
        let kind = kinds::workloads().chain([&SERVICE]).find(|known| known.kind == record.kind);
        let labels = ReviewLabels {
            operation: operation.unwrap_or(OTHER),
            kind: kind.map_or(OTHER, |kind| kind.kind),
            outcome: record.outcome.as_str(),
        };
        self.reviews.get_or_create(&labels).inc();
        self.seconds.observe(took.as_secs_f64());
    }

    /// All metrics of the server.
    pub(super) fn registry(
        &self,
        tls: &Counters,
        rules: &rules::Live,
        peers: Arc<Peers>,
    ) -> Registry {
        // The library adds a full stop to each help text, and `_total` to each counter's name.
        let mut registry = Registry::default();
        registry.register_collector(Box::new(Process));
        let all = registry.sub_registry_with_prefix("diyadm");
        all.register("reviews", "Reviews by operation, kind and outcome", self.reviews.clone());
        let help = "Time from a review's body to its answer";
        all.register("review_seconds", help, self.seconds.clone());
        let help = "Requests that got no AdmissionReview, by HTTP status";
        all.register("refused", help, self.refused.clone());
        all.register(
            "reviews_arriving",
            "Reviews whose body is being received",
            self.arriving.clone(),
        );
        let help = "When the certificate expires, in seconds since 1970";
        all.register("certificate_not_after_seconds", help, tls.not_after.clone());
        let help = "Certificates loaded after the first";
        all.register("certificate_reloads", help, tls.reloaded.clone());
        let help = "Certificates that could not be used";
        all.register("certificate_refused", help, tls.refused.clone());
        all.register("rules_reloads", "Changes of rules.yaml loaded", rules.reloaded.clone());
        let help = "Changes of rules.yaml that are invalid";
        all.register("rules_refused", help, rules.refused.clone());
        all.register_collector(Box::new(Connections(peers)));
        registry
    }
}

/// The amounts in [`Peers`], read at each scrape.
struct Connections(Arc<Peers>);

impl Debug for Connections {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("Connections")
    }
}

impl Collector for Connections {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let Self(peers) = self;
        for (name, help, resource) in [
            (
                "reviews_in_flight",
                "Reviews being answered, each until its answer is written.",
                Resource::Reviews,
            ),
            ("bytes_in_flight", "Bytes of requests and answers in memory.", Resource::Bytes),
            ("connections", "Open connections to the port of the reviews.", Resource::Connections),
        ] {
            gauge(&mut encoder, name, help, peers.held(resource))?;
        }
        let help = "Connections that the server closed, by reason.";
        let mut closed =
            encoder.encode_descriptor("connections_closed", help, None, MetricType::Counter)?;
        for (reason, why) in CLOSED {
            let labels = [("reason", reason)];
            ConstCounter::new(peers.closed(why)).encode(closed.encode_family(&labels)?)?;
        }
        let help = "Log lines that could not be written.";
        let lost = encoder.encode_descriptor("log_lines_lost", help, None, MetricType::Counter)?;
        ConstCounter::new(log::lost()).encode(lost)
    }
}

/// The standard process metrics of Prometheus clients.
#[derive(Debug)]
struct Process;

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let (descriptors, resident) = usage();
        gauge(&mut encoder, "process_open_fds", "Open file descriptors.", descriptors)?;
        let help = "Resident memory in bytes.";
        gauge(&mut encoder, "process_resident_memory_bytes", help, resident)
    }
}

fn gauge(encoder: &mut DescriptorEncoder<'_>, name: &str, help: &str, value: usize) -> fmt::Result {
    let gauge = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
    ConstGauge::new(value).encode(gauge)
}

/// `GET /metrics`
pub(super) async fn expose(registry: web::Data<Registry>) -> HttpResponse {
    let mut text = String::new();
    match prometheus_text::encode(&mut text, &registry) {
        Ok(()) => HttpResponse::Ok().content_type(prometheus_text::CONTENT_TYPE).body(text),
        Err(fmt::Error) => HttpResponse::InternalServerError().finish(),
    }
}
