//! Runs a command's work, and stops it cleanly at Ctrl-C.

use anyhow::Result;

use crate::exit::Failure;

/// Runs `work` to its end. At Ctrl-C it is dropped where it is, and `left` says what that leaves.
pub(super) fn run<T>(left: &str, work: impl Future<Output = Result<T>>) -> Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let outcome = runtime.block_on(async {
        tokio::select! {
            outcome = work => outcome,
            _ = tokio::signal::ctrl_c() => Err(Failure::interrupted(left).into()),
        }
    });
    // A name that is being looked up has a thread of its own, which nobody waits for.
    runtime.shutdown_background();
    outcome
}
