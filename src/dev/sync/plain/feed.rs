//! Local files as one stream: an archive, or the bytes of one file.

use std::{
    fs::File,
    io::{self, Read},
    time::{SystemTime, UNIX_EPOCH},
};

use tar::{EntryType, Header};

use super::{
    super::{content::Library, scan::mtime},
    script::Came,
    sum::Tool,
};
use crate::platform::files::{self, Stamp, stamp};
use diyadm_agent::protocol::{Bytes, transfer::Mtime};

/// Number of files that share one checksum.
pub(super) const BATCH: usize = 256;
/// An archive consists of blocks of this many bytes, and ends with two empty ones.
const BLOCK: usize = 512;
/// Bytes to read at a time.
const PIECE: usize = 256 << 10;

/// A file before it is sent.
#[derive(Clone, Debug)]
pub(super) struct Going {
    path: Bytes,
    mode: u32,
    stamp: Stamp,
    pub(super) size: u64,
}

impl Going {
    /// Reads the metadata of a file.
    pub(super) fn stat(library: &Library, path: &Bytes) -> io::Result<Self> {
        let meta = library.open(path)?.metadata()?;
        let (path, mode) = (path.clone(), files::mode(&meta));
        Ok(Self { path, mode, stamp: stamp(&meta), size: meta.len() })
    }
}

/// Length of the archive of these files in bytes.
pub(super) fn length(files: &[Going]) -> u64 {
    let block = BLOCK as u64;
    let each = files.iter().map(|file| block + file.size.next_multiple_of(block));
    each.sum::<u64>() + 2 * block
}

/// The files that were sent, and the checksum of each [`BATCH`].
#[derive(Debug, Default)]
pub(super) struct Went {
    pub(super) came: Vec<Came>,
    pub(super) sums: Vec<String>,
}

/// Writes the archive of `files`, each under its number, to `out`; without `archive`, only their
/// bytes. The length is as announced, even if files change meanwhile.
pub(super) fn feed(
    library: &Library,
    files: &[Going],
    archive: bool,
    tool: Tool,
    mut out: impl FnMut(Vec<u8>) -> io::Result<()>,
) -> io::Result<Went> {
    let mut went = Went::default();
    let clock = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let clock = i64::try_from(clock.as_secs()).unwrap_or_default();
    for (batch, some) in files.chunks(BATCH).enumerate() {
        let mut sum = tool.begin();
        for (at, file) in some.iter().enumerate() {
            let opened = library.open(&file.path).ok();
            let now = opened.as_ref().and_then(|file| file.metadata().ok());
            let time = settled(now.as_ref().map(mtime).unwrap_or_default(), clock);
            if archive {
                let s = u64::try_from(time.s).unwrap_or_default();
                out(header(batch * BATCH + at, file, s)?)?;
            }
            let mut each = |bytes: Vec<u8>| {
                sum.update(&bytes);
                out(bytes)
            };
            let all = content(opened.as_ref(), file.size, &mut each)?;
            if archive {
                let past = usize::try_from(file.size % BLOCK as u64).map_err(io::Error::other)?;
                out(vec![0; (BLOCK - past) % BLOCK])?;
            }
            let after = opened.and_then(|file| file.metadata().ok());
            let whole = all && after.is_some_and(|after| stamp(&after) == file.stamp);
            let (path, mode) = (file.path.clone(), file.mode);
            went.came.push(Came { path, mode, mtime: time, whole });
        }
        went.sums.push(sum.end());
    }
    if archive {
        out(vec![0; 2 * BLOCK])?;
    }
    Ok(went)
}

/// The modification time that a file gets in the container. A file modified right now could be
/// changed again within the same second and then look unchanged, so it gets a time that makes it be
/// sent again.
fn settled(mtime: Mtime, clock: i64) -> Mtime {
    let fresh = mtime.s >= clock - 1;
    if fresh { Mtime { s: mtime.s - 1, ns: 0 } } else { mtime }
}

