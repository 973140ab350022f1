//! A workload as a row of the screen.

use std::collections::HashMap;

use jiff::Timestamp;
use serde_json::Value;

use crate::{
    kinds::{self, Kind},
    status::{self, Row, State},
};

/// What distinguishes a row from all others.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ItemKey {
    /// Its namespace.
    pub namespace: String,
    /// Its API group: several groups have kinds of the same name.
    pub group: String,
    /// `Deployment`
    pub kind: String,
    /// `metadata.name`
    pub name: String,
}

impl ItemKey {
    /// Of a row of the status table.
    pub fn of_row(row: &Row) -> Self {
        Self {
            namespace: row.namespace.clone(),
            group: row.group.to_owned(),
            kind: row.kind.clone(),
            name: row.name.clone(),
        }
    }

    fn of_object(object: &Value) -> Self {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        Self {
            namespace: text(&object["metadata"]["namespace"]),
            group: kinds::of_object(object).map_or("", |kind| kind.group).to_owned(),
            kind: text(&object["kind"]),
            name: text(&object["metadata"]["name"]),
        }
    }

    /// `deployment/web`, as `diyadm status` prints it.
    pub fn shown(&self) -> String {
        format!("{}/{}", self.kind.to_lowercase(), self.name)
    }
}

/// A row of the screen: a workload, empty or live.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// Which one.
    pub key: ItemKey,
    /// Its kind, if diyadm can empty it.
    pub kind: Option<&'static Kind>,
    /// Its state; `None` for a live workload, which no one has emptied.
    pub state: Option<State>,
    /// Who emptied it.
    pub by: String,
    /// When it was emptied, RFC 3339.
    pub since: String,
    /// Until when it stays empty.
    pub expires: Option<Timestamp>,
    /// `1/2`
    pub ready: String,
    /// Its idle containers: `app=busybox:1`.
    pub containers: Vec<String>,
    /// A sentence without its full stop, or empty.
    pub note: String,
}

impl Item {
    fn of_row(row: &Row) -> Self {
        let containers = row.containers.iter().map(|c| format!("{}={}", c.name, c.image));
        let is_it = |kind: &&'static Kind| kind.kind == row.kind && kind.group == row.group;
        Self {
            key: ItemKey::of_row(row),
            kind: kinds::workloads().find(is_it),
            state: Some(row.state),
            by: row.by.clone(),
            since: row.since.clone(),
            expires: row.expires.as_deref().and_then(|end| end.parse().ok()),
            ready: row.ready.clone(),
            containers: containers.collect(),
            note: row.note.clone(),
        }
    }

    /// While it is not empty.
    pub fn live(object: &Value) -> Self {
        Self {
            key: ItemKey::of_object(object),
            kind: kinds::of_object(object),
            state: None,
            by: String::new(),
            since: String::new(),
            expires: None,
            ready: status::ready(object),
            containers: Vec::new(),
            note: String::new(),
        }
    }

    /// Whether applications can run in its containers.
    pub fn is_empty(&self) -> bool {
        self.state.is_some_and(State::is_emptied)
    }

    /// The word for its state.
    pub fn state_word(&self) -> &'static str {
        self.state.map_or("live", State::as_str)
    }
}

/// A row for each workload, then what only the status table has.
pub fn items<'i>(live: impl Iterator<Item = &'i Item>, rows: &[Row]) -> Vec<Item> {
    let mut of_keys: HashMap<_, _> = rows.iter().map(|row| (ItemKey::of_row(row), row)).collect();
    let own = live.map(|item| of_keys.remove(&item.key).map_or_else(|| item.clone(), Item::of_row));
    let mut items: Vec<_> = own.collect();
    let others = rows.iter().filter(|row| of_keys.contains_key(&ItemKey::of_row(row)));
    items.extend(others.map(Item::of_row));
    items
}

/// What the applications of a workload use, as the agents in its containers say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// `app`, `worker exit 1`, without duplicates.
    pub applications: Vec<String>,
    /// Who has a lease, without duplicates.
    pub who: Vec<String>,
    /// Milliseconds until the lease ends that ends first.
    pub left_ms: Option<u64>,
    /// Processor time of all of them so far, milliseconds.
    pub cpu_ms: u64,
    /// Resident memory of all of them, bytes.
    pub rss: u64,
    /// When this was read: milliseconds since any fixed time.
    pub at_ms: u64,
    /// Thousandths of a processor since the reading before; `None` at the first one.
    pub cpu: Option<u64>,
}

impl Usage {
    /// This reading, with the processor's use since the one before.
    #[must_use]
    pub fn since(self, before: Option<&Self>) -> Self {
        let cpu = before.and_then(|before| {
            // An application that ended takes its time with it.
            let used = self.cpu_ms.checked_sub(before.cpu_ms)?;
            let elapsed = self.at_ms.checked_sub(before.at_ms).filter(|elapsed| *elapsed > 0)?;
            Some(used.saturating_mul(1000) / elapsed)
        });
        Self { cpu, ..self }
    }
}
