//! Stops applications in empty containers cleanly before these are deleted. An agent that is PID 1
//! does this itself; an uploaded one is killed with its container, together with its applications.

use std::time::Duration;

use serde_json::Value;
use tokio::time::timeout;

use super::Operation;
use crate::dev::{
    pods::{Pick, PodRequest, all},
    reach::existing,
    session::millis,
};
use diyadm_agent::protocol::{App, Request, State};

/// Time from SIGTERM to SIGKILL, as in `diyadm stop`.
const GRACE: u64 = 20;
/// Timeout for a container's answer.
const ANSWER: Duration = Duration::from_secs(10);
/// Timeout for stopping everything.
const STOPPED: Duration = Duration::from_secs(GRACE + 10);

impl Operation<'_> {
    /// Stops the applications in the emptied Pods of a workload that is being restored. Missing
    /// rights or answers are ignored, since the containers' end stops them too.
    pub(crate) async fn stop_applications(&self, workload: &Value, pods: &[Value]) {
        let owners = std::slice::from_ref(workload);
        let running = all(pods, PodRequest { owners, ..PodRequest::default() }).unwrap_or_default();
        for pick in running.into_iter().filter(|pick| pick.live.is_none()) {
            if let Some(stopped) = self.stop_in(&pick).await.filter(|names| !names.is_empty()) {
                let what = format!("{} in {} was stopped", stopped.join(", "), pick.shown());
                self.terminal.done(&what, None);
            }
        }
    }

    /// Names of stopped applications.
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
        // The agent keeps running for clients that follow the output to its end.
        let stop = Request::StopAll { grace_ms: millis(GRACE), exit: false };
        timeout(STOPPED, agent.talk.ask(&stop)).await.ok()?.ok()?;
        Some(running)
    }
}
