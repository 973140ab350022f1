//! Processes: this one's limits, and those that it starts.

use std::{
    ffi::OsString, fs, io, os::unix::process::ExitStatusExt, process::ExitStatus, sync::Arc,
};

use rustix::{
    process::{
        Pid, Resource, Rlimit, Signal, getrlimit, kill_process, kill_process_group, setrlimit,
    },
    time::{ClockId, clock_gettime},
};
use tokio::process::{Child, Command};

/// A command of the user's shell, in a process group of its own.
pub(crate) fn shell(command: &str) -> Command {
    let mut shell = Command::new("sh");
    shell.args(["-c", command]).process_group(0);
    shell
}

/// The processes of a command of [`shell`], which are killed when it is dropped: when only the
/// shell ended, a compiler would stay behind.
pub(crate) struct ProcessGroup(Option<Pid>);

impl ProcessGroup {
    /// Of a running command.
    pub(crate) fn of(shell: &Child) -> Self {
        Self(pid(shell))
    }

    /// Keeps the processes that are left.
    pub(crate) fn keep(mut self) {
        self.0 = None;
    }
}

impl Drop for ProcessGroup {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            // All processes may have ended a moment ago.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

/// Asks a process to end.
pub(crate) fn terminate(child: &mut Child) {
    if let Some(id) = pid(child) {
        // It may have ended.
        let _ = kill_process(id, Signal::TERM);
    }
}

fn pid(child: &Child) -> Option<Pid> {
    Pid::from_raw(child.id()?.try_into().ok()?)
}

/// Gives a command another name than its file's.
pub(crate) fn set_name(command: &mut Command, name: OsString) {
    command.arg0(name);
}

/// The signal that ended a process.
pub(crate) fn signal_of(status: ExitStatus) -> Option<i32> {
    status.signal()
}

/// How many files this process may have open.
pub(crate) fn open_file_limit() -> u64 {
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}

/// Raises the limit of open files to `wanted`, or to the hard limit where that is lower.
pub(crate) fn raise_open_file_limit(wanted: u64) -> io::Result<()> {
    let limit = getrlimit(Resource::Nofile);
    let allowed = limit.maximum.unwrap_or(u64::MAX).min(wanted);
    if limit.current.is_some_and(|current| current < allowed) {
        let raised = Rlimit { current: Some(allowed), maximum: limit.maximum };
        setrlimit(Resource::Nofile, raised)?;
    }
    Ok(())
}

/// Turns the file size limit (`ulimit -f`) into an error of that file, since the signal would end
/// the process.
pub(crate) fn survive_file_limits() {
    // Without a handler, the signal keeps its default action.
    let _ = signal_hook::flag::register(signal_hook::consts::SIGXFSZ, Arc::default());
}

/// Disables core dumps, and on Linux debuggers of the same user: this process's memory has a key.
///
/// # Errors
/// What the kernel says.
pub(crate) fn protect_memory() -> io::Result<()> {
    #[cfg(target_os = "linux")]
    {
        use rustix::process::{DumpableBehavior, set_dumpable_behavior};
        Ok(set_dumpable_behavior(DumpableBehavior::NotDumpable)?)
    }
    #[cfg(not(target_os = "linux"))]
    Ok(setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?)
}

/// Open file descriptors and resident bytes of this process; 0 if unknown, as on macOS.
pub(crate) fn usage() -> (usize, usize) {
    let descriptors = fs::read_dir("/proc/self/fd").map_or(0, Iterator::count);
    let resident = fs::read_to_string("/proc/self/statm")
        .ok()
        .and_then(|statm| statm.split_whitespace().nth(1)?.parse::<usize>().ok());
    (descriptors, resident.unwrap_or_default() * rustix::param::page_size())
}

/// Time of this thread on a processor, in nanoseconds.
pub(crate) fn thread_nanos() -> u64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    u64::try_from(time.tv_sec).unwrap_or_default() * 1_000_000_000
        + u64::try_from(time.tv_nsec).unwrap_or_default()
}
