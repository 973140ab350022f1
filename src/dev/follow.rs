//! Follows an application's output across lost connections and restarted containers, without
//! repeating a line and without skipping one that the agent still has.

use anyhow::Result;

use super::{
    claim::ended_by,
    events::Event,
    pods::Pick,
    printer::Printer,
    reach::Agent,
    session::Session,
    table::lease_of,
    trouble::{Trouble, is_lost},
    wire::Said,
};
use crate::exit::{Failure, Topic};
use diyadm_agent::protocol::{Answer, App, End, Follow, Logs, Request, State};

/// Prints lines until they end: with [`Follow::Run`] when the application ends, which is returned.
///
/// # Errors
/// The Pod or the container is gone with what ran in it; the agent refuses; the connection stays
/// lost.
pub(crate) async fn follow(
    session: &Session<'_>,
    pick: &Pick,
    mut agent: Agent,
    logs: Logs,
    printer: &mut Printer<'_>,
) -> Result<Option<App>> {
    let name = logs.name.clone();
    let apps = session.list(&mut agent).await?;
    let left = lease_of(&apps.leases, &name).and_then(|lease| lease.left_ms);
    let since = apps.supervisor.map(|supervisor| supervisor.since_ms);
    tokio::select! {
        outcome = lines(session, pick, agent, logs, printer, since) => outcome,
        never = session.warn_of_end(pick, &name, left) => match never {},
    }
}

