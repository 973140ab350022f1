//! Runs a command's work, and stops it cleanly at Ctrl-C.

use anyhow::Result;

use crate::exit::Failure;

/// Runs `work` to its end. At Ctrl-C it is dropped, and `left` describes what remains.
pub(super) fn run_interruptible<T>(left: &str, work: impl Future<Output = Result<T>>) -> Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let outcome = runtime.block_on(async {
        tokio::select! {
            outcome = work => outcome,
            _ = tokio::signal::ctrl_c() => Err(Failure::interrupted(left).into()),
        }
    });
    // Name lookups have their own threads, for which nobody waits.
    runtime.shutdown_background();
    outcome
}
