//! `diyadm sync --watch`: watches files and Pods, with a separate loop for each Pod, so that an
//! unresponsive Pod does not delay others.

use std::{cell::RefCell, convert::Infallible, future::pending, io, rc::Rc, time::Duration};

use anyhow::{Error, Result};
use futures_util::future::{LocalBoxFuture, select_all};
use tokio::{sync::watch, time::sleep};

use super::{print_failed, print_left_out, print_outcome, record};
use crate::{
    dev::{
        backoff::{LONGEST_PAUSE, pauses},
        pods::Pick,
        session::Session,
        sync::{After, Here, PodCount, Progress, Receiver, SyncSource},
        trouble::{Spent, is_gone, is_lost},
        watch::Watch,
    },
    exit::{Code, Failure},
    kubernetes,
    ui::text::clause,
};

/// How often to look for new Pods.
const LOOK: Duration = Duration::from_secs(3);

/// Syncs now and after every change, until it is stopped; also to replacement Pods as soon as they
/// run. An error before the first transfer to the only Pod ends it.
pub(crate) async fn watch(
    session: &Session<'_>,
    source: &SyncSource,
    count: PodCount,
    picks: Vec<Pick>,
) -> Result<Code> {
    let mut files = Watch::new()?;
    let here = source.watched(&mut files).await?;
    print_left_out(session.terminal, &here);
    let mut warned = here.warnings();
    let (newest, latest) = watch::channel(Rc::new(here));
    let looking = async {
        loop {
            let here = Rc::clone(&newest.borrow());
            files.changed(|path| source.counts(&here, path)).await;
            let here = match source.watched(&mut files).await {
                // A build deletes it before creating it again.
                Err(error) if is_missing(&error) => continue,
                here => here?,
            };
            if here.warnings() != warned {
                print_left_out(session.terminal, &here);
                warned = here.warnings();
            }
            newest.send_replace(Rc::new(here));
        }
    };
    let stopped: Result<Infallible> = tokio::select! {
        failed = looking => failed,
        failed = serve(session, source, count, picks, latest) => failed,
    };
    match stopped? {}
}

/// Whether the source does not exist.
fn is_missing(error: &Error) -> bool {
    let error = error.downcast_ref::<io::Error>();
    error.is_some_and(|error| error.kind() == io::ErrorKind::NotFound)
}

/// A Pod and its sync loop.
struct Served<'a> {
    pick: Pick,
    work: LocalBoxFuture<'a, Error>,
}

/// How an error before the first complete transfer is handled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FirstError {
    /// It ends the command.
    Ends,
    /// It is reported, and the next change retries.
    IsReported,
}

/// Starts loops for the selected running Pods.
async fn serve<'a>(
    session: &'a Session<'a>,
    source: &'a SyncSource,
    count: PodCount,
    picks: Vec<Pick>,
    latest: watch::Receiver<Rc<Here>>,
) -> Result<Infallible> {
    let begin = |pick: Pick, first: FirstError| {
        let receiver = Receiver::new(session, pick.clone());
        let work = keep(session, receiver, source, latest.clone(), first);
        Served { pick, work: Box::pin(work) }
    };
    let first = if picks.len() == 1 { FirstError::Ends } else { FirstError::IsReported };
    let mut served: Vec<_> = picks.into_iter().map(|pick| begin(pick, first)).collect();
    let warned = RefCell::default();
    let warned = (count == PodCount::All).then_some(&warned);
    let mut looking = Box::pin(find_running(session, Look::AfterPause, warned));
    loop {
        let running = tokio::select! {
            failed = ended(&mut served) => return Err(failed),
            running = &mut looking => running,
        };
        let running = match running {
            Ok(running) => running,
            Err(error) if served.is_empty() => return Err(error),
            Err(error) if is_nothing(&error) => Vec::new(),
            // Retried later.
            Err(_) => served.iter().map(|one| one.pick.clone()).collect(),
        };
        let known = |pick: &Pick| served.iter().any(|one| one.pick.uid == pick.uid);
        let meant = chosen(running, count, known);
        served.retain(|one| {
            let stays = meant.contains(&one.pick);
            if !stays {
                session.terminal.warn(&format!("{} does not run any more", one.pick.shown()));
            }
            stays
        });
        for pick in meant {
            if served.iter().all(|one| one.pick != pick) {
                served.push(begin(pick, FirstError::IsReported));
            }
        }
        let look = if served.is_empty() { Look::UntilOneRuns } else { Look::AfterPause };
        looking.set(find_running(session, look, warned));
    }
}

/// When to look for running Pods.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Look {
    AfterPause,
    /// Without any loop: as soon as a Pod runs.
    UntilOneRuns,
}

