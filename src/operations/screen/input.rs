//! Keys from the terminal, without a thread and without waking up for nothing.

use std::{
    io::stdin,
    os::fd::{AsFd, OwnedFd},
    time::Duration,
};

use anyhow::Result;
use crossterm::event::{self, Event, KeyEvent, KeyEventKind};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tokio::io::{Interest, unix::AsyncFd};

pub(super) struct Input {
    stdin: AsyncFd<OwnedFd>,
}

impl Input {
    #[expect(deprecated, reason = "its successor is unsafe, and an OwnedFd keeps its promise")]
    pub(super) fn new() -> Result<Self> {
        let stdin = stdin().as_fd().try_clone_to_owned()?;
        Ok(Self { stdin: AsyncFd::with_interest(stdin, Interest::READABLE)? })
    }

    /// The next keys; `None` if the terminal is gone.
    pub(super) async fn keys(&mut self) -> Option<Vec<KeyEvent>> {
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
