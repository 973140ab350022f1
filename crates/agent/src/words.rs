//! The words and variables of a command: which of them are reported, and what is appended to them.

use std::{
    env,
    ffi::{OsStr, OsString},
    process::Command,
};

use super::protocol::Bytes;

/// Bytes of a command or folder that are reported.
const MOST_SHOWN: usize = 1024;

/// Words as reported: those of all applications must fit into one frame.
pub(super) fn reported(words: &[Bytes]) -> Vec<Bytes> {
    let mut left = MOST_SHOWN;
    let mut shown = Vec::new();
    for word in words {
        // Including its separator.
        let Some(rest) = left.checked_sub(word.0.len() + 4) else {
            shown.push("…".into());
            break;
        };
        left = rest;
        shown.push(word.clone());
    }
    shown
}

/// Appends text, after a blank, to the value of a variable: the command's own value, else this
/// process's.
pub(super) fn append(command: &mut Command, name: &OsStr, more: &OsStr) {
    let own = command.get_envs().find(|(key, _)| *key == name);
    let own = own.and_then(|(_, value)| value.map(OsStr::to_owned));
    let mut value = own.or_else(|| env::var_os(name)).unwrap_or_else(OsString::new);
    if !value.is_empty() {
        value.push(" ");
    }
    value.push(more);
    command.env(name, value);
}
