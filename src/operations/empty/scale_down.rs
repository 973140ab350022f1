//! `empty --replicas N` of a workload that is empty already: the Pods in which applications run stay.

use std::time::Duration;

use anyhow::Result;
use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::{
    dev::{
        pods::{Pick, PodRequest, all},
        reach::existing,
    },
    exit::{Failure, Topic},
    kubernetes::{Cluster, POD, WriteMode, targets::LiveObject},
    operations::Operation,
    rollout,
    workload::ParsedObject,
};
use diyadm_agent::protocol::State;

/// A ReplicaSet's controller deletes Pods with a lower cost first; the default is 0.
const COST: &str = "controller.kubernetes.io/pod-deletion-cost";
/// The highest cost.
const HIGHEST: &str = "2147483647";
/// Timeout for an agent's answer.
const ANSWER: Duration = Duration::from_secs(5);

/// Marks the Pods in which applications run, so that others are deleted. Without an answer of its
/// agent, nothing runs in a Pod.
///
/// # Errors
/// An application would end: more Pods run one than are kept, they are deleted in order, or they
/// may not be marked.
pub(super) async fn keep_applications(
    operation: &Operation<'_>,
    found: &LiveObject,
    replicas: u32,
) -> Result<()> {
    let kept = usize::try_from(replicas).unwrap_or(usize::MAX);
    if !found.object.is_emptied() || rollout::wanted(&found.object) <= kept {
        return Ok(());
    }
    // Emptying needs no right to list Pods.
    let pods = operation.pods(&found.object).await.unwrap_or_default();
    let busy = busy(operation.cluster, found, &pods).await;
    let names: Vec<_> = busy.iter().map(|pick| pick.pod.as_str()).collect();
    let first = found.object["spec"]["ordinals"]["start"].as_u64().unwrap_or(0);
    let end = found.kind.is_ordered().then(|| first + u64::from(replicas));
    if let Some(pod) = first_lost(&names, kept, end) {
        let what = format!(
            "{} stays as it is: --replicas {replicas} would end an application. Applications run in \
             {}.",
            operation.shown(found),
            names.join(", ")
        );
        let hint = format!(
            "Stop it first: `diyadm stop pod/{pod} -n {}{}`.",
            found.namespace,
            operation.cluster.flags()
        );
        return Err(Failure::no(Topic::LeftAlone, what, hint).into());
    }
    if found.kind.is_ordered() || !operation.is_real() {
        return Ok(());
    }
    for Pick { namespace, pod, .. } in &busy {
        let operations = |pod: &ParsedObject| Ok(Some(mark(pod)));
        let at = (&POD, namespace.as_str(), pod.as_str());
        operation.cluster.change(at, None, WriteMode::Persist, operations).await?;
        operation.terminal.done(&format!("pod/{pod} is kept: an application runs in it"), None);
    }
    Ok(())
}

/// The emptied containers in which a developer's application runs.
async fn busy(cluster: &Cluster, found: &LiveObject, pods: &[Value]) -> Vec<Pick> {
    let owners = std::slice::from_ref::<Value>(&found.object);
    let picks = all(pods, PodRequest { owners, ..PodRequest::default() }).unwrap_or_default();
    let asked = picks.into_iter().filter(|pick| pick.live.is_none()).map(async |pick| {
        let apps = timeout(ANSWER, async { existing(cluster, &pick).await.ok()??.apps().await });
        let apps = apps.await.ok().flatten()?.apps;
        let runs = |app: &_| matches!(app, State::Running | State::Stopping);
        apps.iter().any(|app| !app.stand_in && runs(&app.state)).then_some(pick)
    });
    join_all(asked).await.into_iter().flatten().collect()
}

/// The first of the Pods that ends if so many are kept; with `end`, a StatefulSet's first number that
/// ends.
fn first_lost<'p>(busy: &[&'p str], kept: usize, end: Option<u64>) -> Option<&'p str> {
    let Some(end) = end else { return busy.get(kept).copied() };
    let number = |pod: &str| pod.rsplit_once('-')?.1.parse::<u64>().ok();
    busy.iter().copied().find(|pod| number(pod).is_none_or(|number| number >= end))
}

/// The operations that give a Pod the highest cost.
fn mark(pod: &Value) -> Vec<Value> {
    if pod["metadata"]["annotations"].is_object() {
        let path = format!("/metadata/annotations/{}", COST.replace('/', "~1"));
        vec![json!({ "op": "add", "path": path, "value": HIGHEST })]
    } else {
        vec![json!({ "op": "add", "path": "/metadata/annotations", "value": { COST: HIGHEST } })]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn application_that_would_end_is_found() {
        let busy = ["web-x", "web-y"];
        assert_eq!(first_lost(&busy, 2, None), None);
        assert_eq!(first_lost(&busy, 1, None), Some("web-y"));
        assert_eq!(first_lost(&["db-0"], 1, Some(1)), None);
        assert_eq!(first_lost(&["db-0", "db-2"], 2, Some(2)), Some("db-2"));
        assert_eq!(first_lost(&["db-5"], 1, Some(6)), None, "spec.ordinals.start is 5");
    }

    #[test]
    fn cost_is_added_to_other_annotations() {
        for annotations in [json!({}), json!({ "metadata": { "annotations": { "a": "b" } } })] {
            let mut pod = json!({ "metadata": {} });
            json_patch::merge(&mut pod, &annotations);
            let patch: json_patch::Patch = serde_json::from_value(mark(&pod).into()).unwrap();
            json_patch::patch(&mut pod, &patch).unwrap();
            assert_eq!(pod["metadata"]["annotations"][COST], HIGHEST);
        }
    }
}
