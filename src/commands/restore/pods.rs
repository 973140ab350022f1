//! Restores at level pod: the workload was never changed, so its Pods are replaced by such as
//! nothing empties.

use anyhow::Result;
use serde_json::{Value, json};

use crate::{
    cluster::{POD, targets::Found},
    commands::workloads::{
        Done, Errand, Outcome,
        replace::Right,
        webhooks::{Watcher, Webhooks},
    },
    exit::Failure,
    rollout,
    workload::{self, DISABLED, LABEL, Subject},
};

/// Pods that were emptied themselves, in the namespaces of these workloads. Whoever may not list
/// Pods sees none.
pub(super) async fn look(errand: &Errand<'_>, all: &[Found]) -> Vec<Value> {
    let mut namespaces: Vec<_> = all.iter().map(|found| found.namespace.as_str()).collect();
    namespaces.sort_unstable();
    namespaces.dedup();
    let mut emptied = Vec::new();
    for namespace in namespaces {
        let pods = errand.cluster.list(&POD, namespace, "").await.unwrap_or_default();
        emptied.extend(pods.into_iter().filter(|pod| workload::is_emptied(&pod.to_string())));
    }
    emptied
}

/// Whether the workload is as written and its Pods are empty.
pub(super) fn are_empty(emptied: &[Value], found: &Found) -> bool {
    found.kind != &POD
        && !workload::is_emptied(&found.object.to_string())
        && emptied.iter().any(|pod| {
            pod["metadata"]["namespace"] == found.namespace.as_str()
                && rollout::selects(&found.object, pod)
        })
}

pub(super) async fn restore(errand: &Errand<'_>, webhooks: &Webhooks, found: Found) -> Done {
    match try_restore(errand, webhooks, &found).await {
        Ok((object, patch)) => {
            Done { found: Found { object, ..found }, patch, outcome: Outcome::Changed }
        }
        Err(error) => Done::failed(found, error),
    }
}

async fn try_restore(
    errand: &Errand<'_>,
    webhooks: &Webhooks,
    found: &Found,
) -> Result<(Value, Vec<Value>)> {
    let shown = errand.shown(found);
    let watcher = webhooks.of_pods(errand.cluster, found).await;
    if watcher == Watcher::Nobody {
        if !errand.is_real() {
            errand
                .terminal
                .done(&format!("{shown}: its Pods would be replaced{}", errand.dry()), None);
            return Ok((found.object.clone(), Vec::new()));
        }
        let count = errand.replace(found, &Right::Emptied(false)).await?;
        errand
            .terminal
            .done(&format!("{shown}: {count} Pods were replaced and are as written"), None);
        return Ok((found.object.clone(), Vec::new()));
    }
    if found.kind.kind == "Job" {
        let what =
            format!("{shown} stays empty: the Pods of a Job cannot be changed once it is there.");
        return Err(Failure::no(what, "Delete it and create it again.").into());
    }
    let mut sent = Vec::new();
    let plan = |object: &Value| {
        let text = object.to_string();
        let says_no = Subject::read(&text)?.refusals();
        if says_no.contains(&workload::Refusal::PodAnnotation) {
            return Ok(None);
        }
        let base = if object["kind"] == "CronJob" { "/spec/jobTemplate/spec" } else { "/spec" };
        let at = format!("{base}/template/metadata");
        let metadata = object.pointer(&at).unwrap_or(&Value::Null);
        sent = if metadata["annotations"].is_object() {
            let path = format!("{at}/annotations/{LABEL}");
            vec![json!({ "op": "add", "path": path, "value": DISABLED })]
        } else {
            let path = format!("{at}/annotations");
            vec![json!({ "op": "add", "path": path, "value": { LABEL: DISABLED } })]
        };
        Ok(Some(sent.clone()))
    };
    let (object, _) = errand.change(found, plan).await?;
    let who = match watcher {
        Watcher::Webhook(name) => format!("webhook {name} empties"),
        _ => "something may empty".to_owned(),
    };
    errand.terminal.done(&format!("{shown}: its pod template says no now{}", errand.dry()), None);
    errand.terminal.say(&format!(
        "  {who} Pods of this namespace, so its template has the annotation {LABEL}: disabled, a \
         small drift from what is written; `diyadm empty {}` takes it away",
        found.typed(errand.cluster)
    ));
    Ok((object, sent))
}
