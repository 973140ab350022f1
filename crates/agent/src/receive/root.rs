//! The folder that a transfer goes to. Everything below it is reached part by part from its file
//! descriptor, without following a link, so that nothing that moves meanwhile leads out of it.

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
    super::path::{LINK, beside, link_stays, parts},
    super::protocol::{
        Bytes,
        transfer::{Mtime, Reason, Receive, Refusal},
    },
    effect::Effect,
    refusal::{of, refuse, with_detail},
};

/// Permission bits that a transfer sets; it makes nothing set-user-id.
const MODES: u32 = 0o777;

/// The folder, open.
#[derive(Debug)]
pub(super) struct Root {
    folder: OwnedFd,
    /// As it was asked for, for messages about the root itself.
    path: Bytes,
}

/// A place below the root: its folder, open, and its name in there.
#[derive(Debug)]
pub(super) struct Place<'a> {
    pub(super) folder: OwnedFd,
    pub(super) name: &'a [u8],
    /// How many folders are between it and the root.
    depth: usize,
}

impl Root {
    /// Opens the folder, makes it, and holds it alone, as asked.
    pub(super) fn open(wanted: &Receive) -> Result<Self, Refusal> {
        let Receive { root, create, alone, .. } = wanted;
        let path = Path::new(OsStr::from_bytes(&root.0));
        if *create {
            fs::create_dir_all(path).map_err(|error| of(root, error))?;
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let folder =
            rustix::fs::open(path, flags, Mode::empty()).map_err(|error| of(root, error))?;
        if *alone {
            // On the folder itself: no lock file is left behind, whatever ends this process. NFS
            // locks no folders; what is received is locked file by file in any case.
            let locked = rustix::fs::flock(&folder, FlockOperation::NonBlockingLockExclusive);
            if locked == Err(Errno::WOULDBLOCK) {
                return Err(refuse(Reason::Busy, root));
            }
        }
        Ok(Self { folder, path: root.clone() })
    }

    /// Opens the folder that `path` is in.
    pub(super) fn place<'a>(&self, path: &'a Bytes) -> Result<Place<'a>, Refusal> {
        let parts = parts(&path.0).ok_or_else(|| refuse(Reason::Outside, path))?;
        let [folders @ .., name] = &parts[..] else { return Err(refuse(Reason::Outside, path)) };
        let folder = self.walk(folders, path)?;
        Ok(Place { folder, name, depth: folders.len() })
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
        rustix::fs::openat(folder, ".", flags, Mode::empty()).map_err(|error| of(path, error))
    }

    /// Brings the names in a folder to the disk.
    pub(super) fn keep(&self, path: &Bytes) -> Result<(), Refusal> {
        // One that is gone has none, and one that may not be read cannot be synced.
        let Ok(folder) = self.reading(path) else { return Ok(()) };
        match rustix::fs::fsync(&folder) {
            // A file system that cannot, or need not.
            Ok(()) | Err(Errno::INVAL | Errno::BADF) => Ok(()),
            Err(error) => Err(of(path, error)),
        }
    }

    fn walk(&self, folders: &[&[u8]], path: &Bytes) -> Result<OwnedFd, Refusal> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mut folder = self.folder.try_clone().map_err(|error| of(path, error))?;
        for name in folders {
            folder = match rustix::fs::openat(&folder, *name, flags, Mode::empty()) {
                Ok(inner) => inner,
                Err(Errno::NOTDIR) if kind(&folder, name) == Some(FileType::Symlink) => {
                    return Err(refuse(Reason::Outside, path));
                }
                Err(error) => return Err(of(path, error)),
            };
        }
        Ok(folder)
    }

    /// Makes a folder. Whether there was none.
    pub(super) fn folder(&self, path: &Bytes, mode: u32) -> Result<bool, Refusal> {
        let Place { folder, name, .. } = self.place(path)?;
        // Its owner must be able to fill it; `settle` comes later.
        match rustix::fs::mkdirat(&folder, name, Mode::from_raw_mode(mode & MODES | 0o700)) {
            Ok(()) => Ok(true),
            Err(Errno::EXIST) if kind(&folder, name) == Some(FileType::Directory) => Ok(false),
            Err(error) => Err(of(path, error)),
        }
    }

    /// Sets mode and time, where they are others.
    pub(super) fn settle(&self, path: &Bytes, mode: u32, mtime: Mtime) -> Result<Effect, Refusal> {
        let place = self.place(path)?;
        place.settle(mode, mtime).map_err(|error| of(path, error))
    }

    /// Makes a symbolic link, in place of what is there. Whether it is another.
    pub(super) fn link(&self, path: &Bytes, to: &Bytes) -> Result<bool, Refusal> {
        let Place { folder, name, depth } = self.place(path)?;
        if !link_stays(depth, &to.0) {
            let detail = format!("it is a link to {}", to.excerpt());
            return Err(with_detail(Reason::Outside, path, detail));
        }
        let old = rustix::fs::readlinkat(&folder, name, Vec::new());
        if old.is_ok_and(|old| old.to_bytes() == to.0) {
            return Ok(false);
        }
        let name_of = |random: String| beside(name, &[b".", random.as_bytes(), LINK].concat());
        let part = unguessable().map(name_of).map_err(|error| of(path, error))?;
        let made = rustix::fs::symlinkat(&to.0[..], &folder, &part[..]);
        let made = made.and_then(|()| rustix::fs::renameat(&folder, &part[..], &folder, name));
        made.map(|()| true).map_err(|error| {
            let _ = rustix::fs::unlinkat(&folder, &part[..], AtFlags::empty());
            of(path, error)
        })
    }

    /// Deletes a file, a link or an empty folder. Whether it was there.
    pub(super) fn delete(&self, path: &Bytes) -> Result<bool, Refusal> {
        let Place { folder, name, .. } = match self.place(path) {
            // Nor is there, then, what would be in it.
            Err(Refusal { reason: Reason::Missing, .. }) => return Ok(false),
            other => other?,
        };
        let flags = match kind(&folder, name) {
            None => return Ok(false),
            Some(FileType::Directory) => AtFlags::REMOVEDIR,
            Some(_) => AtFlags::empty(),
        };
        rustix::fs::unlinkat(&folder, name, flags).map(|()| true).map_err(|error| of(path, error))
    }
}

