//! One iteration of the developer's loop: build, send, start. Never waits for a change.

use std::time::Duration;

use anyhow::Result;
use tokio::{
    sync::watch,
    time::{Instant, timeout},
};

use super::{
    dev_loop::Loop,
    events::{self, Event},
    pods::{Pick, is_not_emptied},
    project::Project,
    session::{Session, millis},
    sources::Built,
    sync::{Progress, Receiver, listed, megabytes},
    trouble::{is_gone, is_lost},
};
use crate::{
    exit::{self, Failure, Topic},
    ui::text::counted,
};
use diyadm_agent::protocol::{Answer, App, Bytes, Request, SentContent, Start};

/// How often a running build is reported.
const OFTEN: Duration = Duration::from_secs(5);

/// The application whose output is shown.
#[derive(Clone, Debug)]
pub(super) struct Shown {
    pub(super) pick: Pick,
    pub(super) after: u64,
}

/// A container, and the work done in it.
pub(super) struct PodWork<'a> {
    pub(super) pick: Pick,
    pub(super) receivers: Vec<Receiver<'a>>,
    /// What was sent to it last.
    pub(super) sent: Vec<SentContent>,
    /// Whether the application was started here.
    pub(super) runs: bool,
}

/// The next step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Build, send, start.
    Build,
    /// Start alone.
    Start,
}

/// Runs one iteration. Errors of the work itself are printed, and the loop waits for the next
/// change.
pub(super) async fn run_iteration<'a>(
    all: &mut Loop<'a>,
    shown: watch::Sender<Option<Shown>>,
    place: &mut PodWork<'a>,
    next: Next,
    built: &mut bool,
) -> Result<()> {
    let session = all.session;
    let began = Instant::now();
    match once(all, &shown, place, next, built, began).await {
        Err(error) if is_gone(&error) || is_lost(&error) || is_not_emptied(&error) => Err(error),
        Err(error) => {
            // Changes are noticed anyway; unreadable files may be readable then.
            let looked = all.sources.scan_watched().await;
            if looked.is_err() && !all.sources.notices_changes() {
                return Err(error);
            }
            let hint = exit::hint(&error).filter(|hint| !hint.is_empty());
            let hint = hint.unwrap_or("The next change tries again.").to_owned();
            let message = format!("{error:#}");
            session.terminal.failed(&message, None, &hint);
            session.events.send(&Event::Failed { message, hint })
        }
        Ok(()) => Ok(()),
    }
}

pub(super) async fn once<'a>(
    all: &mut Loop<'a>,
    shown: &watch::Sender<Option<Shown>>,
    place: &mut PodWork<'a>,
    next: Next,
    built: &mut bool,
    began: Instant,
) -> Result<()> {
    let session = all.session;
    let mut changed = false;
    if next == Next::Build {
        // A new Pod gets the result of the previous build.
        if !*built || place.runs || !place.receivers.is_empty() {
            if !build(all).await? {
                return Err(Failure::no(Topic::BuildFailed, "The build failed.", "").into());
            }
            *built = true;
        }
        all.sources.scan_watched().await?;
        changed = send(all, place).await?;
    }
    if next == Next::Start || !place.runs || (changed && all.restart) {
        all.started.replace(Some(place.pick.clone()));
        let app = start(session, &all.start, place).await?;
        let what = if place.runs { "restarted" } else { "started" };
        let what = format!("{what} {} (pid {}) in {}", app.name, app.pid, place.pick.shown());
        session.terminal.done(&what, Some(began.elapsed()));
        session.events.send(&Event::started(&place.pick, &app))?;
        if !place.runs {
            shown.send_replace(Some(Shown { pick: place.pick.clone(), after: app.lines }));
        }
        place.runs = true;
    } else if changed {
        session.record(&place.pick, place.sent.clone()).await;
    }
    Ok(())
}

