//! Starts an application and follows its output. The flags decide what happens to it when this
//! command ends.

use std::time::Duration;

use anyhow::Result;
use tokio::time::{sleep, timeout};

use super::{
    events::Event,
    follow::{describe, follow, started},
    pods::Pick,
    printer::Printer,
    reach::Agent,
    replaced::Suspicion,
    session::Session,
    trouble::{Trouble, is_lost},
};
use crate::{
    exit::{Code, Failure},
    platform::signals::{SignalKind, signal},
};
use diyadm_agent::protocol::{
    Answer, App, End, EndedBy, Follow, Logs, Request, Start, State, Termination,
};

/// Timeout for a pending answer, and how long a detached application is looked at.
const MOMENT: Duration = Duration::from_secs(1);
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(100);
/// Timeout for the last lines of a stopped application.
const LAST: Duration = Duration::from_secs(5);

/// What to do after the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Then {
    /// Nothing.
    Detach,
    /// Follow its output; keep it running when this command ends.
    Follow,
    /// Follow its output; stop it when this command ends.
    StopOnExit {
        /// Milliseconds from SIGTERM to SIGKILL.
        grace_ms: u64,
    },
}

/// Starts it, and returns its exit status if it was followed to its end.
pub(crate) async fn start_and_follow(
    session: &Session<'_>,
    start: Start,
    then: Then,
) -> Result<Code> {
    // From here on a closed terminal ends this process cleanly at any time.
    let _handled = interrupted();
    let (pick, mut agent) = session.agent().await?;
    session.warn_of_restart(&pick).await;
    let name = start.name.clone();
    let starting = session.ask_by(&mut agent, Request::Start(start));
    let answer = match then {
        Then::StopOnExit { grace_ms } => {
            started_or_stopped(session, &pick, &name, grace_ms, starting).await?
        }
        Then::Detach | Then::Follow => starting.await?,
    };
    let app = match answer {
        Answer::Started(app) => app,
        other => return Err(session.unexpected(&other)),
    };
    session.terminal.done(&format!("{} in {}", started(&app), pick.shown()), None);
    session.events.send(&Event::started(&pick, &app))?;
    let target = &session.target.typed;
    if then == Then::Detach {
        let watching = ended(session, &mut agent, &app);
        if let Ok(Ok(ended)) = timeout(MOMENT, watching).await {
            if let Some(event) = Event::ended(&ended) {
                session.events.send(&event)?;
            }
            let code = report(session, &ended);
            session.terminal.say(&format!("See its output with `diyadm logs {target} {name}`."));
            return Ok(code);
        }
        session.terminal.say(&format!("Follow its output with `diyadm logs -f {target} {name}`."));
        return Ok(Code::Done);
    }
    let logs = Logs { name, after: app.lines, follow: Follow::Run, ..Logs::default() };
    let outcome = follow_until_stopped(session, &pick, agent, logs, then).await;
    match outcome {
        Ok(Some(app)) => {
            let code = report(session, &app);
            if let Some(fate) = session.fate(&pick, Suspicion::from_end(killed(&app))).await {
                session.terminal.warn(&fate);
                session.terminal.say(&format!(
                    "Start it again with the same command once the next container runs; `diyadm ps \
                     {target}` shows that."
                ));
            }
            Ok(code)
        }
        Ok(None) => Err(session.unexpected(&Answer::End)),
        Err(error) => Err(error),
    }
}

/// Waits until a started application has ended. A wrong argument or a missing file ends most
/// applications at once.
async fn ended(session: &Session<'_>, agent: &mut Agent, started: &App) -> Result<App> {
    loop {
        let apps = session.list(agent).await?.apps;
        let own = apps.into_iter().find(|app| app.name == started.name && app.pid == started.pid);
        match own {
            Some(app) if matches!(app.state, State::Ended(_)) => return Ok(app),
            _ => sleep(PAUSE).await,
        }
    }
}

