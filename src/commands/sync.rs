//! `diyadm sync`.

use std::cell::RefCell;

use anyhow::Result;
use futures_util::future::join_all;

use super::inside::block;
use crate::{
    cli::{Global, dev::Sync},
    dev::{
        agent_start::How,
        flags::ContainerTarget,
        pods::Pick,
        run::interrupted,
        session::Session,
        sync::{self, Here, Options, Outcome, Plan, Progress, Receiver, Source, megabytes},
        target::{self, EXEC},
    },
    exit::{Code, Failure},
    kubernetes::Cluster,
    ui::{
        terminal::{Terminal, print},
        text::escaped,
    },
};

mod watch;

pub(super) fn run(global: &Global, args: &Sync) -> Result<Code> {
    let terminal = Terminal::new(&global.terminal);
    if !args.source.exists()
        && let Some(refusal) = sync::copy_out(args.source.as_os_str(), &args.destination)
    {
        return Err(refusal.into());
    }
    let (workload, to) = sync::destination(&args.destination)?;
    if workload.is_empty() != args.selector.is_some() {
        let hint = "Use deploy/web:/PATH for a workload, or -l SELECTOR and :/PATH for Pods.";
        return Err(Failure::usage("No workload or Pods are given.", hint).into());
    }
    let options = Options {
        delete: args.delete,
        checksum: args.checksum,
        dry_run: args.dry_run,
        exclude: args.exclude.clone(),
        ignore_files: !args.no_ignore,
    };
    block(async {
        let source = Source::new(&args.source, &to, options, is_many(args))?;
        source.ahead();
        let cluster = Cluster::connect(&global.connection).await?;
        let work = async {
            let session = session(&cluster, &terminal, args, workload).await?;
            let picks = picks(&session, args).await?;
            if args.watch {
                return watch::watch(&session, &source, is_many(args), picks).await;
            }
            let receivers = picks.into_iter().map(|pick| Receiver::new(&session, pick)).collect();
            let here = source.scan().await?;
            all(&terminal, &source, &here, receivers).await
        };
        tokio::select! {
            outcome = work => outcome,
            () = interrupted() => {
                let hint = if args.watch { "" } else { "Files that have arrived are not sent \
                                                        again." };
                Err(Failure::interrupted(hint).into())
            }
        }
    })
}

async fn session<'a>(
    cluster: &'a Cluster,
    terminal: &'a Terminal,
    args: &Sync,
    workload: String,
) -> Result<Session<'a>> {
    let inside = args.inside.clone();
    if let Some(selector) = &args.selector {
        let target = target::select(cluster, &inside, selector).await?;
        let how = How::of(&args.bring);
        Ok(Session { cluster, terminal, target, how, live: inside.live })
    } else {
        let session =
            Session::open(cluster, terminal, &ContainerTarget { workload, inside }, &EXEC).await?;
        Ok(session.bringing(&args.bring))
    }
}

async fn picks(session: &Session<'_>, args: &Sync) -> Result<Vec<Pick>> {
    let running = session.all(is_many(args).then_some(&RefCell::default())).await?;
    let picks = watch::chosen(running, is_many(args), |_| false);
    for pick in &picks {
        session.warn_of_restart(pick).await;
    }
    Ok(picks)
}

fn is_many(args: &Sync) -> bool {
    args.all || args.selector.is_some()
}

/// Syncs to every Pod; a failure of one does not stop the others.
async fn all(
    terminal: &Terminal,
    source: &Source,
    here: &Here,
    mut receivers: Vec<Receiver<'_>>,
) -> Result<Code> {
    left_out(terminal, here);
    let mut code = if here.scan.unread.is_empty() { Code::Done } else { Code::No };
    let progress = Progress::new(*terminal);
    let outcomes = join_all(receivers.iter_mut().map(async |receiver| {
        let outcome = receiver.sync(source, here, &progress).await;
        (receiver.pick.shown(), outcome)
    }))
    .await;
    let single = outcomes.len() == 1;
    for (shown, outcome) in outcomes {
        match outcome {
            Ok(outcome) if source.dry_run() => {
                print(&lines(&outcome.plan))?;
                if !tell_refused(terminal, &outcome) {
                    code = Code::No;
                }
            }
            Ok(outcome) => {
                if !tell(terminal, &shown, &outcome, &progress) {
                    code = Code::No;
                }
            }
            Err(error) if single => return Err(error),
            Err(error) => {
                terminal.failed(&format!("{shown}: {error:#}"), None, "");
                code = Code::No;
            }
        }
    }
    Ok(code)
}

/// Prints what is not sent.
fn left_out(terminal: &Terminal, here: &Here) {
    here.warnings().iter().for_each(|what| terminal.warn(what));
}

/// Prints what was not done; returns whether everything was.
fn tell_refused(terminal: &Terminal, outcome: &Outcome) -> bool {
    let Outcome { plan, report } = outcome;
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

/// Prints what was done; returns whether that was everything.
fn tell(terminal: &Terminal, shown: &str, outcome: &Outcome, progress: &Progress) -> bool {
    let whole = tell_refused(terminal, outcome);
    let report = &outcome.report;
    let mut words = Vec::new();
    for (count, one, many) in [
        (report.files, "file", "files"),
        (report.others, "other change", "other changes"),
        (report.deleted, "deleted", "deleted"),
    ] {
        if count > 0 {
            words.push(format!("{count} {}", if count == 1 { one } else { many }));
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
    whole
}

/// The lines of a dry run.
fn lines(plan: &Plan) -> String {
    let mut text = String::new();
    let deleted = plan.clear.iter().chain(&plan.delete).map(|path| ("delete", path));
    let blocked = plan.blocked.iter().map(|path| ("blocked", path));
    let entries = [("folder", &plan.folders), ("file", &plan.files), ("link", &plan.links)];
    let written =
        entries.into_iter().flat_map(|(word, all)| all.iter().map(move |e| (word, &e.path)));
    for (word, path) in blocked.chain(written).chain(deleted) {
        let path = path.show();
        for part in [word, "\t", &escaped(&path), "\n"] {
            text.push_str(part);
        }
    }
    text
}
