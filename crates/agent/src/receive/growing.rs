//! The temporary file next to its target, until it is complete.
//!
//! A chunk is written to its final position as soon as it is available: first existing chunks, then
//! received ones. So the chunks of an interrupted transfer are at their positions, and the next
//! transfer finds them by their hashes, without a journal.

use std::{
    collections::HashMap,
    fs::File,
    io, mem,
    os::{fd::OwnedFd, unix::fs::FileExt},
};

use rustix::{fs::AtFlags, io::Errno};

use super::{
    super::name::unguessable,
    super::path::{HAVE, PART, temporary_name},
    super::{
        chunks::cut,
        protocol::{
            Hash,
            transfer::{self, Chunk, Cut},
        },
    },
    effect::Effect,
    part,
    root::{OpenPath, mode, times},
    sparse,
    writer::Writer,
};

/// From this many bytes on, a separate thread writes.
const LONG: u64 = 4 << 20;
/// Bytes to write at a time.
const PIECE: usize = 128 << 10;

/// Chunks by their position in the file, and which of them are not written yet.
#[derive(Debug, Default)]
struct MissingChunks {
    chunks: Vec<Chunk>,
    offsets: Vec<u64>,
    /// The first unwritten chunk of each content.
    first: HashMap<Chunk, usize>,
    /// For each chunk, the next one of the same content.
    next: Vec<Option<usize>>,
}

impl MissingChunks {
    fn new(chunks: Vec<Chunk>) -> Self {
        let mut offsets = Vec::with_capacity(chunks.len());
        let mut end = 0;
        for chunk in &chunks {
            offsets.push(end);
            end += u64::from(chunk.length);
        }
        let mut next = vec![None; chunks.len()];
        let mut first = HashMap::with_capacity(chunks.len());
        for (index, chunk) in chunks.iter().enumerate().rev() {
            next[index] = first.insert(*chunk, index);
        }
        Self { chunks, offsets, first, next }
    }

    /// The positions of this content if it is not written yet; marks them as written.
    fn take(&mut self, chunk: &Chunk) -> impl Iterator<Item = u64> {
        let Self { offsets, first, next, .. } = self;
        let all = std::iter::successors(first.remove(chunk), |index| next[*index]);
        all.map(|index| offsets[index])
    }
}

/// The temporary file next to the target, locked.
#[derive(Debug)]
pub(super) struct Growing {
    folder: OwnedFd,
    name: Vec<u8>,
    part: File,
    part_name: Vec<u8>,
    /// Whether other transfers look for this name.
    resumable: bool,
    wanted: MissingChunks,
    /// No chunk before this one is missing.
    next: usize,
    written: u64,
    /// The temporary file was never written from this position on.
    fresh: u64,
    /// The end of the written chunks. Zeros at the end become a hole, which does not extend the
    /// file.
    end: u64,
    /// Bytes that are not yet written. One long write costs half as much as many short ones.
    ahead: Vec<u8>,
    /// The position of these bytes in the file.
    ahead_at: u64,
    /// The writing thread, for a long file.
    writer: Option<Writer>,
    /// What happens to the temporary file when this value is dropped: kept for the next transfer,
    /// or deleted.
    pub(super) keep: bool,
}

impl Drop for Growing {
    fn drop(&mut self) {
        let remove = |name: &[u8]| {
            // It may not exist.
            let _ = rustix::fs::unlinkat(&self.folder, name, AtFlags::empty());
        };
        let is_held = self.is_held();
        if !self.keep && is_held {
            remove(&temporary_name(&self.name, HAVE));
        }
        if !self.keep || self.written == 0 {
            // If it was moved aside, another transfer may use its name.
            if is_held {
                remove(&self.part_name);
            }
        } else {
            // Chunks that cannot be written are sent again.
            let _ = self.write().and_then(|()| self.lengthen());
        }
    }
}

impl Growing {
    /// Opens the temporary file; `WOULDBLOCK` if another transfer has it. If another user has taken
    /// its name, it gets an unguessable name.
    pub(super) fn open(place: OpenPath<'_>) -> io::Result<Self> {
        let OpenPath { folder, name, .. } = place;
        let usual = temporary_name(name, PART);
        let (part, part_name, resumable) = if let Some(part) = part::open(&folder, &usual)? {
            (part, usual, true)
        } else {
            let end = [b".", unguessable()?.as_bytes(), PART].concat();
            let other = temporary_name(name, &end);
            let part = part::open(&folder, &other)?.ok_or(Errno::EXIST)?;
            (part, other, false)
        };
        let name = name.to_vec();
        Ok(Self {
            folder,
            name,
            part,
            part_name,
            resumable,
            wanted: MissingChunks::default(),
            next: 0,
            written: 0,
            fresh: 0,
            end: 0,
            ahead: Vec::new(),
            ahead_at: 0,
            writer: None,
            keep: false,
        })
    }

