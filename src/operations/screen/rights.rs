//! Whether the user may do what a key does.

use anyhow::Result;

use crate::{
    dev::{forward::FORWARD, target::EXEC},
    kinds,
    kubernetes::{Cluster, Kind, POD, Right},
    screen::{ItemKey, KeyAction},
};

/// The rights that an action lacks: `patch deployments.apps/web in namespace shop`.
pub(super) async fn missing(
    cluster: &Cluster,
    action: KeyAction,
    key: &ItemKey,
) -> Result<Vec<String>> {
    let is_it = |kind: &&'static Kind| kind.kind == key.kind && kind.group == key.group;
    let kind = kinds::workloads().find(is_it);
    let namespace = key.namespace.as_str();
    let own = |verbs: &'static [&'static str]| {
        let right = |verb| kind.map(|kind| Right { verb, kind, namespace, name: &key.name });
        verbs.iter().copied().filter_map(right).collect::<Vec<_>>()
    };
    let in_pods = |rights: [(&'static str, &'static Kind); 2]| {
        let all = [("list", &POD), ("get", &POD)].into_iter().chain(rights);
        all.map(|(verb, kind)| Right { verb, kind, namespace, name: "" }).collect::<Vec<_>>()
    };
    let rights = match action {
        // A kind whose pod template cannot be changed is created again.
        KeyAction::Empty | KeyAction::Restore if kind.is_some_and(|kind| !kind.mutable) => {
            own(&["get", "delete", "create"])
        }
        KeyAction::Empty | KeyAction::Restore => own(&["get", "patch"]),
        KeyAction::Run
        | KeyAction::Shell
        | KeyAction::Logs
        | KeyAction::TakeOver
        | KeyAction::Extend => in_pods(EXEC),
        KeyAction::Forward => in_pods(FORWARD),
    };
    let missing = cluster.missing(&rights).await?;
    Ok(missing.iter().map(ToString::to_string).collect())
}
