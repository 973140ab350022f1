//! Names, metadata and atomic operations of files.

use std::{
    borrow::Cow,
    env,
    ffi::{OsStr, OsString},
    fs::{File, Metadata, OpenOptions, Permissions},
    io::{self, ErrorKind},
    os::unix::{
        ffi::{OsStrExt, OsStringExt},
        fs::{FileExt, MetadataExt, OpenOptionsExt, PermissionsExt, fchown},
    },
    path::Path,
};

use rustix::{
    fs::{
        CWD, FlockOperation, Mode, OFlags, RenameFlags, XattrFlags, fgetxattr, flistxattr, flock,
        fsetxattr, open, renameat_with,
    },
    io::Errno,
};

/// Identifies an unchanged file: inode, size, modification time and change time. The change time
/// reveals writes that reset the modification time.
pub(crate) type Stamp = (u64, u64, i64, i64, i64, i64);

/// The user's home folder, for `~/.kube/config`.
pub(crate) fn home() -> Option<OsString> {
    env::var_os("HOME")
}

/// A local path, or a part of it, as a path of a container.
pub(crate) fn path_bytes(path: &OsStr) -> Cow<'_, [u8]> {
    Cow::Borrowed(path.as_bytes())
}

/// A relative path of a container as a local path.
pub(crate) fn local_path(path: &[u8]) -> Cow<'_, Path> {
    Cow::Borrowed(Path::new(OsStr::from_bytes(path)))
}

/// The bytes of an argument.
pub(crate) fn argument_bytes(argument: OsString) -> Vec<u8> {
    argument.into_vec()
}

/// The permissions that a file gets in a container.
pub(crate) fn mode(meta: &Metadata) -> u32 {
    meta.mode() & 0o777
}

/// The modification time, in seconds and nanoseconds.
pub(crate) fn mtime(meta: &Metadata) -> (i64, u32) {
    (meta.mtime(), u32::try_from(meta.mtime_nsec()).unwrap_or_default())
}

/// The identity of an unchanged file.
pub(crate) fn stamp(meta: &Metadata) -> Stamp {
    let (s, ns) = (meta.ctime(), meta.ctime_nsec());
    (meta.ino(), meta.len(), meta.mtime(), meta.mtime_nsec(), s, ns)
}

/// Opens a file to read it, without following a link, and without waiting for a pipe's writer.
pub(crate) fn open_file(path: &Path) -> io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    Ok(File::from(open(path, flags, Mode::empty())?))
}

/// Reads the bytes at `offset`; returns how many there are, as [`io::Read::read`] does.
pub(crate) fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    file.read_at(buffer, offset)
}

/// Creates a file. Other users never have more access than `mode` allows.
///
/// # Errors
/// It exists.
pub(crate) fn create_new(path: &Path, mode: u32) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(mode).open(path)
}

/// Renames a file, unless the new name exists.
pub(crate) fn rename_new(from: &Path, to: &Path) -> io::Result<()> {
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        // A file system without an atomic operation for this.
        Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) if to.symlink_metadata().is_err() => {
            std::fs::rename(from, to)
        }
        renamed => Ok(renamed?),
    }
}

/// Waits for other writers of a folder, until the result is dropped.
pub(crate) fn lock_folder(folder: &Path) -> io::Result<Option<File>> {
    let lock = File::open(folder)?;
    match flock(&lock, FlockOperation::LockExclusive).map_err(io::Error::from) {
        Err(error) if error.kind() == ErrorKind::Interrupted => Err(error),
        // A file system may be unable to lock folders, as NFS.
        _ => Ok(Some(lock)),
    }
}

/// Gives a file the permissions of another one.
pub(crate) fn copy_mode(from: &Metadata, to: &File) -> io::Result<()> {
    to.set_permissions(Permissions::from_mode(from.mode()))
}

/// Gives a file the owner, group and extended attributes of another one, including access control
/// lists and security labels.
///
/// # Errors
/// One that cannot be kept.
pub(crate) fn copy_ownership(from: &File, to: &File) -> io::Result<()> {
    // Attributes that the kernel computes from the content are not copied.
    const OF_CONTENT: [&[u8]; 2] = [b"security.evm", b"security.ima"];
    let meta = from.metadata()?;
    fchown(to, Some(meta.uid()), Some(meta.gid()))?;
    let names = match read_whole(|buffer| flistxattr(from, buffer)) {
        // A file system without attributes.
        Err(Errno::NOTSUP) => return Ok(()),
        names => names?,
    };
    let names = names.split(|byte| *byte == 0).filter(|name| !name.is_empty());
    for name in names.filter(|name| !OF_CONTENT.contains(name)) {
        let copied = read_whole(|buffer| fgetxattr(from, name, buffer))
            .and_then(|value| fsetxattr(to, name, &value, XattrFlags::empty()));
        copied.map_err(|error| {
            let name = String::from_utf8_lossy(name);
            io::Error::other(format!("its attribute {name} cannot be preserved: {error}"))
        })?;
    }
    Ok(())
}

/// Linux's limit of a value, and of a list of names.
const LONGEST_ATTRIBUTE: usize = 64 << 10;

fn read_whole(read: impl FnOnce(&mut [u8]) -> Result<usize, Errno>) -> Result<Vec<u8>, Errno> {
    let mut buffer = vec![0; LONGEST_ATTRIBUTE];
    let length = read(&mut buffer)?;
    buffer.truncate(length);
    Ok(buffer)
}
