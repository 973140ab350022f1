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

use super::{Shared, tls::Counters};
use crate::admission::Record;

/// Upper bounds of the latency histogram, microseconds: a review takes tens of them.
const BOUNDS: [u128; 7] = [10, 30, 100, 300, 1_000, 10_000, 100_000];

#[derive(Default)]
pub(super) struct Metrics {
    reviews: Mutex<BTreeMap<[&'static str; 3], u64>>,
    buckets: [AtomicU64; BOUNDS.len()],
    count: AtomicU64,
    micros: AtomicU64,
    rejected: AtomicU64,
}

impl Metrics {
    pub(super) fn rejected(&self) {
        self.rejected.fetch_add(1, Relaxed);
    }

    pub(super) fn answered(&self, record: &Record, took: Duration) {
        // Labels from a fixed list: a sender cannot make series without end.
        let of = |known: &[&'static str], word: &str| {
            known.iter().find(|k| **k == word).copied().unwrap_or("other")
        };
        let labels = [
            of(&["CREATE", "UPDATE", "DELETE", "CONNECT"], &record.operation),
            of(&["Deployment", "StatefulSet", "Service"], &record.kind),
            record.outcome.as_str(),
        ];
        if let Ok(mut reviews) = self.reviews.lock() {
            *reviews.entry(labels).or_default() += 1;
        }
        let took = took.as_micros();
        for (bound, bucket) in BOUNDS.iter().zip(&self.buckets) {
            if took <= *bound {
                bucket.fetch_add(1, Relaxed);
            }
        }
        self.count.fetch_add(1, Relaxed);
        self.micros.fetch_add(u64::try_from(took).unwrap_or(u64::MAX), Relaxed);
    }

    fn text(&self, in_flight: usize, tls: &Counters) -> String {
        let mut out = String::new();
        let mut line = |text: std::fmt::Arguments<'_>| {
            let _ = writeln!(out, "{text}");
        };
        line(format_args!("# TYPE diyadm_reviews_total counter"));
        if let Ok(reviews) = self.reviews.lock() {
            for ([operation, kind, outcome], n) in &*reviews {
                line(format_args!(
                    "diyadm_reviews_total{{operation=\"{operation}\",kind=\"{kind}\",\
                     outcome=\"{outcome}\"}} {n}"
                ));
            }
        }
        line(format_args!("# TYPE diyadm_review_seconds histogram"));
        for (bound, bucket) in BOUNDS.iter().zip(&self.buckets) {
            let seconds = Duration::from_micros(u64::try_from(*bound).unwrap_or(u64::MAX));
            line(format_args!(
                "diyadm_review_seconds_bucket{{le=\"{}\"}} {}",
                seconds.as_secs_f64(),
                bucket.load(Relaxed)
            ));
        }
        let (count, micros) = (self.count.load(Relaxed), self.micros.load(Relaxed));
        line(format_args!("diyadm_review_seconds_bucket{{le=\"+Inf\"}} {count}"));
        let seconds = Duration::from_micros(micros).as_secs_f64();
        line(format_args!("diyadm_review_seconds_sum {seconds}"));
        line(format_args!("diyadm_review_seconds_count {count}"));
        for (name, kind, value) in [
            ("diyadm_reviews_in_flight", "gauge", in_flight as u64),
            ("diyadm_reviews_rejected_total", "counter", self.rejected.load(Relaxed)),
            ("diyadm_certificate_not_after_seconds", "gauge", tls.not_after.load(Relaxed)),
            ("diyadm_certificate_reloads_total", "counter", tls.reloaded.load(Relaxed)),
            ("diyadm_certificate_refused_total", "counter", tls.refused.load(Relaxed)),
        ] {
            line(format_args!("# TYPE {name} {kind}\n{name} {value}"));
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
    let text = shared.metrics.text(shared.in_flight.load(Relaxed), &tls);
    HttpResponse::Ok().content_type("text/plain; version=0.0.4").body(text)
}
