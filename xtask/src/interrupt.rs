//! Ctrl-C and SIGTERM as a flag, so that servers are stopped on the way out.
//!
//! Never ends the process: the loops that wait look at [`check`] and return an error.

use std::sync::{
    Arc, LazyLock,
    atomic::{AtomicBool, Ordering},
};

use anyhow::{Context, Result, bail};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

static SEEN: LazyLock<Arc<AtomicBool>> = LazyLock::new(Arc::default);

/// From here on a signal sets the flag instead of ending the process.
pub(crate) fn watch() -> Result<()> {
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        signal_hook::flag::register(signal, Arc::clone(&SEEN)).context("cannot watch signals")?;
    }
    Ok(())
}

/// Whether a signal has come since [`watch`].
pub(crate) fn seen() -> bool {
    SEEN.load(Ordering::Relaxed)
}

/// An error once a signal has come.
pub(crate) fn check() -> Result<()> {
    if seen() {
        bail!("interrupted");
    }
    Ok(())
}
