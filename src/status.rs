//! (workloads, Pods, watched objects) → the status table of `diyadm status`: pure. All its data is
//! read from the objects; nothing is stored anywhere else.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use crate::{
    kinds::{self, Controller, JOB, POD, Revisions},
    rollout,
    workload::{EmptyContainer, Idle, Level, Stamp, Subject, autoscaler, copy, pods, recreation},
};

mod copies;
mod others;
mod readiness;
mod state;
mod table;

pub use copies::note_originals;
pub use others::of_others;
pub use readiness::{judge, ready};
pub use state::State;
pub use table::{Columns, WARNING_BEFORE_END, age, span, table};

/// A row of the status table.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Row {
    /// Where it is.
    pub namespace: String,
    /// Its API group, as `kubectl` names resources by.
    #[serde(skip)]
    pub group: &'static str,
    /// `Deployment`
    pub kind: String,
    /// `metadata.name`
    pub name: String,
    /// How it is emptied, or that it is not.
    pub state: State,
    /// `deployment/shop`, where it is a copy of that (`empty --copy`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub copy_of: Option<String>,
    /// `workload` or `pod`; an empty string if the workload is not empty.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub level: String,
    /// When it was emptied, RFC 3339; empty if unknown.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub since: String,
    /// By whom.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub by: String,
    /// Until when it stays empty, RFC 3339; absent without an end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires: Option<String>,
    /// What idles.
    pub containers: Vec<Container>,
    /// `1/2`
    pub ready: String,
    /// When a newer original was deployed after it was emptied.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub newer_since: Option<String>,
    /// Who deployed it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub newer_by: Option<String>,
    /// Whether restoring results in a newer form than the one that was emptied.
    pub newer: bool,
    /// The applications in its Pods, if requested and if an agent answers.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub applications: Vec<Application>,
    /// A note: a sentence without its full stop, or empty.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub note: String,
}

impl Row {
    /// Whether it is the row of this object.
    pub fn is_of(&self, object: &Value) -> bool {
        let meta = &object["metadata"];
        object["kind"] == self.kind.as_str()
            && meta["namespace"] == self.namespace.as_str()
            && meta["name"] == self.name.as_str()
    }

    /// Whether it is emptied or restored, and has fewer ready Pods than wanted.
    pub fn lacks_pods(&self) -> bool {
        let counts = self.ready.split_once('/');
        matches!(self.state, State::Empty | State::Pods | State::Stuck | State::Returning)
            && counts.is_some_and(|(ready, wanted)| ready != wanted)
    }

    /// The row of a workload that has left the status table.
    #[must_use]
    pub fn gone(self) -> Self {
        Self { state: State::Restored, note: String::new(), newer: false, ..self }
    }
}

/// An application in an empty container.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize)]
pub struct Application {
    /// Its Pod.
    pub pod: String,
    /// Its name.
    pub name: String,
    /// `running`, `stopping`, `exit 1`, `SIGKILL (out of memory)`
    pub state: String,
    /// Who started it, by the name for the API server; absent if nobody's lease covers it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub who: Option<String>,
    /// Milliseconds until the lease ends, if it has an end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub left_ms: Option<u64>,
}

/// An idle container.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize)]
pub struct Container {
    /// Its name.
    pub name: String,
    /// Its current image.
    pub image: String,
    /// `entrypoint`, `shell`, `agent`, `stand-in`
    pub idle: &'static str,
}

impl From<EmptyContainer> for Container {
    fn from(EmptyContainer { name, image, idle, stand_in }: EmptyContainer) -> Self {
        let idle = match idle {
            _ if stand_in => "stand-in",
            Idle::Entrypoint => "entrypoint",
            Idle::Shell => "shell",
            Idle::Agent => "agent",
        };
        Self { name, image, idle }
    }
}

