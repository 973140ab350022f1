//! The command that a key runs: this program again, on the terminal, as if the user had typed it.

use std::{env, os::unix::process::ExitStatusExt, process::ExitStatus};

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};

/// Starts it with these arguments.
pub(super) fn start(words: &[String]) -> Result<Child> {
    let program = env::current_exe().context("the path of diyadm itself is unknown")?;
    let mut command = Command::new(program);
    if let Some(name) = env::args_os().next() {
        // kubectl's plugin has another name.
        command.arg0(name);
    }
    command.args(words).spawn().context("diyadm cannot be started again")
}

/// Stops it in order.
pub(super) fn terminate(child: &Child) {
    let id = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
    if let Some(id) = id {
        // It may have ended.
        let _ = kill_process(id, Signal::TERM);
    }
}

/// Whether it left nothing to read: a shell that the user has left.
pub(super) fn needs_no_look(words: &[String], status: ExitStatus) -> bool {
    status.success() && words.first().is_some_and(|word| word == "shell")
}

/// `done`, `exit code 1`
pub(super) fn shown(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(0), _) => "done".to_owned(),
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => "ended".to_owned(),
    }
}
