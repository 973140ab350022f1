//! Syncs a long file to the disk while it is still being written, so that the final fsync is short.

use std::{
    fs::File,
    io,
    sync::mpsc::{SyncSender, sync_channel},
    thread::{self, JoinHandle},
};

/// Data is synced to the disk every time this many bytes are written.
const FLUSH: u64 = 8 << 20;

/// A thread next to the writer; it ends with this value, after its current sync.
#[derive(Debug)]
pub(super) struct Flusher {
    nudge: Option<SyncSender<()>>,
    thread: Option<JoinHandle<io::Result<()>>>,
    written: u64,
}

impl Flusher {
    /// `None` if no thread can be started: then the final fsync does all the work.
    pub(super) fn start(file: &File) -> Option<Self> {
        let file = file.try_clone().ok()?;
        let (nudge, nudged) = sync_channel::<()>(1);
        let thread = thread::Builder::new().name("flush".to_owned()).spawn(move || {
            while nudged.recv().is_ok() {
                file.sync_data()?;
            }
            Ok(())
        });
        Some(Self { nudge: Some(nudge), thread: Some(thread.ok()?), written: 0 })
    }

    /// Records that this many bytes were written.
    pub(super) fn wrote(&mut self, bytes: u64) {
        self.written += bytes;
        if self.written >= FLUSH
            && let Some(nudge) = &self.nudge
        {
            // A busy thread includes these bytes in its next sync.
            let _ = nudge.try_send(());
            self.written = 0;
        }
    }

    /// Waits for the current sync.
    ///
    /// # Errors
    /// The error of its fsync: Linux reports a write error once, not again at the next fsync.
    pub(super) fn end(mut self) -> io::Result<()> {
        self.join()
    }

    fn join(&mut self) -> io::Result<()> {
        drop(self.nudge.take());
        let ended = self.thread.take().map(JoinHandle::join);
        ended.map_or(Ok(()), |ended| ended.unwrap_or_else(|_| Err(io::Error::other("it panicked"))))
    }
}

impl Drop for Flusher {
    fn drop(&mut self) {
        // The file is not needed any more.
        let _ = self.join();
    }
}
