//! Leftover revisions of the emptied form: a Deployment's old ReplicaSets, the ControllerRevisions
//! of a StatefulSet or DaemonSet.

use anyhow::Result;
use backon::BackoffBuilder;
use serde_json::{Value, json};

use crate::{
    kinds::Revisions,
    kubernetes::{
        Kind, PAUSES, REPLICA_SET, REVISION, STATEFUL_SET, Scope, error, targets::LiveObject,
    },
    operations::Operation,
    workload::{ORIGINAL, Subject},
};

/// The revisions in the read namespaces.
pub(super) struct Leftovers {
    all: Vec<(&'static Kind, Value)>,
    /// Kinds and namespaces that may not be read.
    unseen: Vec<(&'static Kind, String)>,
}

fn kind_of(found: &LiveObject) -> Option<&'static Kind> {
    Some(match found.kind.revisions? {
        Revisions::ReplicaSets => &REPLICA_SET,
        Revisions::ControllerRevisions => &REVISION,
    })
}

/// Whether it can have leftover revisions.
pub(super) fn may_have(found: &LiveObject) -> bool {
    kind_of(found).is_some()
}

impl Leftovers {
    pub(super) async fn list<'f>(
        operation: &Operation<'_>,
        all: impl Iterator<Item = &'f LiveObject>,
    ) -> Self {
        let mut places: Vec<(&'static Kind, Scope<'f>)> = Vec::new();
        for found in all {
            let place = kind_of(found).map(|kind| (kind, Scope::new(&found.namespace)));
            places.extend(place.filter(|place| !places.contains(place)));
        }
        let mut leftovers = Self { all: Vec::new(), unseen: Vec::new() };
        for (kind, scope, list) in operation.cluster.lists(places).await {
            if let Ok(list) = list {
                let emptied = list.into_iter().filter(is_emptied);
                leftovers.all.extend(emptied.map(|object| (kind, object)));
            } else {
                let namespace = scope.namespace().unwrap_or_default().to_owned();
                leftovers.unseen.push((kind, namespace));
            }
        }
        leftovers
    }

    /// The revisions of one restored workload.
    pub(super) fn owned_by(&self, found: &LiveObject) -> Vec<&(&'static Kind, Value)> {
        self.all.iter().filter(|(_, one)| owns(found, one)).collect()
    }

    /// Deletes unused revisions; reports those that it may not delete.
    pub(super) async fn sweep(&self, operation: &Operation<'_>, restored: &[&LiveObject]) {
        let all = restored.iter().flat_map(|found| {
            let idle = self.owned_by(found).into_iter().filter(|(_, one)| is_idle(found, one));
            idle.map(move |(kind, object)| (found, *kind, object))
        });
        let sweep = async |(found, kind, object): (&&LiveObject, &'static Kind, &Value)| {
            let name = object["metadata"]["name"].as_str().unwrap_or_default();
            let what = format!("{}/{name} of {}", kind.singular(), operation.shown(found));
            (what, kind, delete_idle(operation, found, (kind, object)).await)
        };
        let mut kept = Vec::new();
        for (what, kind, deleted) in operation.each("swept", all.collect(), sweep).await {
            match deleted {
                Ok(()) => {
                    let what = format!("{what}, a revision of the emptied form, was deleted");
                    operation.terminal.done(&what, None);
                }
                Err(error) => {
                    let right = format!("deleting {} is not allowed", kind.resource());
                    let why =
                        if error::is_forbidden(&error) { right } else { format!("{error:#}") };
                    kept.push((what, why));
                }
            }
        }
        for (what, why) in kept {
            operation.terminal.warn(&format!(
                "{what}, a revision of the emptied form, was not deleted ({why}): `kubectl \
                 rollout undo` can bring it back"
            ));
        }
        for (kind, namespace) in &self.unseen {
            operation.terminal.warn(&format!(
                "revisions of the emptied form may remain in namespace {namespace}, which \
                 `kubectl rollout undo` can bring back: finding them needs the right to list {}",
                kind.resource()
            ));
        }
    }
}

/// Deletes a revision, again where its controller has just written its status.
async fn delete_idle(
    operation: &Operation<'_>,
    found: &LiveObject,
    (kind, revision): (&'static Kind, &Value),
) -> Result<()> {
    let mut revision = revision.clone();
    let mut pauses = PAUSES.build();
    loop {
        let deleted = operation.cluster.delete_exactly(kind, &revision).await;
        let Err(error) = deleted else { return Ok(()) };
        let Some(pause) = pauses.next().filter(|_| error::is_conflict(&error)) else {
            return Err(error);
        };
        tokio::time::sleep(pause).await;
        let name = revision["metadata"]["name"].as_str().unwrap_or_default();
        match operation.cluster.get(kind, &found.namespace, name).await? {
            Some(now) if is_emptied(&now) && owns(found, &now) && is_idle(found, &now) => {
                revision = now;
            }
            Some(_) => return Err(error),
            None => return Ok(()),
        }
    }
}

/// Whether a revision belongs to this workload.
pub(super) fn owns(found: &LiveObject, revision: &Value) -> bool {
    let owners = revision["metadata"]["ownerReferences"].as_array();
    let uid = &found.object["metadata"]["uid"];
    owners.is_some_and(|owners| owners.iter().any(|owner| owner["uid"] == *uid))
}

/// The partition of a StatefulSet: updates do not reach Pods below it.
pub(super) fn partition(found: &LiveObject) -> Option<i64> {
    found.object["spec"]["updateStrategy"]["rollingUpdate"]["partition"].as_i64()
}

/// The partition below which Pods of a StatefulSet have an emptied revision: updates do not reach
/// them, and deleted ones are recreated the same.
pub(super) fn kept(found: &LiveObject, emptied: &[&(&'static Kind, Value)]) -> Option<i64> {
    let status = &found.object["status"];
    let partition = partition(found)?;
    let current = &status["currentRevision"];
    let holds = found.kind.is_ordered()
        && partition > 0
        && *current != status["updateRevision"]
        && status["currentReplicas"].as_i64().unwrap_or(0) > 0
        && emptied.iter().any(|(_, revision)| revision["metadata"]["name"] == *current);
    holds.then_some(partition)
}

/// A ReplicaSet is a workload itself; a ControllerRevision contains a patch with a template, and
/// its owner's annotations at that time.
fn is_emptied(object: &Value) -> bool {
    let original = &object["metadata"]["annotations"][ORIGINAL];
    if original.is_null() {
        return false;
    }
    let text = match object["data"].get("spec") {
        Some(spec) => json!({
            "apiVersion": STATEFUL_SET.api_version(),
            "kind": STATEFUL_SET.kind,
            "metadata": { "annotations": { ORIGINAL: original } },
            "spec": { "template": spec["template"] },
        })
        .to_string(),
        None => object.to_string(),
    };
    let summary = Subject::parse(&text).and_then(|subject| subject.summary());
    summary.is_some_and(|summary| summary.is_ok_and(|summary| !summary.drifted))
}

/// Whether no Pod has or will get this revision in the workload's current state.
fn is_idle(found: &LiveObject, revision: &Value) -> bool {
    let none = |field: &Value| field.as_i64().unwrap_or(0) == 0;
    if revision["kind"] == REPLICA_SET.kind {
        return none(&revision["spec"]["replicas"]) && none(&revision["status"]["replicas"]);
    }
    let status = &found.object["status"];
    let name = &revision["metadata"]["name"];
    ["currentRevision", "updateRevision"].iter().all(|field| status[field] != *name)
}