/// The rows of the status table, in the order of `objects`. `pods` are the Pods of the same
/// namespaces, empty if they may not be read; `watched` returns the level at which a webhook or
/// policy would empty an object.
pub fn rows(
    objects: &[Value],
    pods: &[Value],
    watched: impl Fn(&Value) -> Option<Level>,
) -> Vec<Row> {
    let living = || pods.iter().filter(|pod| lives(pod));
    let emptied: Vec<_> = living().filter_map(|pod| Some((pod, emptied_pod(pod)?))).collect();
    let left: Vec<_> = living().filter(|pod| rollout::looks_empty(pod)).collect();
    let row = |object: &Value| {
        let text = object.to_string();
        let subject = Subject::parse(&text)?;
        if let Some(note) = held(object) {
            return Some(Row { note: note.to_owned(), ..bare(object, State::Held) });
        }
        if subject.is_emptied() {
            return Some(of_emptied(object, &subject));
        }
        if copy::is_copy(object) {
            let note = "it is a copy and not empty any more: `diyadm restore` deletes it";
            return Some(Row { note: note.to_owned(), ..bare(object, State::Drifted) });
        }
        if subject.is_controlled() {
            return None;
        }
        if subject.is_by_policy() {
            let note = "a policy emptied it when it was created and saved no original: to restore \
                        it, create it from its manifest";
            let by = "policy".to_owned();
            return Some(Row { by, note: note.to_owned(), ..bare(object, State::Empty) });
        }
        let revisions = subject.workload().and_then(|kind| kind.revisions);
        if revisions == Some(Revisions::ControllerRevisions) && subject.is_lost() {
            return Some(Row { note: LOST.to_owned(), ..bare(object, State::Untrusted) });
        }
        let own: Vec<_> = emptied.iter().filter(|(pod, _)| pods::belongs_to(pod, object)).collect();
        if kinds::of_object(object) != Some(&POD)
            && let Some((_, first)) = own.first()
        {
            return Some(of_pods(object, first, own.len(), "its own pod template is unchanged"));
        }
        if let Some(row) = of_left(object, &left) {
            return Some(row);
        }
        let level = watched(object).filter(|_| !subject.declines())?;
        let mutable = subject.workload().is_some_and(|kind| kind.mutable);
        let how = match level {
            Level::Workload if mutable => {
                "it is older than the webhook: any update empties it, for example `diyadm empty`"
            }
            Level::Workload => "it is older than the webhook: `diyadm empty --recreate` empties it",
            // A workload without Pods has missed nothing yet.
            Level::Pod if !pods.iter().any(|pod| pods::belongs_to(pod, object) && lives(pod)) => {
                return None;
            }
            Level::Pod if kinds::of_object(object) == Some(&JOB) => {
                "its Pods are older than the webhook or policy: new Pods are empty"
            }
            Level::Pod => {
                "its Pods are older than the webhook or policy: `diyadm empty` replaces them"
            }
        };
        Some(Row { note: how.to_owned(), ..bare(object, State::Missed) })
    };
    let mut rows: Vec<_> = objects.iter().filter_map(row).collect();
    note_originals(&mut rows, |namespace, shown| {
        let meant = shown.split_once('/');
        objects.iter().any(|object| {
            let kind = object["kind"].as_str().unwrap_or_default().to_lowercase();
            let name = object["metadata"]["name"].as_str().unwrap_or_default();
            object["metadata"]["namespace"] == namespace && meant == Some((&kind, name))
        })
    });
    rows
}

/// Whether a Pod runs and is empty.
pub fn is_empty_pod(pod: &Value) -> bool {
    lives(pod) && emptied_pod(pod).is_some()
}

/// `kubectl rollout undo` restores only the template, without the revision's annotations.
const LOST: &str = "it runs the empty container and has no original (`kubectl rollout undo`?): \
                    `diyadm restore` looks for one in its revisions";

/// The state that an interrupted command leaves while it recreates an object.
fn held(object: &Value) -> Option<&'static str> {
    if recreation::is_placeholder(object) {
        return Some(
            "it is a placeholder of a command that was interrupted: run that command again to \
             remove it",
        );
    }
    object["metadata"]["uid"].is_null().then_some(
        "it does not exist: a command was interrupted while it recreated it; `diyadm restore` \
         creates it restored, `diyadm empty --recreate` emptied",
    )
}

/// Autoscalers that are suspended although their target is not empty, because it was restored by
/// other means than `diyadm restore`. `flags` select the cluster in hints.
pub fn held_in_vain(autoscalers: &[Value], rows: &[Row], flags: &str) -> Vec<Row> {
    let is_empty =
        |row: &&Row| !matches!(row.state, State::Missed | State::Returning | State::Restored);
    let in_vain = |object: &&Value| {
        autoscaler::is_held(object)
            && !rows.iter().filter(is_empty).any(|row| {
                object["metadata"]["namespace"] == row.namespace.as_str()
                    && autoscaler::scales(object, &row.kind, &row.name)
            })
    };
    let row = |object: &Value| {
        let target = autoscaler::target(object);
        let row = bare(object, State::Held);
        let note = format!(
            "{target} is not empty: `diyadm restore {target} -n {}{flags}` resumes this autoscaler",
            row.namespace
        );
        Row { note, ready: "-".to_owned(), ..row }
    };
    autoscalers.iter().filter(in_vain).map(row).collect()
}

