//! What the commands that work in containers share: their runtime, and how paths and words travel.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use anyhow::Result;

use crate::exit::Failure;
use diyadm_agent::protocol::{Bytes, name_fits};

/// Runs `work` to its end; it hears Ctrl-C itself.
pub(super) fn block<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let outcome = runtime.block_on(work);
    // Whatever waits for a name or for stdin has a thread of its own, which nobody waits for.
    runtime.shutdown_background();
    outcome
}

/// A word of the command line as it travels.
pub(super) fn bytes(word: OsString) -> Bytes {
    Bytes(word.into_vec())
}

/// Holds an application's name against what one may be.
pub(super) fn named(name: &str) -> Result<&str> {
    if name_fits(name) {
        return Ok(name);
    }
    let what = format!("{name:?} is not a valid application name.");
    let hint =
        "One has up to 63 letters, digits, `.`, `_` and `-`, and begins with a letter or digit.";
    Err(Failure::usage(what, hint).into())
}
