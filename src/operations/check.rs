//! What `check` finds out about an installation; `install` and `verify` use it to explain a failure.

use anyhow::Result;

use super::certificates;
use crate::{
    kubernetes::Cluster,
    report::{self, ReportFormat},
    ui::terminal::{self, Mark, Terminal},
    webhook::checks::{self, CheckSubject, Finding, Level, Observed},
};

pub(crate) mod connection;
mod laps;
pub(crate) mod manifest;
pub(crate) mod observe;
pub(crate) mod policy;
mod probe;
pub(crate) mod version;

use laps::Laps;

/// Prints the findings of a command.
pub(crate) fn print_findings(
    terminal: &Terminal,
    format: ReportFormat,
    command: &str,
    findings: &[Finding],
) -> Result<()> {
    match format {
        ReportFormat::Text => {
            findings.iter().for_each(|finding| print_finding(terminal, finding));
            Ok(())
        }
        ReportFormat::Json => terminal::print(&report::json(findings)?),
        ReportFormat::Junit => terminal::print(&report::junit(command, findings)),
    }
}

/// Prints a finding, with its hint on a separate line.
pub(crate) fn print_finding(terminal: &Terminal, finding: &Finding) {
    let mark = match finding.level {
        Level::Ok => Mark::Success,
        Level::Warning => Mark::Warning,
        Level::Failed => Mark::Failure,
        Level::Unknown => Mark::Unknown,
    };
    terminal.result(mark, &finding.seen, &finding.hint);
}

/// Runs the checks.
pub(crate) async fn findings(cluster: &Cluster, subject: &CheckSubject) -> Result<Vec<Finding>> {
    let (observed, laps) = observe::observe(cluster, subject).await?;
    judge(subject, &observed, laps)
}

/// Runs the checks, and finds the reason of a failure that a policy hides.
pub(crate) async fn findings_with_probe(
    cluster: &Cluster,
    subject: &CheckSubject,
) -> Result<Vec<Finding>> {
    let (mut observed, mut laps) = observe::observe(cluster, subject).await?;
    laps.measure("dry-run", probe::ask(cluster, subject, &mut observed)).await?;
    judge(subject, &observed, laps)
}

fn judge(subject: &CheckSubject, observed: &Observed, laps: Laps) -> Result<Vec<Finding>> {
    let mut findings = checks::findings(observed, subject, certificates::now()?);
    laps.hand_out(&mut findings);
    Ok(findings)
}
