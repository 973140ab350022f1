//! What a step of a transfer did.

use std::io;

use rustix::io::Errno;

/// What a step did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Effect {
    /// Whether anything is different now.
    pub(super) changed: bool,
    /// Whether a mode or a time could not be set.
    pub(super) unset: bool,
}

impl Effect {
    /// All was done.
    pub(super) fn changed(changed: bool) -> Self {
        Self { changed, unset: false }
    }

    /// Notes that a mode or a time was set, or that it could not be: only the owner may, and some
    /// file systems keep none.
    ///
    /// # Errors
    /// Anything else that went wrong.
    pub(super) fn set(&mut self, outcome: rustix::io::Result<()>) -> io::Result<()> {
        match outcome {
            Ok(()) => self.changed = true,
            Err(Errno::PERM | Errno::ACCESS | Errno::ROFS | Errno::OPNOTSUPP | Errno::NOSYS) => {
                self.unset = true;
            }
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }
}
