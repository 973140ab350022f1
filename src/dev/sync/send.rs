//! The sender's half of a transfer over one connection: steps are sent ahead of their answers, and
//! content follows when the agent requests it. Reading, hashing and compressing run on other
//! threads, so that the connection is never idle for them.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
    task::spawn_blocking,
    time::sleep,
};

use super::{
    super::{
        trouble::Trouble,
        wire::{Conversation, Reader, Writer},
    },
    content::{Content, Library, Packer, read_some},
    plan::SyncPlan,
    progress::Progress,
    steps::{Doing, Report, State, Step, Tries},
};
use diyadm_agent::protocol::{
    Answer, Bytes, FrameKind, Request, json,
    transfer::{Entry, Need, Op, Reason, Refusal, What},
};

/// Bytes of content to prepare at a time.
const PIECE: u64 = 512 << 10;
/// Number of files to read at a time.
const BATCH_FILES: usize = 64;
/// Maximum number of pieces that wait for the network.
const WAITING: usize = 4;
const PAUSE: Duration = Duration::from_millis(200);

/// Executes the plan. `next` is the id of the next step, `patience` how often to retry a file that
/// another transfer has locked. A refusal does not stop the rest.
///
/// # Errors
/// The connection broke.
pub(crate) async fn send(
    talk: &mut Conversation,
    plan: &SyncPlan,
    library: &Arc<Library>,
    next: &mut u32,
    patience: u32,
    progress: &Progress,
) -> Result<Report, Trouble> {
    let (frames, mut outbox) = mpsc::channel::<Vec<u8>>(WAITING);
    let (asks, mut asked) = mpsc::unbounded_channel();
    let state = State::new(*next);
    let sender = Sender { progress, patience, frames, library, state: &state };
    let Conversation { reader, writer, .. } = talk;
    tokio::select! {
        done = sender.all(plan) => done?,
        broken = write(writer, &mut outbox, progress) => return Err(broken),
        broken = read_answers(reader, &state, &asks, progress) => return Err(broken),
        failed = sender.serve(&mut asked) => return Err(failed),
    }
    *next = state.next.into_inner();
    Ok(state.report.into_inner())
}

async fn write(
    writer: &mut Writer,
    outbox: &mut mpsc::Receiver<Vec<u8>>,
    progress: &Progress,
) -> Trouble {
    while let Some(bytes) = outbox.recv().await {
        if let Err(trouble) = writer.bytes(&bytes).await {
            return trouble;
        }
        progress.wrote(bytes.len());
    }
    std::future::pending().await
}

async fn read_answers(
    reader: &mut Reader,
    state: &State,
    asks: &mpsc::UnboundedSender<Need>,
    progress: &Progress,
) -> Trouble {
    loop {
        let frame = match reader.frame().await {
            Ok(frame) => frame,
            Err(trouble) => return trouble,
        };
        let heard = match frame.kind {
            FrameKind::Need => Need::parse(frame.payload).map_err(Trouble::from).and_then(|need| {
                if state.ask(&need)? {
                    // The serving task lives as long as this one.
                    let _ = asks.send(need);
                }
                Ok(())
            }),
            _ => frame
                .parse(FrameKind::Answer)
                .map_err(Trouble::from)
                .and_then(|answer| answered(state, answer, progress)),
        };
        if let Err(trouble) = heard {
            return trouble;
        }
    }
}

fn answered(state: &State, answer: Answer, progress: &Progress) -> Result<(), Trouble> {
    match answer {
        Answer::Done { id, changed, unset } => {
            let Some(step) = state.end(id) else { return Ok(()) };
            let mut report = state.report.borrow_mut();
            if unset {
                report.unset.push(step.path.show());
            }
            match step.what {
                Doing::File(content) => {
                    report.files += u64::from(changed);
                    progress.file(content.size());
                }
                Doing::Delete => report.deleted += u64::from(changed),
                Doing::Other => report.others += u64::from(changed),
            }
        }
        Answer::Refused { id, refusal } => {
            let Some(step) = state.end(id) else { return Ok(()) };
            let passes = matches!(refusal.reason, Reason::Changed | Reason::Busy);
            if passes && matches!(step.what, Doing::File(_)) {
                state.again.borrow_mut().push(Refusal { path: step.path, ..refusal });
            } else {
                state.refuse(refusal.to_string());
            }
        }
        Answer::Failed(failed) => return Err(failed.into()),
        other => {
            return Err(Trouble::NoAgent(format!("unexpected answer: {other:?}")));
        }
    }
    Ok(())
}

