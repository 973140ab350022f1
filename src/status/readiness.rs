//! The progress of Pods of emptied and restored workloads, and what blocks them.

use std::collections::HashMap;

use serde_json::Value;

use super::{Row, State, emptied_pod, lives};
use crate::{
    kinds::{self, Controller},
    rollout::{self, Observations},
    workload::pods,
};

/// Sets in each row how many of its Pods are ready in the form of its state, and what keeps them
/// from starting. Old Pods of a rollout are not counted. `pods` and `events` are those that may be
/// read; a row without visible Pods does not change.
pub fn judge(rows: &mut [Row], objects: &[Value], pods: &[Value], events: &[Value]) {
    let key = |object: &Value| {
        let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str);
        let [kind, namespace, name] =
            ["/kind", "/metadata/namespace", "/metadata/name"].map(|p| text(p).unwrap_or_default());
        [kind.to_owned(), namespace.to_owned(), name.to_owned()]
    };
    let objects: HashMap<_, _> = objects.iter().map(|object| (key(object), object)).collect();
    for row in rows {
        let of = [row.kind.clone(), row.namespace.clone(), row.name.clone()];
        if let Some(object) = objects.get(&of) {
            judge_one(row, object, pods, events);
        }
    }
}

fn judge_one(row: &mut Row, object: &Value, pods: &[Value], events: &[Value]) {
    let at_level_pod = match row.state {
        State::Pods => true,
        State::Empty | State::Returning => false,
        _ => return,
    };
    let Some(wanted) = kinds::of_object(object).and_then(|kind| kind.wanted(object)) else {
        return;
    };
    let own: Vec<_> =
        pods.iter().filter(|pod| lives(pod) && pods::belongs_to(pod, object)).collect();
    let has_form = |pod: &Value| {
        if at_level_pod { emptied_pod(pod).is_some() } else { rollout::is_new(object, pod) }
    };
    let meant: Vec<_> = own.iter().filter(|pod| has_form(pod)).collect();
    let ready = meant.iter().filter(|pod| pods::is_ready(pod)).count();
    let is_short = i64::try_from(ready).is_ok_and(|ready| ready < wanted);
    if !own.is_empty() {
        row.ready = format!("{ready}/{wanted}");
    }
    if !is_short {
        return;
    }
    let waiting = meant.iter().filter(|pod| !pods::is_ready(pod));
    let troubles: Vec<_> = waiting.filter_map(|pod| rollout::pod_trouble(pod, events)).collect();
    let lasting = troubles.iter().position(|trouble| trouble.lasting).unwrap_or(0);
    let since = rollout::changed_at(object);
    let refused = || {
        let is_missing = i64::try_from(meant.len()).is_ok_and(|meant| meant < wanted);
        let seen = Observations { pods, events, since: &since };
        rollout::refused(object, &seen).filter(|_| is_missing)
    };
    let Some(trouble) = troubles.into_iter().nth(lasting).or_else(refused) else { return };
    if row.state == State::Returning {
        row.note = format!("{}; its own Pods do not start: {}", row.note, trouble.what);
        return;
    }
    row.state = State::Stuck;
    row.note = [trouble.what.as_str(), row.note.as_str()]
        .into_iter()
        .filter(|part| !part.is_empty())
        .collect::<Vec<_>>()
        .join("; ");
}

/// `1/2`, by the workload's status; `-` if it has no Pods to be ready.
pub fn ready(object: &Value) -> String {
    let Some(kind) = kinds::of_object(object) else { return "-".to_owned() };
    if kind.controller == Controller::Itself {
        return format!("{}/1", i64::from(pods::is_ready(object)));
    }
    let Some(wanted) = kind.wanted(object) else { return "-".to_owned() };
    format!("{}/{wanted}", object["status"][kind.count.ready].as_i64().unwrap_or(0))
}
