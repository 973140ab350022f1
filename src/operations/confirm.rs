//! Asks for confirmation on a terminal before workloads are changed that were not named one by one.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    io::{IsTerminal, stdin},
    thread,
};

use anyhow::Result;
use tokio::sync::oneshot;

use crate::{
    exit::{Failure, Topic},
    kinds::{self, Kind},
    kubernetes::targets::{Selection, Targeted},
    operations::Operation,
    ui::terminal::Terminal,
};

/// Whether a command asks first: if workloads were not named, something changes, `--yes` is not
/// set, and there is a terminal.
pub(super) fn is_wanted(operation: &Operation<'_>, targeted: &Targeted) -> bool {
    let is_interactive = operation.terminal.is_interactive() && stdin().is_terminal();
    !operation.work.yes
        && targeted.selection == Selection::Together
        && operation.is_real()
        && is_interactive
}

/// Asks whether to `verb` (`empty`) workloads of these kinds and namespaces, if there are any.
///
/// # Errors
/// The answer is no.
pub(super) async fn confirm<'a>(
    terminal: &Terminal,
    verb: &str,
    all: impl Iterator<Item = (&'static Kind, &'a str)>,
) -> Result<()> {
    let summary = summary(all);
    if summary.is_empty() {
        return Ok(());
    }
    terminal.ask(&format!("This would {verb}:\n{summary}Continue? [y/N] "));
    let (sender, answer) = oneshot::channel();
    // On its own thread, so that Ctrl-C ends the command while it waits.
    thread::spawn(move || {
        let mut line = String::new();
        let read = stdin().read_line(&mut line);
        // Nobody waits any more after Ctrl-C.
        let _ = sender.send(read.map(|_| line));
    });
    let answer = answer.await??;
    if ["y", "yes"].contains(&answer.trim().to_lowercase().as_str()) {
        return Ok(());
    }
    let hint = "Answer y, or use --yes.";
    Err(Failure::no(Topic::Confirmation, "Cancelled: nothing was changed.", hint).into())
}

/// `  namespace shop: 3 deployments, 1 cronjob`, one line for each namespace.
fn summary<'a>(all: impl Iterator<Item = (&'static Kind, &'a str)>) -> String {
    let mut namespaces: BTreeMap<&str, Vec<&Kind>> = BTreeMap::new();
    for (kind, namespace) in all {
        namespaces.entry(namespace).or_default().push(kind);
    }
    let mut text = String::new();
    for (namespace, kinds) in namespaces {
        let count = |kind: &&Kind| kinds.iter().filter(|one| *one == kind).count();
        let counts = kinds::workloads().map(|kind| (kind, count(&kind)));
        let counts = counts.filter(|(_, count)| *count > 0).map(|(kind, count)| match count {
            1 => format!("1 {}", kind.singular()),
            count => format!("{count} {}", kind.plural),
        });
        let counts = counts.collect::<Vec<_>>().join(", ");
        // Writing to a String cannot fail.
        let _ = writeln!(text, "  namespace {namespace}: {counts}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kubernetes::{CRON_JOB, DEPLOYMENT};

    #[test]
    fn confirmation_counts_each_kind_in_each_namespace() {
        let all: [(&'static Kind, &str); 4] = [
            (&CRON_JOB, "shop"),
            (&DEPLOYMENT, "shop"),
            (&DEPLOYMENT, "bank"),
            (&DEPLOYMENT, "shop"),
        ];
        let expected =
            "  namespace bank: 1 deployment\n  namespace shop: 2 deployments, 1 cronjob\n";
        assert_eq!(summary(all.into_iter()), expected);
        assert_eq!(summary([].into_iter()), "");
    }
}
