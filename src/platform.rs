//! What operating systems do differently: files, processes, signals and terminals. No other module
//! makes calls of one system; each system has the same functions.
//!
//! The agent, which runs in containers, is for Linux alone.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

#[cfg(unix)]
pub(crate) use unix::{files, process, signals, terminal};
#[cfg(windows)]
pub(crate) use windows::{files, process, signals, terminal};

/// Whether a [`terminal::Tty`] passes on all keys and characters unchanged.
static IS_RAW: AtomicBool = AtomicBool::new(false);

/// Whether the terminal passes on all keys and characters unchanged.
pub(crate) fn has_raw_terminal() -> bool {
    IS_RAW.load(Relaxed)
}

fn set_raw(is_raw: bool) {
    IS_RAW.store(is_raw, Relaxed);
}
