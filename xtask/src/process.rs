//! Other programs, run to their end.
//!
//! Never leaves one running: an interrupt ends it.

use std::{
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};

use crate::interrupt;

/// A line this often shows that a silent build still runs.
const HEARTBEAT: Duration = Duration::from_secs(30);

/// Runs `command` with its output on stderr, and says now and then that it still does.
pub(crate) fn aloud(what: &str, command: &mut Command) -> Result<()> {
    eprintln!("{what} …");
    let begun = Instant::now();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(std::io::stderr())
        .spawn()
        .with_context(|| format!("cannot start {}", command.get_program().display()))?;
    let mut said = Duration::ZERO;
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if let Err(interrupted) = interrupt::check() {
            child.kill()?;
            child.wait()?;
            return Err(interrupted);
        }
        if begun.elapsed().saturating_sub(said) > HEARTBEAT {
            said = begun.elapsed();
            eprintln!("{what}: {} s", said.as_secs());
        }
        thread::sleep(Duration::from_millis(100));
    };
    if !status.success() {
        bail!("{what}: {status}");
    }
    eprintln!("{what}: done in {:.0?}", begun.elapsed());
    Ok(())
}

/// Runs a small command; what it printed, and its stderr as the error.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    output_of(command, Stdio::null())
}

/// [`output`], with something to read.
pub(crate) fn output_of(command: &mut Command, stdin: Stdio) -> Result<String> {
    let output = command
        .stdin(stdin)
        .output()
        .with_context(|| format!("cannot run {}", command.get_program().display()))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let args: Vec<_> = command.get_args().map(|arg| arg.to_string_lossy()).collect();
        bail!("{} {}: {}", command.get_program().display(), args.join(" "), said.trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
