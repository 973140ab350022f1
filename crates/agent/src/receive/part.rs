//! The file beside a target, by its name: this user's alone, or none.

use std::{
    fs::File,
    io,
    os::{fd::OwnedFd, unix::fs::MetadataExt},
};

use rustix::{
    fs::{AtFlags, FlockOperation, Mode, OFlags},
    io::Errno,
};

/// How often one that goes away while it is opened is tried again.
const TRIES: usize = 8;

/// Opens the file beside and locks it; `None` where another user's file has this name. The lock goes
/// with the process, however that ends.
pub(super) fn open(folder: &OwnedFd, name: &[u8]) -> io::Result<Option<File>> {
    let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let open = |flags| rustix::fs::openat(folder, name, flags, Mode::RUSR | Mode::WUSR);
    for _ in 0..TRIES {
        let part = match open(flags | OFlags::CREATE | OFlags::EXCL) {
            Err(Errno::EXIST) => open(flags).map(File::from),
            part => part.map(File::from),
        };
        let stays = match &part {
            Ok(part) => is_own(part)?,
            // A link, what is no file, or one that was about to be read-only, of a transfer that
            // died.
            Err(Errno::LOOP | Errno::ISDIR | Errno::NXIO) => false,
            Err(Errno::ACCESS) if is_there(folder, name) => false,
            // Gone meanwhile.
            Err(Errno::NOENT) => continue,
            Err(error) => return Err((*error).into()),
        };
        let (true, Ok(part)) = (stays, part) else {
            if rustix::fs::unlinkat(folder, name, AtFlags::empty()).is_err() {
                return Ok(None);
            }
            continue;
        };
        rustix::fs::flock(&part, FlockOperation::NonBlockingLockExclusive)?;
        // Whoever had it until now may just have put it in its target's place.
        if is_named(folder, name, &part)? {
            return Ok(Some(part));
        }
    }
    Err(Errno::WOULDBLOCK.into())
}

/// Whether a file is this user's alone: another could write to it later, and one with a second name
/// is also somewhere else.
fn is_own(file: &File) -> io::Result<bool> {
    let meta = file.metadata()?;
    let own = meta.uid() == rustix::process::geteuid().as_raw();
    Ok(own && meta.is_file() && meta.nlink() == 1 && meta.mode() & 0o22 == 0)
}

fn is_there(folder: &OwnedFd, name: &[u8]) -> bool {
    rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW).is_ok()
}

/// Whether this name is that of this file, and not of one that came in its place.
pub(super) fn is_named(folder: &OwnedFd, name: &[u8], file: &File) -> io::Result<bool> {
    let held = file.metadata()?;
    let named = rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW);
    Ok(named.is_ok_and(|named| (named.st_dev, named.st_ino) == (held.dev(), held.ino())))
}
