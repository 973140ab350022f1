//! The root folder of a transfer. Everything below it is opened part by part from its file
//! descriptor, without following links, so that concurrent changes cannot lead out of it.

use std::{
    ffi::OsStr,
    fs, io,
    os::{
        fd::{AsRawFd, OwnedFd},
        unix::ffi::OsStrExt,
    },
    path::Path,
};

use rustix::{
    fs::{AtFlags, FileType, FlockOperation, Mode, OFlags, Stat, Timespec, Timestamps},
    io::Errno,
};

use super::{
    super::name::unguessable,
    super::path::{LINK, link_stays, parts, temporary_name},
    super::protocol::{
        Bytes,
        transfer::{Mtime, Reason, Receive, Refusal},
    },
    effect::Effect,
    refusal::{refusal_for, refuse, with_detail},
};

/// Permission bits that a transfer sets; never set-user-id.
const MODES: u32 = 0o777;

/// The folder, open.
#[derive(Debug)]
pub(super) struct Root {
    folder: OwnedFd,
    /// Its path as requested, for messages about the root itself.
    path: Bytes,
}

/// A path below the root: its open folder, and its name in that folder.
#[derive(Debug)]
pub(super) struct OpenPath<'a> {
    pub(super) folder: OwnedFd,
    pub(super) name: &'a [u8],
    /// Number of folders between it and the root.
    depth: usize,
}

impl Root {
    /// Opens the folder, and creates and locks it as requested.
    pub(super) fn open(wanted: &Receive) -> Result<Self, Refusal> {
        let Receive { root, create, alone, .. } = wanted;
        let path = Path::new(OsStr::from_bytes(&root.0));
        if *create {
            fs::create_dir_all(path).map_err(|error| refusal_for(root, error))?;
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let folder = rustix::fs::open(path, flags, Mode::empty())
            .map_err(|error| refusal_for(root, error))?;
        if *alone {
            // Locks the folder itself, so that no lock file is left behind. NFS cannot lock
            // folders, but received files are locked one by one anyway.
            let locked = rustix::fs::flock(&folder, FlockOperation::NonBlockingLockExclusive);
            if locked == Err(Errno::WOULDBLOCK) {
                return Err(refuse(Reason::Busy, root));
            }
        }
        Ok(Self { folder, path: root.clone() })
    }

    /// Opens the folder that `path` is in.
    pub(super) fn place<'a>(&self, path: &'a Bytes) -> Result<OpenPath<'a>, Refusal> {
        let parts = parts(&path.0).ok_or_else(|| refuse(Reason::Outside, path))?;
        let [folders @ .., name] = &parts[..] else { return Err(refuse(Reason::Outside, path)) };
        let folder = self.walk(folders, path)?;
        Ok(OpenPath { folder, name, depth: folders.len() })
    }

    /// Opens a folder below the root for reading; the root itself for an empty path.
    pub(super) fn reading(&self, path: &Bytes) -> Result<OwnedFd, Refusal> {
        let parts = match &path.0[..] {
            [] => Vec::new(),
            bytes => parts(bytes).ok_or_else(|| refuse(Reason::Outside, path))?,
        };
        let folder = self.walk(&parts, path)?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let path = if path.0.is_empty() { &self.path } else { path };
        rustix::fs::openat(folder, ".", flags, Mode::empty())
            .map_err(|error| refusal_for(path, error))
    }

    /// Syncs the names in a folder to the disk.
    pub(super) fn keep(&self, path: &Bytes) -> Result<(), Refusal> {
        // A deleted folder has no names, and an unreadable one cannot be synced.
        let Ok(folder) = self.reading(path) else { return Ok(()) };
        match rustix::fs::fsync(&folder) {
            // The file system does not support or need it.
            Ok(()) | Err(Errno::INVAL | Errno::BADF) => Ok(()),
            Err(error) => Err(refusal_for(path, error)),
        }
    }

    fn walk(&self, folders: &[&[u8]], path: &Bytes) -> Result<OwnedFd, Refusal> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mut folder = self.folder.try_clone().map_err(|error| refusal_for(path, error))?;
        for name in folders {
            folder = match rustix::fs::openat(&folder, *name, flags, Mode::empty()) {
                Ok(inner) => inner,
                Err(Errno::NOTDIR) if kind(&folder, name) == Some(FileType::Symlink) => {
                    return Err(refuse(Reason::Outside, path));
                }
                Err(error) => return Err(refusal_for(path, error)),
            };
        }
        Ok(folder)
    }

    /// Creates a folder. Returns whether it did not exist.
    pub(super) fn folder(&self, path: &Bytes, mode: u32) -> Result<bool, Refusal> {
        let OpenPath { folder, name, .. } = self.place(path)?;
        // Its owner must be able to write to it; `settle` comes later.
        match rustix::fs::mkdirat(&folder, name, Mode::from_raw_mode(mode & MODES | 0o700)) {
            Ok(()) => Ok(true),
            Err(Errno::EXIST) if kind(&folder, name) == Some(FileType::Directory) => Ok(false),
            Err(error) => Err(refusal_for(path, error)),
        }
    }

    /// Sets mode and time if they differ.
    pub(super) fn settle(&self, path: &Bytes, mode: u32, mtime: Mtime) -> Result<Effect, Refusal> {
        let place = self.place(path)?;
        place.settle(mode, mtime).map_err(|error| refusal_for(path, error))
    }

    /// Creates a symbolic link, replacing an existing entry. Returns whether it changed.
    pub(super) fn link(&self, path: &Bytes, to: &Bytes) -> Result<bool, Refusal> {
        let OpenPath { folder, name, depth } = self.place(path)?;
        if !link_stays(depth, &to.0) {
            let detail = format!("it is a link to {}", to.excerpt());
            return Err(with_detail(Reason::Outside, path, detail));
        }
        let old = rustix::fs::readlinkat(&folder, name, Vec::new());
        if old.is_ok_and(|old| old.to_bytes() == to.0) {
            return Ok(false);
        }
        let name_of =
            |random: String| temporary_name(name, &[b".", random.as_bytes(), LINK].concat());
        let part = unguessable().map(name_of).map_err(|error| refusal_for(path, error))?;
        let made = rustix::fs::symlinkat(&to.0[..], &folder, &part[..]);
        let made = made.and_then(|()| rustix::fs::renameat(&folder, &part[..], &folder, name));
        made.map(|()| true).map_err(|error| {
            let _ = rustix::fs::unlinkat(&folder, &part[..], AtFlags::empty());
            refusal_for(path, error)
        })
    }

    /// Deletes a file, a link or an empty folder. Returns whether it existed.
    pub(super) fn delete(&self, path: &Bytes) -> Result<bool, Refusal> {
        let OpenPath { folder, name, .. } = match self.place(path) {
            // Then its content does not exist either.
            Err(Refusal { reason: Reason::Missing, .. }) => return Ok(false),
            other => other?,
        };
        let flags = match kind(&folder, name) {
            None => return Ok(false),
            Some(FileType::Directory) => AtFlags::REMOVEDIR,
            Some(_) => AtFlags::empty(),
        };
        rustix::fs::unlinkat(&folder, name, flags)
            .map(|()| true)
            .map_err(|error| refusal_for(path, error))
    }
}