/// Prints lines over lost connections.
async fn lines(
    session: &Session<'_>,
    pick: &Pick,
    mut agent: Agent,
    mut logs: Logs,
    printer: &mut Printer<'_>,
    mut since: Option<u64>,
) -> Result<Option<App>> {
    loop {
        let error = match stream(session, pick, &mut agent, &mut logs, printer).await {
            Ok(ended) => return Ok(ended),
            Err(error) => error,
        };
        if !is_lost(&error) {
            return Err(error);
        }
        (agent, since) = reconnect(session, pick, error, since).await?;
        // The end of the previous connection is now in the middle.
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
                // An uploaded agent can end without the container, and the processes that it
                // started may continue.
                let first = apps.supervisor.as_ref().is_some_and(|supervisor| supervisor.pid == 1);
                let now = apps.supervisor.map(|supervisor| supervisor.since_ms);
                if now == since {
                    return Ok((agent, now));
                }
                let Pick { container, pod, .. } = pick;
                let what = if first {
                    let why = session.last_end(pick).await;
                    format!(
                        "container {container} of Pod {pod} was restarted{why}, and what ran in it \
                         is gone"
                    )
                } else {
                    format!(
                        "container {container} of Pod {pod} has a new agent, which does not know \
                         what the previous one ran"
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
    pick: &Pick,
    agent: &mut Agent,
    logs: &mut Logs,
    printer: &mut Printer<'_>,
) -> Result<Option<App>> {
    let request = session.by(agent, Request::Logs(logs.clone()), Vec::new());
    if let Err(trouble) = agent.talk.send(&request).await {
        return Err(session.explain(agent.blame(trouble).await));
    }
    let mut ended = None;
    loop {
        let next = match agent.talk.reader.next_message().await {
            Ok(next) => next,
            Err(trouble) => {
                let trouble = agent.blame(trouble).await;
                return Err(session.explain(trouble));
            }
        };
        match next {
            Said::Line(line) => {
                if !session.events.are_on() {
                    printer.line(&line)?;
                } else if printer.shows(&line) {
                    session.events.send(&Event::line(&logs.name, &line))?;
                }
                logs.after = line.number;
            }
            Said::Answer(Answer::Lost { lines }) => {
                let what = format!(
                    "{lines} lines were dropped, since they came faster than they could be stored"
                );
                session.terminal.warn(&what);
                session.events.send(&Event::Dropped { application: logs.name.clone(), lines })?;
                logs.after = logs.after.saturating_add(lines);
            }
            Said::Answer(Answer::Ended(app)) => {
                let asked = matches!(&app.state, State::Ended(End { asked: true, .. }));
                let is_own = asked && app.ended_by.is_none();
                if logs.follow == Follow::Always && !(is_own && printer.screen.is_some()) {
                    session.terminal.warn(&describe(&app));
                }
                if let Some(event) = Event::ended(&app) {
                    session.events.send(&event)?;
                }
                ended = Some(app);
            }
            Said::Answer(Answer::Started(_)) if printer.screen.is_some() => {}
            Said::Answer(Answer::Started(app)) => {
                session.terminal.done(&started(&app), None);
                session.events.send(&Event::started(pick, &app))?;
            }
            Said::Answer(Answer::End) => return Ok(ended),
            Said::Answer(other) => return Err(session.unexpected(&other)),
        }
    }
}

/// `app ended: exit 1`
pub(crate) fn describe(app: &App) -> String {
    match &app.state {
        State::Ended(end) => format!("{} ended: {end}{}", app.name, ended_by(app)),
        _ => format!("{} runs", app.name),
    }
}

/// `app runs (pid 12)`
pub(crate) fn started(app: &App) -> String {
    format!("{} runs (pid {})", app.name, app.pid)
}

/// The default application: the running one, else the only one, else the stand-in.
pub(crate) async fn only(
    session: &Session<'_>,
    pick: &Pick,
    agent: &mut Agent,
    named: Option<&str>,
) -> Result<String> {
    if let Some(name) = named {
        return Ok(name.to_owned());
    }
    let apps = session.list(agent).await?.apps;
    match choose(&apps) {
        Ok(app) => Ok(app.name.clone()),
        Err(several) if several.is_empty() => Err(nothing(session, pick).await),
        Err(several) => {
            let shown = &session.target.shown;
            let several = several.join(", ");
            let what = format!("There are several applications in {shown}: {several}.");
            Err(Failure::usage(Topic::CommandLine, what, "Add the name of one of them.").into())
        }
    }
}

/// The running application, else the only one, else the stand-in; otherwise the names of the
/// candidates.
fn choose(apps: &[App]) -> Result<&App, Vec<&str>> {
    let developers = || apps.iter().filter(|app| !app.stand_in);
    let running: Vec<_> =
        developers().filter(|app| !matches!(app.state, State::Ended(_))).collect();
    let meant = if running.is_empty() { developers().collect() } else { running };
    let meant = if meant.is_empty() { apps.iter().collect() } else { meant };
    match meant[..] {
        [app] => Ok(app),
        _ => Err(meant.into_iter().map(|app| app.name.as_str()).collect()),
    }
}

/// The error if nothing was started in a container; it also says what is lost if the Pod is new.
pub(crate) async fn nothing(session: &Session<'_>, pick: &Pick) -> anyhow::Error {
    let target = &session.target.typed;
    let lost = session.lost(pick).await.map(|lost| format!(" ({lost})")).unwrap_or_default();
    Failure::no(
        Topic::NothingStarted,
        format!("Nothing was started in {} yet{lost}.", pick.shown()),
        format!("Start something: `diyadm run {target} -- COMMAND`."),
    )
    .into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use diyadm_agent::protocol::Termination;

    #[test]
    fn running_application_is_preferred_to_ended_ones() {
        let app = |name: &str, runs: bool| {
            let end =
                End { at_ms: 0, how: Termination::Exit { code: 1 }, asked: false, oom: false };
            App {
                name: name.to_owned(),
                command: Vec::new(),
                cwd: "/".into(),
                state: if runs { State::Running } else { State::Ended(end) },
                pid: 1,
                since_ms: 0,
                restarts: 0,
                processes: 0,
                cpu_ms: 0,
                rss: 0,
                lines: 0,
                debug_port: None,
                stand_in: false,
                ended_by: None,
                content: Vec::new(),
            }
        };
        let chosen = |apps: &[App]| {
            choose(apps).map(|app| app.name.clone()).map_err(|names| names.join(" "))
        };
        assert_eq!(chosen(&[app("one", true), app("two", false)]), Ok("one".to_owned()));
        assert_eq!(chosen(&[app("two", false)]), Ok("two".to_owned()));
        assert_eq!(chosen(&[app("a", false), app("b", false)]), Err("a b".to_owned()));
        let several = [app("a", true), app("b", false), app("c", true)];
        assert_eq!(chosen(&several), Err("a c".to_owned()));
        assert_eq!(chosen(&[]), Err(String::new()));
        let stand_in = App { stand_in: true, ..app("stand-in", true) };
        assert_eq!(chosen(std::slice::from_ref(&stand_in)), Ok("stand-in".to_owned()));
        assert_eq!(chosen(&[app("ended", false), stand_in]), Ok("ended".to_owned()));
    }
}
