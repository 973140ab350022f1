//! How long to wait between tries. Pure.

use std::time::Duration;

const FIRST: Duration = Duration::from_millis(250);
/// After so long in all it is of no use any more.
const ENOUGH: Duration = Duration::from_secs(120);

/// Pauses that double from a quarter of a second to five seconds, for two minutes.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Backoff {
    tries: u32,
    waited: Duration,
}

impl Backoff {
    /// The longest pause.
    pub(crate) const LONGEST: Duration = Duration::from_secs(5);

    /// The next pause; `None` when it was tried for long enough.
    pub(crate) fn pause(&mut self) -> Option<Duration> {
        if self.waited >= ENOUGH {
            return None;
        }
        let pause = FIRST.saturating_mul(1 << self.tries.min(8)).min(Self::LONGEST);
        self.tries += 1;
        self.waited += pause;
        Some(pause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_end() {
        let mut backoff = Backoff::default();
        let pauses: Vec<_> = std::iter::from_fn(|| backoff.pause()).collect();
        let first: Vec<_> = pauses.iter().take(6).map(Duration::as_millis).collect();
        assert_eq!(first, [250, 500, 1000, 2000, 4000, 5000]);
        let all: Duration = pauses.iter().sum();
        assert!(all >= ENOUGH && all < ENOUGH + Backoff::LONGEST);
        assert_eq!(backoff.pause(), None);
    }
}
