//! What runs in empty containers ends in order before they go. Where the agent is PID 1 it sees to
//! that itself; one that was brought along is killed with its container, and what it supervises.

use std::time::Duration;

use serde_json::Value;
use tokio::time::timeout;

use super::Operation;
use crate::dev::{
    pods::{Pick, Wanted, all},
    reach::existing,
    session::millis,
};
use diyadm_agent::protocol::{App, Request, State};

/// From SIGTERM to SIGKILL, as `diyadm stop` has it.
const GRACE: u64 = 20;
/// How long a container may take to answer.
const ANSWER: Duration = Duration::from_secs(10);
/// And to have stopped everything.
const STOPPED: Duration = Duration::from_secs(GRACE + 10);

impl Operation<'_> {
    /// Stops what runs in the emptied Pods of a workload that goes back. Who may not look, or where
    /// nobody answers, is not held up by that: the container's end ends it too.
    pub(crate) async fn stop_applications(&self, workload: &Value, pods: &[Value]) {
        let owners = std::slice::from_ref(workload);
        let running = all(pods, Wanted { owners, ..Wanted::default() }).unwrap_or_default();
        for pick in running.into_iter().filter(|pick| pick.live.is_none()) {
            if let Some(stopped) = self.stop_in(&pick).await.filter(|names| !names.is_empty()) {
                let what = format!("{} in {} was stopped", stopped.join(", "), pick.shown());
                self.terminal.done(&what, None);
            }
        }
    }

    /// Names of what was stopped.
    async fn stop_in(&self, pick: &Pick) -> Option<Vec<String>> {
        let mut agent = timeout(ANSWER, existing(self.cluster, pick)).await.ok()?.ok()??;
        let apps = timeout(ANSWER, agent.apps()).await.ok()??;
        if apps.supervisor?.pid == 1 {
            return None;
        }
        let runs = |app: &App| !matches!(app.state, State::Ended(_));
        let running: Vec<_> = apps.apps.into_iter().filter(runs).map(|app| app.name).collect();
        if running.is_empty() {
            return None;
        }
        // The agent stays, for those who follow what it ran to its end.
        let stop = Request::StopAll { grace_ms: millis(GRACE), exit: false };
        timeout(STOPPED, agent.talk.ask(&stop)).await.ok()?.ok()?;
        Some(running)
    }
}
