//! What the screen shows, and how keys change it.

use std::collections::{HashMap, HashSet};

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use jiff::Timestamp;

use super::{
    action::KeyAction,
    edit::Edit,
    item::{Item, ItemKey, Usage},
};

/// Where the workloads are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// `None` for all namespaces.
    pub namespace: Option<String>,
    /// Flags that select the cluster, each after a blank.
    pub flags: String,
    /// `diyadm`, or `kubectl diyadm`.
    pub program: &'static str,
}

/// What a key asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// The end.
    Quit,
    /// The end, by Ctrl-C.
    Interrupt,
    /// Another program has written over the screen.
    Redraw,
    /// To look whether the user may do this; [`Model::checked`] takes the answer.
    Check(KeyAction, ItemKey),
    /// To run the program with these arguments.
    Run(Vec<String>),
}

/// What the keys are for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    Table,
    /// The filter is typed.
    Filter(Edit),
    /// A command line is typed.
    Prompt(Edit),
    Help,
    Details,
}

/// Everything that is shown.
#[derive(Debug)]
pub struct Model {
    pub(super) place: Place,
    /// Whether the workloads are known.
    pub(super) is_read: bool,
    pub(super) items: Vec<Item>,
    pub(super) usages: HashMap<ItemKey, Usage>,
    pub(super) filter: String,
    pub(super) selected: Option<ItemKey>,
    /// The first row that is shown.
    pub(super) offset: usize,
    /// How many rows are shown, as last drawn.
    pub(super) height: usize,
    pub(super) mode: Mode,
    /// One sentence, until the next key.
    pub(super) message: String,
    /// The time of the API server's clock.
    pub(super) now: Option<Timestamp>,
    /// What ends soon, and was announced.
    pub(super) ending: HashSet<ItemKey>,
}

impl Model {
    /// Before the workloads are known.
    pub fn new(place: Place) -> Self {
        Self {
            place,
            is_read: false,
            items: Vec::new(),
            usages: HashMap::new(),
            filter: String::new(),
            selected: None,
            offset: 0,
            height: 0,
            mode: Mode::Table,
            message: String::new(),
            now: None,
            ending: HashSet::new(),
        }
    }

    /// Takes the newest workloads. The selected one stays selected, or the next one is.
    pub fn set_items(&mut self, items: Vec<Item>) {
        let at = self.selected_index();
        (self.items, self.is_read) = (items, true);
        let keys: HashSet<_> = self.items.iter().map(|item| &item.key).collect();
        self.usages.retain(|key, _| keys.contains(key));
        if self.selected_index().is_none() {
            self.select(at.unwrap_or(0));
        }
    }

    /// Takes what the agents in a workload's containers answered.
    pub fn set_usage(&mut self, key: ItemKey, usage: Usage) {
        let usage = usage.since(self.usages.get(&key));
        self.usages.insert(key, usage);
    }

    /// Whether the workloads are known.
    pub fn is_read(&self) -> bool {
        self.is_read
    }

    /// Where the workloads are.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// Shows a sentence until the next key.
    pub fn set_message(&mut self, message: String) {
        self.message = message;
    }

    /// The workloads that match the filter.
    pub fn shown(&self) -> Vec<&Item> {
        let words: Vec<_> = self.filter.split_whitespace().map(str::to_lowercase).collect();
        if words.is_empty() {
            return self.items.iter().collect();
        }
        let matches = |item: &&Item| {
            let key = &item.key;
            let usage = self.usages.get(key);
            let of_lease =
                usage.map(|usage| [&usage.applications[..], &usage.who].concat().join(" "));
            let text = [
                &key.shown(),
                key.namespace.as_str(),
                item.state_word(),
                &item.by,
                of_lease.as_deref().unwrap_or_default(),
            ];
            let text = text.join(" ").to_lowercase();
            words.iter().all(|word| text.contains(word))
        };
        self.items.iter().filter(matches).collect()
    }

    /// The rows on the screen.
    pub fn visible(&self) -> Vec<&Item> {
        self.shown().into_iter().skip(self.offset).take(self.height.max(1)).collect()
    }

    /// The selected workload.
    pub(super) fn selected(&self) -> Option<&Item> {
        let key = self.selected.as_ref()?;
        self.shown().into_iter().find(|item| item.key == *key)
    }

    pub(super) fn selected_index(&self) -> Option<usize> {
        let key = self.selected.as_ref()?;
        self.shown().iter().position(|item| item.key == *key)
    }

