//! Readiness: whether a review would be answered now.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use actix_web::{HttpResponse, web};

use super::Shared;
use crate::version;

/// How often a worker reports that it is alive.
const BEAT: Duration = Duration::from_millis(500);

/// A worker without a report for this time is stuck; an API server would not wait longer.
const STUCK: Duration = Duration::from_secs(5);

/// The threads that answer reviews.
pub(super) struct Workers {
    start: Instant,
    /// When each last reported, in milliseconds since the start.
    beats: Mutex<Vec<Arc<AtomicU64>>>,
}

impl Default for Workers {
    fn default() -> Self {
        Self { start: Instant::now(), beats: Mutex::default() }
    }
}

impl Workers {
    /// Registers this thread.
    pub(super) fn add(&self) {
        let (beat, start) = (Arc::new(AtomicU64::new(0)), self.start);
        self.beats.lock().unwrap_or_else(PoisonError::into_inner).push(beat.clone());
        beat.store(millis(start), Relaxed);
        tokio::task::spawn_local(async move {
            loop {
                tokio::time::sleep(BEAT).await;
                beat.store(millis(start), Relaxed);
            }
        });
    }

    fn are_free(&self) -> bool {
        let now = Duration::from_millis(millis(self.start));
        let beats = self.beats.lock().unwrap_or_else(PoisonError::into_inner);
        beats
            .iter()
            .all(|beat| now.saturating_sub(Duration::from_millis(beat.load(Relaxed))) < STUCK)
    }
}

fn millis(start: Instant) -> u64 {
    u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX)
}

/// `GET /readyz`: fails while the server drains, or if a thread that answers reviews is stuck.
pub(super) async fn ready(shared: web::Data<Shared>) -> HttpResponse {
    if shared.draining.load(Relaxed) {
        HttpResponse::ServiceUnavailable().body("draining")
    } else if !shared.workers.are_free() {
        HttpResponse::ServiceUnavailable().body("a worker is stuck")
    } else {
        HttpResponse::Ok().body("ok")
    }
}

/// `GET /version`: what the server was built from, for `diyadm version`.
pub(super) async fn version() -> HttpResponse {
    HttpResponse::Ok().json(version::OWN)
}
