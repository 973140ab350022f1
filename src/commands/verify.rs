//! `diyadm verify`: creates templates/test.yaml in the namespace, and checks the result.

use std::time::Instant;

use anyhow::Result;

use super::runtime;
use crate::{
    cli::Global,
    exit::{Code, Failure, Topic},
    kubernetes::{CONFIGURATION, Cluster, DryRun, POLICY},
    operations::{
        check,
        flags::{render::Mode, verify::VerifyArgs},
        verify::{self, offline},
        webhook_names,
    },
    ui::terminal::Terminal,
    webhook::checks::Level,
};

pub(super) fn run(global: &Global, args: &VerifyArgs) -> Result<Code> {
    if args.offline {
        let verified = offline::verify(&Terminal::new(&global.terminal), args)?;
        return Ok(if verified { Code::Done } else { Code::No });
    }
    let terminal = Terminal::new(&global.terminal);
    if args.dry_run.mode == Some(DryRun::Client) {
        let what = "verify needs the API server, so --dry-run=client is not supported.";
        return Err(
            Failure::usage(Topic::CommandLine, what, "Use --dry-run=server or --offline.").into()
        );
    }
    webhook_names::check(&args.names)?;
    let left = if args.dry_run.mode.is_some() {
        String::new()
    } else {
        let kind = verify::kind(args).singular();
        let command = match &args.names.namespace {
            Some(namespace) => format!("kubectl -n {namespace} delete {kind} test"),
            None => format!("kubectl get {kind}s -A --field-selector metadata.name=test"),
        };
        format!("A {kind} test may remain: `{command}`.")
    };
    let began = Instant::now();
    let mut findings = runtime::run_interruptible(&left, async {
        let cluster = Cluster::connect(&global.connection).await?;
        let kind = if args.mode == Mode::Policy { &POLICY } else { &CONFIGURATION };
        let resolved = webhook_names::resolve_to_look(&cluster, &args.names, kind).await?;
        verify::verify(&cluster, args, &resolved).await
    })?;
    // Creating and reading is one step; findings of `check` have their own durations.
    if let [one] = findings.as_mut_slice() {
        *one = one.clone().took(began.elapsed());
    }
    check::print_findings(&terminal, args.output, "diyadm verify", &findings)?;
    let failed = findings.iter().any(|finding| finding.level == Level::Failed);
    Ok(if failed { Code::No } else { Code::Done })
}
