//! Processes: this one's limits, and those that it starts.

use std::{
    ffi::OsString,
    io,
    process::{self, ExitStatus, Stdio},
    sync::LazyLock,
    time::Instant,
};

use tokio::process::{Child, Command};

/// A command of the user's shell.
pub(crate) fn shell(command: &str) -> Command {
    let mut shell = Command::new("cmd");
    // The rest of the line as it is written: `cmd` has rules of its own for quotes.
    shell.args(["/D", "/S", "/C"]).raw_arg(format!("\"{command}\""));
    shell
}

/// The processes of a command of [`shell`], which are killed when it is dropped: when only the
/// shell ended, a compiler would stay behind.
pub(crate) struct ProcessGroup(Option<u32>);

impl ProcessGroup {
    /// Of a running command.
    pub(crate) fn of(shell: &Child) -> Self {
        Self(shell.id())
    }

    /// Keeps the processes that are left.
    pub(crate) fn keep(mut self) {
        self.0 = None;
    }
}

impl Drop for ProcessGroup {
    fn drop(&mut self) {
        if let Some(id) = self.0 {
            let mut kill = process::Command::new("taskkill");
            kill.args(["/F", "/T", "/PID", &id.to_string()]);
            // All processes may have ended a moment ago.
            let _ = kill.stdout(Stdio::null()).stderr(Stdio::null()).status();
        }
    }
}

/// Ends a process: a program without a window cannot be asked to.
pub(crate) fn terminate(child: &mut Child) {
    // It may have ended.
    let _ = child.start_kill();
}

/// A program is found by its file's name alone.
pub(crate) fn set_name(_command: &mut Command, _name: OsString) {}

/// There are no signals.
pub(crate) fn signal_of(_status: ExitStatus) -> Option<i32> {
    None
}

/// There is no limit of open files.
pub(crate) fn open_file_limit() -> u64 {
    u64::MAX
}

/// There is no limit of open files.
pub(crate) fn raise_open_file_limit(_wanted: u64) -> io::Result<()> {
    Ok(())
}

/// There is no limit of a file's size.
pub(crate) fn survive_file_limits() {}

/// The webhook's server runs on Linux; on Windows it is for local tests, with keys of its own.
///
/// # Errors
/// Never.
pub(crate) fn protect_memory() -> io::Result<()> {
    Ok(())
}

/// Open files and resident bytes of this process; unknown here.
pub(crate) fn usage() -> (usize, usize) {
    (0, 0)
}

/// Nanoseconds since the start: the time of a thread on a processor is unknown here.
pub(crate) fn thread_nanos() -> u64 {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    u64::try_from(START.elapsed().as_nanos()).unwrap_or(u64::MAX)
}
