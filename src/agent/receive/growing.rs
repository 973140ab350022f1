//! The file that grows beside its target until it is whole.
//!
//! It is written from its start to its end, out of what is here and what arrives, so at any moment
//! it is a beginning of the new content. That is what an interrupted transfer leaves, and why the
//! next one can take it up without a journal.

use std::{
    collections::{HashMap, HashSet},
    fs::File,
    io,
    os::{
        fd::OwnedFd,
        unix::fs::{FileExt, MetadataExt},
    },
};

use rustix::{
    fs::{AtFlags, FlockOperation, Mode, OFlags},
    io::Errno,
};

use super::{
    super::{
        chunks::cut,
        protocol::{
            Hash,
            transfer::{self, Chunk, Cut},
        },
    },
    flush::{FLUSH, Flusher},
    path::{HAVE, PART, beside},
    root::{Place, mode, times},
};

/// How often a file beside that goes away while it is opened is tried again.
const TRIES: usize = 8;

/// Why a file cannot grow on.
#[derive(Debug)]
pub(super) enum Fail {
    /// The system says so.
    Io(io::Error),
    /// The content is not what its hash says.
    Changed,
}

impl From<io::Error> for Fail {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<Errno> for Fail {
    fn from(error: Errno) -> Self {
        Self::Io(error.into())
    }
}

/// Where a chunk can be copied from, and its offset there.
#[derive(Clone, Copy, Debug)]
enum Here {
    /// The file that is to be replaced.
    Old(u64),
    /// What an interrupted transfer of another content left.
    Have(u64),
    /// What is written already.
    Part(u64),
}

/// The file beside the target, locked.
#[derive(Debug)]
pub(super) struct Growing {
    folder: OwnedFd,
    name: Vec<u8>,
    part: File,
    old: Option<File>,
    have: Option<File>,
    /// Chunks that are written.
    pub(super) count: usize,
    written: u64,
    /// Of all that is written.
    whole: blake3::Hasher,
    /// Every chunk that the file has.
    here: HashMap<Hash, Option<Here>>,
    buffer: Vec<u8>,
    /// Brings what is written to the disk meanwhile; there where the file is long.
    flusher: Option<Flusher>,
    /// What becomes of the file beside when this goes: kept, for the next transfer, or deleted.
    pub(super) keep: bool,
}

impl Drop for Growing {
    fn drop(&mut self) {
        let remove = |end| {
            // It may never have been there.
            let _ = rustix::fs::unlinkat(&self.folder, beside(&self.name, end), AtFlags::empty());
        };
        if !self.keep {
            remove(HAVE);
        }
        if !self.keep || self.written == 0 {
            remove(PART);
        }
    }
}

impl Growing {
    /// Opens the file beside; `WOULDBLOCK` where another transfer has it.
    pub(super) fn open(place: Place<'_>, old: Option<File>) -> io::Result<Self> {
        let Place { folder, name, .. } = place;
        let part = open_part(&folder, &beside(name, PART))?;
        Ok(Self {
            folder,
            name: name.to_vec(),
            part,
            old,
            have: None,
            count: 0,
            written: 0,
            whole: blake3::Hasher::new(),
            here: HashMap::new(),
            buffer: Vec::new(),
            flusher: None,
            keep: false,
        })
    }

    /// Takes up what an interrupted transfer left, and looks which of `chunks` are here. `Ok(true)`
    /// where the target is this very content already.
    pub(super) fn look(&mut self, chunks: &[Chunk], cut: Cut, hash: Hash) -> io::Result<bool> {
        self.keep = true;
        self.here = chunks.iter().map(|chunk| (chunk.hash, None)).collect();
        let here = &mut self.here;
        if let Some(old) = &self.old
            && find(old, cut, here, Here::Old)? == hash
        {
            return Ok(true);
        }
        self.resume(chunks, cut)?;
        let place = Place::again(&self.folder, &self.name)?;
        self.have = place.plain(&beside(&self.name, HAVE));
        if let Some(have) = &self.have {
            find(have, cut, &mut self.here, Here::Have)?;
        }
        Ok(false)
    }

    /// Keeps what the file beside has of the beginning of the content. Where it is a beginning of
    /// another, it is put aside, to copy from.
    fn resume(&mut self, chunks: &[Chunk], cut: Cut) -> io::Result<()> {
        let length = self.part.metadata()?.len();
        let mut offset = 0;
        for chunk in chunks {
            let end = offset + u64::from(chunk.length);
            if end > length || !read(&self.part, offset, *chunk, &mut self.buffer)? {
                break;
            }
            self.whole.update(&self.buffer);
            self.here.insert(chunk.hash, Some(Here::Part(offset)));
            (self.count, offset) = (self.count + 1, end);
        }
        if length - offset <= u64::from(cut.max) {
            // What is left over is a chunk that was written in part.
            self.part.set_len(offset)?;
            self.written = offset;
            return Ok(());
        }
        let (part, have) = (beside(&self.name, PART), beside(&self.name, HAVE));
        rustix::fs::renameat(&self.folder, &part, &self.folder, &have)?;
        self.part = open_part(&self.folder, &part)?;
        self.part.set_len(0)?;
        (self.count, self.whole) = (0, blake3::Hasher::new());
        let from_part = |here: &Option<Here>| matches!(here, Some(Here::Part(_)));
        self.here.values_mut().filter(|here| from_part(here)).for_each(|here| *here = None);
        Ok(())
    }

