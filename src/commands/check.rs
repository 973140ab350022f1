//! `diyadm check`: checks everything that the webhook needs, and reports problems.

use std::time::Instant;

use anyhow::Result;

use super::runtime;
use crate::{
    cli::Global,
    exit::{self, Code},
    kubernetes::{CONFIGURATION, Cluster, POLICY},
    operations::{
        check::{self, manifest, observe, policy},
        flags::{check::CheckArgs, render::Mode},
        webhook_names,
    },
    report::ReportFormat,
    ui::terminal::Terminal,
    webhook::checks::{Finding, Level},
};

const LEFT: &str = "A configuration diyadm-probe-… may remain, which matches nothing: \
                    `kubectl delete mutatingwebhookconfigurations -l diyadm.io/probe`.";

pub(super) fn run(global: &Global, args: &CheckArgs) -> Result<Code> {
    let terminal = Terminal::new(&global.terminal);
    let findings = match &args.manifest {
        Some(file) => {
            let began = Instant::now();
            let mut findings = manifest::check(&terminal, args, file)?;
            if let Some(first) = findings.first_mut() {
                *first = first.clone().took(began.elapsed());
            }
            findings
        }
        None => runtime::run_interruptible(if args.probe { LEFT } else { "" }, async {
            // Flags are validated before the cluster is contacted.
            webhook_names::check(&args.names)?;
            let cluster = Cluster::connect(&global.connection).await.map_err(observe::blind)?;
            let kind = if args.mode == Mode::Policy { &POLICY } else { &CONFIGURATION };
            let resolved = webhook_names::resolve_to_look(&cluster, &args.names, kind).await;
            let subject =
                resolved.map_err(observe::blind)?.subject(&cluster, &args.image.name())?;
            match args.mode {
                Mode::Webhook if args.probe => check::findings_with_probe(&cluster, &subject).await,
                Mode::Webhook => check::findings(&cluster, &subject).await,
                Mode::Policy => policy::findings(&cluster, &subject).await,
            }
        })?,
    };
    check::print_findings(&terminal, args.output, "diyadm check", &findings)?;
    if matches!(args.output, ReportFormat::Text) {
        name_page(&terminal, &findings);
    }
    Ok(code(&findings))
}

/// Names the page of the documentation with the anchors of what failed: a finding's id is its anchor.
fn name_page(terminal: &Terminal, findings: &[Finding]) {
    let failed = findings.iter().filter(|finding| finding.level == Level::Failed);
    let page = exit::page(failed.map(|finding| finding.id));
    if !page.is_empty() {
        terminal.say(&page);
    }
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
