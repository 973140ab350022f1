//! Counters, and their text for Prometheus (exposition format 0.0.4).

use std::{
    collections::BTreeMap,
    fmt::Write,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use actix_web::{HttpResponse, web};

use super::{
    Shared, log,
    peers::{CLOSED, Resource},
    process,
    tls::Counters,
};
use crate::webhook::admission::Record;

/// Upper bounds of the latency histogram, microseconds: a review takes tens of them.
const BOUNDS: [u64; 7] = [10, 30, 100, 300, 1_000, 10_000, 100_000];

/// What a label can say, in order: a sender cannot make series without end.
const OPERATIONS: [&str; 5] = ["CONNECT", "CREATE", "DELETE", "UPDATE", OTHER];
const KINDS: [&str; 9] = [
    "CronJob",
    "DaemonSet",
    "Deployment",
    "Job",
    "Pod",
    "ReplicaSet",
    "Service",
    "StatefulSet",
    OTHER,
];
const OUTCOMES: [&str; 4] = ["emptied", "refused", "restored", "unchanged"];
const OTHER: &str = "other";

#[derive(Default)]
pub(super) struct Metrics {
    /// By operation, kind and outcome; nothing that reviews wait for.
    reviews: [[[AtomicU64; OUTCOMES.len()]; KINDS.len()]; OPERATIONS.len()],
    /// Each by itself; the last is for what is past every bound.
    buckets: [AtomicU64; BOUNDS.len() + 1],
    micros: AtomicU64,
    refused: Mutex<BTreeMap<u16, u64>>,
}

impl Metrics {
    /// A request that got `code` instead of an AdmissionReview.
    pub(super) fn refused(&self, code: u16) {
        if let Ok(mut refused) = self.refused.lock() {
            *refused.entry(code).or_default() += 1;
        }
    }

    pub(super) fn answered(&self, record: &Record, took: Duration) {
        let of = |known: &[&str], word: &str| {
            known.iter().position(|known| *known == word).unwrap_or(known.len() - 1)
        };
        let operation = of(&OPERATIONS, &record.operation);
        let kind = of(&KINDS, &record.kind);
        let outcome = of(&OUTCOMES, record.outcome.as_str());
        self.reviews[operation][kind][outcome].fetch_add(1, Relaxed);
        let took = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let bucket = BOUNDS.iter().position(|bound| took <= *bound).unwrap_or(BOUNDS.len());
        self.buckets[bucket].fetch_add(1, Relaxed);
        self.micros.fetch_add(took, Relaxed);
    }

    fn text(&self, shared: &Shared, tls: &Counters) -> String {
        let (peers, rules) = (&shared.peers, &shared.rules);
        let mut out = String::new();
        let mut family = |name: &str, kind: &str, help: &str, samples: &[(String, String)]| {
            let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}");
            for (suffix, value) in samples {
                let _ = writeln!(out, "{name}{suffix} {value}");
            }
        };
        let mut reviews = Vec::new();
        for (operation, kinds) in OPERATIONS.iter().zip(&self.reviews) {
            for (kind, outcomes) in KINDS.iter().zip(kinds) {
                for (outcome, n) in OUTCOMES.iter().zip(outcomes) {
                    let labels = format!(
                        "{{operation=\"{operation}\",kind=\"{kind}\",outcome=\"{outcome}\"}}"
                    );
                    reviews.push((labels, n.load(Relaxed)));
                }
            }
        }
        reviews.retain(|(_, n)| *n > 0);
        let reviews: Vec<_> = reviews.into_iter().map(|(l, n)| (l, n.to_string())).collect();
        family("diyadm_reviews_total", "counter", "Reviews by what came of them.", &reviews);

        let seconds = |micros: u64| Duration::from_micros(micros).as_secs_f64().to_string();
        let mut count = 0;
        let mut up_to = |bucket: &AtomicU64| {
            count += bucket.load(Relaxed);
            count.to_string()
        };
        let mut histogram = Vec::new();
        for (at, bucket) in self.buckets.iter().enumerate() {
            let bound = BOUNDS.get(at).map_or("+Inf".to_owned(), |bound| seconds(*bound));
            histogram.push((format!("_bucket{{le=\"{bound}\"}}"), up_to(bucket)));
        }
        histogram.extend([
            ("_sum".to_owned(), seconds(self.micros.load(Relaxed))),
            ("_count".to_owned(), count.to_string()),
        ]);
        let help = "Time from a review's body to its answer.";
        family("diyadm_review_seconds", "histogram", help, &histogram);

        let refused = self.refused.lock().map(|refused| refused.clone()).unwrap_or_default();
        let refused: Vec<_> = refused
            .iter()
            .map(|(code, n)| (format!("{{code=\"{code}\"}}"), n.to_string()))
            .collect();
        let help = "Requests that got no AdmissionReview, by HTTP status.";
        family("diyadm_refused_total", "counter", help, &refused);

        let closed: Vec<_> = CLOSED
            .iter()
            .map(|(reason, why)| {
                (format!("{{reason=\"{reason}\"}}"), peers.closed(*why).to_string())
            })
            .collect();
        let help = "Connections that the server closed, by reason.";
        family("diyadm_connections_closed_total", "counter", help, &closed);

        let (descriptors, resident) = process::usage();
        for (name, kind, help, value) in [
            (
                "diyadm_reviews_in_flight",
                "gauge",
                "Reviews being answered; each until its answer is written.",
                peers.held(Resource::Reviews) as u64,
            ),
            (
                "diyadm_reviews_arriving",
                "gauge",
                "Reviews whose body is awaited.",
                shared.arriving.load(Relaxed) as u64,
            ),
            (
                "diyadm_bytes_in_flight",
                "gauge",
                "Bytes of requests and answers in memory.",
                peers.held(Resource::Bytes) as u64,
            ),
            (
                "diyadm_connections",
                "gauge",
                "Open connections to the port of the reviews.",
                peers.held(Resource::Connections) as u64,
            ),
            (
                "diyadm_log_lines_lost_total",
                "counter",
                "Lines of the log that could not be written.",
                log::lost(),
            ),
            ("process_open_fds", "gauge", "Open file descriptors.", descriptors as u64),
            ("process_resident_memory_bytes", "gauge", "Resident memory.", resident as u64),
            (
                "diyadm_certificate_not_after_seconds",
                "gauge",
                "When the certificate expires, seconds since 1970.",
                tls.not_after.load(Relaxed),
            ),
            (
                "diyadm_certificate_reloads_total",
                "counter",
                "Certificates taken after the first.",
                tls.reloaded.load(Relaxed),
            ),
            (
                "diyadm_certificate_refused_total",
                "counter",
                "Certificates that could not be used.",
                tls.refused.load(Relaxed),
            ),
            (
                "diyadm_rules_reloads_total",
                "counter",
                "Changes of rules.yaml that were taken.",
                rules.reloaded.load(Relaxed),
            ),
            (
                "diyadm_rules_refused_total",
                "counter",
                "Changes of rules.yaml that made no sense.",
                rules.refused.load(Relaxed),
            ),
        ] {
            family(name, kind, help, &[(String::new(), value.to_string())]);
        }
        out
    }
}

/// `GET /metrics`
pub(super) async fn expose(shared: web::Data<Shared>, tls: web::Data<Counters>) -> HttpResponse {
    let text = shared.metrics.text(&shared, &tls);
    HttpResponse::Ok().content_type("text/plain; version=0.0.4").body(text)
}