/// Builds, and reports it while that takes long.
async fn build(all: &mut Loop<'_>) -> Result<bool> {
    let terminal = all.session.terminal;
    let Some(command) = all.sources.build_command() else { return Ok(true) };
    let events = all.session.events;
    terminal.say(&format!("building: {}", command.lines().next().unwrap_or_default()));
    events.send(&Event::Building { command: command.to_owned() })?;
    let began = Instant::now();
    let mut building = std::pin::pin!(all.sources.build());
    loop {
        match timeout(OFTEN, &mut building).await {
            Ok(built) => {
                let Built { worked, wrote } = built?;
                let took = events::millis(began.elapsed());
                events.send(&Event::Built { success: worked, millis: took })?;
                if worked {
                    terminal.done("built", Some(began.elapsed()));
                }
                if !wrote.is_empty() {
                    terminal.warn(&format!(
                        "the build changes watched files: {}; this does not start another build",
                        listed(&wrote)
                    ));
                }
                return Ok(worked);
            }
            Err(_) => terminal.say(&format!("still building, {} s", began.elapsed().as_secs())),
        }
    }
}

/// Sends all changes; returns whether anything changed there.
async fn send<'a>(all: &mut Loop<'a>, place: &mut PodWork<'a>) -> Result<bool> {
    let session = all.session;
    all.sources.news().iter().for_each(|what| session.terminal.warn(what));
    let (mut changed, mut sent) = (false, Vec::new());
    for (at, (source, here)) in all.sources.sent().enumerate() {
        if place.receivers.len() <= at {
            place.receivers.push(Receiver::new(session, place.pick.clone()));
        }
        let progress = Progress::new(*session.terminal);
        let transfer = place.receivers[at].sync(source, here, &progress);
        let outcome = tokio::join!(transfer, source.label(here)).0?;
        session.events.send(&Event::synced(&place.pick, &outcome, &progress))?;
        let report = outcome.report;
        if let Some(refused) = report.refused.first() {
            let more = report.refused.len() - 1;
            let more = if more > 0 { format!(", and {more} more") } else { String::new() };
            return Err(Failure::no(
                Topic::Transfer,
                format!("Some files could not be sent: {refused}{more}."),
                "",
            )
            .into());
        }
        if let Some(blocked) = outcome.plan.blocked.first() {
            let what = format!("{} is of another type in the container.", blocked.show());
            return Err(
                Failure::no(Topic::Transfer, what, "Set `delete: true` to replace it.").into()
            );
        }
        if report.files + report.others + report.deleted > 0 {
            changed = true;
            let sent = megabytes(progress.sent());
            let what = format!("sent {}, {sent}", counted(report.files, "file", "files"));
            session.terminal.done(&what, Some(progress.took()));
        }
        sent.extend(place.receivers[at].sent(source, here).await);
    }
    place.sent = sent;
    Ok(changed)
}

/// Starts the application, replacing a running one.
async fn start(session: &Session<'_>, start: &Start, place: &PodWork<'_>) -> Result<App> {
    let mut agent = session.agent_of(&place.pick).await?;
    let request = Request::Start(start.clone());
    match session.ask_with(&mut agent, request, place.sent.clone()).await? {
        Answer::Started(app) => Ok(app),
        other => Err(session.unexpected(&other)),
    }
}

/// The start request for a project's application.
pub(crate) fn start_of(project: &Project, debug: Option<u16>) -> Start {
    let bytes = |text: String| Bytes(text.into_bytes());
    let pairs = |pairs: Vec<(String, String)>| {
        pairs.into_iter().map(|(name, value)| (bytes(name), bytes(value))).collect()
    };
    Start {
        name: project.name().to_owned(),
        command: project.command(debug).into_iter().map(bytes).collect(),
        env: pairs(project.run.env.clone().into_iter().collect()),
        env_append: pairs(project.env_append(debug)),
        stdin: project.run.stdin,
        cwd: project.run.workdir.clone().map(bytes),
        replace: true,
        grace_ms: millis(project.run.grace),
        content: Vec::new(),
    }
}
