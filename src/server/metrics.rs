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

use super::{Shared, rules::Live, tls::Counters};
use crate::admission::Record;

/// Upper bounds of the latency histogram, microseconds: a review takes tens of them.
const BOUNDS: [u64; 7] = [10, 30, 100, 300, 1_000, 10_000, 100_000];

/// Kinds that a review can be about.
const KINDS: [&str; 8] =
    ["CronJob", "DaemonSet", "Deployment", "Job", "Pod", "ReplicaSet", "Service", "StatefulSet"];

#[derive(Default)]
pub(super) struct Metrics {
    reviews: Mutex<BTreeMap<[&'static str; 3], u64>>,
    buckets: [AtomicU64; BOUNDS.len()],
    count: AtomicU64,
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
        // Labels from a fixed list: a sender cannot make series without end.
        let of = |known: &[&'static str], word: &str| {
            known.iter().find(|k| **k == word).copied().unwrap_or("other")
        };
        let labels = [
            of(&["CREATE", "UPDATE", "DELETE", "CONNECT"], &record.operation),
            of(&KINDS, &record.kind),
            record.outcome.as_str(),
        ];
        if let Ok(mut reviews) = self.reviews.lock() {
            *reviews.entry(labels).or_default() += 1;
        }
        let took = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        for (bound, bucket) in BOUNDS.iter().zip(&self.buckets) {
            if took <= *bound {
                bucket.fetch_add(1, Relaxed);
            }
        }
        self.count.fetch_add(1, Relaxed);
        self.micros.fetch_add(took, Relaxed);
    }

    fn text(&self, in_flight: usize, tls: &Counters, rules: &Live) -> String {
        let mut out = String::new();
        let mut family = |name: &str, kind: &str, help: &str, samples: &[(String, String)]| {
            let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}");
            for (suffix, value) in samples {
                let _ = writeln!(out, "{name}{suffix} {value}");
            }
        };
        let reviews = self.reviews.lock().map(|reviews| reviews.clone()).unwrap_or_default();
        let reviews: Vec<_> = reviews
            .iter()
            .map(|([operation, kind, outcome], n)| {
                let labels =
                    format!("{{operation=\"{operation}\",kind=\"{kind}\",outcome=\"{outcome}\"}}");
                (labels, n.to_string())
            })
            .collect();
        family("diyadm_reviews_total", "counter", "Reviews by what came of them.", &reviews);

        let (count, micros) = (self.count.load(Relaxed), self.micros.load(Relaxed));
        let seconds = |micros: u64| Duration::from_micros(micros).as_secs_f64().to_string();
        let buckets = BOUNDS.iter().zip(&self.buckets);
        let mut histogram: Vec<_> = buckets
            .map(|(bound, bucket)| {
                (format!("_bucket{{le=\"{}\"}}", seconds(*bound)), bucket.load(Relaxed).to_string())
            })
            .collect();
        histogram.extend([
            ("_bucket{le=\"+Inf\"}".to_owned(), count.to_string()),
            ("_sum".to_owned(), seconds(micros)),
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

        for (name, kind, help, value) in [
            (
                "diyadm_reviews_in_flight",
                "gauge",
                "Reviews being read or answered.",
                in_flight as u64,
            ),
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

/// `GET /readyz`: no once the server drains.
pub(super) async fn ready(shared: web::Data<Shared>) -> HttpResponse {
    if shared.draining.load(Relaxed) {
        HttpResponse::ServiceUnavailable().body("draining")
    } else {
        HttpResponse::Ok().body("ok")
    }
}

/// `GET /metrics`
pub(super) async fn expose(shared: web::Data<Shared>, tls: web::Data<Counters>) -> HttpResponse {
    let text = shared.metrics.text(shared.in_flight.load(Relaxed), &tls, &shared.rules);
    HttpResponse::Ok().content_type("text/plain; version=0.0.4").body(text)
}
