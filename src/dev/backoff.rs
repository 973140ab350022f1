//! The pauses between attempts to reach a container again. Pure.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};

/// The longest pause.
pub(crate) const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Pauses that double from a quarter of a second to five seconds, for two minutes in all.
pub(crate) fn pauses() -> impl Iterator<Item = Duration> + use<> {
    ExponentialBuilder::new()
        .with_min_delay(Duration::from_millis(250))
        .with_max_delay(LONGEST_PAUSE)
        .without_max_times()
        .with_total_delay(Some(Duration::from_secs(120)))
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backoff_doubles_up_to_its_limit() {
        let all: Vec<_> = pauses().collect();
        let first: Vec<_> = all.iter().take(6).map(Duration::as_millis).collect();
        assert_eq!(first, [250, 500, 1000, 2000, 4000, 5000]);
        let total: Duration = all.iter().sum();
        assert!(total <= Duration::from_secs(120) && total > Duration::from_secs(110), "{total:?}");
    }
}
