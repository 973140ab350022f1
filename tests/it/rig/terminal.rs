//! A program on a terminal of its own. The test has the other end: it types and reads there.

use std::{
    fs::File,
    process::{Child, Command},
};

use rustix::{
    fs::{Mode, OFlags},
    pty::{OpenptFlags, openpt, ptsname, unlockpt},
    termios::{Winsize, tcsetwinsize},
};

/// Runs `command` with a new terminal as its controlling one; the file is what a person has before
/// them. Its child's exit code is the program's: util-linux's `script` stands between the two, and
/// now and then ends with 0 where the terminal is closed before the program is waited for.
pub(crate) fn on_terminal(command: &Command) -> (Child, File) {
    on_terminal_of(command, None)
}

/// [`on_terminal`] of this size, where the terminal is to have one.
pub(crate) fn on_terminal_of(command: &Command, size: Option<Winsize>) -> (Child, File) {
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let here = openpt(flags).unwrap();
    unlockpt(&here).unwrap();
    if let Some(size) = size {
        tcsetwinsize(&here, size).unwrap();
    }
    let name = ptsname(&here, Vec::new()).unwrap();
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
    let there = rustix::fs::open(name, flags, Mode::empty()).unwrap();
    let there = || there.try_clone().unwrap();
    let mut setsid = Command::new("setsid");
    setsid.arg("--ctty").arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => setsid.env(name, value),
            None => setsid.env_remove(name),
        };
    }
    if let Some(folder) = command.get_current_dir() {
        setsid.current_dir(folder);
    }
    let child = setsid.stdin(there()).stdout(there()).stderr(there()).spawn();
    (child.expect("util-linux's setsid"), File::from(here))
}