/// The running Pods.
async fn find_running(
    session: &Session<'_>,
    look: Look,
    warned: Option<&RefCell<Vec<String>>>,
) -> Result<Vec<Pick>> {
    if look == Look::UntilOneRuns {
        return session.all_run(warned).await;
    }
    sleep(LOOK).await;
    session.all(warned).await
}

/// Whether the error is that no Pod runs.
fn is_nothing(error: &Error) -> bool {
    let no = error.downcast_ref().is_some_and(Failure::is_no);
    no && !kubernetes::error::is_unknown(error)
}

/// Whether a retry may succeed: the connection broke, the Pod's node or a starting API server does
/// not answer, or the Pod is gone and will be replaced.
fn may_pass(error: &Error) -> bool {
    let answer = || kubernetes::error::is_unknown(error) || kubernetes::error::is_absent(error);
    is_lost(error) || is_gone(error) || answer()
}

/// Runs all loops; returns why the first one failed.
async fn ended(served: &mut [Served<'_>]) -> Error {
    if served.is_empty() {
        return pending().await;
    }
    select_all(served.iter_mut().map(|one| &mut one.work)).await.0
}

/// Syncs to one Pod, skipping to the newest state if it is behind. An unresponsive Pod is reported
/// once, and retried as long as it is served. `first` is about an error before the
/// first finished transfer; later refusals are reported, and the next change retries.
async fn keep(
    session: &Session<'_>,
    mut receiver: Receiver<'_>,
    source: &SyncSource,
    mut latest: watch::Receiver<Rc<Here>>,
    mut first: FirstError,
) -> Error {
    let (terminal, shown) = (session.terminal, receiver.pick.shown());
    let mut pauses_left = pauses();
    let mut lost = false;
    loop {
        let here = Rc::clone(&latest.borrow_and_update());
        let progress = Progress::for_pod(*terminal, &shown);
        let after = if lost { After::Pause } else { After::Nothing };
        match receiver.attempt(source, &here, &progress, after).await {
            Ok(outcome) => {
                match print_outcome(session, &receiver.pick, &outcome, &progress) {
                    Ok(true) => record(session, &receiver, source, &here).await,
                    Ok(false) => {}
                    Err(error) => return error,
                }
                first = FirstError::IsReported;
            }
            Err(error) if may_pass(&error) && !receiver.gives_up() => {
                if !lost {
                    let why = clause(format_args!("{error:#}"));
                    terminal.warn(&format!("retrying {shown}: {why}"));
                }
                lost = true;
                match pauses_left.next() {
                    None if first == FirstError::Ends => return error.context(Spent),
                    pause => sleep(pause.unwrap_or(LONGEST_PAUSE)).await,
                }
                continue;
            }
            Err(error) if first == FirstError::Ends => return error,
            Err(error) => {
                if let Err(error) = print_failed(session, &receiver.pick, &error) {
                    return error;
                }
            }
        }
        (pauses_left, lost) = (pauses(), false);
        if latest.changed().await.is_err() {
            // The receiver is gone, which ends everything.
            return pending().await;
        }
    }
}

/// The selected running Pods, the best first: all, or one, which stays the same as long as it runs.
pub(super) fn chosen(
    mut running: Vec<Pick>,
    count: PodCount,
    known: impl Fn(&Pick) -> bool,
) -> Vec<Pick> {
    if count == PodCount::One {
        let at = running.iter().position(known).unwrap_or_default();
        running = running.into_iter().skip(at).take(1).collect();
    }
    running
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sync_keeps_the_same_pod_as_long_as_it_runs() {
        let pick = |uid: &str, restarts| Pick {
            namespace: "n".to_owned(),
            pod: uid.to_owned(),
            uid: uid.to_owned(),
            container: "app".to_owned(),
            restarts,
            agent: true,
            image: String::new(),
            live: None,
        };
        let running = || vec![pick("new", 0), pick("old", 1)];
        let uids = |picks: Vec<Pick>| picks.into_iter().map(|pick| pick.uid).collect::<Vec<_>>();
        assert_eq!(uids(chosen(running(), PodCount::One, |_| false)), ["new"]);
        assert_eq!(uids(chosen(running(), PodCount::One, |pick| pick.uid == "old")), ["old"]);
        assert_eq!(uids(chosen(running(), PodCount::One, |pick| pick.uid == "gone")), ["new"]);
        assert_eq!(
            uids(chosen(running(), PodCount::All, |pick| pick.uid == "old")),
            ["new", "old"]
        );
        assert!(chosen(Vec::new(), PodCount::One, |_| true).is_empty());
    }
}
