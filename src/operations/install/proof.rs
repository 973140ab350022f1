//! Checks that the installation empties new objects.

use std::time::{Duration, Instant};

use anyhow::Result;
use serde_json::Value;

use crate::{
    exit::{Failure, Topic},
    kubernetes::{Cluster, WriteMode},
    operations::{check, flags::render::Mode},
    ui::terminal::Terminal,
    webhook::checks::{CheckSubject, Finding, Level},
};

/// Pause between two attempts.
pub(super) const PAUSE: Duration = Duration::from_millis(500);

/// A dry-run create that must be emptied, which shows that the API server calls the webhook or
/// knows the policy.
pub(super) struct Proof<'a> {
    pub(super) subject: &'a CheckSubject,
    pub(super) object: Value,
    pub(super) mode: Mode,
}

impl Proof<'_> {
    /// Waits until it succeeds.
    ///
    /// # Errors
    /// Where it does not within so many seconds: what `check` finds is printed before.
    pub(super) async fn wait(
        mut self,
        terminal: &Terminal,
        cluster: &Cluster,
        seconds: u64,
        is_emptied: impl Fn(&Value) -> bool,
    ) -> Result<()> {
        // A unique name, so that existing objects do not interfere.
        self.object["metadata"]["name"] = "diyadm-check".into();
        let deadline = Instant::now() + Duration::from_secs(seconds);
        let mut wait = terminal.wait();
        loop {
            wait.say("waiting until a dry-run create is emptied");
            // A rejection may come from an API server with an old state.
            if let Ok(created) = cluster.create(&self.object, WriteMode::DryRun).await
                && is_emptied(&created)
            {
                return Ok(());
            }
            if Instant::now() > deadline {
                break;
            }
            tokio::time::sleep(PAUSE).await;
        }
        drop(wait);
        for finding in self.wrong(cluster).await? {
            check::print_finding(terminal, &finding);
        }
        let Self { subject, mode, .. } = self;
        let (what, probe) = match mode {
            Mode::Webhook => ("webhook", "--probe"),
            Mode::Policy => ("policy", "--mode policy"),
        };
        let image = if mode == Mode::Webhook { subject.image_flag() } else { String::new() };
        let what = format!("The {what} is installed, but new objects are not emptied.");
        let hint = format!("Find out why with `diyadm check {probe}{}{image}`.", subject.flags);
        Err(Failure::no(Topic::Installation, what, hint).into())
    }

    /// The problems found by `check`.
    async fn wrong(&self, cluster: &Cluster) -> Result<Vec<Finding>> {
        let findings = match self.mode {
            Mode::Webhook => check::findings(cluster, self.subject).await?,
            Mode::Policy => check::policy::findings(cluster, self.subject).await?,
        };
        Ok(findings.into_iter().filter(|finding| finding.level == Level::Failed).collect())
    }
}
