//! The temporary file next to a target: owned by this user, or not used.

use std::{
    fs::File,
    io,
    os::{fd::OwnedFd, unix::fs::MetadataExt},
};

use rustix::{
    fs::{AtFlags, FlockOperation, Mode, OFlags},
    io::Errno,
};

/// How often to retry if the file disappears while it is opened.
const TRIES: usize = 8;

/// Opens and locks the temporary file; `None` if another user's file has this name. The lock ends
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
            // A link, something other than a file, or a file of a dead transfer that was about to
            // become read-only.
            Err(Errno::LOOP | Errno::ISDIR | Errno::NXIO) => false,
            Err(Errno::ACCESS) if is_there(folder, name) => false,
            // It was deleted meanwhile.
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
        // The previous holder may just have moved it to its target.
        if is_named(folder, name, &part)? {
            return Ok(Some(part));
        }
    }
    Err(Errno::WOULDBLOCK.into())
}

/// Whether a file belongs only to this user: another owner could write to it later, and a file with
/// a second name also exists elsewhere.
fn is_own(file: &File) -> io::Result<bool> {
    let meta = file.metadata()?;
    let own = meta.uid() == rustix::process::geteuid().as_raw();
    Ok(own && meta.is_file() && meta.nlink() == 1 && meta.mode() & 0o22 == 0)
}

fn is_there(folder: &OwnedFd, name: &[u8]) -> bool {
    rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW).is_ok()
}

/// Whether this name still refers to this file, and not to one that replaced it.
pub(super) fn is_named(folder: &OwnedFd, name: &[u8], file: &File) -> io::Result<bool> {
    let held = file.metadata()?;
    let named = rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW);
    Ok(named.is_ok_and(|named| (named.st_dev, named.st_ino) == (held.dev(), held.ino())))
}
