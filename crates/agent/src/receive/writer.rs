//! Writes a long file while its next bytes are still read and hashed.

use std::{
    fs::File,
    io,
    sync::{
        atomic::{AtomicUsize, Ordering::SeqCst},
        mpsc::{Receiver, SyncSender, channel, sync_channel},
    },
    thread::{self, JoinHandle},
};

use super::{flush::Flusher, sparse};

/// Number of pieces that wait to be written, and are lost if this process is killed.
const WAITING: usize = 1;

/// Maximum number of files that are written this way at a time; there are several where several
/// wait for content.
const MOST: usize = 4;
/// How many there are now.
static WRITERS: AtomicUsize = AtomicUsize::new(0);

/// A writing thread next to the reading thread; it ends with this value, after writing all data.
#[derive(Debug)]
pub(super) struct Writer {
    pieces: Option<SyncSender<(u64, Vec<u8>)>>,
    /// Buffers to reuse.
    used: Receiver<Vec<u8>>,
    thread: Option<JoinHandle<io::Result<()>>>,
}

impl Writer {
    /// Returns `None` if no thread can be started, or there are enough. The file has not been
    /// written from `fresh` on.
    pub(super) fn start(file: &File, fresh: u64) -> Option<Self> {
        let one_more = |count| (count < MOST).then_some(count + 1);
        WRITERS.fetch_update(SeqCst, SeqCst, one_more).ok()?;
        let started = Self::spawn(file, fresh);
        if started.is_none() {
            WRITERS.fetch_sub(1, SeqCst);
        }
        started
    }

    fn spawn(file: &File, fresh: u64) -> Option<Self> {
        let file = file.try_clone().ok()?;
        let (pieces, given) = sync_channel::<(u64, Vec<u8>)>(WAITING);
        let (back, used) = channel();
        let thread = thread::Builder::new().name("write".to_owned()).spawn(move || {
            let mut flusher = Flusher::start(&file);
            for (at, mut bytes) in given {
                sparse::write_all_at(&file, &bytes, at, fresh)?;
                if let Some(flusher) = &mut flusher {
                    flusher.wrote(bytes.len() as u64);
                }
                bytes.clear();
                // A receiver that is gone has nothing more to write.
                let _ = back.send(bytes);
            }
            flusher.map_or(Ok(()), Flusher::end)
        });
        Some(Self { pieces: Some(pieces), used, thread: Some(thread.ok()?) })
    }

    /// Queues this buffer for writing, and leaves an empty one.
    ///
    /// # Errors
    /// What was written before could not be.
    pub(super) fn write(&mut self, at: u64, bytes: &mut Vec<u8>) -> io::Result<()> {
        let piece = std::mem::replace(bytes, self.used.try_recv().unwrap_or_default());
        match self.pieces.as_ref().map(|pieces| pieces.send((at, piece))) {
            Some(Ok(())) => Ok(()),
            _ => self.join(),
        }
    }

    /// Waits until everything is written, and most of it is on the disk.
    ///
    /// # Errors
    /// What the disk said: the system tells that once, and not again at the next fsync.
    pub(super) fn end(mut self) -> io::Result<()> {
        self.join()
    }

    fn join(&mut self) -> io::Result<()> {
        drop(self.pieces.take());
        let ended = || io::Error::other("the writer has stopped");
        self.thread.take().ok_or_else(ended)?.join().unwrap_or_else(|_| Err(ended()))
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // Data that an interrupted transfer could not write is sent again.
        let _ = self.join();
        WRITERS.fetch_sub(1, SeqCst);
    }
}