struct Sender<'a> {
    progress: &'a Progress,
    /// How often to retry a file that another transfer has locked.
    patience: u32,
    frames: mpsc::Sender<Vec<u8>>,
    library: &'a Arc<Library>,
    state: &'a State,
}

impl Sender<'_> {
    async fn all(&self, plan: &SyncPlan) -> Result<(), Trouble> {
        for path in &plan.clear {
            self.op(path, Doing::Delete, Op::Delete { path: path.clone() }).await?;
        }
        for Entry { path, mode, .. } in &plan.folders {
            let op = Op::Folder { path: path.clone(), mode: *mode };
            self.op(path, Doing::Other, op).await?;
        }
        self.files(plan.files.iter().map(|entry| entry.path.clone()).collect()).await?;
        for entry in &plan.links {
            if let What::Link { to } = &entry.what {
                let op = Op::Link { path: entry.path.clone(), to: to.clone() };
                self.op(&entry.path, Doing::Other, op).await?;
            }
        }
        self.state.wait().await;
        self.again().await?;
        let whole = self.state.report.borrow().refused.is_empty();
        if whole {
            for path in &plan.delete {
                self.op(path, Doing::Delete, Op::Delete { path: path.clone() }).await?;
            }
        } else {
            self.state.report.borrow_mut().undeleted = !plan.delete.is_empty();
        }
        for Entry { path, mode, mtime, .. } in &plan.settle {
            let op = Op::Settle { path: path.clone(), mode: *mode, mtime: *mtime };
            self.op(path, Doing::Other, op).await?;
        }
        if !plan.files.is_empty() {
            self.op(&Bytes::default(), Doing::Other, Op::Keep).await?;
        }
        self.state.wait().await;
        Ok(())
    }

    /// Sends files again that changed while they were sent, or that another transfer had locked.
    async fn again(&self) -> Result<(), Trouble> {
        let mut tries = Tries::new(self.patience);
        loop {
            let refused = std::mem::take(&mut *self.state.again.borrow_mut());
            let mut again = Vec::new();
            for Refusal { reason, path, detail } in refused {
                let busy = reason == Reason::Busy;
                if tries.one_more(&path, busy) {
                    if !busy {
                        self.library.forget(&path);
                    }
                    again.push(path);
                } else if busy {
                    self.state.refuse(Refusal { reason, path, detail }.to_string());
                } else {
                    let path = path.show();
                    let what = format!("{path} keeps changing and could not be sent whole");
                    self.state.refuse(what);
                }
            }
            if again.is_empty() {
                break;
            }
            sleep(PAUSE).await;
            self.files(again).await?;
            self.state.wait().await;
        }
        Ok(())
    }

    async fn op(&self, path: &Bytes, what: Doing, op: Op) -> Result<(), Trouble> {
        let permit = self.permits(&self.state.others, 1).await?;
        let id = self.state.begin(Step {
            path: path.clone(),
            what,
            asked: false,
            _permits: vec![permit],
        });
        self.bytes(frame(id, op)?).await
    }

    async fn files(&self, paths: Vec<Bytes>) -> Result<(), Trouble> {
        let mut paths = paths.into_iter().peekable();
        while paths.peek().is_some() {
            let library = Arc::clone(self.library);
            let some: Vec<_> = paths.by_ref().take(BATCH_FILES).collect();
            let (these, rest) =
                spawn_blocking(move || read_some(&library, some)).await.map_err(lost)?;
            for (path, content) in these {
                match content {
                    Ok(content) => self.file(path, content).await?,
                    // Deleting it is left to another sync.
                    Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                    Err(error) => {
                        self.state.refuse(format!("{} cannot be read: {error}", path.show()));
                    }
                }
            }
            if !rest.is_empty() {
                paths = rest.into_iter().chain(paths).collect::<Vec<_>>().into_iter().peekable();
            }
        }
        Ok(())
    }

    async fn file(&self, path: Bytes, content: Arc<Content>) -> Result<(), Trouble> {
        let chunks = content.chunks();
        let permits = if chunks == 0 {
            vec![self.permits(&self.state.others, 1).await?]
        } else {
            let chunks = self.permits(&self.state.chunks, chunks).await?;
            vec![self.permits(&self.state.files, 1).await?, chunks]
        };
        let what = Doing::File(Arc::clone(&content));
        let step = Step { path: path.clone(), what, asked: false, _permits: permits };
        let id = self.state.begin(step);
        let op = Op::File(content.file(path));
        let mut out = frame(id, op)?;
        content.append(&mut out, id).map_err(lost)?;
        self.bytes(out).await
    }

    /// Sends the requested content.
    async fn serve(&self, asked: &mut mpsc::UnboundedReceiver<Need>) -> Trouble {
        while let Some(need) = asked.recv().await {
            if let Err(trouble) = self.need(&need).await {
                return trouble;
            }
        }
        std::future::pending().await
    }

    async fn need(&self, need: &Need) -> Result<(), Trouble> {
        let (path, content) = match self.state.steps.borrow().get(&need.id) {
            Some(Step { path, what: Doing::File(content), .. }) => {
                (path.clone(), Arc::clone(content))
            }
            _ => return Ok(()),
        };
        let indices: Vec<_> = need.indices().take_while(|at| *at < content.chunks()).collect();
        let mut rest = &indices[..];
        // The container has the other chunks already.
        self.progress.part(content.size().saturating_sub(content.length(rest)));
        let mut packer = Packer::new().map_err(lost)?;
        while !rest.is_empty() {
            // Refused meanwhile: the rest is not needed.
            if !self.state.steps.borrow().contains_key(&need.id) {
                return Ok(());
            }
            let mut count = 0;
            let mut length = 0;
            while count < rest.len() && length < PIECE {
                length += content.length(&rest[count..=count]);
                count += 1;
            }
            let (some, more) = rest.split_at(count);
            rest = more;
            let (library, content) = (Arc::clone(self.library), Arc::clone(&content));
            let (id, path, some) = (need.id, path.clone(), some.to_vec());
            let made = spawn_blocking(move || {
                let mut out = Vec::new();
                library
                    .data(&mut out, id, &path, &content, &some, &mut packer)
                    .map(|()| (out, packer))
            });
            match made.await.map_err(lost)? {
                Ok((out, same)) => {
                    packer = same;
                    self.bytes(out).await?;
                    self.progress.part(length);
                }
                Err(error) => return Err(Trouble::Lost(format!("a file cannot be read: {error}"))),
            }
        }
        Ok(())
    }

    async fn bytes(&self, bytes: Vec<u8>) -> Result<(), Trouble> {
        self.frames.send(bytes).await.map_err(lost)
    }

    async fn permits(
        &self,
        semaphore: &Arc<Semaphore>,
        count: usize,
    ) -> Result<OwnedSemaphorePermit, Trouble> {
        let count = u32::try_from(count).map_err(lost)?;
        Arc::clone(semaphore).acquire_many_owned(count).await.map_err(lost)
    }
}

fn frame(id: u32, op: Op) -> Result<Vec<u8>, Trouble> {
    json(FrameKind::Request, &Request::Step { id, op }).map_err(|broken| Trouble::too_long(&broken))
}

fn lost(error: impl std::fmt::Display) -> Trouble {
    Trouble::Lost(error.to_string())
}