    /// Keeps the selected row in view when `height` rows are shown.
    pub(super) fn fit(&mut self, height: usize) {
        self.height = height;
        let count = self.shown().len();
        let at = self.selected_index().unwrap_or(0);
        let most = count.saturating_sub(height);
        self.offset = self.offset.clamp((at + 1).saturating_sub(height.max(1)), at).min(most);
    }

    fn select(&mut self, at: usize) {
        let shown = self.shown();
        let at = at.min(shown.len().saturating_sub(1));
        self.selected = shown.get(at).map(|item| item.key.clone());
    }

    /// What a key asks for, beyond the change of the model.
    pub fn key(&mut self, key: KeyEvent) -> Option<Request> {
        if let (KeyCode::Char(c), KeyModifiers::CONTROL) = (key.code, key.modifiers) {
            match c {
                'c' => return Some(Request::Interrupt),
                'l' => return Some(Request::Redraw),
                _ => {}
            }
        }
        self.message.clear();
        match &mut self.mode {
            Mode::Table => return self.table_key(key),
            Mode::Filter(edit) => match key.code {
                KeyCode::Enter => self.mode = Mode::Table,
                KeyCode::Esc => {
                    self.mode = Mode::Table;
                    self.set_filter(String::new());
                }
                _ => {
                    edit.key(key);
                    let filter = edit.text().to_owned();
                    self.set_filter(filter);
                }
            },
            Mode::Prompt(edit) => match key.code {
                KeyCode::Enter => {
                    let words = shlex::split(edit.text());
                    self.mode = Mode::Table;
                    if words.is_none() {
                        self.message = "a quote is not closed; nothing was run".to_owned();
                    }
                    return words.map(Request::Run);
                }
                KeyCode::Esc => self.mode = Mode::Table,
                _ => edit.key(key),
            },
            Mode::Help | Mode::Details => match key.code {
                KeyCode::Char('q') => return Some(Request::Quit),
                _ => self.mode = Mode::Table,
            },
        }
        None
    }

    fn table_key(&mut self, key: KeyEvent) -> Option<Request> {
        if key.modifiers.intersects(KeyModifiers::CONTROL | KeyModifiers::ALT) {
            return None;
        }
        let at = self.selected_index().unwrap_or(0);
        let page = self.height.saturating_sub(1).max(1);
        match key.code {
            KeyCode::Up | KeyCode::Char('k') => self.select(at.saturating_sub(1)),
            KeyCode::Down | KeyCode::Char('j') => self.select(at + 1),
            KeyCode::PageUp => self.select(at.saturating_sub(page)),
            KeyCode::PageDown => self.select(at + page),
            KeyCode::Home | KeyCode::Char('g') => self.select(0),
            KeyCode::End | KeyCode::Char('G') => self.select(usize::MAX),
            KeyCode::Enter if self.selected().is_some() => self.mode = Mode::Details,
            KeyCode::Char('/') => self.mode = Mode::Filter(Edit::new(self.filter.clone())),
            KeyCode::Esc => self.set_filter(String::new()),
            KeyCode::Char('?') => self.mode = Mode::Help,
            KeyCode::Char('q') => return Some(Request::Quit),
            KeyCode::Char(c) => {
                let action = KeyAction::ALL.into_iter().find(|one| one.key() == c)?;
                let Some(item) = self.selected() else {
                    self.message = "no workload is selected".to_owned();
                    return None;
                };
                let key = item.key.clone();
                match action.refusal(item) {
                    Some(refusal) => self.message = refusal,
                    None => return Some(Request::Check(action, key)),
                }
            }
            _ => {}
        }
        None
    }

    fn set_filter(&mut self, filter: String) {
        self.filter = filter;
        if self.selected_index().is_none() {
            self.select(0);
        }
    }

    /// Takes the rights that the user lacks for an action: `patch deployments.apps/web in namespace
    /// shop`.
    pub fn checked(
        &mut self,
        action: KeyAction,
        key: &ItemKey,
        missing: &[String],
    ) -> Option<Request> {
        if !missing.is_empty() {
            self.message = format!("you may not {}", missing.join(", nor "));
            return None;
        }
        let item = self.items.iter().find(|item| item.key == *key)?;
        let words = action.words(item, &self.place.flags);
        if !action.asks() {
            return shlex::split(&words).map(Request::Run);
        }
        self.mode = Mode::Prompt(Edit::new(words));
        None
    }
}
