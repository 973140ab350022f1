//! Signals that end or change a command.

pub(crate) use tokio::signal::unix::{Signal, SignalKind, signal};
