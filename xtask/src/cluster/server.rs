//! One server of the cluster as a process: started with a log, found again by its pid file, killed.
//!
//! Never signals a process that is not ours: what a pid file names must hold the cluster's folder
//! in its command line.

use std::{
    fs::{self, File},
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

use super::Life;

/// A server that this process started.
pub(super) struct Server {
    /// The program's name.
    pub(super) name: String,
    child: Child,
    log: PathBuf,
}

impl Server {
    /// Starts `program` with its output in `folder/NAME.log` and its pid in `folder/NAME.pid`.
    pub(super) fn spawn(
        folder: &Path,
        program: &Path,
        args: &[String],
        life: Life,
    ) -> Result<Self> {
        let name = program.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let log = folder.join(format!("{name}.log"));
        let output = File::create(&log)?;
        let mut command = match life {
            Life::Left => Command::new(program),
            // The kernel kills it when the thread that starts it ends: no way out leaves it behind.
            Life::Held => {
                let mut command = Command::new("setpriv");
                command.args(["--pdeathsig", "KILL", "--"]).arg(program);
                command
            }
        };
        let child = command
            .args(args)
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            // Ctrl-C is for xtask, which stops its servers itself.
            .process_group(0)
            .spawn()
            .with_context(|| format!("cannot start {}", program.display()))?;
        fs::write(folder.join(format!("{name}.pid")), child.id().to_string())?;
        Ok(Self { name, child, log })
    }

    pub(super) fn lives(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    pub(super) fn kill(mut self) {
        // It may have ended by itself: there is nothing left to do then.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// The last lines of what it said.
    pub(super) fn log_tail(&self) -> String {
        let log = fs::read(&self.log).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }
}

/// The servers whose pid files are in `folder`, with the pid of those that run.
pub(super) fn recorded(folder: &Path) -> Result<Vec<(String, Option<i32>)>> {
    let mut servers = Vec::new();
    let Ok(entries) = fs::read_dir(folder) else { return Ok(servers) };
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "pid") {
            let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            let pid = fs::read_to_string(&path)?.parse().ok().filter(|pid| is_ours(*pid, folder));
            servers.push((name, pid));
        }
    }
    servers.sort();
    Ok(servers)
}

/// Kills the servers recorded in `folder` and waits until they are gone. Returns how many ran.
pub(super) fn stop_all(folder: &Path) -> Result<usize> {
    let servers = recorded(folder)?;
    let running: Vec<i32> = servers.into_iter().filter_map(|(_, pid)| pid).collect();
    for pid in running.iter().filter_map(|pid| Pid::from_raw(*pid)) {
        // Gone in this very moment is as good.
        let _ = kill_process(pid, Signal::KILL);
    }
    let begun = Instant::now();
    while running.iter().any(|pid| is_ours(*pid, folder)) {
        if begun.elapsed() > Duration::from_secs(10) {
            bail!("the servers {running:?} do not die. Look: ps -fp {}", running[0]);
        }
        thread::sleep(Duration::from_millis(20));
    }
    Ok(running.len())
}

/// Whether the process runs (a zombie has no command line) and was started for `folder`.
fn is_ours(pid: i32, folder: &Path) -> bool {
    let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let folder = format!("{}/", folder.display());
    String::from_utf8_lossy(&line).contains(&folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recycled_pid_is_not_ours() {
        let own = i32::try_from(std::process::id()).unwrap();
        assert!(!is_ours(own, Path::new("/nonexistent/cluster")));
        let program = std::env::current_exe().unwrap();
        assert!(is_ours(own, program.parent().unwrap()), "its own path is in its command line");
    }
}
