//! Receives files into a folder of the container, for `sync`, as defined in
//! [`super::protocol::transfer`]. Never writes or deletes outside the folder, and never follows a
//! symbolic link below it.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    io::{Read, Write},
};

use anyhow::{Context, Result};

use super::{
    error::Code,
    protocol::{
        Answer, Broken, Bytes, Failed, Frame, FrameKind, Request,
        transfer::{self, Data, Hashes, MOST_CHUNKS, MOST_FILES, Op, Reason, Receive, Refusal},
    },
    wire::{Error, Input, send},
};

mod effect;
mod flush;
mod growing;
mod incoming;
mod list;
mod part;
mod read;
mod refusal;
mod root;
mod sparse;
mod writer;

use effect::Effect;
use incoming::{Incoming, Step};
use refusal::with_detail;
use root::Root;

/// Answers are written when there is no more input, or when this many bytes are waiting.
const PIECE: usize = 32 << 10;

/// Maximum number of folders whose names are not synced to the disk yet.
const MOST_UNKEPT: usize = 1024;

/// Receives until the client closes the connection.
pub(super) fn receive<R: Read>(
    wanted: &Receive,
    mut input: Input<R>,
    mut output: File,
) -> Result<Code> {
    let root = match Root::open(wanted) {
        Ok(root) => root,
        Err(refusal) => {
            send(&mut output, &Answer::Failed(Failed::Refused(refusal)))?;
            return Ok(Code::No);
        }
    };
    let mut session = Session {
        root,
        delete: wanted.delete,
        newest: 0,
        unkept: BTreeSet::new(),
        incoming: BTreeMap::new(),
        buffers: incoming::Buffers::new().context("no memory for zstd")?,
        out: Answer::Ready.frame(),
    };
    loop {
        if session.out.len() >= PIECE || !input.is_more() {
            output.write_all(&session.out).context("the client is gone")?;
            session.out.clear();
        }
        let broken = match input.frame() {
            Ok(Some(frame)) => match session.frame(&frame) {
                Ok(()) => continue,
                Err(broken) => broken,
            },
            Ok(None) => return Ok(Code::Done),
            Err(Error::Io(error)) => return Err(error).context("the client is gone"),
            Err(Error::Broken(broken)) => broken,
        };
        session.answer(&Answer::Failed(Failed::Malformed { what: broken.to_string() }));
        output.write_all(&session.out).context("the client is gone")?;
        return Ok(Code::No);
    }
}

struct Session {
    root: Root,
    delete: bool,
    /// Id of the newest step. Data for an older step that is not running was sent before the client
    /// received its refusal.
    newest: u32,
    /// Folders with new names that may not be on the disk yet.
    unkept: BTreeSet<Bytes>,
    incoming: BTreeMap<u32, Incoming>,
    buffers: incoming::Buffers,
    out: Vec<u8>,
}

impl Session {
    fn answer(&mut self, answer: &Answer) {
        self.out.extend(answer.frame());
    }

    /// Handles a frame of the client; an error for an invalid frame, which ends the transfer.
    fn frame(&mut self, frame: &Frame<'_>) -> Result<(), Broken> {
        match frame.kind {
            FrameKind::Request => match frame.parse(FrameKind::Request)? {
                Request::Step { id, op } if id > self.newest => {
                    self.newest = id;
                    self.step(id, op)
                }
                Request::Cancel => Ok(()),
                _ => Err(Broken::Content("an unknown or outdated step of a transfer".to_owned())),
            },
            FrameKind::Hashes => {
                let Hashes { id, chunks } = Hashes::parse(frame.payload)?;
                self.go_on(id, |incoming, _, root| incoming.hashes(&chunks, root))
            }
            FrameKind::Data => {
                let data = Data::parse(frame.payload)?;
                self.go_on(data.id, |incoming, buffers, root| incoming.data(&data, buffers, root))
            }
            other => Err(Broken::Unexpected(other)),
        }
    }

    fn step(&mut self, id: u32, op: Op) -> Result<(), Broken> {
        let root = &self.root;
        let done = match op {
            Op::File(file) => return self.file(id, file),
            Op::List { hash, only } => {
                let mut parts = Vec::new();
                let each = |entries| {
                    parts.extend(Answer::Entries { id, entries }.frame());
                };
                let listed = match only {
                    Some(path) => list::only(root, &path, hash, each),
                    None => list::list(root, hash, each),
                };
                self.out.append(&mut parts);
                listed.map(|()| Effect::default())
            }
            Op::Folder { path, mode } => root.folder(&path, mode).map(Effect::changed),
            Op::Settle { path, mode, mtime } => root.settle(&path, mode, mtime),
            Op::Link { path, to } => root.link(&path, &to).map(Effect::changed),
            Op::Delete { path } if !self.delete => {
                let detail = "the transfer was started without permission to delete".to_owned();
                Err(with_detail(Reason::Denied, &path, detail))
            }
            Op::Delete { path } => root.delete(&path).map(Effect::changed),
            Op::Read { path, offset, length } => {
                read::part(root, &path, offset, length).map(|bytes| {
                    Data { id, index: 0, zstd: false, bytes: &bytes }.append(&mut self.out);
                    Effect::default()
                })
            }
            Op::Keep => self.keep().map(|()| Effect::default()),
        };
        self.answer(&answer(id, done));
        Ok(())
    }

    fn file(&mut self, id: u32, file: transfer::File) -> Result<(), Broken> {
        let chunks: u64 = self.incoming.values().map(Incoming::chunks).sum();
        if self.incoming.len() >= MOST_FILES
            || chunks + u64::from(file.chunks) > u64::from(MOST_CHUNKS)
        {
            return Err(Broken::Content("more files in transfer than agreed".to_owned()));
        }
        self.incoming.insert(id, Incoming::new(id, file)?);
        // An empty file has no data to wait for.
        self.go_on(id, Incoming::begin)
    }

    fn go_on(
        &mut self,
        id: u32,
        with: impl FnOnce(&mut Incoming, &mut incoming::Buffers, &Root) -> Result<Step, Broken>,
    ) -> Result<(), Broken> {
        let Some(mut incoming) = self.incoming.remove(&id) else {
            let old = Broken::Content("content for a step that was not started".to_owned());
            return if id <= self.newest { Ok(()) } else { Err(old) };
        };
        match with(&mut incoming, &mut self.buffers, &self.root)? {
            Step::More => drop(self.incoming.insert(id, incoming)),
            Step::Need(need) => {
                need.append(&mut self.out);
                self.incoming.insert(id, incoming);
            }
            Step::Done(done) => {
                if done.as_ref().is_ok_and(|done| done.changed) && incoming.chunks() > 0 {
                    self.unkept.insert(incoming.folder());
                }
                let full = self.unkept.len() > MOST_UNKEPT;
                let kept = if full { self.keep() } else { Ok(()) };
                self.answer(&answer(id, kept.and(done)));
            }
        }
        Ok(())
    }

    /// Syncs names to the disk.
    fn keep(&mut self) -> Result<(), Refusal> {
        let unkept = std::mem::take(&mut self.unkept);
        unkept.iter().map(|folder| self.root.keep(folder)).fold(Ok(()), Result::and)
    }
}

impl Drop for Session {
    /// After a lost connection nobody needs this any more.
    fn drop(&mut self) {
        let _ = self.keep();
    }
}

fn answer(id: u32, done: Result<Effect, Refusal>) -> Answer {
    match done {
        Ok(Effect { changed, unset }) => Answer::Done { id, changed, unset },
        Err(refusal) => Answer::Refused { id, refusal },
    }
}
