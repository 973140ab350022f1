//! One file that is being received: collects its chunk list, requests the needed chunks, and takes
//! them.

use std::{fs::File, io, mem};

use zstd::bulk::Decompressor;

use super::{
    super::{
        chunks::Whole,
        protocol::{
            Broken, Bytes, Hash,
            transfer::{self, Chunk, Data, MOST_CHUNK, Need, Reason, Refusal},
        },
    },
    effect::Effect,
    growing::Growing,
    refusal::{refusal_for, refuse},
    root::Root,
};

/// State that all files share.
pub(super) struct Buffers {
    zstd: Decompressor<'static>,
    plain: Vec<u8>,
}

impl Buffers {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self { zstd: Decompressor::new()?, plain: Vec::new() })
    }

    /// The content of `data`; `None` if it does not have `length` bytes and this hash.
    fn content<'a>(&'a mut self, data: &Data<'a>, length: u32, hash: Hash) -> Option<&'a [u8]> {
        let length = usize::try_from(length).ok()?;
        let bytes = if data.zstd {
            self.plain.clear();
            // zstd writes up to the capacity, and fails if there is more.
            self.plain.reserve_exact(length);
            self.zstd.decompress_to_buffer(data.bytes, &mut self.plain).ok()?;
            &self.plain
        } else {
            data.bytes
        };
        (bytes.len() == length && Hash::from(blake3::hash(bytes)) == hash).then_some(bytes)
    }
}

/// The next state of a file.
pub(super) enum Step {
    /// More data is expected.
    More,
    /// These chunks are needed.
    Need(Need),
    /// It is done, with its effect or the reason of its failure.
    Done(Result<Effect, Refusal>),
}

/// A file that is being received.
pub(super) struct Incoming {
    id: u32,
    file: transfer::File,
    chunks: Vec<Chunk>,
    growing: Option<Growing>,
}

impl Incoming {
    /// Checks whether the file is valid; does not touch anything yet.
    pub(super) fn new(id: u32, file: transfer::File) -> Result<Self, Broken> {
        let fits = match file.chunks {
            0 => file.size <= u64::from(MOST_CHUNK),
            chunks => file.cut.fits() && file.size >= u64::from(chunks),
        };
        let wrong = || Broken::Content("a file has impossible chunks".to_owned());
        if fits { Ok(Self { id, file, chunks: Vec::new(), growing: None }) } else { Err(wrong()) }
    }

    /// Number of its chunks.
    pub(super) fn chunks(&self) -> u64 {
        self.file.chunks.into()
    }

    /// Its folder.
    pub(super) fn folder(&self) -> Bytes {
        let path = &self.file.path.0;
        let end = path.iter().rposition(|byte| *byte == b'/').unwrap_or_default();
        Bytes(path[..end].to_vec())
    }

    /// Does what is possible before any of its data has arrived.
    pub(super) fn begin(&mut self, buffers: &mut Buffers, root: &Root) -> Result<Step, Broken> {
        if let Err(refusal) = root.place(&self.file.path) {
            return Ok(Step::Done(Err(refusal)));
        }
        if self.file.size > 0 {
            return Ok(Step::More);
        }
        self.data(&Data { id: self.id, index: 0, zstd: false, bytes: b"" }, buffers, root)
    }

    /// Handles a part of its chunk list.
    pub(super) fn hashes(&mut self, chunks: &[Chunk], root: &Root) -> Result<Step, Broken> {
        let wrong = |what: &str| Err(Broken::Content(what.to_owned()));
        let all = self.file.chunks as usize;
        if self.growing.is_some() || self.chunks.len() + chunks.len() > all {
            return wrong("more chunks than the file has");
        }
        self.chunks.extend_from_slice(chunks);
        if self.chunks.len() < all {
            return Ok(Step::More);
        }
        if self.chunks.iter().map(|chunk| u64::from(chunk.length)).sum::<u64>() != self.file.size {
            return wrong("chunks that are not as long as the file");
        }
        let mut whole = Whole::default();
        self.chunks.iter().for_each(|chunk| whole.add(chunk));
        if whole.hash() != self.file.hash {
            return Ok(Step::Done(Err(refuse(Reason::Changed, &self.file.path))));
        }
        Ok(match self.find_chunks(root) {
            Ok(step) => step,
            Err(refusal) => Step::Done(Err(refusal)),
        })
    }