/// Waits for it to start, which may wait for a replaced application to end. If this command is
/// interrupted, or loses the connection, an application that may still start is stopped.
async fn started_or_stopped(
    session: &Session<'_>,
    pick: &Pick,
    name: &str,
    grace_ms: u64,
    starting: impl Future<Output = Result<Answer>>,
) -> Result<Answer> {
    let mut starting = std::pin::pin!(starting);
    let outcome = tokio::select! {
        answer = &mut starting => answer,
        () = interrupted() => {
            let why = Failure::interrupted(format!("{name} was not started."));
            match timeout(MOMENT, starting).await {
                // The start was refused: the running application of this name is another one.
                Ok(Err(error)) if !is_lost(&error) => return Err(why.into()),
                _ => {
                    stop(session, pick, name, grace_ms).await?;
                    return Err(why.into());
                }
            }
        }
    };
    if outcome.as_ref().is_err_and(is_lost) {
        // That error also reports that it cannot be stopped.
        let _ = stop(session, pick, name, grace_ms).await;
    }
    outcome
}

/// Follows it until it ends or this command is interrupted.
async fn follow_until_stopped(
    session: &Session<'_>,
    pick: &Pick,
    agent: Agent,
    logs: Logs,
    then: Then,
) -> Result<Option<App>> {
    let name = logs.name.clone();
    let mut printer = Printer::default();
    let mut following = std::pin::pin!(follow(session, pick, agent, logs, &mut printer));
    let target = &session.target.typed;
    let outcome = tokio::select! {
        outcome = &mut following => outcome,
        () = interrupted() => {
            let Then::StopOnExit { grace_ms } = then else {
                return Err(Failure::interrupted(format!(
                    "{name} keeps running: `diyadm logs -f {target} {name}` follows its output, \
                     `diyadm stop {target} {name}` stops it."
                ))
                .into());
            };
            session.terminal.warn(&format!("stopping {name}"));
            let both = async {
                let (stopped, _) = tokio::join!(
                    stop(session, pick, &name, grace_ms),
                    // Print its last lines; it is stopped anyway.
                    timeout(Duration::from_millis(grace_ms) + LAST, following.as_mut()),
                );
                stopped
            };
            let app = tokio::select! {
                stopped = both => stopped?,
                // Not SIGHUP of a closed terminal, which some shells send twice.
                () = signalled([SignalKind::interrupt()]) => {
                    let hint = format!("{name} may still run: see `diyadm ps {target}`.");
                    return Err(Failure::interrupted(hint).into());
                }
            };
            return Err(Failure::interrupted(format!("{}.", describe(&app))).into());
        }
    };
    if let (Err(_), Then::StopOnExit { grace_ms }) = (&outcome, then) {
        // Nobody reads its output any more; the error also reports that it cannot be stopped.
        let _ = stop(session, pick, &name, grace_ms).await;
    }
    outcome
}

/// Stops an application in this container.
pub(crate) async fn stop(
    session: &Session<'_>,
    pick: &Pick,
    name: &str,
    grace_ms: u64,
) -> Result<App> {
    let agent = session.existing_agent(pick).await?;
    let mut agent = agent.ok_or_else(|| {
        session.explain(Trouble::NoAgent(format!("there is none in {}", pick.shown())))
    })?;
    let request = Request::Stop { name: name.to_owned(), grace_ms };
    match session.ask_by(&mut agent, request).await? {
        Answer::Ended(app) => Ok(app),
        other => Err(session.unexpected(&other)),
    }
}

/// Prints how it ended, and turns that into the exit code.
pub(crate) fn report(session: &Session<'_>, app: &App) -> Code {
    let State::Ended(end) = &app.state else { return Code::Done };
    session.claim.lease_ended.set(app.ended_by == Some(EndedBy::Lease));
    match end.how.code() {
        0 => session.terminal.done(&describe(app), None),
        _ => session.terminal.failed(&describe(app), None, ""),
    }
    match u8::try_from(end.how.code()) {
        Ok(0) => Code::Done,
        Ok(code) => Code::Program(code),
        Err(_) => Code::No,
    }
}

/// Whether the application was killed by a signal.
fn killed(app: &App) -> bool {
    matches!(&app.state, State::Ended(End { how: Termination::Signal { .. }, .. }))
}

/// Completes at Ctrl-C, at the end of the terminal, or at SIGTERM. Handles these signals from the
/// call on, even if nobody waits yet.
pub(crate) fn interrupted() -> impl Future<Output = ()> {
    signalled([SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()])
}

fn signalled<const N: usize>(kinds: [SignalKind; N]) -> impl Future<Output = ()> {
    let mut signals: Vec<_> = kinds.into_iter().filter_map(|kind| signal(kind).ok()).collect();
    async move {
        let waits = signals.iter_mut().map(|signal| Box::pin(signal.recv()));
        futures_util::future::select_all(waits).await;
    }
}
