//! A folder in a container that is open for a transfer through an agent.

use super::{
    Here, Options, SyncOutcome, SyncSource,
    plan::{ComparisonRules, plan},
    progress::Progress,
    send::send,
    steps::TRIES,
};
use crate::dev::{trouble::Trouble, wire::Conversation};
use diyadm_agent::protocol::{
    Answer, Bytes, Failed, FrameKind, Request,
    transfer::{self, Data, Entry, Op, Reason, What},
};

/// A folder in a container that is open for a transfer.
#[derive(Debug)]
pub struct Open {
    /// Id of the next step.
    next: u32,
    /// How often to retry a file that another transfer has locked.
    pub(super) patience: u32,
    /// Whether the target exists.
    pub(crate) is_folder: bool,
    /// The existing entries.
    pub(crate) there: Vec<Entry>,
}

impl Open {
    /// Opens the target, and lists its content.
    ///
    /// # Errors
    /// The agent refuses, or the connection is lost.
    pub async fn begin(talk: &mut Conversation, source: &SyncSource) -> Result<Self, Trouble> {
        let Options { delete, checksum, dry_run, .. } = source.options;
        // A dry run takes no lock: it neither waits for another sync, nor makes one wait.
        let alone = source.way.file.is_none() && !dry_run;
        let root = source.way.root.clone();
        let receive = transfer::Receive { root, create: !dry_run, delete, alone };
        match talk.ask(&Request::Receive(receive)).await {
            Ok(Answer::Ready) => {}
            Ok(other) => return Err(unexpected(&other)),
            Err(Trouble::Failed(failed)) if dry_run && is_missing(&failed) => {
                let (is_folder, there) = (false, Vec::new());
                return Ok(Self { next: 1, patience: TRIES, is_folder, there });
            }
            Err(trouble) => return Err(trouble),
        }
        let only = source.way.file.as_ref().map(|(_, there)| there.clone());
        let there = list(talk, Op::List { hash: checksum, only }).await?;
        Ok(Self { next: 2, patience: TRIES, is_folder: true, there })
    }

    /// Makes the remote files equal to the local ones, or returns the needed changes in a dry run.
    /// It must be opened again after an error or a refusal.
    ///
    /// # Errors
    /// The connection is lost.
    pub async fn bring(
        &mut self,
        talk: &mut Conversation,
        source: &SyncSource,
        here: &Here,
        progress: &Progress,
    ) -> Result<SyncOutcome, Trouble> {
        // Unreadable files are not deleted files.
        let delete = source.options.delete && here.scan.unread.is_empty();
        let rules = ComparisonRules { delete };
        let plan = plan(&here.scan.entries, &self.there, rules, |entry| here.keeps(entry));
        if source.options.dry_run {
            return Ok(source.rehearse(plan));
        }
        progress.begin(plan.files.len() as u64, plan.bytes);
        // The holder of a file after a lost connection has noticed the loss by then.
        let patience = std::mem::replace(&mut self.patience, TRIES);
        let report = send(talk, &plan, &source.library, &mut self.next, patience, progress);
        let report = report.await?;
        self.there = here.after(std::mem::take(&mut self.there), delete);
        Ok(SyncOutcome { plan, report })
    }

    /// Reads a part of a remote file; fewer bytes at its end. `None` if the agent is of an earlier
    /// version, which ends the transfer.
    ///
    /// # Errors
    /// The file cannot be read, or the connection is lost.
    pub(crate) async fn read(
        &mut self,
        talk: &mut Conversation,
        path: &Bytes,
        offset: u64,
        length: u32,
    ) -> Result<Option<Vec<u8>>, Trouble> {
        let op = Op::Read { path: path.clone(), offset, length };
        talk.writer.send(FrameKind::Request, &Request::Step { id: self.next, op }).await?;
        self.next += 1;
        let mut bytes = Vec::new();
        loop {
            let frame = talk.reader.frame().await?;
            if frame.kind == FrameKind::Data {
                bytes = Data::parse(frame.payload)?.bytes.to_vec();
                continue;
            }
            return match frame.parse(FrameKind::Answer)? {
                Answer::Done { .. } => Ok(Some(bytes)),
                Answer::Failed(Failed::Malformed { .. }) => Ok(None),
                Answer::Refused { refusal, .. } => Err(Failed::Refused(refusal).into()),
                other => Err(unexpected(&other)),
            };
        }
    }
}

/// Maximum bytes of entries below one folder, more than a million entries. An agent that reports
/// more is not honest, or the folder is unsuitable.
const MOST_HELD: usize = 256 << 20;

/// The existing entries.
async fn list(talk: &mut Conversation, op: Op) -> Result<Vec<Entry>, Trouble> {
    talk.writer.send(FrameKind::Request, &Request::Step { id: 1, op }).await?;
    let (mut there, mut size) = (Vec::new(), 0);
    loop {
        match talk.reader.answer().await? {
            Answer::Entries { mut entries, .. } => {
                if !fits(&mut size, &entries) {
                    let what = "the folder in the container has more files than a transfer \
                                supports";
                    return Err(Trouble::NoAgent(what.to_owned()));
                }
                there.append(&mut entries);
            }
            Answer::Done { .. } => return Ok(there),
            Answer::Refused { refusal, .. } => return Err(Failed::Refused(refusal).into()),
            other => return Err(unexpected(&other)),
        }
    }
}

/// Adds the memory of entries to `size`; returns whether the limit is kept.
fn fits(size: &mut usize, entries: &[Entry]) -> bool {
    for Entry { path, what, .. } in entries {
        let to = if let What::Link { to } = what { to.0.len() } else { 0 };
        *size += size_of::<Entry>() + path.0.len() + to;
    }
    *size <= MOST_HELD
}

fn unexpected(answer: &Answer) -> Trouble {
    Trouble::NoAgent(format!("unexpected answer: {answer:?}"))
}

fn is_missing(failed: &Failed) -> bool {
    matches!(failed, Failed::Refused(refusal) if refusal.reason == Reason::Missing)
}

#[cfg(test)]
mod tests {
    use super::*;
    use diyadm_agent::protocol::transfer::Mtime;

    #[test]
    fn remote_listing_is_bounded() {
        let entry = |path: usize, to: usize| Entry {
            path: Bytes(vec![0; path]),
            mode: 0,
            mtime: Mtime::default(),
            what: What::Link { to: Bytes(vec![0; to]) },
        };
        let mut size = 0;
        assert!(fits(&mut size, &[entry(MOST_HELD / 4, MOST_HELD / 4)]));
        assert!(fits(&mut size, &[entry(MOST_HELD / 4, 0)]));
        assert!(!fits(&mut size, &[entry(0, MOST_HELD / 4)]));
    }
}
