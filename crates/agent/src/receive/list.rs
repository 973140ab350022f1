//! Lists everything below the root, for a sender that skips unchanged files.

use std::{fs::File, io::Read, os::fd::OwnedFd};

use rustix::fs::{AtFlags, Dir, FileType, Stat};

use super::{
    super::path::is_temporary_name,
    super::{
        chunks::{SMALL, cut},
        protocol::{
            Bytes, Hash,
            transfer::{Cut, Entry, MOST_PATH, Reason, Refusal, What},
        },
    },
    refusal::refusal_for,
    root::{Root, mtime_of},
};

/// Approximate bytes of JSON after which entries are passed on: far below a frame's cap.
const PIECE: usize = 64 << 10;

/// Passes everything below the root to `each`, in groups, folders before their content. A folder
/// that this user may not read is listed without its content.
pub(super) fn list(
    root: &Root,
    hash: bool,
    mut each: impl FnMut(Vec<Entry>),
) -> Result<(), Refusal> {
    let (mut entries, mut size) = (Vec::new(), 0);
    // Stores paths of folders and not open folders, so that the deepest tree needs only one open
    // folder at a time.
    let mut folders = vec![Bytes::default()];
    let mut first = true;
    while let Some(path) = folders.pop() {
        let folder = match root.reading(&path) {
            Ok(folder) => folder,
            Err(refusal) if first => return Err(refusal),
            Err(_) => continue,
        };
        first = false;
        let read = Dir::read_from(&folder).map_err(|error| refusal_for(&path, error))?;
        for item in read {
            let item = item.map_err(|error| refusal_for(&path, error))?;
            let name = item.file_name().to_bytes();
            // It was deleted meanwhile, so it is skipped.
            if let (false, Some(entry)) =
                (matches!(name, b"." | b".."), entry(&folder, &path, name, hash))
            {
                if entry.what == What::Folder {
                    folders.push(entry.path.clone());
                }
                // At worst six bytes of JSON for one byte.
                let to = if let What::Link { to } = &entry.what { to.0.len() } else { 0 };
                size += 6 * (entry.path.0.len() + to) + 200;
                entries.push(entry);
            }
            if size >= PIECE {
                each(std::mem::take(&mut entries));
                size = 0;
            }
        }
    }
    if !entries.is_empty() {
        each(entries);
    }
    Ok(())
}

/// Passes the entry at `path` to `each`, if it exists.
pub(super) fn only(
    root: &Root,
    path: &Bytes,
    hash: bool,
    each: impl FnOnce(Vec<Entry>),
) -> Result<(), Refusal> {
    let place = match root.place(path) {
        Err(Refusal { reason: Reason::Missing, .. }) => return Ok(()),
        other => other?,
    };
    let folder = path.0.iter().rposition(|byte| *byte == b'/').unwrap_or_default();
    let folder = Bytes(path.0[..folder].to_vec());
    if let Some(entry) = entry(&place.folder, &folder, place.name, hash) {
        each(vec![entry]);
    }
    Ok(())
}

fn entry(folder: &OwnedFd, path: &Bytes, name: &[u8], hash: bool) -> Option<Entry> {
    let stat = rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW).ok()?;
    let slash: &[u8] = if path.0.is_empty() { b"" } else { b"/" };
    let what = match FileType::from_raw_mode(stat.st_mode) {
        FileType::Directory => What::Folder,
        FileType::RegularFile | FileType::Symlink if is_temporary_name(name) => What::Part,
        FileType::RegularFile => file(folder, name, &stat, hash),
        FileType::Symlink => What::Link {
            to: Bytes(rustix::fs::readlinkat(folder, name, Vec::new()).ok()?.into_bytes()),
        },
        _ => What::Other,
    };
    let path = Bytes([&path.0, slash, name].concat());
    // No step could refer to it.
    if path.0.len() > MOST_PATH {
        return None;
    }
    Some(Entry { path, what, mode: stat.st_mode & 0o7777, mtime: mtime_of(&stat) })
}

fn file(folder: &OwnedFd, name: &[u8], stat: &Stat, hash: bool) -> What {
    let size = u64::try_from(stat.st_size).unwrap_or_default();
    // An unreadable file has no hash, so it counts as different.
    let hash = if hash { content(folder, name) } else { None };
    What::File { size, hash }
}

fn content(folder: &OwnedFd, name: &[u8]) -> Option<Hash> {
    use rustix::fs::{Mode, OFlags};
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let mut file = File::from(rustix::fs::openat(folder, name, flags, Mode::empty()).ok()?);
    let size = file.metadata().ok()?.len();
    if size > SMALL {
        return cut(file, Cut::for_size(size), |_, _, _| Ok(None)).ok().map(|(_, hash)| hash);
    }
    let mut content = Vec::new();
    file.by_ref().take(SMALL + 1).read_to_end(&mut content).ok()?;
    Some(blake3::hash(&content).into())
}
