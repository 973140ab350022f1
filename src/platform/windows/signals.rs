//! Signals that end or change a command: the console's events under the names that Unix has.

use std::{
    io::{self, stdout},
    time::Duration,
};

use tokio::{
    signal::windows::{CtrlBreak, CtrlC, CtrlClose, ctrl_break, ctrl_c, ctrl_close},
    time::sleep,
};

use super::terminal;

/// How often the size of the terminal is read: the console sends its changes to readers of keys
/// alone.
const OFTEN: Duration = Duration::from_millis(250);

/// What a command waits for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum SignalKind {
    Interrupt,
    Terminate,
    Hangup,
    WindowChange,
}

impl SignalKind {
    /// Ctrl-C.
    pub(crate) fn interrupt() -> Self {
        Self::Interrupt
    }

    /// Ctrl-Break, which other programs can send.
    pub(crate) fn terminate() -> Self {
        Self::Terminate
    }

    /// The console's window is closed.
    pub(crate) fn hangup() -> Self {
        Self::Hangup
    }

    /// Another size of the terminal.
    pub(crate) fn window_change() -> Self {
        Self::WindowChange
    }
}

/// A signal that is handled.
#[derive(Debug)]
pub(crate) enum Signal {
    Interrupt(CtrlC),
    Terminate(CtrlBreak),
    Hangup(CtrlClose),
    WindowChange(Option<(u16, u16)>),
}

/// Handles a signal from now on.
pub(crate) fn signal(kind: SignalKind) -> io::Result<Signal> {
    Ok(match kind {
        SignalKind::Interrupt => Signal::Interrupt(ctrl_c()?),
        SignalKind::Terminate => Signal::Terminate(ctrl_break()?),
        SignalKind::Hangup => Signal::Hangup(ctrl_close()?),
        SignalKind::WindowChange => Signal::WindowChange(terminal::size(stdout())),
    })
}

impl Signal {
    /// Completes when it arrives.
    pub(crate) async fn recv(&mut self) -> Option<()> {
        match self {
            Self::Interrupt(signal) => signal.recv().await,
            Self::Terminate(signal) => signal.recv().await,
            Self::Hangup(signal) => signal.recv().await,
            Self::WindowChange(last) => loop {
                sleep(OFTEN).await;
                let now = terminal::size(stdout());
                if now != *last {
                    *last = now;
                    return Some(());
                }
            },
        }
    }
}
