//! Shared code of commands that work in containers: the runtime, and the encoding of paths and
//! arguments.

use std::ffi::OsString;

use anyhow::Result;

use crate::{
    exit::{Failure, Topic},
    platform::files,
};
use diyadm_agent::protocol::{Bytes, STAND_IN, name_fits};

/// Runs `work`, which handles Ctrl-C itself, to its end.
pub(super) fn block<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let outcome = runtime.block_on(work);
    // Name lookups and reads of stdin have their own threads, for which nobody waits.
    runtime.shutdown_background();
    outcome
}

/// Converts an argument to the type of the protocol.
pub(super) fn bytes(word: OsString) -> Bytes {
    Bytes(files::argument_bytes(word))
}

/// Validates an application's name.
pub(super) fn named(name: &str) -> Result<&str> {
    if name_fits(name) {
        return Ok(name);
    }
    let what = format!("{name:?} is not a valid application name.");
    let hint =
        "A name has up to 63 letters, digits, `.`, `_` and `-`, and begins with a letter or digit.";
    Err(Failure::usage(Topic::CommandLine, what, hint).into())
}

/// Validates the name of an application to start.
pub(super) fn startable(name: &str) -> Result<&str> {
    if name == STAND_IN {
        let what = format!("`{STAND_IN}` is the name of the workload's own application.");
        return Err(Failure::usage(Topic::CommandLine, what, "Use another --name.").into());
    }
    named(name)
}
