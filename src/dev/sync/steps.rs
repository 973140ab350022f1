//! The steps of a transfer that are under way.

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

/// What came of a transfer.
#[derive(Debug, Default)]
pub struct Report {
    /// Files that are other than they were.
    pub files: u64,
    /// Folders, links, modes and times that are.
    pub others: u64,
    /// What was deleted.
    pub deleted: u64,
    /// Sentences: what could not be done.
    pub refused: Vec<String>,
    /// Files and folders whose mode or time could not be set; all else of them is as it should be.
    pub unset: Vec<String>,
    /// Whether what is there and not here was left, since something went wrong before.
    pub undeleted: bool,
}

/// Steps under way that are no files; bounds what both sides hold.
const MOST_STEPS: usize = 4096;

/// How often a file is sent again that changed while it was sent.
pub(super) const TRIES: u32 = 5;

/// How often each file was sent again, for each of two reasons: waiting for another transfer says
/// nothing of whether it changes all the time.
#[derive(Debug)]
pub(super) struct Tries {
    /// How often one is that another transfer has.
    patience: u32,
    of: HashMap<(Bytes, bool), u32>,
}

impl Tries {
    /// Nothing was.
    pub(super) fn new(patience: u32) -> Self {
        Self { patience, of: HashMap::new() }
    }

    /// Whether a file is sent again that is `busy`, or has changed.
    pub(super) fn one_more(&mut self, path: &Bytes, busy: bool) -> bool {
        let tried = self.of.entry((path.clone(), busy)).or_default();
        *tried += 1;
        *tried <= if busy { self.patience } else { TRIES }
    }
}

/// A step under way.
pub(super) struct Step {
    pub(super) path: Bytes,
    pub(super) what: Doing,
    /// Whether content was asked for: once is enough.
    pub(super) asked: bool,
    /// Given back when it is done.
    pub(super) _permits: Vec<OwnedSemaphorePermit>,
}

/// What a step does.
pub(super) enum Doing {
    /// Brings a file.
    File(Arc<Content>),
    /// Deletes.
    Delete,
    /// Anything else.
    Other,
}

/// All that is under way, and what came of the rest.
pub(super) struct State {
    pub(super) next: RefCell<u32>,
    pub(super) steps: RefCell<BTreeMap<u32, Step>>,
    pub(super) idle: Notify,
    /// Files that were refused for now, and why: they changed, or another transfer has them.
    pub(super) again: RefCell<Vec<Refusal>>,
    pub(super) report: RefCell<Report>,
    pub(super) files: Arc<Semaphore>,
    pub(super) chunks: Arc<Semaphore>,
    pub(super) others: Arc<Semaphore>,
}

impl State {
    /// Nothing is; `first` is the id of the first step.
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

    /// Begins a step; its id.
    pub(super) fn begin(&self, step: Step) -> u32 {
        let mut next = self.next.borrow_mut();
        let id = *next;
        *next += 1;
        self.steps.borrow_mut().insert(id, step);
        id
    }

    /// Notes that content is asked for; whether there is still any use in it. What waits to be served
    /// is so no more than what is under way, whatever an agent says.
    pub(super) fn ask(&self, need: &Need) -> Result<bool, Trouble> {
        match self.steps.borrow_mut().get_mut(&need.id) {
            Some(step) if step.asked => {
                Err(Trouble::NoAgent("content was asked for twice".to_owned()))
            }
            Some(step) => {
                step.asked = true;
                Ok(true)
            }
            // Refused, or done, a moment ago.
            None => Ok(false),
        }
    }

    /// It was answered.
    pub(super) fn end(&self, id: u32) -> Option<Step> {
        let mut steps = self.steps.borrow_mut();
        let step = steps.remove(&id);
        if steps.is_empty() {
            self.idle.notify_one();
        }
        step
    }

    /// Until every step is answered.
    pub(super) async fn wait(&self) {
        while !self.steps.borrow().is_empty() {
            self.idle.notified().await;
        }
    }

    /// Notes a sentence for the report.
    pub(super) fn refuse(&self, what: String) {
        self.report.borrow_mut().refused.push(what);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_for_another_transfer_is_no_change() {
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
    fn content_is_asked_for_once() {
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