    /// Whether the temporary name still belongs to this file.
    fn is_held(&self) -> bool {
        part::is_named(&self.folder, &self.part_name, &self.part).unwrap_or_default()
    }

    /// Continues an interrupted transfer: writes the `chunks` that exist in `old` (the current
    /// target) and in the temporary file. `Ok(true)` if the target already has this content.
    pub(super) fn find_chunks(
        &mut self,
        chunks: Vec<Chunk>,
        cut: Cut,
        old: Option<&File>,
    ) -> io::Result<bool> {
        self.keep = self.resumable;
        self.wanted = MissingChunks::new(chunks);
        if let Some(old) = old
            && self.is_all(old)?
        {
            return Ok(true);
        }
        self.resume(cut)?;
        if let Some(old) = old {
            self.copy(old, cut)?;
        }
        let have =
            OpenPath::again(&self.folder, &self.name)?.plain(&temporary_name(&self.name, HAVE));
        if let Some(have) = have {
            self.copy(&have, cut)?;
        }
        // Other files may come before this one continues, so nothing waits in memory.
        self.write()?;
        self.ahead = Vec::new();
        Ok(false)
    }

    /// Whether this file has the content; if only its times differ, nothing is written.
    fn is_all(&self, file: &File) -> io::Result<bool> {
        let MissingChunks { chunks, offsets, .. } = &self.wanted;
        let size = chunks.iter().map(|chunk| u64::from(chunk.length)).sum::<u64>();
        let mut buffer = Vec::new();
        let mut all = chunks.iter().zip(offsets);
        Ok(file.metadata()?.len() == size
            && all.try_fold(true, |same, (chunk, offset)| {
                Ok::<_, io::Error>(same && read_chunk(file, *offset, *chunk, &mut buffer)?)
            })?)
    }

    /// Keeps chunks of the temporary file that are at their positions. If most of it is other
    /// content, it is moved aside to copy from; otherwise chunks at other positions are copied as
    /// well.
    fn resume(&mut self, cut: Cut) -> io::Result<()> {
        let length = self.part.metadata()?.len();
        let MissingChunks { chunks, offsets, .. } = &self.wanted;
        let (mut buffer, mut same, mut there) = (Vec::new(), 0, Vec::new());
        for (index, (chunk, offset)) in chunks.iter().zip(offsets).enumerate() {
            if *offset >= length {
                break;
            }
            if read_chunk(&self.part, *offset, *chunk, &mut buffer)? {
                same += u64::from(chunk.length);
                there.push(index);
            }
        }
        let mut aside = None;
        let have = temporary_name(&self.name, HAVE);
        // Another user's file with that name is kept.
        if same < length / 2
            && rustix::fs::renameat(&self.folder, &self.part_name, &self.folder, &have).is_ok()
        {
            let part = part::open(&self.folder, &self.part_name)?.ok_or(Errno::PERM)?;
            aside = Some(mem::replace(&mut self.part, part));
            self.part.set_len(0)?;
        } else {
            (self.written, self.fresh) = (same, length);
        }
        for index in there {
            let (chunk, own) = (self.wanted.chunks[index], self.wanted.offsets[index]);
            let places = self.wanted.take(&chunk).filter(|at| aside.is_some() || *at != own);
            let places: Vec<_> = places.collect();
            let from = aside.as_ref().unwrap_or(&self.part);
            if !places.is_empty() && !read_chunk(from, own, chunk, &mut buffer)? {
                return Err(io::Error::other("another process writes to the temporary file"));
            }
            places.into_iter().try_for_each(|at| self.lay(at, &buffer))?;
        }
        if aside.is_none() && same < length {
            // Chunks that are overwritten meanwhile are not found, and are requested.
            self.copy(&self.part.try_clone()?, cut)?;
        }
        Ok(())
    }

    /// Writes the chunks of the content that `from` has.
    fn copy(&mut self, from: &File, how: Cut) -> io::Result<()> {
        let mut next = None;
        cut(from, how, |_, chunk, bytes| {
            let MissingChunks { chunks, first, .. } = &self.wanted;
            // The guessed chunk, else any of that content.
            let guessed = next.filter(|index| chunks[*index] == chunk);
            let index = guessed.or_else(|| first.get(&chunk).copied());
            // The next chunk in the new content usually also followed in the old one; the end of
            // the last chunk may only be the end of the file.
            next = index.map(|index| index + 1).filter(|next| next + 1 < chunks.len());
            let guess = next.map(|next| chunks[next]);
            self.put(chunk, bytes)?;
            Ok(guess)
        })?;
        Ok(())
    }

