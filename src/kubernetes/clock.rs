//! The API server's clock, as its answers show it: the clock of this machine may be wrong by hours.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering::Relaxed},
};

use http::{HeaderMap, header::DATE};
use jiff::{SignedDuration, Timestamp, fmt::rfc2822};

use super::Cluster;

/// Seconds by which the API server's clock is ahead.
#[derive(Clone, Default)]
pub(super) struct Clock(Arc<AtomicI64>);

impl Clock {
    /// Reads the time of an answer.
    pub(super) fn set(&self, headers: &HeaderMap) {
        if let Some(date) = date(headers) {
            self.0.store(date.as_second() - Timestamp::now().as_second(), Relaxed);
        }
    }
}

impl Cluster {
    /// The time of the API server's clock, by its latest answer. Before one, and without a `Date` in
    /// it, the time of this machine.
    pub fn now(&self) -> Timestamp {
        let ahead = SignedDuration::from_secs(self.clock.0.load(Relaxed));
        let here = Timestamp::now();
        here.checked_add(ahead).unwrap_or(here)
    }

    /// The same in milliseconds since 1970.
    pub(crate) fn now_ms(&self) -> u64 {
        self.now().as_millisecond().unsigned_abs()
    }
}

/// When the server answered. `Date` has the form of an e-mail's date.
fn date(headers: &HeaderMap) -> Option<Timestamp> {
    rfc2822::parse(headers.get(DATE)?.to_str().ok()?).ok().map(|date| date.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_of_an_answer_is_its_date_header() {
        let mut headers = HeaderMap::new();
        assert_eq!(date(&headers), None);
        headers.insert(DATE, "Mon, 30 Nov 2026 21:03:51 GMT".parse().unwrap());
        assert_eq!(date(&headers), "2026-11-30T21:03:51Z".parse().ok());
        headers.insert(DATE, "yesterday".parse().unwrap());
        assert_eq!(date(&headers), None);
    }
}