    fn find_chunks(&mut self, root: &Root) -> Result<Step, Refusal> {
        let place = root.place(&self.file.path)?;
        let old = place.file();
        let mut growing =
            Growing::open(place).map_err(|error| refusal_for(&self.file.path, error))?;
        let chunks = mem::take(&mut self.chunks);
        match growing.find_chunks(chunks, self.file.cut, old.as_ref()) {
            Ok(false) => {}
            Ok(true) => {
                // The temporary file of this file is useless now.
                growing.keep = false;
                drop(growing);
                return self.settle(root).map(|effect| Step::Done(Ok(effect)));
            }
            Err(error) => return Err(self.failed(error, growing)),
        }
        let need = Need::new(self.id, growing.needed());
        Ok(self.go_on(growing)?.map_or(Step::Need(need), |effect| Step::Done(Ok(effect))))
    }

    /// Handles content.
    pub(super) fn data(
        &mut self,
        data: &Data<'_>,
        buffers: &mut Buffers,
        root: &Root,
    ) -> Result<Step, Broken> {
        let wrong = |what: &str| Err(Broken::Content(what.to_owned()));
        if self.file.chunks == 0 {
            if data.index != 0 {
                return wrong("a second piece of a small file");
            }
            return Ok(Step::Done(self.small(data, buffers, root)));
        }
        let Some(mut growing) = self.growing.take() else {
            return wrong("content arrived before it was requested");
        };
        let Some((_, chunk)) = growing.next().filter(|(next, _)| *next == data.index as usize)
        else {
            return wrong("content that was not requested, or is out of order");
        };
        let Some(bytes) = buffers.content(data, chunk.length, chunk.hash) else {
            return Ok(Step::Done(Err(refuse(Reason::Changed, &self.file.path))));
        };
        let done = match growing.put(chunk, bytes) {
            Ok(()) => self.go_on(growing),
            Err(error) => Err(self.failed(error, growing)),
        };
        Ok(match done {
            Ok(None) => Step::More,
            Ok(Some(effect)) => Step::Done(Ok(effect)),
            Err(refusal) => Step::Done(Err(refusal)),
        })
    }

    /// Finishes a file that is completely written; `None` if it is not.
    fn go_on(&mut self, mut growing: Growing) -> Result<Option<Effect>, Refusal> {
        if growing.next().is_some() {
            self.growing = Some(growing);
            return Ok(None);
        }
        growing.finish(&self.file).map(Some).map_err(|error| refusal_for(&self.file.path, error))
    }

    /// Handles a file that came in one piece.
    fn small(
        &self,
        data: &Data<'_>,
        buffers: &mut Buffers,
        root: &Root,
    ) -> Result<Effect, Refusal> {
        let Self { file, .. } = self;
        let length = u32::try_from(file.size).unwrap_or(MOST_CHUNK);
        let changed = || refuse(Reason::Changed, &file.path);
        let bytes = buffers.content(data, length, file.hash).ok_or_else(changed)?;
        let place = root.place(&file.path)?;
        if place.file().is_some_and(|old| is(&old, file)) {
            return self.settle(root);
        }
        let failed = |error: io::Error| refusal_for(&file.path, error);
        let mut growing = Growing::open(place).map_err(failed)?;
        growing.small(bytes).and_then(|()| growing.finish(file)).map_err(failed)
    }

    fn settle(&self, root: &Root) -> Result<Effect, Refusal> {
        root.settle(&self.file.path, self.file.mode, self.file.mtime)
    }

    /// The refusal for a failure. On a full disk, the temporary file is deleted.
    fn failed(&self, error: io::Error, mut growing: Growing) -> Refusal {
        let refusal = refusal_for(&self.file.path, error);
        if refusal.reason == Reason::NoSpace {
            growing.keep = false;
        }
        refusal
    }
}

/// Whether a small file already has this content.
fn is(old: &File, file: &transfer::File) -> bool {
    use std::io::Read;
    let mut content = Vec::new();
    old.metadata().is_ok_and(|meta| meta.len() == file.size)
        && old.take(file.size + 1).read_to_end(&mut content).is_ok()
        && Hash::from(blake3::hash(&content)) == file.hash
}
