//! After `uninstall --restore`: removes opt-outs that restoring wrote to workloads because of the
//! webhook, since nothing would empty them any more.

use std::time::Duration;

use anyhow::Result;
use serde_json::{Value, json};

use crate::{
    kubernetes::{
        Cluster, DryRun, FIELD_MANAGER, WriteMode, error,
        targets::{self, LiveObject, Targets, Unnamed},
    },
    operations::{change::played, empty::opt_out},
    ui::terminal::Terminal,
    workload::{self, DISABLED, LABEL, ParsedObject, pod_from_template},
};

/// Time after which an API server knows of a deleted webhook or policy.
const LAG: Duration = Duration::from_millis(250);
const TRIES: u32 = 40;

/// Removes diyadm's own opt-outs from the workloads of the namespace, regardless of the command
/// that wrote them.
pub(super) async fn remove(
    terminal: &Terminal,
    cluster: &Cluster,
    namespace: &str,
    dry_run: Option<DryRun>,
) -> Result<()> {
    let namespace = Some(namespace.to_owned());
    let all = Targets { namespace, all: true, ..Targets::default() };
    for found in targets::find(cluster, &all, Unnamed::All).await?.found {
        if operations(&found.object)?.is_none() {
            continue;
        }
        let shown = found.shown();
        let by_hand =
            format!("`kubectl -n {} annotate {shown} {LABEL}-` removes it", found.namespace);
        if dry_run != Some(DryRun::Client) && !is_left_alone(cluster, &found).await? {
            terminal.warn(&format!(
                "{shown} keeps its annotation {LABEL}: something would empty it again; {by_hand}"
            ));
            continue;
        }
        let dry = match dry_run {
            None => "",
            Some(DryRun::Client) => " (dry run)",
            Some(DryRun::Server) => " (server dry run)",
        };
        let removed = match dry_run {
            Some(DryRun::Client) => Ok(()),
            _ => change(cluster, &found, dry_run.into()).await.map(drop),
        };
        match removed {
            Ok(()) => {
                let what = format!("{shown}: annotation {LABEL} removed{dry}");
                terminal.done(&what, None);
            }
            Err(error) if error::is_forbidden(&error) => {
                terminal.warn(&format!("{shown} keeps its annotation {LABEL}: {error}; {by_hand}"));
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

async fn change(cluster: &Cluster, found: &LiveObject, mode: WriteMode) -> Result<ParsedObject> {
    let at = (found.kind, found.namespace.as_str(), found.name.as_str());
    Ok(cluster.change(at, Some(found.object.clone()), mode, operations).await?.object)
}

/// Whether dry runs show that the workload and its Pods are not emptied without the opt-out.
async fn is_left_alone(cluster: &Cluster, found: &LiveObject) -> Result<bool> {
    for _ in 0..TRIES {
        let object = match change(cluster, found, WriteMode::DryRun).await {
            // Missing rights are reported when the change is made.
            Err(error) if error::is_forbidden(&error) => return Ok(true),
            object => object?,
        };
        let pod = match pod_from_template::pod(&object) {
            // Without the right to create Pods this is unknown.
            Some(pod) => cluster.create(&pod, WriteMode::DryRun).await.unwrap_or_default(),
            None => Value::Null,
        };
        let is_emptied = object.is_emptied() || workload::is_emptied_pod(&pod.to_string());
        if !is_emptied {
            return Ok(true);
        }
        tokio::time::sleep(LAG).await;
    }
    Ok(false)
}

/// The operations that remove diyadm's opt-outs; `None` if there are none.
fn operations(object: &ParsedObject) -> Result<Option<Vec<Value>>> {
    let subject = object.try_subject()?;
    if subject.is_emptied() {
        return Ok(None);
    }
    let is_own = object["metadata"]["annotations"][LABEL] == DISABLED
        && subject.annotated_by(FIELD_MANAGER, LABEL, false);
    let mut operations = Vec::new();
    if is_own {
        let path = format!("/metadata/annotations/{LABEL}");
        operations.push(json!({ "op": "remove", "path": path }));
    }
    // The template of a Job or Pod cannot change.
    if subject.workload().is_some_and(|kind| kind.mutable) {
        operations.extend(opt_out::remove(&played(object, &operations)?.into())?.0);
    }
    Ok((!operations.is_empty()).then_some(operations))
}
