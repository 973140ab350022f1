//! Syncs to the chosen Pods: once, or after every change ([`watch`]).

use std::cell::RefCell;

use anyhow::{Error, Result};
use futures_util::future::join_all;

use super::{
    events::{Action, Event},
    pods::Pick,
    session::Session,
    sync::{Here, PodCount, Progress, Receiver, SyncOutcome, SyncPlan, SyncSource, megabytes},
};
use crate::{
    exit::{self, Code},
    ui::{
        terminal::{Terminal, print},
        text::{counted, escaped},
    },
};

pub(crate) mod watch;

/// Chooses the running Pods to sync to.
pub(crate) async fn choose(session: &Session<'_>, count: PodCount) -> Result<Vec<Pick>> {
    let warned = RefCell::default();
    let running = session.all((count == PodCount::All).then_some(&warned)).await?;
    let picks = watch::chosen(running, count, |_| false);
    for pick in &picks {
        session.warn_of_restart(pick).await;
    }
    Ok(picks)
}

/// Syncs to every Pod; a failure of one does not stop the others.
pub(crate) async fn sync_once(
    session: &Session<'_>,
    source: &SyncSource,
    here: &Here,
    mut receivers: Vec<Receiver<'_>>,
) -> Result<Code> {
    let terminal = session.terminal;
    print_left_out(terminal, here);
    let mut code = if here.scan.unread.is_empty() { Code::Done } else { Code::No };
    let progress = Progress::new(*terminal);
    let outcomes = join_all(receivers.iter_mut().map(async |receiver| {
        let label = async {
            if !source.dry_run() {
                source.label(here).await;
            }
        };
        tokio::join!(receiver.sync(source, here, &progress), label).0
    }))
    .await;
    let single = outcomes.len() == 1;
    let mut complete = Vec::new();
    for (receiver, outcome) in receivers.iter().zip(outcomes) {
        let pick = &receiver.pick;
        match outcome {
            Ok(outcome) if source.dry_run() => {
                print_plan(session, &outcome.plan)?;
                if !print_refused(terminal, &outcome) {
                    code = Code::No;
                }
            }
            Ok(outcome) => {
                if print_outcome(session, pick, &outcome, &progress)? {
                    complete.push(receiver);
                } else {
                    code = Code::No;
                }
            }
            Err(error) if single => return Err(error),
            Err(error) => {
                print_failed(session, pick, &error)?;
                code = Code::No;
            }
        }
    }
    join_all(complete.into_iter().map(|receiver| record(session, receiver, source, here))).await;
    Ok(code)
}

/// Tells the agent what was sent.
async fn record(session: &Session<'_>, receiver: &Receiver<'_>, source: &SyncSource, here: &Here) {
    let sent = receiver.sent(source, here).await;
    session.record(&receiver.pick, sent.into_iter().collect()).await;
}

/// Prints what is not sent.
fn print_left_out(terminal: &Terminal, here: &Here) {
    here.warnings().iter().for_each(|what| terminal.warn(what));
}

/// Prints what was not done; returns whether everything was.
fn print_refused(terminal: &Terminal, outcome: &SyncOutcome) -> bool {
    let SyncOutcome { plan, report } = outcome;
    for path in &plan.blocked {
        let what = format!("{} is of another type there", path.show());
        terminal.failed(&what, None, "Use --delete to replace it.");
    }
    report.refused.iter().for_each(|what| terminal.failed(what, None, ""));
    if report.undeleted {
        terminal.warn("nothing is deleted, since some files cannot be sent");
    }
    report.refused.is_empty() && plan.blocked.is_empty()
}

/// Prints an error of one container, which does not end the command.
fn print_failed(session: &Session<'_>, pick: &Pick, error: &Error) -> Result<()> {
    let (message, hint) = (format!("{}: {error:#}", pick.shown()), exit::hint(error));
    let hint = hint.unwrap_or_default().to_owned();
    session.terminal.failed(&message, None, &hint);
    session.events.send(&Event::Failed { message, hint })
}

/// Prints what was done; returns whether that was everything.
fn print_outcome(
    session: &Session<'_>,
    pick: &Pick,
    outcome: &SyncOutcome,
    progress: &Progress,
) -> Result<bool> {
    let (terminal, shown) = (session.terminal, pick.shown());
    session.events.send(&Event::synced(pick, outcome, progress))?;
    let whole = print_refused(terminal, outcome);
    let report = &outcome.report;
    let mut words = Vec::new();
    for (count, one, many) in [
        (report.files, "file", "files"),
        (report.others, "other change", "other changes"),
        (report.deleted, "deleted", "deleted"),
    ] {
        if count > 0 {
            words.push(counted(count, one, many));
        }
    }
    match (words.is_empty(), whole) {
        (true, true) => terminal.done(&format!("{shown} is up to date"), Some(progress.took())),
        (true, false) => {}
        (false, _) => {
            let sent = megabytes(progress.sent());
            let what = format!("{} to {shown}, {sent} sent", words.join(", "));
            terminal.done(&what, Some(progress.took()));
        }
    }
    Ok(whole)
}

/// The lines of a dry run, or its events.
fn print_plan(session: &Session<'_>, plan: &SyncPlan) -> Result<()> {
    let deleted = plan.clear.iter().chain(&plan.delete).map(|path| (Action::Delete, path));
    let blocked = plan.blocked.iter().map(|path| (Action::Blocked, path));
    let entries =
        [(Action::Folder, &plan.folders), (Action::File, &plan.files), (Action::Link, &plan.links)];
    let written =
        entries.into_iter().flat_map(|(action, all)| all.iter().map(move |e| (action, &e.path)));
    let all = blocked.chain(written).chain(deleted).map(|(action, path)| (action, path.show()));
    if !session.events.are_on() {
        let line =
            |(action, path): (Action, String)| format!("{}\t{}\n", action.name(), escaped(&path));
        return print(&all.map(line).collect::<String>());
    }
    for (action, path) in all {
        session.events.send(&Event::Planned { action, path })?;
    }
    Ok(())
}