fn lives(pod: &Value) -> bool {
    !pods::is_over(pod) && pod["metadata"]["deletionTimestamp"].is_null()
}

fn bare(object: &Value, state: State) -> Row {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    Row {
        namespace: text(&object["metadata"]["namespace"]),
        group: kinds::of_object(object).map_or("", |kind| kind.group),
        kind: text(&object["kind"]),
        name: text(&object["metadata"]["name"]),
        state,
        copy_of: copy::original(object),
        level: String::new(),
        since: String::new(),
        by: String::new(),
        expires: None,
        containers: Vec::new(),
        ready: ready(object),
        newer_since: None,
        newer_by: None,
        newer: false,
        applications: Vec::new(),
        note: String::new(),
    }
}

fn of_emptied(object: &Value, subject: &Subject<'_>) -> Row {
    let mut row = bare(object, State::Empty);
    let summary = match subject.summary() {
        Some(Ok(summary)) => summary,
        Some(Err(why)) => {
            row.note = format!("its original is not trusted: {why}");
            return Row { state: State::Untrusted, ..row };
        }
        None => return row,
    };
    row.level = "workload".to_owned();
    if let Some(original) = &row.copy_of {
        row.note = format!("a copy of {original}");
    }
    (row.since, row.by) = (summary.stamp.at, summary.stamp.by);
    row.expires = subject.expires().map(ToOwned::to_owned);
    row.containers = summary.containers.into_iter().map(Container::from).collect();
    row.newer = summary.newer.is_some() || summary.overtaken;
    if let Some(Stamp { at, by }) = summary.newer {
        (row.newer_since, row.newer_by) = (Some(at), Some(by));
    }
    if summary.drifted {
        row.state = State::Drifted;
        row.note = "a later update changed what emptying had set: restoring keeps that update and \
                    restores the rest; emptying again overwrites it"
            .to_owned();
    } else if summary.overtaken {
        row.note =
            "a later update set fields that emptying had removed: restoring keeps them".to_owned();
    }
    row
}

/// When and by whom a Pod was emptied, and its idle containers.
fn emptied_pod(pod: &Value) -> Option<(Stamp, Vec<Container>)> {
    let text = pod.to_string();
    let subject = Subject::parse(&text)?;
    if !subject.is_controlled() {
        return None;
    }
    if subject.is_by_policy() && !subject.is_emptied() {
        // A policy saves no time and no containers: the Pod was created empty.
        let at = pod["metadata"]["creationTimestamp"].as_str().unwrap_or_default().to_owned();
        return Some((Stamp { at, by: "policy".to_owned() }, Vec::new()));
    }
    let summary = subject.summary()?.ok()?;
    Some((summary.stamp, summary.containers.into_iter().map(Container::from).collect()))
}

/// The row of a workload with this number of empty Pods, and a further remark.
fn of_pods(
    object: &Value,
    (stamp, containers): &(Stamp, Vec<Container>),
    count: usize,
    remark: &str,
) -> Row {
    let are = match count {
        1 => "1 of its Pods is empty".to_owned(),
        count => format!("{count} of its Pods are empty"),
    };
    Row {
        level: "pod".to_owned(),
        since: stamp.at.clone(),
        by: stamp.by.clone(),
        containers: containers.clone(),
        note: format!("{are}; {remark}"),
        ..bare(object, State::Pods)
    }
}

/// The row of a restored workload, if some of these Pods, which seem empty, belong to its emptied
/// template.
fn of_left(object: &Value, pods: &[&Value]) -> Option<Row> {
    let own = pods.iter().filter(|pod| pods::belongs_to(pod, object));
    let left = own.map(|pod| rollout::left_empty(object, pod)).filter(|left| !left.is_empty());
    let left: Vec<_> = left.collect();
    let are = match left.len() {
        1 => "1 of its Pods is still empty".to_owned(),
        count => format!("{count} of its Pods are still empty"),
    };
    let kind = kinds::of_object(object);
    let next = if kind.is_some_and(|kind| kind.controller == Controller::Jobs) {
        "what it has started idles until its Job is deleted"
    } else {
        "`diyadm restore` replaces them"
    };
    Some(Row {
        level: "workload".to_owned(),
        containers: left.first()?.iter().cloned().map(Container::from).collect(),
        note: format!("it is restored, and {are}: {next}"),
        ..bare(object, State::Returning)
    })
}

#[cfg(test)]
mod tests;
