//! The local terminal: raw while something else handles the keys, and restored on every exit.

use std::{
    io::{self, stdin},
    os::{
        fd::{AsFd, OwnedFd},
        unix::net::UnixStream,
    },
    thread,
};

use rustix::{
    event::{PollFd, PollFlags, poll},
    io::Errno,
    termios::{
        LocalModes, OptionalActions, SpecialCodeIndex, Termios, isatty, tcgetattr, tcgetwinsize,
        tcsetattr,
    },
};
use tokio::sync::mpsc;

use crate::{kubernetes::Size, ui};

const PIECE: usize = 4 << 10;

/// The terminal that stdin is, raw until dropped. A panic drops it too.
pub(crate) struct Tty {
    /// For reading its size.
    pub(crate) terminal: OwnedFd,
    before: Termios,
    /// The typed input; ends with the terminal.
    pub(crate) typed: mpsc::Receiver<Vec<u8>>,
    /// Dropping it ends the reading thread.
    _stop: UnixStream,
}

impl Tty {
    /// Makes it raw; `None` if stdin is not a terminal.
    pub(crate) fn raw() -> io::Result<Option<Self>> {
        let tty = Self::with(Termios::make_raw)?;
        ui::set_raw(tty.is_some());
        Ok(tty)
    }

    /// Makes it deliver each key at once without echo; Ctrl-C stays a signal. `None` if stdin is
    /// not a terminal.
    pub(crate) fn keys() -> io::Result<Option<Self>> {
        Self::with(|modes| {
            modes.local_modes.remove(LocalModes::ICANON | LocalModes::ECHO);
            modes.special_codes[SpecialCodeIndex::VMIN] = 1;
            modes.special_codes[SpecialCodeIndex::VTIME] = 0;
        })
    }

    fn with(change: impl Fn(&mut Termios)) -> io::Result<Option<Self>> {
        if !isatty(stdin()) {
            return Ok(None);
        }
        let terminal = stdin().as_fd().try_clone_to_owned()?;
        let before = tcgetattr(&terminal)?;
        let mut raw = before.clone();
        change(&mut raw);
        let (stop, stopped) = UnixStream::pair()?;
        let (sender, typed) = mpsc::channel(1);
        let input = terminal.try_clone()?;
        tcsetattr(&terminal, OptionalActions::Drain, &raw)?;
        let tty = Self { terminal, before, typed, _stop: stop };
        thread::spawn(move || forward_input(&input, &stopped, &sender));
        Ok(Some(tty))
    }
}

/// A terminal's size; `None` if it has none.
pub(crate) fn size(terminal: &OwnedFd) -> Option<Size> {
    let size = tcgetwinsize(terminal).ok()?;
    (size.ws_col > 0 && size.ws_row > 0).then_some(Size { width: size.ws_col, height: size.ws_row })
}

impl Drop for Tty {
    fn drop(&mut self) {
        ui::set_raw(false);
        // A closed terminal needs nothing.
        let _ = tcsetattr(&self.terminal, OptionalActions::Drain, &self.before);
    }
}

/// Reads input until the other end of `stopped` is dropped. Waits for both without reading, so that
/// later keys go to other programs.
fn forward_input(input: &OwnedFd, stopped: &UnixStream, sender: &mpsc::Sender<Vec<u8>>) {
    let mut buffer = vec![0; PIECE];
    loop {
        let mut both =
            [input.as_fd(), stopped.as_fd()].map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN));
        match poll(&mut both, None) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(_) => return,
        }
        if !both[1].revents().is_empty() {
            return;
        }
        if both[0].revents().is_empty() {
            continue;
        }
        match rustix::io::read(input, &mut buffer) {
            Ok(read @ 1..) if sender.blocking_send(buffer[..read].to_vec()).is_ok() => {}
            Err(Errno::INTR | Errno::AGAIN) => {}
            _ => return,
        }
    }
}