impl<'a> OpenPath<'a> {
    /// A name in an already opened folder.
    pub(super) fn again(folder: &OwnedFd, name: &'a [u8]) -> io::Result<Self> {
        Ok(Self { folder: folder.try_clone()?, name, depth: 0 })
    }

    /// Opens the existing file for reading; `None` if there is none, or if it is not a regular
    /// file.
    pub(super) fn file(&self) -> Option<fs::File> {
        self.plain(self.name)
    }

    /// As [`OpenPath::file`], for another name in the same folder.
    pub(super) fn plain(&self, name: &[u8]) -> Option<fs::File> {
        // Non-blocking, since a pipe without a writer would block.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&self.folder, name, flags, Mode::empty()).ok()?;
        let file = fs::File::from(file);
        file.metadata().is_ok_and(|meta| meta.is_file()).then_some(file)
    }

    fn settle(&self, mode: u32, mtime: Mtime) -> io::Result<Effect> {
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = rustix::fs::openat(&self.folder, self.name, flags, Mode::empty())?;
        let stat = rustix::fs::fstat(&fd)?;
        let link = FileType::from_raw_mode(stat.st_mode) == FileType::Symlink;
        let mut effect = Effect::default();
        if !link && stat.st_mode & MODES != mode & MODES {
            // Not by its path, which may have become a link.
            let path = format!("/proc/self/fd/{}", fd.as_raw_fd());
            effect.set(rustix::fs::chmod(path, Mode::from_raw_mode(mode & MODES)))?;
        }
        if mtime_of(&stat) != mtime {
            let (times, flags) = (times(mtime), AtFlags::SYMLINK_NOFOLLOW);
            effect.set(rustix::fs::utimensat(&self.folder, self.name, &times, flags))?;
        }
        Ok(effect)
    }
}

/// The metadata of a name in a folder, without following links; `None` if it does not exist.
fn kind(folder: &OwnedFd, name: &[u8]) -> Option<FileType> {
    let stat = rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW).ok()?;
    Some(FileType::from_raw_mode(stat.st_mode))
}

/// The permission bits that a transfer sets.
pub(super) fn mode(mode: u32) -> Mode {
    Mode::from_raw_mode(mode & MODES)
}

/// The modification time.
pub(super) fn mtime_of(stat: &Stat) -> Mtime {
    let ns = u32::try_from(stat.st_mtime_nsec).unwrap_or_default();
    Mtime { s: stat.st_mtime, ns }
}

/// Sets the modification time and keeps the access time.
pub(super) fn times(Mtime { s, ns }: Mtime) -> Timestamps {
    let omit = Timespec { tv_sec: 0, tv_nsec: rustix::fs::UTIME_OMIT };
    let ns = ns.min(999_999_999);
    Timestamps { last_access: omit, last_modification: Timespec { tv_sec: s, tv_nsec: ns.into() } }
}