/// A file's bytes, padded if there are too few; returns whether there were enough.
fn content(
    from: Option<&File>,
    size: u64,
    out: &mut impl FnMut(Vec<u8>) -> io::Result<()>,
) -> io::Result<bool> {
    let mut left = size;
    if let Some(from) = from {
        let mut from = from.take(size);
        while left > 0 {
            let mut piece = Vec::new();
            let read = from.by_ref().take(PIECE as u64).read_to_end(&mut piece);
            if piece.is_empty() || read.is_err() {
                break;
            }
            left -= piece.len() as u64;
            out(piece)?;
        }
    }
    let all = left == 0;
    while left > 0 {
        let some = usize::try_from(left).unwrap_or(PIECE).min(PIECE);
        left -= some as u64;
        out(vec![0; some])?;
    }
    Ok(all)
}

fn header(number: usize, file: &Going, mtime: u64) -> io::Result<Vec<u8>> {
    let mut header = Header::new_ustar();
    header.set_path(number.to_string())?;
    header.set_entry_type(EntryType::Regular);
    header.set_size(file.size);
    // It is read again in the container before it is put in place.
    header.set_mode(file.mode | 0o400);
    header.set_mtime(mtime);
    header.set_uid(0);
    header.set_gid(0);
    header.set_cksum();
    Ok(header.as_bytes().to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dev::sync::PodCount;
    use std::{fs, path::Path};

    fn folder() -> (tempfile::TempDir, Library, Vec<Going>) {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("a"), "aaa").unwrap();
        fs::write(folder.path().join("b"), vec![7; 700_000]).unwrap();
        fs::write(folder.path().join("c"), "").unwrap();
        let library = Library::new(folder.path().to_owned(), None, PodCount::One);
        let going = ["a", "b", "c"].map(|path| Going::stat(&library, &path.into()).unwrap());
        (folder, library, going.into())
    }

    fn archived(library: &Library, files: &[Going]) -> (Vec<u8>, Went) {
        let mut all = Vec::new();
        let went = feed(library, files, true, Tool::Sha256, |some| {
            all.extend(some);
            Ok(())
        });
        (all, went.unwrap())
    }

    #[test]
    fn recently_changed_file_is_sent_again() {
        let at = |s, clock| settled(Mtime { s, ns: 5 }, clock).s;
        assert_eq!([at(10, 10), at(10, 11), at(10, 12), at(20, 10)], [9, 9, 10, 19]);
    }

    #[test]
    fn tar_stream_has_the_announced_length_and_is_readable() {
        let (_folder, library, going) = folder();
        let (all, went) = archived(&library, &going);
        assert_eq!(all.len() as u64, length(&going));
        assert!(went.came.iter().all(|came| came.whole));
        let content = [&b"aaa"[..], &vec![7; 700_000]].concat();
        assert_eq!(went.sums, [Tool::Sha256.checksum(&content)]);
        let mut archive = tar::Archive::new(&all[..]);
        let mut read = Vec::new();
        for entry in archive.entries().unwrap() {
            let mut entry = entry.unwrap();
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).unwrap();
            read.push((entry.path().unwrap().into_owned(), bytes.len()));
        }
        let paths = ["0", "1", "2"].map(Path::new);
        let read: Vec<_> = read.iter().map(|(path, size)| (path.as_path(), *size)).collect();
        assert_eq!(read, [(paths[0], 3), (paths[1], 700_000), (paths[2], 0)]);
    }

    #[test]
    fn changed_file_is_reported_incomplete_and_others_complete() {
        let (folder, library, going) = folder();
        fs::write(folder.path().join("b"), "shorter").unwrap();
        fs::remove_file(folder.path().join("c")).unwrap();
        let (all, went) = archived(&library, &going);
        assert_eq!(all.len() as u64, length(&going));
        let whole: Vec<_> = went.came.iter().map(|came| came.whole).collect();
        assert_eq!(whole, [true, false, false]);
    }
}
