//! A sender of files, as `sync` is.

use std::path::Path;

use diyadm_agent::{
    chunks::cut,
    protocol::{
        Answer, Bytes, Failed, FrameKind, Request, json,
        transfer::{Chunk, Cut, Data, File, Hashes, Mtime, Need, Op, Reason, Receive},
    },
};
use std::os::unix::ffi::OsStrExt;

use super::client::{Client, Message, relay};

/// Chunks so small that a short content has many.
pub(super) const SMALL: Cut = Cut { min: 64, avg: 256, max: 1024 };

/// A transfer into a folder.
pub(super) struct Sender {
    pub(super) client: Client,
    id: u32,
}

pub(super) fn into(folder: &Path) -> Receive {
    let root = Bytes(folder.as_os_str().as_bytes().to_vec());
    Receive { root, create: false, delete: false, alone: false }
}

/// A file of this content, and its chunks.
pub(super) fn file(path: &[u8], content: &[u8]) -> (File, Vec<(Chunk, Vec<u8>)>) {
    let mut chunks = Vec::new();
    let (size, hash) = cut(content, SMALL, |_, chunk, bytes| {
        chunks.push((chunk, bytes.to_vec()));
        Ok(None)
    })
    .unwrap();
    let mtime = Mtime { s: 1_600_000_000, ns: 5_000 };
    let (path, count) = (Bytes(path.to_vec()), u32::try_from(chunks.len()).unwrap());
    (File { path, mode: 0o640, mtime, size, hash, chunks: count, cut: SMALL }, chunks)
}

impl Sender {
    pub(super) fn new(wanted: &Receive) -> Self {
        Self::try_new(relay(Path::new("/none")), wanted).unwrap()
    }

    pub(super) fn try_new(
        command: std::process::Command,
        wanted: &Receive,
    ) -> Result<Self, Failed> {
        let mut client = Client::of(command);
        match client.asked(&Request::Receive(wanted.clone())) {
            Answer::Ready => Ok(Self { client, id: 0 }),
            Answer::Failed(failed) => Err(failed),
            other => panic!("{other:?}"),
        }
    }

    /// Asks for a step; its id.
    pub(super) fn ask(&mut self, op: Op) -> u32 {
        self.id += 1;
        self.client.ask(&Request::Step { id: self.id, op });
        self.id
    }

    /// Whether a step changed anything, or why it was refused.
    #[track_caller]
    pub(super) fn done(&mut self) -> Result<bool, Reason> {
        match self.client.answer() {
            Answer::Done { id, changed, .. } if id == self.id => Ok(changed),
            Answer::Refused { id, refusal } if id == self.id => Err(refusal.reason),
            other => panic!("{other:?}"),
        }
    }

    #[track_caller]
    pub(super) fn step(&mut self, op: Op) -> Result<bool, Reason> {
        self.ask(op);
        self.done()
    }

    /// Offers a file in chunks: what is needed of it, or how it is done already.
    pub(super) fn offer(
        &mut self,
        file: &File,
        chunks: &[(Chunk, Vec<u8>)],
    ) -> Result<Vec<usize>, Result<bool, Reason>> {
        let id = self.ask(Op::File(file.clone()));
        let mut out = Vec::new();
        let all: Vec<_> = chunks.iter().map(|(chunk, _)| *chunk).collect();
        // In two frames, as a long list is.
        let (some, others) = all.split_at(all.len() / 2);
        Hashes::append(&mut out, id, some);
        Hashes::append(&mut out, id, others);
        self.client.send_bytes(&out);
        match self.client.next_message() {
            Some(Message::Other(FrameKind::Need, payload)) => {
                let need = Need::parse(&payload).unwrap();
                assert_eq!(need.id, id);
                Ok(need.indices().collect())
            }
            Some(Message::Answer(Answer::Done { changed, .. })) => Err(Ok(changed)),
            Some(Message::Answer(Answer::Refused { refusal, .. })) => Err(Err(refusal.reason)),
            other => panic!("{other:?}"),
        }
    }

    /// Frames of these chunks, every other one compressed.
    pub(super) fn frames(&self, chunks: &[(Chunk, Vec<u8>)], need: &[usize]) -> Vec<Vec<u8>> {
        let frame = |index: &usize| {
            let zstd = index.is_multiple_of(2);
            let plain = &chunks[*index].1;
            let packed = zstd::bulk::compress(plain, 1).unwrap();
            let bytes = if zstd { &packed } else { plain };
            let mut out = Vec::new();
            Data { id: self.id, index: u32::try_from(*index).unwrap(), zstd, bytes }
                .append(&mut out);
            out
        };
        need.iter().map(frame).collect()
    }

    /// Sends a file in chunks, whole; how much of it went.
    #[track_caller]
    pub(super) fn send(&mut self, path: &[u8], content: &[u8]) -> (Result<bool, Reason>, usize) {
        let (file, chunks) = file(path, content);
        match self.offer(&file, &chunks) {
            Err(done) => (done, 0),
            Ok(need) => {
                let frames = self.frames(&chunks, &need).concat();
                self.client.send_bytes(&frames);
                (self.done(), need.len())
            }
        }
    }

    /// Sends a file in one piece.
    #[track_caller]
    pub(super) fn small(&mut self, path: &[u8], content: &[u8]) -> Result<bool, Reason> {
        self.say_small(path, content);
        self.done()
    }

    pub(super) fn say_small(&mut self, path: &[u8], content: &[u8]) {
        let (file, _) = file(path, content);
        let hash = blake3::hash(content).into();
        let id = self.ask(Op::File(File { chunks: 0, hash, ..file }));
        if !content.is_empty() {
            let mut out = Vec::new();
            Data { id, index: 0, zstd: false, bytes: content }.append(&mut out);
            self.client.send_bytes(&out);
        }
    }

    /// Sends bytes that make no sense; what is said of them before the end.
    #[track_caller]
    pub(super) fn nonsense(mut self, bytes: &[u8]) -> String {
        self.client.send_bytes(bytes);
        match self.client.answer() {
            Answer::Failed(Failed::Malformed { what }) => {
                assert_eq!(self.client.next_message(), None);
                what
            }
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn op(&mut self, op: Op) -> Vec<u8> {
        self.id += 1;
        json(FrameKind::Request, &Request::Step { id: self.id, op }).unwrap()
    }

    /// The connection ends; the relay has done what came.
    pub(super) fn hang_up(mut self) {
        drop(self.client.input.take());
        self.client.child.wait().unwrap();
    }
}