impl<'a> Place<'a> {
    /// A name in a folder that was reached before.
    pub(super) fn again(folder: &OwnedFd, name: &'a [u8]) -> io::Result<Self> {
        Ok(Self { folder: folder.try_clone()?, name, depth: 0 })
    }

    /// Opens the file that is there for reading; `None` where there is none, or no plain file.
    pub(super) fn file(&self) -> Option<fs::File> {
        self.plain(self.name)
    }

    /// As [`Place::file`], for another name in the same folder.
    pub(super) fn plain(&self, name: &[u8]) -> Option<fs::File> {
        // Non-blocking, as a pipe without a writer would hang.
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
            // Not by its path, which may be a link by now.
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

/// What a name in a folder is, itself; `None` where it is not.
fn kind(folder: &OwnedFd, name: &[u8]) -> Option<FileType> {
    let stat = rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW).ok()?;
    Some(FileType::from_raw_mode(stat.st_mode))
}

/// The permission bits that a transfer sets.
pub(super) fn mode(mode: u32) -> Mode {
    Mode::from_raw_mode(mode & MODES)
}

/// When something changed last.
pub(super) fn mtime_of(stat: &Stat) -> Mtime {
    let ns = u32::try_from(stat.st_mtime_nsec).unwrap_or_default();
    Mtime { s: stat.st_mtime, ns }
}

/// Sets the time of the last change, and leaves that of the last access.
pub(super) fn times(Mtime { s, ns }: Mtime) -> Timestamps {
    let omit = Timespec { tv_sec: 0, tv_nsec: rustix::fs::UTIME_OMIT };
    let ns = ns.min(999_999_999);
    Timestamps { last_access: omit, last_modification: Timespec { tv_sec: s, tv_nsec: ns.into() } }
}
