//! The effect of a step of a transfer.

use std::io;

use rustix::io::Errno;

/// The effect of a step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Effect {
    /// Whether something was changed.
    pub(super) changed: bool,
    /// Whether a mode or a time could not be set.
    pub(super) unset: bool,
}

impl Effect {
    /// Everything was done.
    pub(super) fn changed(changed: bool) -> Self {
        Self { changed, unset: false }
    }

    /// Records whether a mode or a time could be set: only the owner may, and some file systems do
    /// not store them.
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
