//! A line on a terminal that says that a command waits for its first answer. It goes when anything
//! else is printed, and does not come back.

use std::{
    io::{self, IsTerminal, Write},
    sync::atomic::{AtomicU8, Ordering::SeqCst},
};

use super::ERASE;

/// Nothing has been printed yet.
const READY: u8 = 0;
const SHOWN: u8 = 1;
/// Something has been printed, or nothing is wanted.
const OFF: u8 = 2;

static STATE: AtomicU8 = AtomicU8::new(READY);

/// Shows the line.
pub(crate) fn show() {
    let is_terminal = io::stderr().is_terminal();
    if is_terminal && STATE.compare_exchange(READY, SHOWN, SeqCst, SeqCst).is_ok() {
        write(&format!("{ERASE}  waiting for the API server"));
    }
}

/// Removes the line; it may come again.
pub(crate) fn hide() {
    if STATE.compare_exchange(SHOWN, READY, SeqCst, SeqCst).is_ok() {
        write(ERASE);
    }
}

/// Removes the line for good.
pub(crate) fn end() {
    if STATE.swap(OFF, SeqCst) == SHOWN {
        write(ERASE);
    }
}

fn write(text: &str) {
    // Without a reader, it is dropped.
    let _ = io::stderr().write_all(text.as_bytes());
}
