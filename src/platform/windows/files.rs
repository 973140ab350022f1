//! Names, metadata and atomic operations of files.

use std::{
    borrow::Cow,
    env,
    ffi::{OsStr, OsString},
    fs::{self, File, Metadata, OpenOptions},
    io,
    os::windows::fs::{FileExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

/// Identifies an unchanged file: size, modification time, creation time.
pub(crate) type Stamp = (u64, u64, u64);

/// Windows counts time in units of 100 ns since 1601.
const TICKS: u64 = 10_000_000;
/// Seconds from 1601 to 1970.
const EPOCH: i64 = 11_644_473_600;
/// `FILE_FLAG_OPEN_REPARSE_POINT`: opens a link, and not what it leads to.
const NO_FOLLOW: u32 = 0x0020_0000;

/// The user's home folder, for `~/.kube/config`, found as kubectl does.
pub(crate) fn home() -> Option<OsString> {
    let drive = || {
        let mut home = env::var_os("HOMEDRIVE")?;
        home.push(env::var_os("HOMEPATH")?);
        Some(home)
    };
    let folders = [env::var_os("HOME"), drive(), env::var_os("USERPROFILE")];
    let folders = || folders.iter().flatten().filter(|home| !home.is_empty());
    let has_config = |home: &&OsString| Path::new(home).join(".kube/config").exists();
    folders().find(has_config).or_else(|| folders().find(|home| Path::new(home).exists())).cloned()
}

/// A local path, or a part of it, as a path of a container.
pub(crate) fn path_bytes(path: &OsStr) -> Cow<'_, [u8]> {
    Cow::Owned(path.to_string_lossy().replace('\\', "/").into_bytes())
}

/// A relative path of a container as a local path.
pub(crate) fn local_path(path: &[u8]) -> Cow<'_, Path> {
    Cow::Owned(PathBuf::from(String::from_utf8_lossy(path).into_owned()))
}

/// The bytes of an argument.
pub(crate) fn argument_bytes(argument: OsString) -> Vec<u8> {
    argument.to_string_lossy().into_owned().into_bytes()
}

/// The permissions that a file gets in a container. Windows does not know which files are programs,
/// so that all can be run, as with Docker.
pub(crate) fn mode(_meta: &Metadata) -> u32 {
    0o755
}

/// The modification time, in seconds and nanoseconds.
pub(crate) fn mtime(meta: &Metadata) -> (i64, u32) {
    let ticks = meta.last_write_time();
    let seconds = i64::try_from(ticks / TICKS).unwrap_or_default() - EPOCH;
    (seconds, u32::try_from(ticks % TICKS * 100).unwrap_or_default())
}

/// The identity of an unchanged file.
pub(crate) fn stamp(meta: &Metadata) -> Stamp {
    (meta.file_size(), meta.last_write_time(), meta.creation_time())
}

/// Opens a file to read it, without following a link.
pub(crate) fn open_file(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).custom_flags(NO_FOLLOW).open(path)
}

/// Reads the bytes at `offset`; returns how many there are, as [`io::Read::read`] does.
pub(crate) fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    file.seek_read(buffer, offset)
}

/// Creates a file. Its access is that of its folder; `mode` is for other systems.
///
/// # Errors
/// It exists.
pub(crate) fn create_new(path: &Path, _mode: u32) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).open(path)
}

/// Renames a file, unless the new name exists.
pub(crate) fn rename_new(from: &Path, to: &Path) -> io::Result<()> {
    // A second name, which never replaces; not every file system has it.
    match fs::hard_link(from, to) {
        Ok(()) => fs::remove_file(from),
        Err(_) if to.symlink_metadata().is_err() => fs::rename(from, to),
        Err(_) => Err(io::ErrorKind::AlreadyExists.into()),
    }
}

/// Folders cannot be locked here.
pub(crate) fn lock_folder(_folder: &Path) -> io::Result<Option<File>> {
    Ok(None)
}

/// Gives a file the permissions of another one.
pub(crate) fn copy_mode(from: &Metadata, to: &File) -> io::Result<()> {
    to.set_permissions(from.permissions())
}

/// The folder gives a file its owner and access.
pub(crate) fn copy_ownership(_from: &File, _to: &File) -> io::Result<()> {
    Ok(())
}
