//! One server of the cluster as a process: started with a log, found again by its pid file, killed.
//!
//! Never signals a process that is not ours: what a pid file names must hold the cluster's folder
//! in its command line.

use std::{
    env,
    ffi::OsString,
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

/// Whose network, mounts and processes a server sees.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Host,
    /// The node's, by its first process.
    Node(u32),
}

/// A server that this process started.
pub(super) struct Server {
    /// What it is called in `status`.
    pub(super) name: String,
    child: Child,
    /// Where it is not the child that must be killed but one below it.
    really: Option<i32>,
    folder: PathBuf,
}

impl Server {
    /// Starts `program` with its output in `folder/NAME.log` and its pid in `folder/NAME.pid`.
    pub(super) fn spawn(
        folder: &Path,
        name: &str,
        program: &Path,
        args: &[String],
        life: Life,
        place: Place,
    ) -> Result<Self> {
        let output = File::create(folder.join(format!("{name}.log")))?;
        let mut words: Vec<OsString> = Vec::new();
        if life == Life::Held {
            // The kernel kills it when the thread that starts it ends: no way out leaves it behind.
            words.extend(["setpriv", "--pdeathsig", "KILL", "--"].map(OsString::from));
        }
        if let Place::Node(pid) = place {
            words.push("nsenter".into());
            words.extend(enter(pid).map(OsString::from));
        }
        words.push(program.into());
        let mut command = Command::new(&words[0]);
        if let Some(folder) = program.parent().filter(|_| place != Place::Host) {
            // containerd looks for its shim, and the shim for runc, on PATH.
            let path = env::var_os("PATH").unwrap_or_default();
            let path = [folder.to_owned()].into_iter().chain(env::split_paths(&path));
            command.env("PATH", env::join_paths(path)?);
        }
        let child = command
            .args(&words[1..])
            .args(args)
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            // Ctrl-C is for xtask, which stops its servers itself.
            .process_group(0)
            .spawn()
            .with_context(|| format!("cannot start {}", program.display()))?;
        fs::write(folder.join(format!("{name}.pid")), child.id().to_string())?;
        Ok(Self { name: name.to_owned(), child, really: None, folder: folder.to_owned() })
    }

    /// From here on it is stopped by killing `pid`, with which the child ends by itself.
    pub(super) fn is_really(&mut self, pid: u32) -> Result<()> {
        fs::write(self.folder.join(format!("{}.pid", self.name)), pid.to_string())?;
        self.really = Some(i32::try_from(pid)?);
        Ok(())
    }

    pub(super) fn lives(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    pub(super) fn kill(mut self) {
        // It may have ended by itself: there is nothing left to do then.
        match self.really.filter(|pid| is_ours(*pid, &self.folder)).and_then(Pid::from_raw) {
            Some(pid) => drop(kill_process(pid, Signal::KILL)),
            None => drop(self.child.kill()),
        }
        let _ = self.child.wait();
    }

    /// The last lines of what it said.
    pub(super) fn log_tail(&self) -> String {
        let log = self.folder.join(format!("{}.log", self.name));
        let log = fs::read(log).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }
}

/// nsenter's words that lead to where the node's first process is.
pub(super) fn enter(node: u32) -> [String; 8] {
    let target = node.to_string();
    ["--target", &target, "--mount", "--net", "--pid", "--ipc", "--uts", "--"].map(str::to_owned)
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
    fn recycled_pid_is_not_recognized_as_ours() {
        let own = i32::try_from(std::process::id()).unwrap();
        assert!(!is_ours(own, Path::new("/nonexistent/cluster")));
        let program = std::env::current_exe().unwrap();
        assert!(is_ours(own, program.parent().unwrap()), "its own path is in its command line");
    }
}
