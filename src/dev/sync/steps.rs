//! The unanswered steps of a transfer.

use std::{
    cell::RefCell,
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

use super::{super::trouble::Trouble, content::Content};
use diyadm_agent::protocol::{
    Bytes,
    transfer::{MOST_CHUNKS, MOST_FILES, Need, Refusal},
};

/// The result of a transfer.
#[derive(Debug, Default)]
pub struct Report {
    /// Number of changed files.
    pub files: u64,
    /// Number of changed folders, links, modes and times.
    pub others: u64,
    /// Number of deleted entries.
    pub deleted: u64,
    /// Messages about failed steps.
    pub refused: Vec<String>,
    /// Files and folders whose mode or time could not be set; everything else about them is done.
    pub unset: Vec<String>,
    /// Whether remote-only entries were kept because of an earlier error.
    pub undeleted: bool,
}

/// Maximum number of unanswered steps that are not files; limits memory on both sides.
const MOST_STEPS: usize = 4096;

/// How often to send a file again that changed while it was sent.
pub(super) const TRIES: u32 = 5;

/// How often each file was sent again, counted per reason: waiting for another transfer does not
/// mean that the file keeps changing.
#[derive(Debug)]
pub(super) struct Tries {
    /// How often to retry a file that another transfer has locked.
    patience: u32,
    of: HashMap<(Bytes, bool), u32>,
}

impl Tries {
    /// Nothing was.
    pub(super) fn new(patience: u32) -> Self {
        Self { patience, of: HashMap::new() }
    }

    /// Whether to retry a file that is `busy` or has changed.
    pub(super) fn one_more(&mut self, path: &Bytes, busy: bool) -> bool {
        let tried = self.of.entry((path.clone(), busy)).or_default();
        *tried += 1;
        *tried <= if busy { self.patience } else { TRIES }
    }
}

/// An unanswered step.
pub(super) struct Step {
    pub(super) path: Bytes,
    pub(super) what: Doing,
    /// Whether content was requested, which is allowed once.
    pub(super) asked: bool,
    /// Released when it is done.
    pub(super) _permits: Vec<OwnedSemaphorePermit>,
}

/// The type of a step.
pub(super) enum Doing {
    /// Sends a file.
    File(Arc<Content>),
    /// Deletes.
    Delete,
    /// Anything else.
    Other,
}

/// All unanswered steps, and the results of the others.
pub(super) struct State {
    pub(super) next: RefCell<u32>,
    pub(super) steps: RefCell<BTreeMap<u32, Step>>,
    pub(super) idle: Notify,
    /// Files to retry, with the reason: they changed, or another transfer has locked them.
    pub(super) again: RefCell<Vec<Refusal>>,
    pub(super) report: RefCell<Report>,
    pub(super) files: Arc<Semaphore>,
    pub(super) chunks: Arc<Semaphore>,
    pub(super) others: Arc<Semaphore>,
}

impl State {
    /// No steps yet; `first` is the id of the first step.
    pub(super) fn new(first: u32) -> Self {
        Self {
            next: RefCell::new(first),
            steps: RefCell::default(),
            idle: Notify::new(),
            again: RefCell::default(),
            report: RefCell::default(),
            files: Arc::new(Semaphore::new(MOST_FILES)),
            chunks: Arc::new(Semaphore::new(MOST_CHUNKS as usize)),
            others: Arc::new(Semaphore::new(MOST_STEPS)),
        }
    }

    /// Starts a step and returns its id.
    pub(super) fn begin(&self, step: Step) -> u32 {
        let mut next = self.next.borrow_mut();
        let id = *next;
        *next += 1;
        self.steps.borrow_mut().insert(id, step);
        id
    }

    /// Records a request for content; returns whether it is still needed. So requests are limited
    /// by the unanswered steps, whatever an agent sends.
    pub(super) fn ask(&self, need: &Need) -> Result<bool, Trouble> {
        match self.steps.borrow_mut().get_mut(&need.id) {
            Some(step) if step.asked => {
                Err(Trouble::NoAgent("content was asked for twice".to_owned()))
            }
            Some(step) => {
                step.asked = true;
                Ok(true)
            }
            // It was refused or done a moment ago.
            None => Ok(false),
        }
    }

    /// Handles the answer of a step.
    pub(super) fn end(&self, id: u32) -> Option<Step> {
        let mut steps = self.steps.borrow_mut();
        let step = steps.remove(&id);
        if steps.is_empty() {
            self.idle.notify_one();
        }
        step
    }

    /// Waits until every step is answered.
    pub(super) async fn wait(&self) {
        while !self.steps.borrow().is_empty() {
            self.idle.notified().await;
        }
    }

    /// Adds a message to the report.
    pub(super) fn refuse(&self, what: String) {
        self.report.borrow_mut().refused.push(what);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_for_another_transfer_counts_as_unchanged() {
        let mut tries = Tries::new(7);
        let (one, other) = (Bytes::from("one"), Bytes::from("other"));
        let mut again =
            |path: &Bytes, busy| (0..99).take_while(|_| tries.one_more(path, busy)).count();
        assert_eq!(again(&one, true), 7);
        assert_eq!(again(&one, false), TRIES as usize);
        assert_eq!(again(&other, false), TRIES as usize);
        assert_eq!(again(&one, true), 0);
    }

    #[test]
    fn chunk_content_is_requested_once() {
        let state = State::new(7);
        let path = Bytes::default();
        let step = Step { path, what: Doing::Other, asked: false, _permits: Vec::new() };
        let need = Need::new(state.begin(step), std::iter::once(true));
        assert_eq!(state.ask(&need), Ok(true));
        assert!(matches!(state.ask(&need), Err(Trouble::NoAgent(_))));
        state.end(need.id);
        assert_eq!(state.ask(&need), Ok(false));
    }
}