    /// Which chunks have to be sent: those that neither exist nor have the content of an earlier
    /// one.
    pub(super) fn needed(&self) -> impl Iterator<Item = bool> {
        let MissingChunks { chunks, first, .. } = &self.wanted;
        chunks.iter().enumerate().map(|(index, chunk)| first.get(chunk) == Some(&index))
    }

    /// The next expected chunk; `None` if all are written.
    pub(super) fn next(&mut self) -> Option<(usize, Chunk)> {
        let MissingChunks { chunks, first, .. } = &self.wanted;
        while !first.contains_key(chunks.get(self.next)?) {
            self.next += 1;
        }
        Some((self.next, chunks[self.next]))
    }

    /// Writes a chunk to all its positions; its hash was checked.
    pub(super) fn put(&mut self, chunk: Chunk, bytes: &[u8]) -> io::Result<()> {
        let places: Vec<_> = self.wanted.take(&chunk).collect();
        places.into_iter().try_for_each(|at| self.lay(at, bytes))
    }

    fn lay(&mut self, at: u64, bytes: &[u8]) -> io::Result<()> {
        let end = self.ahead_at + self.ahead.len() as u64;
        if at != end || self.ahead.len() + bytes.len() > PIECE {
            self.write()?;
            self.ahead_at = at;
        }
        self.ahead.extend_from_slice(bytes);
        self.written += bytes.len() as u64;
        self.end = self.end.max(at + bytes.len() as u64);
        Ok(())
    }

    /// Extends the temporary file to the end of the written chunks, so that the next transfer finds
    /// all of them.
    fn lengthen(&self) -> io::Result<()> {
        if self.part.metadata()?.len() < self.end {
            self.part.set_len(self.end)?;
        }
        Ok(())
    }

    /// Writes the buffered bytes.
    fn write(&mut self) -> io::Result<()> {
        if self.ahead.is_empty() {
            return Ok(());
        }
        if self.writer.is_none() && self.written > LONG {
            self.writer = Writer::start(&self.part, self.fresh);
        }
        if let Some(writer) = &mut self.writer {
            return writer.write(self.ahead_at, &mut self.ahead);
        }
        sparse::write_all_at(&self.part, &self.ahead, self.ahead_at, self.fresh)?;
        self.ahead.clear();
        Ok(())
    }

    /// Writes a small file completely; its hash was checked.
    pub(super) fn small(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.written = bytes.len() as u64;
        self.part.write_all_at(bytes, 0)
    }

    /// Moves the file to its target: every chunk is written.
    pub(super) fn finish(mut self, file: &transfer::File) -> io::Result<Effect> {
        self.keep = false;
        self.write()?;
        // Before its time is set, since each write changes it.
        if let Some(writer) = self.writer.take() {
            writer.end()?;
        }
        self.part.set_len(file.size)?;
        let mut effect = Effect::changed(true);
        effect.set(rustix::fs::fchmod(&self.part, mode(file.mode)))?;
        effect.set(rustix::fs::futimens(&self.part, &times(file.mtime)))?;
        // A small file that a crash of the node truncated is detected by its length; a sync of
        // 20,000 small files should not wait for the disk 20,000 times.
        if file.chunks > 0 {
            self.part.sync_all()?;
        }
        if !self.is_held() {
            return Err(Errno::WOULDBLOCK.into());
        }
        rustix::fs::renameat(&self.folder, &self.part_name, &self.folder, &self.name[..])?;
        // Keep it from now on: it has the target's name, and the old temporary name may belong to
        // another file.
        (self.keep, self.written) = (true, self.written.max(1));
        // It may not exist.
        let _ =
            rustix::fs::unlinkat(&self.folder, temporary_name(&self.name, HAVE), AtFlags::empty());
        Ok(effect)
    }
}

/// Reads a chunk, and returns whether its hash matches.
fn read_chunk(from: &File, offset: u64, chunk: Chunk, buffer: &mut Vec<u8>) -> io::Result<bool> {
    buffer.resize(chunk.length as usize, 0);
    match from.read_exact_at(buffer, offset) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(false),
        other => other?,
    }
    Ok(Hash::from(blake3::hash(buffer)) == chunk.hash)
}

#[cfg(test)]
mod tests;
