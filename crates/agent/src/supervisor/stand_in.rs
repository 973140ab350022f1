//! The stand-in: the workload's own application, which PID 1 runs while no other application does.
//! When it gives way, comes back, and is started again after a crash.

use std::{
    ffi::OsString,
    os::unix::ffi::OsStrExt,
    time::{Duration, Instant},
};

use super::{App, Supervisor};
use crate::protocol::{Bytes, Failed, STAND_IN, Start};

/// The kubelet's pauses between restarts of a container that crashes: the first restart is at once,
/// then each pause is twice as long as the one before.
const FIRST_PAUSE: Duration = Duration::from_secs(10);
const MOST_PAUSE: Duration = Duration::from_secs(300);
/// After a run of that length, in milliseconds, the pauses begin anew.
const GOOD_RUN_MS: u64 = 600_000;
/// Bytes of its output to keep: `kubectl logs` has all of it, and PID 1 stays small.
const MOST_RING: usize = 64 << 10;

/// When the stand-in is started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StandIn {
    /// There is none.
    Absent,
    /// As soon as no other application runs.
    Due(Backoff),
    /// It was started.
    Started(Backoff),
    /// It ended by itself: not before that time.
    Waits(Instant, Backoff),
}

/// The next pause.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Backoff(Duration);

impl Backoff {
    /// The pause after a run of `ran_ms`, and the state after it.
    fn after(self, ran_ms: u64) -> (Duration, Self) {
        let pause = if ran_ms >= GOOD_RUN_MS { Duration::ZERO } else { self.0 };
        (pause, Self((pause * 2).clamp(FIRST_PAUSE, MOST_PAUSE)))
    }
}

impl Supervisor {
    /// Adds the stand-in, which starts when [`Supervisor::check_applications`] is called.
    pub(crate) fn add_stand_in(&mut self, command: &[OsString]) {
        let command = command.iter().map(|word| Bytes(word.as_bytes().to_vec())).collect();
        let start = Start { name: STAND_IN.to_owned(), command, ..Start::default() };
        let app = App::new(start, self.ring.min(MOST_RING), self.mark.clone());
        self.apps.insert(STAND_IN.to_owned(), app);
        self.stand_in = StandIn::Due(Backoff::default());
    }

    /// Whether an application other than the stand-in runs or is about to.
    pub(crate) fn is_taken(&self) -> bool {
        self.apps.values().any(|app| !app.is_stand_in() && app.is_wanted())
    }

    /// Whether processes of the stand-in still run, so that no other application may start.
    pub(super) fn stand_in_runs(&self) -> bool {
        self.apps.get(STAND_IN).is_some_and(App::is_alive)
    }

    /// Refuses to start, stop or remove an application with the stand-in's name.
    pub(super) fn is_free_name(name: &str) -> Result<(), Failed> {
        if name != STAND_IN {
            return Ok(());
        }
        let why = format!(
            "{STAND_IN} is the workload's own application, which runs while no other one does"
        );
        Err(Failed::Busy { why })
    }

    /// Stops the stand-in for other applications, and kills what is left of it after its own end,
    /// as the kernel does after the end of PID 1.
    pub(super) fn stop_stand_in(&mut self, now: Instant) {
        let is_taken = self.is_taken();
        let waiting = self.apps.values().filter(|app| !app.is_stand_in());
        let grace_ms = waiting.filter_map(|app| Some(app.then.as_ref()?.start.grace_ms)).max();
        let Some(app) = self.apps.get_mut(STAND_IN) else { return };
        if is_taken {
            app.then = None;
            app.stop(grace_ms.unwrap_or_default(), now);
        } else if app.is_alive() && app.has_ended() && !app.is_stopping() {
            app.stop(0, now);
            app.check(now);
        }
    }

    /// Starts the stand-in if it is due and no other application runs.
    pub(super) fn start_stand_in(&mut self, now: Instant) {
        let is_taken = self.ending || self.is_taken();
        let Some(app) = self.apps.get_mut(STAND_IN) else { return };
        if app.is_wanted() {
            // It may have been restarted by request.
            if let StandIn::Waits(_, backoff) = self.stand_in {
                self.stand_in = StandIn::Started(backoff);
            }
            return;
        }
        if let StandIn::Started(backoff) = self.stand_in {
            let end = app.end().filter(|end| !end.asked);
            self.stand_in = end.map_or(StandIn::Due(backoff), |end| {
                let (pause, next) = backoff.after(end.at_ms.saturating_sub(app.since_ms));
                StandIn::Waits(now + pause, next)
            });
        }
        let backoff = match self.stand_in {
            StandIn::Absent | StandIn::Started(_) => return,
            StandIn::Due(backoff) | StandIn::Waits(_, backoff) if is_taken => {
                self.stand_in = StandIn::Due(backoff);
                return;
            }
            StandIn::Waits(at, _) if now < at => return,
            StandIn::Due(backoff) | StandIn::Waits(_, backoff) => backoff,
        };
        self.stand_in = StandIn::Started(backoff);
        let start = app.start().clone();
        if let Err(failed) = app.again(start) {
            app.fail_to_start(if let Failed::Spawn { code, .. } = failed { code } else { 1 });
            self.err.push(u64::MAX, format!("{STAND_IN}: {failed}").as_bytes(), false);
        }
    }

    /// How long until [`Supervisor::start_stand_in`] is due; `None` while only events matter.
    pub(super) fn stand_in_due(&self, now: Instant) -> Option<Duration> {
        let is_wanted = self.apps.get(STAND_IN).is_none_or(App::is_wanted);
        if self.ending || is_wanted || self.is_taken() {
            return None;
        }
        match self.stand_in {
            StandIn::Absent => None,
            StandIn::Due(_) | StandIn::Started(_) => Some(Duration::ZERO),
            StandIn::Waits(at, _) => Some(at.saturating_duration_since(now)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_between_restarts_are_the_kubelets() {
        let mut backoff = Backoff::default();
        let mut pauses = Vec::new();
        for ran_ms in [5, 5, 0, 5, 5, 5, 5, 599_999, 600_000, 5] {
            let (pause, next) = backoff.after(ran_ms);
            pauses.push(pause.as_secs());
            backoff = next;
        }
        assert_eq!(pauses, [0, 10, 20, 40, 80, 160, 300, 300, 0, 10]);
    }
}
