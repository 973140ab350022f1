//! The content of local files: read, hashed and cut once, for any number of Pods and attempts.

use std::{
    collections::HashMap,
    fs::File,
    io::{self, Read},
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::Duration,
};

use zstd::bulk::Compressor;

use super::{PodCount, scan::mtime};
use crate::platform::files::{self, Stamp, stamp};
use diyadm_agent::{
    chunks::{SMALL, cut},
    protocol::{
        Bytes, Hash,
        transfer::{self, Chunk, Cut, Data, Hashes, Mtime},
    },
};

/// How often to read a file again that changes while it is read.
const TRIES: u32 = 3;
const PAUSE: Duration = Duration::from_millis(50);
/// The compression level: zstd's default is 3; level 1 is not slower than the network.
const LEVEL: i32 = 1;

/// A file that was read.
#[derive(Debug)]
pub(crate) struct Content {
    size: u64,
    hash: Hash,
    mode: u32,
    mtime: Mtime,
    cut: Cut,
    body: Body,
    /// Whether it was still being written; later changes are left to another sync.
    pub(crate) changing: bool,
}

#[derive(Debug)]
enum Body {
    Small(Vec<u8>),
    Chunks(Vec<Chunk>),
}

/// The files below a folder.
#[derive(Debug)]
pub(crate) struct Library {
    root: PathBuf,
    /// The single file, by its remote and its local name.
    only: Option<(Bytes, PathBuf)>,
    /// With several Pods, small files are also kept in memory.
    count: PodCount,
    known: Mutex<HashMap<Bytes, (Stamp, Arc<Content>)>>,
    /// Hashes of whole files.
    hashes: Mutex<HashMap<Bytes, (Stamp, Hash)>>,
    /// A lock while a file is read: other readers then find the result.
    reading: Mutex<()>,
}

impl Library {
    /// The files of the folder `root`, or one file in it, by its remote and its local name.
    pub(crate) fn new(root: PathBuf, only: Option<(Bytes, PathBuf)>, count: PodCount) -> Self {
        let (known, hashes, reading) = Default::default();
        Self { root, only, count, known, hashes, reading }
    }

    /// The same single file, with another remote name.
    pub(super) fn renamed(&self, there: Bytes) -> Self {
        let only = self.only.as_ref().map(|(_, here)| (there, here.clone()));
        Self::new(self.root.clone(), only, self.count)
    }

    /// The local path of a file.
    pub(crate) fn at(&self, path: &Bytes) -> PathBuf {
        match &self.only {
            Some((there, here)) if there == path => self.root.join(here),
            _ => self.root.join(files::local_path(&path.0)),
        }
    }

    /// Opens a local file.
    pub(super) fn open(&self, path: &Bytes) -> io::Result<File> {
        files::open_file(&self.at(path))
    }

    /// A file's content; blocks.
    pub(crate) fn content(&self, path: &Bytes) -> io::Result<Arc<Content>> {
        let _reading = self.reading.lock().unwrap_or_else(PoisonError::into_inner);
        let file = self.open(path)?;
        let stamp = stamp(&file.metadata()?);
        let known = || self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((of, content)) = known().get(path)
            && *of == stamp
        {
            return Ok(Arc::clone(content));
        }
        let content = Arc::new(read_content(&file)?);
        if !content.changing
            && (self.count == PodCount::All || matches!(content.body, Body::Chunks(_)))
        {
            known().insert(path.clone(), (stamp, Arc::clone(&content)));
        }
        Ok(content)
    }

    /// BLAKE3 of a file's content; blocks.
    pub(super) fn hash(&self, path: &Bytes) -> io::Result<Hash> {
        let file = self.open(path)?;
        let stamp = stamp(&file.metadata()?);
        let known = || self.hashes.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((of, hash)) = known().get(path)
            && *of == stamp
        {
            return Ok(*hash);
        }
        let hash = blake3::Hasher::new().update_reader(file)?.finalize().into();
        known().insert(path.clone(), (stamp, hash));
        Ok(hash)
    }

    /// Drops the cached content, so that it is read again.
    pub(crate) fn forget(&self, path: &Bytes) {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).remove(path);
    }

    /// Appends the `indices` of a file's chunks as frames; blocks. Changed chunks are sent in their
    /// new state, and refused.
    pub(crate) fn data(
        &self,
        out: &mut Vec<u8>,
        id: u32,
        path: &Bytes,
        content: &Content,
        indices: &[usize],
        packer: &mut Packer,
    ) -> io::Result<()> {
        let Body::Chunks(chunks) = &content.body else { return Ok(()) };
        // Zeros are sent for a deleted or unreadable file, which are refused as well.
        let file = self.open(path).ok();
        let (mut plain, mut offset, mut at) = (Vec::new(), 0, 0);
        for index in indices {
            offset += chunks[at..*index].iter().map(|chunk| u64::from(chunk.length)).sum::<u64>();
            at = *index;
            plain.resize(chunks[at].length as usize, 0);
            let read = file.as_ref().map(|file| At(file, offset).read_exact(&mut plain));
            if !matches!(read, Some(Ok(()))) {
                plain.fill(0);
            }
            packer.append(out, id, u32::try_from(at).map_err(io::Error::other)?, &plain)?;
        }
        Ok(())
    }
}

