//! How the developer's loop ends, and what happens to its application.

use std::time::Duration;

use tokio::time::timeout;

use super::{
    dev_loop::Loop,
    follow::describe,
    project::Project,
    run::{interrupted, stop},
    session::Session,
    trouble::is_gone,
};
use crate::ui::text::clause;
use diyadm_agent::protocol::{Start, State};

/// Timeout for checking whether the application runs.
const ANSWER: Duration = Duration::from_secs(5);

/// How the loop ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Leave {
    /// By a key that keeps the application running.
    Running,
    /// The application is stopped, and the workload is to be restored.
    Restore,
    /// The application is stopped, and the workload has expired.
    Expired,
    /// By Ctrl-C, which keeps the application running.
    Interrupted,
}

impl Loop<'_> {
    /// Whether the application runs where it was started last, or where it would be started.
    pub(super) async fn is_running(&self) -> bool {
        let session = self.session;
        let started = self.started.borrow().clone();
        let was_started = started.is_some();
        let asking = async {
            let pick = match started {
                Some(pick) => pick,
                None => session.pick().await?,
            };
            let Some(mut agent) = session.existing_agent(&pick).await? else { return Ok(false) };
            let apps = session.list(&mut agent).await?.apps;
            let own = apps.iter().find(|app| app.name == self.start.name);
            anyhow::Ok(own.is_some_and(|app| !matches!(app.state, State::Ended(_))))
        };
        let answer = tokio::select! {
            answer = timeout(ANSWER, asking) => answer.ok(),
            () = interrupted() => None,
        };
        match answer {
            Some(Ok(runs)) => runs,
            Some(Err(error)) if is_gone(&error) => false,
            Some(Err(_)) | None => was_started,
        }
    }

    /// Stops the application in the Pod where it was started, if that Pod still runs.
    pub(super) async fn stop_started(&self) {
        let (session, Start { name, grace_ms, .. }) = (self.session, &self.start);
        let Some(pick) = self.started.borrow().clone() else { return };
        match stop(session, &pick, name, *grace_ms).await {
            Ok(app) => {
                session.terminal.done(&format!("{} in {}", describe(&app), pick.shown()), None);
            }
            // It ended with its Pod.
            Err(error) if is_gone(&error) => {}
            Err(error) => {
                let why = clause(format_args!("{error:#}"));
                session.terminal.warn(&format!("{name} may still run in {}: {why}", pick.shown()));
            }
        }
    }
}

/// What remains after the loop, with a hint.
pub(crate) fn what_remains(session: &Session<'_>, project: &Project, runs: bool) -> String {
    let (target, name) = (&session.target, project.name());
    let (shown, typed) = (&target.shown, &target.typed);
    let restore = format!("`diyadm restore {}`", target.empty_words(session.cluster, shown));
    if !runs {
        return format!(
            "{name} does not run in {shown}: `diyadm dev` starts it, {restore} restores the \
             workload."
        );
    }
    format!(
        "{name} keeps running in {shown}: `diyadm dev` continues with it, `diyadm stop {typed} \
         {name}` stops it, {restore} restores the workload."
    )
}