    /// Which chunks have to come: what is neither here nor comes with an earlier one.
    pub(super) fn needed<'a>(&'a self, chunks: &'a [Chunk]) -> impl Iterator<Item = bool> + 'a {
        let mut seen = HashSet::new();
        chunks.iter().enumerate().map(move |(index, chunk)| {
            let here = self.here.get(&chunk.hash).is_some_and(Option::is_some);
            index >= self.count && !here && seen.insert(chunk.hash)
        })
    }

    /// Writes on what is here, up to the first chunk that is not.
    pub(super) fn copy(&mut self, chunks: &[Chunk]) -> Result<(), Fail> {
        while let Some(chunk) = chunks.get(self.count) {
            let (from, offset) = match self.here.get(&chunk.hash) {
                Some(Some(Here::Old(offset))) => (self.old.as_ref(), *offset),
                Some(Some(Here::Have(offset))) => (self.have.as_ref(), *offset),
                Some(Some(Here::Part(offset))) => (Some(&self.part), *offset),
                Some(None) | None => return Ok(()),
            };
            let mut buffer = std::mem::take(&mut self.buffer);
            let good = match from {
                Some(from) => read(from, offset, *chunk, &mut buffer)?,
                None => false,
            };
            // It was right a moment ago: the program writes to its own file.
            if !good {
                return Err(Fail::Changed);
            }
            self.append(chunk.hash, &buffer)?;
            self.buffer = buffer;
        }
        Ok(())
    }

    /// Writes on a chunk that came; its hash was checked.
    pub(super) fn append(&mut self, hash: Hash, bytes: &[u8]) -> Result<(), Fail> {
        self.part.write_all_at(bytes, self.written)?;
        self.whole.update(bytes);
        let here = self.here.entry(hash).or_default();
        *here = here.or(Some(Here::Part(self.written)));
        self.written += bytes.len() as u64;
        self.count += 1;
        if self.flusher.is_none() && self.written > FLUSH {
            self.flusher = Flusher::start(&self.part);
        }
        if let Some(flusher) = &mut self.flusher {
            flusher.wrote(bytes.len() as u64);
        }
        Ok(())
    }

    /// Puts the file in its target's place.
    pub(super) fn finish(mut self, file: &transfer::File) -> Result<(), Fail> {
        self.keep = false;
        if Hash::from(self.whole.finalize()) != file.hash || self.written != file.size {
            return Err(Fail::Changed);
        }
        self.part.set_len(self.written)?;
        rustix::fs::fchmod(&self.part, mode(file.mode))?;
        rustix::fs::futimens(&self.part, &times(file.mtime))?;
        // A small file that a crash of the node cut short is seen from its length; a sync of
        // 20,000 of them is not to wait for the disk 20,000 times.
        if file.chunks > 0 {
            if let Some(flusher) = self.flusher.take() {
                flusher.end()?;
            }
            self.part.sync_all()?;
        }
        let part = beside(&self.name, PART);
        rustix::fs::renameat(&self.folder, &part, &self.folder, &self.name[..])?;
        // Kept from now on: its name is the target's, and what has the old one is another's.
        (self.keep, self.written) = (true, self.written.max(1));
        // It may never have been there.
        let _ = rustix::fs::unlinkat(&self.folder, beside(&self.name, HAVE), AtFlags::empty());
        Ok(())
    }
}

/// Reads a chunk; whether it is that chunk.
fn read(from: &File, offset: u64, chunk: Chunk, buffer: &mut Vec<u8>) -> io::Result<bool> {
    buffer.resize(chunk.length as usize, 0);
    match from.read_exact_at(buffer, offset) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(false),
        other => other?,
    }
    Ok(Hash::from(blake3::hash(buffer)) == chunk.hash)
}

/// Notes which chunks of `here` are in `file`, and returns the hash of all of it.
fn find(
    file: &File,
    wanted: Cut,
    here: &mut HashMap<Hash, Option<Here>>,
    at: impl Fn(u64) -> Here,
) -> io::Result<Hash> {
    let (_, hash) = cut(file, wanted, |offset, chunk, _| {
        if let Some(here @ None) = here.get_mut(&chunk.hash) {
            *here = Some(at(offset));
        }
        Ok(())
    })?;
    Ok(hash)
}

/// Opens the file beside and locks it. The lock goes with the process, however that ends.
fn open_part(folder: &OwnedFd, name: &[u8]) -> io::Result<File> {
    let flags =
        OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    for _ in 0..TRIES {
        let part = match rustix::fs::openat(folder, name, flags, Mode::RUSR | Mode::WUSR) {
            Ok(part) => File::from(part),
            // A link, or a file that was about to be read-only, of a transfer that died.
            Err(error @ (Errno::LOOP | Errno::ACCESS)) => {
                // Where there is nothing to delete it is the folder that may not be written.
                rustix::fs::unlinkat(folder, name, AtFlags::empty()).map_err(|_| error)?;
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        rustix::fs::flock(&part, FlockOperation::NonBlockingLockExclusive)?;
        // Whoever had it until now may just have put it in its target's place.
        let (held, named) =
            (part.metadata()?, rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW));
        if named.is_ok_and(|named| (named.st_dev, named.st_ino) == (held.dev(), held.ino())) {
            return Ok(part);
        }
    }
    Err(Errno::WOULDBLOCK.into())
}
