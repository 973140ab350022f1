//! Measures the duration of each check for its finding.

use std::time::{Duration, Instant};

use crate::webhook::checks::Finding;

/// Durations by the id of the finding.
#[derive(Debug, Default)]
pub(super) struct Laps(Vec<(&'static str, Duration)>);

impl Laps {
    /// Runs and measures `work` for the finding `id`.
    pub(super) async fn measure<T>(
        &mut self,
        id: &'static str,
        work: impl Future<Output = T>,
    ) -> T {
        let began = Instant::now();
        let seen = work.await;
        self.0.push((id, began.elapsed()));
        seen
    }

    /// Assigns each duration to the first finding of its id, so that the sum is the total.
    pub(super) fn hand_out(self, findings: &mut [Finding]) {
        for (id, took) in self.0 {
            if let Some(finding) = findings.iter_mut().find(|finding| finding.id == id) {
                let before = Duration::from_micros(finding.micros);
                *finding = finding.clone().took(before + took);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_of_one_finding_add_up() {
        let ms = Duration::from_millis;
        let laps = Laps(vec![("service", ms(3)), ("missed", ms(1)), ("missed", ms(1))]);
        let ok = |id| Finding::ok(id, "x");
        let mut findings = [ok("version"), ok("service"), ok("service"), ok("missed")];
        laps.hand_out(&mut findings);
        assert_eq!(findings.map(|finding| finding.micros), [0, 3000, 0, 2000]);
    }
}
