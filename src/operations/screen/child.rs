//! The command that a key runs: this program again, on the terminal, as if the user had typed it.

use std::{env, process::ExitStatus};

use anyhow::{Context, Result};
use tokio::process::{Child, Command};

use crate::platform::process::{set_name, signal_of};

/// Starts it with these arguments.
pub(super) fn start(words: &[String]) -> Result<Child> {
    let program = env::current_exe().context("the path of diyadm itself is unknown")?;
    let mut command = Command::new(program);
    if let Some(name) = env::args_os().next() {
        // kubectl's plugin has another name.
        set_name(&mut command, name);
    }
    command.args(words).spawn().context("diyadm cannot be started again")
}

/// Whether it left nothing to read: a shell that the user has left.
pub(super) fn needs_no_look(words: &[String], status: ExitStatus) -> bool {
    status.success() && words.first().is_some_and(|word| word == "shell")
}

/// `done`, `exit code 1`
pub(super) fn shown(status: ExitStatus) -> String {
    match (status.code(), signal_of(status)) {
        (Some(0), _) => "done".to_owned(),
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => "ended".to_owned(),
    }
}