impl Content {
    /// The properties of a file in its step.
    pub(crate) fn file(&self, path: Bytes) -> transfer::File {
        let Self { size, hash, mode, mtime, cut, .. } = *self;
        let chunks = u32::try_from(self.chunks()).unwrap_or(u32::MAX);
        transfer::File { path, mode, mtime, size, hash, chunks, cut }
    }

    /// Number of chunks; 0 if it is sent whole.
    pub(crate) fn chunks(&self) -> usize {
        match &self.body {
            Body::Small(_) => 0,
            Body::Chunks(chunks) => chunks.len(),
        }
    }

    /// Length of these chunks, in bytes.
    pub(crate) fn length(&self, indices: &[usize]) -> u64 {
        match &self.body {
            Body::Small(bytes) => bytes.len() as u64,
            Body::Chunks(chunks) => indices.iter().map(|at| u64::from(chunks[*at].length)).sum(),
        }
    }

    /// Its hash.
    pub(crate) fn hash(&self) -> Hash {
        self.hash
    }

    /// Length of all of it, in bytes.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// Appends the data after the step: the whole content, or the records of its chunks.
    pub(crate) fn append(&self, out: &mut Vec<u8>, id: u32) -> io::Result<()> {
        match &self.body {
            Body::Small(bytes) if bytes.is_empty() => Ok(()),
            Body::Small(bytes) => Packer::new()?.append(out, id, 0, bytes),
            Body::Chunks(chunks) => {
                Hashes::append(out, id, chunks);
                Ok(())
            }
        }
    }
}

/// Encodes content as frames, compressed where useful. A jar's content is already compressed:
/// compressing it again costs more time than a fast network saves. After a chunk that does not
/// shrink, the next chunks are sent uncompressed. Their number grows with each such chunk.
pub(crate) struct Packer {
    zstd: Compressor<'static>,
    /// Number of chunks to send uncompressed.
    skip: u32,
    /// Number of uncompressed chunks after the next one that does not shrink.
    pause: u32,
}

impl Packer {
    const LONGEST_PAUSE: u32 = 8;

    pub(super) fn new() -> io::Result<Self> {
        Ok(Self { zstd: Compressor::new(LEVEL)?, skip: 0, pause: 1 })
    }

    /// Appends content as a frame.
    fn append(&mut self, out: &mut Vec<u8>, id: u32, index: u32, plain: &[u8]) -> io::Result<()> {
        if self.skip > 0 {
            self.skip -= 1;
            Data { id, index, zstd: false, bytes: plain }.append(out);
            return Ok(());
        }
        let packed = self.zstd.compress(plain)?;
        let pays = packed.len() < plain.len() - plain.len() / 16;
        (self.skip, self.pause) =
            if pays { (0, 1) } else { (self.pause, (self.pause * 2).min(Self::LONGEST_PAUSE)) };
        let shorter = packed.len() < plain.len();
        let bytes = if shorter { &packed } else { plain };
        Data { id, index, zstd: shorter, bytes }.append(out);
        Ok(())
    }
}

fn read_content(file: &File) -> io::Result<Content> {
    let mut tries = 0;
    loop {
        let before = file.metadata()?;
        let cut = Cut::for_size(before.len());
        let (size, hash, body) =
            if before.len() <= SMALL { small(file)? } else { large(file, cut)? };
        let changing = stamp(&file.metadata()?) != stamp(&before);
        tries += 1;
        if !changing || tries == TRIES {
            let (mode, mtime) = (files::mode(&before), mtime(&before));
            return Ok(Content { size, hash, mode, mtime, cut, body, changing });
        }
        thread::sleep(PAUSE);
    }
}

fn small(file: &File) -> io::Result<(u64, Hash, Body)> {
    let mut bytes = Vec::new();
    At(file, 0).take(SMALL + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > SMALL {
        return large(file, Cut::for_size(bytes.len() as u64));
    }
    Ok((bytes.len() as u64, blake3::hash(&bytes).into(), Body::Small(bytes)))
}

fn large(file: &File, size: Cut) -> io::Result<(u64, Hash, Body)> {
    let mut chunks = Vec::new();
    let (size, hash) = cut(At(file, 0), size, |_, chunk, _| {
        chunks.push(chunk);
        Ok(None)
    })?;
    if chunks.len() > transfer::MOST_CHUNKS as usize {
        let why = format!("it has more than {} chunks", transfer::MOST_CHUNKS);
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, why));
    }
    if chunks.is_empty() {
        return Ok((0, hash, Body::Small(Vec::new())));
    }
    Ok((size, hash, Body::Chunks(chunks)))
}

/// Reads a file with a separate position, so that it can be read again.
struct At<'a>(&'a File, u64);

impl Read for At<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = files::read_at(self.0, buffer, self.1)?;
        self.1 += read as u64;
        Ok(read)
    }
}

/// Approximate bytes of files to read at a time.
const BATCH: u64 = 1 << 20;

/// Files that were read, or errors.
type Contents = Vec<(Bytes, io::Result<Arc<Content>>)>;

/// Reads files up to the limit; returns the rest.
pub(super) fn read_some(library: &Library, paths: Vec<Bytes>) -> (Contents, Vec<Bytes>) {
    let (mut some, mut size) = (Vec::new(), 0);
    let mut paths = paths.into_iter();
    while size < BATCH
        && let Some(path) = paths.next()
    {
        let content = library.content(&path);
        size += content.as_ref().map_or(0, |content| content.size());
        some.push((path, content));
    }
    (some, paths.collect())
}
