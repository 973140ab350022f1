//! The local terminal.

use std::{
    io::{self, stdin},
    os::{
        fd::{AsFd, OwnedFd},
        unix::net::UnixStream,
    },
    thread,
    time::Duration,
};

use crossterm::event::{self, Event, KeyEvent, KeyEventKind};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
    process::getpgrp,
    termios::{
        LocalModes, OptionalActions, SpecialCodeIndex, Termios, isatty, tcgetattr, tcgetpgrp,
        tcgetwinsize, tcsetattr,
    },
};
use tokio::{
    io::{Interest, unix::AsyncFd},
    sync::mpsc,
};

use crate::platform::set_raw;

/// A standard stream.
pub(crate) use std::os::fd::AsFd as AsStream;

const PIECE: usize = 4 << 10;

/// Prepares the output for colours and movements; nothing is needed here.
pub(crate) fn prepare() {}

/// The columns and lines of a terminal; `None` if it is none, or does not know them.
pub(crate) fn size(stream: impl AsStream) -> Option<(u16, u16)> {
    let size = tcgetwinsize(stream).ok()?;
    (size.ws_col > 0 && size.ws_row > 0).then_some((size.ws_col, size.ws_row))
}

/// Whether keys go to this program, and not to another one in the terminal's foreground.
pub(crate) fn is_in_front() -> bool {
    tcgetpgrp(stdin()).is_ok_and(|group| group == getpgrp())
}

/// Waits until a stream that another process has made non-blocking can be written.
pub(crate) fn wait_until_writable(stream: &impl AsStream) -> io::Result<()> {
    poll(&mut [PollFd::new(stream, PollFlags::OUT)], None)?;
    Ok(())
}

/// The terminal that stdin is, raw until dropped. A panic drops it too.
pub(crate) struct Tty {
    terminal: OwnedFd,
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
        set_raw(tty.is_some());
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

impl Drop for Tty {
    fn drop(&mut self) {
        // A closed terminal needs nothing.
        let _ = tcsetattr(&self.terminal, OptionalActions::Drain, &self.before);
        set_raw(false);
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

/// Keys of a raw terminal, read without a thread, and without waking up for nothing.
pub(crate) struct KeyInput {
    stdin: AsyncFd<OwnedFd>,
}

impl KeyInput {
    /// From stdin.
    #[expect(deprecated, reason = "its successor is unsafe, and an OwnedFd keeps its promise")]
    pub(crate) fn new() -> io::Result<Self> {
        let stdin = stdin().as_fd().try_clone_to_owned()?;
        Ok(Self { stdin: AsyncFd::with_interest(stdin, Interest::READABLE)? })
    }

    /// The next keys; `None` if the terminal is gone.
    pub(crate) async fn keys(&mut self) -> Option<Vec<KeyEvent>> {
        loop {
            self.stdin.readable().await.ok()?.clear_ready();
            let keys = self.read()?;
            if !keys.is_empty() {
                return Some(keys);
            }
        }
    }

    fn read(&self) -> Option<Vec<KeyEvent>> {
        let mut keys = Vec::new();
        loop {
            // crossterm would read a closed terminal again and again.
            let mut ready = [PollFd::new(self.stdin.get_ref(), PollFlags::IN)];
            poll(&mut ready, Some(&Timespec::default())).ok()?;
            if ready[0].revents().intersects(PollFlags::HUP | PollFlags::ERR | PollFlags::NVAL) {
                return None;
            }
            if !event::poll(Duration::ZERO).ok()? {
                return Some(keys);
            }
            if let Event::Key(key) = event::read().ok()?
                && key.kind != KeyEventKind::Release
            {
                keys.push(key);
            }
        }
    }
}
