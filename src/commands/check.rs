//! `diyadm check`: checks everything that the webhook needs, and reports problems.

use std::time::Instant;

use anyhow::Result;

use super::{certificates, runtime};
use crate::{
    cli::{Global, Report, check::Check, render::Mode},
    exit::Code,
    kubernetes::{CONFIGURATION, Cluster, POLICY},
    operations::webhook_names,
    report,
    ui::terminal::{self, Mark, Terminal},
    webhook::checks::{self, Finding, Level, Observed, Subject},
};

mod connection;
mod laps;
mod manifest;
mod observe;
pub(super) mod policy;
mod probe;
pub(super) mod version;

pub(super) use connection::connect_as;
use laps::Laps;

const LEFT: &str = "A configuration diyadm-probe-… may remain, which matches nothing: \
                    `kubectl delete mutatingwebhookconfigurations -l diyadm.io/probe`.";

pub(super) fn run(global: &Global, args: &Check) -> Result<Code> {
    let terminal = Terminal::new(&global.terminal);
    let findings = match &args.manifest {
        Some(file) => {
            let began = Instant::now();
            let mut findings = manifest::run(&terminal, args, file)?;
            if let Some(first) = findings.first_mut() {
                *first = first.clone().took(began.elapsed());
            }
            findings
        }
        None => runtime::run(if args.probe { LEFT } else { "" }, async {
            // Flags are validated before the cluster is contacted.
            webhook_names::check(&args.names)?;
            let cluster = Cluster::connect(&global.connection).await.map_err(observe::blind)?;
            let kind = if args.mode == Mode::Policy { &POLICY } else { &CONFIGURATION };
            let resolved = webhook_names::resolve_to_look(&cluster, &args.names, kind).await;
            let subject = resolved.map_err(observe::blind)?.subject(&cluster, &args.image)?;
            match args.mode {
                Mode::Webhook if args.probe => findings_with_probe(&cluster, &subject).await,
                Mode::Webhook => self::findings(&cluster, &subject).await,
                Mode::Policy => policy::findings(&cluster, &subject).await,
            }
        })?,
    };
    match args.output {
        Report::Text => findings.iter().for_each(|finding| print_finding(&terminal, finding)),
        Report::Json => terminal::print(&report::json(&findings))?,
        Report::Junit => terminal::print(&report::junit("diyadm check", &findings))?,
    }
    Ok(code(&findings))
}

/// Prints a finding, with its hint on a separate line.
pub(super) fn print_finding(terminal: &Terminal, finding: &Finding) {
    let mark = match finding.level {
        Level::Ok => Mark::Success,
        Level::Warning => Mark::Warning,
        Level::Failed => Mark::Failure,
        Level::Unknown => Mark::Unknown,
    };
    terminal.result(mark, &finding.seen, &finding.hint);
}

/// 1 if something failed, else 2 if something could not be checked, else 0.
fn code(findings: &[Finding]) -> Code {
    let any = |level| findings.iter().any(|finding| finding.level == level);
    match (any(Level::Failed), any(Level::Unknown)) {
        (true, _) => Code::No,
        (false, true) => Code::Usage,
        (false, false) => Code::Done,
    }
}

/// Runs the checks.
pub(super) async fn findings(cluster: &Cluster, subject: &Subject) -> Result<Vec<Finding>> {
    let (observed, laps) = observe::observe(cluster, subject).await?;
    judge(subject, &observed, laps)
}

/// Runs the checks, and finds the reason of a failure that a policy hides.
async fn findings_with_probe(cluster: &Cluster, subject: &Subject) -> Result<Vec<Finding>> {
    let (mut observed, mut laps) = observe::observe(cluster, subject).await?;
    laps.of("dry-run", probe::ask(cluster, subject, &mut observed)).await?;
    judge(subject, &observed, laps)
}

fn judge(subject: &Subject, observed: &Observed, laps: Laps) -> Result<Vec<Finding>> {
    let mut findings = checks::findings(observed, subject, certificates::now()?);
    laps.hand_out(&mut findings);
    Ok(findings)
}
