//! `diyadm sync`.

use std::time::Duration;

use anyhow::Result;
use futures_util::future::join_all;
use tokio::time::sleep;

use super::{
    inside::block,
    terminal::{Terminal, print},
};
use crate::{
    cli::{
        Global,
        dev::{At, Sync},
    },
    cluster::Cluster,
    dev::{
        backoff::Backoff,
        pods::Pick,
        reach::How,
        run::interrupted,
        session::Session,
        sync::{self, Here, Options, Outcome, Plan, Progress, Receiver, Source, megabytes},
        target::{self, EXEC},
        trouble::{is_gone, is_lost},
        watch::Watch,
    },
    exit::{self, Code, Failure},
};

/// How often a watch looks for Pods that have come.
const LOOK: Duration = Duration::from_secs(3);

pub(super) fn run(global: &Global, args: &Sync) -> Result<Code> {
    let terminal = Terminal::new(global);
    let (workload, to) = sync::destination(&args.destination)?;
    if workload.is_empty() != args.selector.is_some() {
        let hint = "Type deploy/web:/PATH for a workload, or -l SELECTOR and :/PATH for Pods.";
        return Err(Failure::usage("It must be said which Pods are meant.", hint).into());
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
        let cluster = Cluster::connect(global).await?;
        let work = async {
            let session = session(&cluster, &terminal, args, workload).await?;
            let picks = picks(&session, args).await?;
            let mut receivers: Vec<_> =
                picks.into_iter().map(|pick| Receiver::new(&session, pick)).collect();
            if args.watch {
                return watch(&session, &source, args, receivers).await;
            }
            let here = source.look().await?;
            all(&terminal, &source, &here, &mut receivers).await
        };
        tokio::select! {
            outcome = work => outcome,
            () = interrupted() => {
                let hint = if args.watch { "" } else { "What arrived is not sent again." };
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
    match &args.selector {
        Some(selector) => {
            let target = target::select(cluster, &inside, selector).await?;
            Ok(Session { cluster, terminal, target, how: How::of(&inside) })
        }
        None => Session::open(cluster, terminal, &At { workload, inside }, &EXEC).await,
    }
}

async fn picks(session: &Session<'_>, args: &Sync) -> Result<Vec<Pick>> {
    let running = session.target.all(session.cluster).await?;
    Ok(chosen(running, is_many(args), |_| false))
}

fn is_many(args: &Sync) -> bool {
    args.all || args.selector.is_some()
}

/// Syncs to every Pod; one that fails keeps no other from it. One of several that cannot be reached
/// is forgotten: where it is found again it is as good as new.
async fn all(
    terminal: &Terminal,
    source: &Source,
    here: &Here,
    receivers: &mut Vec<Receiver<'_>>,
) -> Result<Code> {
    here.scan.skipped.iter().chain(&here.scan.unread).for_each(|what| terminal.warn(what));
    let mut code = if here.scan.unread.is_empty() { Code::Done } else { Code::No };
    let progress = Progress::new(*terminal);
    let outcomes = join_all(receivers.iter_mut().map(async |receiver| {
        let outcome = receiver.sync(source, here, &progress).await;
        (receiver.pick.shown(), outcome)
    }))
    .await;
    let single = outcomes.len() == 1;
    let mut lost = Vec::new();
    for (shown, outcome) in outcomes {
        lost.push(outcome.as_ref().is_err_and(|error| is_gone(error) || is_lost(error)));
        match outcome {
            Ok(Outcome { plan, .. }) if source.dry_run() => print(&lines(&plan))?,
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
    let mut lost = lost.into_iter();
    receivers.retain(|_| !lost.next().unwrap_or_default());
    Ok(code)
}

/// Says what was done; whether that was all.
fn tell(terminal: &Terminal, shown: &str, outcome: &Outcome, progress: &Progress) -> bool {
    let Outcome { plan, report } = outcome;
    for path in &plan.blocked {
        let what = format!("{} is of another kind there", path.show());
        terminal.failed(&what, None, "With --delete it is replaced.");
    }
    report.refused.iter().for_each(|what| terminal.failed(what, None, ""));
    if report.undeleted {
        terminal.warn("nothing was deleted, since not everything could be sent");
    }
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
    let whole = report.refused.is_empty() && plan.blocked.is_empty();
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

/// What a dry run tells, a line each.
fn lines(plan: &Plan) -> String {
    let mut text = String::new();
    let deleted = plan.clear.iter().chain(&plan.delete).map(|path| ("delete", path));
    let blocked = plan.blocked.iter().map(|path| ("blocked", path));
    let entries = [("folder", &plan.folders), ("file", &plan.files), ("link", &plan.links)];
    let written =
        entries.into_iter().flat_map(|(word, all)| all.iter().map(move |e| (word, &e.path)));
    for (word, path) in blocked.chain(written).chain(deleted) {
        for part in [word, "\t", &path.show(), "\n"] {
            text.push_str(part);
        }
    }
    text
}

/// Syncs now and after every change, until it is stopped; to a Pod that takes another's place too,
/// as soon as it runs. What keeps the first one from being done ends it; later, what is refused is
/// told, and the next change or Pod tries again.
async fn watch<'a>(
    session: &'a Session<'a>,
    source: &Source,
    args: &Sync,
    mut receivers: Vec<Receiver<'a>>,
) -> Result<Code> {
    let mut watch = Watch::new()?;
    let mut backoff = Backoff::default();
    let mut began = false;
    loop {
        let here = source.watched(&mut watch).await?;
        match all(session.terminal, source, &here, &mut receivers).await {
            Ok(_) => (backoff, began) = (Backoff::default(), true),
            Err(error) if is_gone(&error) || is_lost(&error) => {
                session.terminal.warn(format!("{error:#}").trim_end_matches('.'));
                match backoff.pause() {
                    Some(pause) => sleep(pause).await,
                    None => return Err(error.context("It was tried again for two minutes")),
                }
                receivers = meant(session, args, receivers).await?;
                continue;
            }
            Err(error) if began => {
                let hint = exit::hint(&error).unwrap_or_default();
                session.terminal.failed(&format!("{error:#}"), None, hint);
            }
            Err(error) => return Err(error),
        }
        tokio::select! {
            () = watch.changed(|path| source.counts(&here, path)) => {}
            () = newcomer(session, args, &receivers) => {}
        }
        receivers = meant(session, args, receivers).await?;
    }
}

/// Those that are meant of what runs, the best first: all, or one, and that the known one as long as
/// its Pod runs.
fn chosen(mut running: Vec<Pick>, many: bool, known: impl Fn(&Pick) -> bool) -> Vec<Pick> {
    if !many {
        let at = running.iter().position(known).unwrap_or_default();
        running = running.into_iter().skip(at).take(1).collect();
    }
    running
}

fn stays(receivers: &[Receiver<'_>]) -> impl Fn(&Pick) -> bool {
    |pick| receivers.iter().any(|receiver| receiver.pick.uid == pick.uid)
}

/// The Pods that are meant now, as soon as one runs; what is known of one that stays is kept.
async fn meant<'a>(
    session: &'a Session<'a>,
    args: &Sync,
    mut known: Vec<Receiver<'a>>,
) -> Result<Vec<Receiver<'a>>> {
    let running = session.all_run().await?;
    let picks = chosen(running, is_many(args), stays(&known));
    let receivers = picks.into_iter().map(|pick| {
        let same = known.iter().position(|receiver| receiver.pick == pick);
        same.map_or_else(|| Receiver::new(session, pick), |at| known.swap_remove(at))
    });
    Ok(receivers.collect())
}

/// Waits for a Pod that is meant and has got nothing yet.
async fn newcomer(session: &Session<'_>, args: &Sync, receivers: &[Receiver<'_>]) {
    loop {
        sleep(LOOK).await;
        // Who cannot be asked now is asked again.
        let running = session.target.all(session.cluster).await.unwrap_or_default();
        let meant = chosen(running, is_many(args), stays(receivers));
        if meant.iter().any(|pick| receivers.iter().all(|receiver| receiver.pick != *pick)) {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_pod_is_stayed_with_as_long_as_it_runs() {
        let pick = |uid: &str, restarts| Pick {
            namespace: "n".to_owned(),
            pod: uid.to_owned(),
            uid: uid.to_owned(),
            container: "app".to_owned(),
            restarts,
            agent: true,
        };
        let running = || vec![pick("new", 0), pick("old", 1)];
        let uids = |picks: Vec<Pick>| picks.into_iter().map(|pick| pick.uid).collect::<Vec<_>>();
        assert_eq!(uids(chosen(running(), false, |_| false)), ["new"]);
        assert_eq!(uids(chosen(running(), false, |pick| pick.uid == "old")), ["old"]);
        assert_eq!(uids(chosen(running(), false, |pick| pick.uid == "gone")), ["new"]);
        assert_eq!(uids(chosen(running(), true, |pick| pick.uid == "old")), ["new", "old"]);
        assert!(chosen(Vec::new(), false, |_| true).is_empty());
    }
}
