//! `diyadm-agent ready` and `diyadm-agent alive`: probes that the kubelet starts in an emptied
//! container, with the periods and thresholds of the workload's own.

use std::{io::Write, path::Path, time::Duration};

use anyhow::{Context, Result, bail};

use super::{
    clock::now_ms,
    error::{Code, Failure},
    probe,
    protocol::{Answer, App, FrameKind, Request, State, json},
    socket::{connect, places},
    wire::{Input, greet},
};

/// How long PID 1 may take to answer.
const ANSWER: Duration = Duration::from_secs(1);

/// The readiness probe of a container that was emptied with `--ready app`: an application runs, and
/// the own probe succeeds. `own` is its JSON text, `socket` the supervisor's configured socket.
///
/// # Errors
/// [`Code::No`]: no application runs, or the own probe failed. The kubelet shows the text in the
/// Pod's Events.
pub(super) fn ready(socket: Option<&Path>, own: Option<&str>) -> Result<Code> {
    let own = probe::parse(own)?;
    let apps = applications(socket)?.unwrap_or_default();
    if !apps.iter().any(|app| app.state == State::Running) {
        let hint = "Run one: `diyadm run TYPE/NAME -- COMMAND`.";
        return Err(Failure::no("No application runs in the container.", hint).into());
    }
    probe::run(&own).context("the workload's own readiness probe failed")?;
    Ok(Code::Done)
}

/// The liveness or startup probe of a container with a stand-in. A developer's application, and a
/// stand-in that is started or stopped, must not restart the container: the own probe counts only
/// while the stand-in runs, and longer than its `initialDelaySeconds`, and where no supervisor says
/// in time what runs.
///
/// # Errors
/// [`Code::No`]: the own probe failed.
pub(super) fn alive(socket: Option<&Path>, own: Option<&str>) -> Result<Code> {
    let own = probe::parse(own)?;
    let delay = Duration::from_secs(own.initial_delay_seconds.into());
    let counts = applications(socket).unwrap_or_default().is_none_or(|apps| {
        let mut stand_in = apps.iter().filter(|app| app.stand_in && app.state == State::Running);
        stand_in.any(|app| Duration::from_millis(now_ms().saturating_sub(app.since_ms)) >= delay)
    });
    if counts {
        probe::run(&own).context("the workload's own probe failed")?;
    }
    Ok(Code::Done)
}

/// The applications that the supervisor lists; `None` if no supervisor can be reached.
fn applications(socket: Option<&Path>) -> Result<Option<Vec<App>>> {
    let Some(mut supervisor) = connect(&places(socket)) else { return Ok(None) };
    supervisor.set_read_timeout(Some(ANSWER))?;
    supervisor.set_write_timeout(Some(ANSWER))?;
    let mut input = Input::new(supervisor.try_clone()?);
    if greet(&mut input, &mut supervisor)?.is_err() {
        bail!("the supervisor in the container has another version");
    }
    supervisor.write_all(&json(FrameKind::Request, &Request::List)?)?;
    let frame = input.frame()?.context("the supervisor did not answer")?;
    match frame.parse(FrameKind::Answer)? {
        Answer::Apps(apps) => Ok(Some(apps.apps)),
        _ => bail!("the supervisor did not answer with the list of applications"),
    }
}
