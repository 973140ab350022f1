//! Follows an application's output over lost connections and restarted containers, with no line
//! twice and none left out that the agent still has.

use anyhow::Result;

use super::{
    pods::Pick,
    printer::Printer,
    reach::Agent,
    session::Session,
    trouble::{Trouble, is_lost},
    wire::Said,
};
use crate::{
    agent::protocol::{Answer, App, End, Follow, Logs, Request, State},
    exit::Failure,
};

/// Prints lines until they end: with [`Follow::Run`] when the application does, which is returned.
///
/// # Errors
/// The Pod or the container is gone with what ran in it; the agent refuses; the connection stays
/// lost.
pub(crate) async fn follow(
    session: &Session<'_>,
    pick: &Pick,
    mut agent: Agent,
    mut logs: Logs,
    printer: &mut Printer<'_>,
) -> Result<Option<App>> {
    let mut since =
        session.list(&mut agent).await?.supervisor.map(|supervisor| supervisor.since_ms);
    loop {
        let error = match stream(session, &mut agent, &mut logs, printer).await {
            Ok(ended) => return Ok(ended),
            Err(error) => error,
        };
        if !is_lost(&error) {
            return Err(error);
        }
        (agent, since) = reconnect(session, pick, error, since).await?;
        // What was at the end then is in the middle now.
        logs.tail = None;
    }
}

/// The same supervisor again.
async fn reconnect(
    session: &Session<'_>,
    pick: &Pick,
    mut error: anyhow::Error,
    since: Option<u64>,
) -> Result<(Agent, Option<u64>)> {
    loop {
        let mut agent = session.again(pick, &error).await?;
        match session.list(&mut agent).await {
            Ok(apps) => {
                // One that was brought into the container can end without it; what it started may
                // run on then.
                let first = apps.supervisor.as_ref().is_some_and(|supervisor| supervisor.pid == 1);
                let now = apps.supervisor.map(|supervisor| supervisor.since_ms);
                if now == since {
                    return Ok((agent, now));
                }
                let Pick { container, pod, .. } = pick;
                let what = if first {
                    format!(
                        "container {container} of Pod {pod} was restarted, and what ran in it is gone"
                    )
                } else {
                    format!(
                        "the agent in container {container} of Pod {pod} is not the one of before, \
                         which alone knew what ran"
                    )
                };
                return Err(session.explain(Trouble::Gone(what)));
            }
            Err(again) if is_lost(&again) => error = again,
            Err(other) => return Err(other),
        }
    }
}

async fn stream(
    session: &Session<'_>,
    agent: &mut Agent,
    logs: &mut Logs,
    printer: &mut Printer<'_>,
) -> Result<Option<App>> {
    if let Err(trouble) = agent.talk.send(&Request::Logs(logs.clone())).await {
        return Err(session.explain(agent.blame(trouble).await));
    }
    let mut ended = None;
    loop {
        let next = match agent.talk.reader.said().await {
            Ok(next) => next,
            Err(trouble) => {
                let trouble = agent.blame(trouble).await;
                return Err(session.explain(trouble));
            }
        };
        match next {
            Said::Line(line) => {
                printer.line(&line)?;
                logs.after = line.number;
            }
            Said::Answer(Answer::Lost { lines }) => {
                let what = format!("{lines} lines came faster than they could be kept");
                session.terminal.warn(&what);
                logs.after = logs.after.saturating_add(lines);
            }
            Said::Answer(Answer::Ended(app)) => {
                let asked = matches!(&app.state, State::Ended(End { asked: true, .. }));
                if logs.follow == Follow::Always && !(asked && printer.screen.is_some()) {
                    session.terminal.warn(&said(&app));
                }
                ended = Some(app);
            }
            Said::Answer(Answer::Started(_)) if printer.screen.is_some() => {}
            Said::Answer(Answer::Started(app)) => session.terminal.done(&started(&app), None),
            Said::Answer(Answer::End) => return Ok(ended),
            Said::Answer(other) => return Err(session.unexpected(&other)),
        }
    }
}

/// `app ended: exit 1`
pub(crate) fn said(app: &App) -> String {
    match &app.state {
        State::Ended(end) => format!("{} ended: {end}", app.name),
        _ => format!("{} runs", app.name),
    }
}

/// `app runs (pid 12)`
pub(crate) fn started(app: &App) -> String {
    format!("{} runs (pid {})", app.name, app.pid)
}

/// The application that is meant where none is named: the only one.
pub(crate) async fn only(
    session: &Session<'_>,
    agent: &mut Agent,
    named: Option<&str>,
) -> Result<String> {
    if let Some(name) = named {
        return Ok(name.to_owned());
    }
    let apps = session.list(agent).await?.apps;
    let shown = &session.target.shown;
    match &apps[..] {
        [app] => Ok(app.name.clone()),
        [] => Err(Failure::no(
            format!("Nothing was started in {shown} yet."),
            format!("Start something: `diyadm run {shown} -- COMMAND`."),
        )
        .into()),
        several => {
            let names: Vec<_> = several.iter().map(|app| app.name.as_str()).collect();
            let what = format!("There are several applications in {shown}: {}.", names.join(", "));
            Err(Failure::usage(what, "Name one of them.").into())
        }
    }
}
