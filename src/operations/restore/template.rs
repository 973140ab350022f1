//! Restores one workload by a guarded JSON Patch, and checks that it stays restored.

use std::time::Duration;

use anyhow::Result;
use serde_json::Value;

use super::{RestoreOptions, options, pods, trust};
use crate::{
    exit::{Failure, Topic},
    kubernetes::{FIELD_MANAGER, Kind, POD, WriteMode, error, targets::LiveObject},
    operations::{
        Operation, OperationResult, WorkloadOutcome,
        change::played,
        intercept::{Interceptor, Webhooks},
    },
    workload::{
        DISABLED, ENABLED, LABEL, OptOut, ParsedObject, Stamp, Subject, pods::is_ready, recreation,
    },
};

/// Time after which an API server knows of a removed label.
const LAG: Duration = Duration::from_millis(250);
const TRIES: u32 = 20;

/// The hint for a named workload that is not empty.
pub(super) const NOT_EMPTY: &str =
    "If it was restored before, nothing remains to be done; `diyadm status` shows what is empty.";

pub(super) async fn restore(
    operation: &Operation<'_>,
    webhooks: &Webhooks,
    options: &RestoreOptions<'_>,
    found: LiveObject,
) -> OperationResult {
    match try_restore(operation, webhooks, options, &found).await {
        Ok(Restored { object, patch, outcome }) => {
            OperationResult { found: LiveObject { object, ..found }, patch, outcome }
        }
        Err(error) => OperationResult::failed(found, error),
    }
}

/// Whether its template is emptied and it can be restored as requested.
pub(super) fn can_be_restored(options: &RestoreOptions<'_>, found: &LiveObject) -> bool {
    let Some(subject) = found.object.subject() else { return false };
    let mutable = subject.workload().is_some_and(|kind| kind.mutable);
    let is_trusted = |stamp: Result<_, _>| stamp.is_ok() || options.manifests.is_some();
    subject.stamp().is_some_and(is_trusted) && (mutable || options.recreate)
}

struct Restored {
    object: ParsedObject,
    patch: Vec<Value>,
    outcome: WorkloadOutcome,
}

async fn try_restore(
    operation: &Operation<'_>,
    webhooks: &Webhooks,
    options: &RestoreOptions<'_>,
    found: &LiveObject,
) -> Result<Restored> {
    let subject = found.object.try_subject()?;
    let manifest = match (subject.stamp(), options.manifests) {
        // Restored by a command that was interrupted before it could create it.
        (None, _) if !found.object["metadata"]["uid"].is_string() => {
            return recreate(operation, webhooks, options, found, None).await;
        }
        (None, _) if recreation::is_placeholder(&found.object) => {
            let why = "it is a placeholder".to_owned();
            let (object, patch) = (found.object.clone(), Vec::new());
            return Ok(Restored { object, patch, outcome: WorkloadOutcome::PassedOver(why) });
        }
        (None, _) if subject.is_by_policy() && !subject.is_controlled() => {
            let what = format!(
                "{} stays empty: a policy emptied it when it was created, and saved no original.",
                operation.shown(found)
            );
            let hint =
                format!("Delete it, and create it from its manifest without {LABEL}: {ENABLED}.");
            return Err(Failure::no(Topic::EmptiedAgain, what, hint).into());
        }
        (None, _) => {
            let outcome = if options.recreate && operation.unhold(found).await? {
                WorkloadOutcome::Unchanged
            } else {
                WorkloadOutcome::PassedOver("it is not empty: there is no original".to_owned())
            };
            let object = disown(operation, found).await;
            return Ok(Restored { object, patch: Vec::new(), outcome });
        }
        (Some(stamp), Some(manifests)) => {
            let manifest = manifests.find(found)?;
            let silent = manifest.try_subject()?.lacks(subject);
            if stamp.is_err() && !silent.is_empty() {
                operation.terminal.warn(&format!(
                    "the manifest does not have container {} of {}, and the original is not \
                     trusted: what it runs stays as it is",
                    silent.join(", "),
                    operation.shown(found)
                ));
            }
            Some(manifest)
        }
        (Some(Ok(_)), None) => None,
        (Some(Err(why)), None) => return Err(untrusted(operation, found, &why)),
    };
    let shown = operation.shown(found);
    if subject.workload().is_some_and(|kind| !kind.mutable) {
        // If it does not exist, nothing is lost.
        if options.recreate || !found.object["metadata"]["uid"].is_string() {
            return recreate(operation, webhooks, options, found, manifest).await;
        }
        let back = Back { manifest, opt_out: OptOut::Leave, template: OptOut::Leave };
        let operations = original(&found.object, &back)?.unwrap_or_default();
        let new = played(&found.object, &operations)?.into();
        return Err(trust::in_place(operation, options, found, &new, manifest)?);
    }
    let interceptor = webhooks.of_update(operation.cluster, found).await;
    let opt_out = opt_out_if(match &interceptor {
        _ if subject.declines() => false,
        Interceptor::Nobody | Interceptor::Policy(_) => false,
        // A dry run shows nothing about a webhook that is temporarily unavailable.
        Interceptor::Webhook(name) if !(operation.is_real() && webhooks.is_sure(name)) => {
            !webhooks.leaves(operation.cluster, name, found).await
        }
        // Its rules may exclude the workload, and not all of them may be readable.
        _ => operation.is_real() && would_be_emptied(operation, found, manifest).await?,
    });
    // At level pod a webhook may empty the Pods of the restored template.
    let mut back = Back { manifest, opt_out, template: OptOut::Leave };
    let of_pods = of_pods(operation, webhooks, found, &back).await?;
    back.template = opt_out_if(of_pods.is_there());
    let mut sent = Vec::new();
    let mut is_extended = false;
    let first = |object: &ParsedObject| {
        is_extended = options.is_extended(object.try_subject()?);
        if is_extended { Ok(None) } else { plan(object, &back, &mut sent) }
    };
    let (mut object, mut changed) = operation.change(found, first).await?;
    if is_extended {
        let outcome = options::extended(operation, found);
        return Ok(Restored { object, patch: Vec::new(), outcome });
    }
    let mut tries = if options.unlabelled && operation.is_real() { TRIES } else { 0 };
    while object.is_emptied() && back.opt_out == OptOut::Leave && tries > 0 {
        tokio::time::sleep(LAG).await;
        let again = LiveObject { object, ..found.clone() };
        (object, changed) =
            operation.change(&again, |object| plan(object, &back, &mut sent)).await?;
        tries -= 1;
    }
    // In a dry run the label still exists, and the API server uses it.
    let label = options.unlabelled && !operation.is_real();
    if object.is_emptied() && back.opt_out == OptOut::Leave && !label {
        // An unreadable webhook may still empty it.
        back.opt_out = OptOut::Set;
        let again = LiveObject { object, ..found.clone() };
        (object, changed) =
            operation.change(&again, |object| plan(object, &back, &mut sent)).await?;
    }
    if object.is_emptied() && !label {
        let what = format!("{shown} was restored, and something emptied it again at once.");
        let hint = "List the webhooks and policies that are called: `kubectl get \
                    mutatingwebhookconfigurations,mutatingadmissionpolicies`.";
        return Err(Failure::no(Topic::EmptiedAgain, what, hint).into());
    }
    let would = operation.would();
    let what = format!("{shown} {would}{}{}", form(subject, options), operation.dry());
    operation.terminal.done(&what, None);
    if back.opt_out == OptOut::Set {
        declined(operation, found, &interceptor, "");
    }
    if back.template == OptOut::Set {
        pods::print_opted_out(operation, found, &of_pods);
    }
    let outcome = if changed { WorkloadOutcome::Changed } else { WorkloadOutcome::Unchanged };
    Ok(Restored { object, patch: sent, outcome })
}

/// The participle for a restored workload.
fn form(subject: &Subject<'_>, options: &RestoreOptions<'_>) -> String {
    if options.manifests.is_some() {
        return "restored from the manifest".to_owned();
    }
    let Some(Ok(summary)) = subject.summary() else { return "restored".to_owned() };
    match summary.newer {
        Some(Stamp { at, by }) => {
            let by = if by.is_empty() { String::new() } else { format!(" by {by}") };
            format!("restored to the version deployed since it was emptied ({at}{by})")
        }
        None if summary.drifted || summary.overtaken => {
            "restored; what was deployed since it was emptied stays".to_owned()
        }
        None => "restored".to_owned(),
    }
}

/// What empties its Pods after it is restored.
async fn of_pods(
    operation: &Operation<'_>,
    webhooks: &Webhooks,
    found: &LiveObject,
    back: &Back<'_>,
) -> Result<Interceptor> {
    let operations = original(&found.object, back)?.unwrap_or_default();
    let object = played(&found.object, &operations)?.into();
    let given = LiveObject { object, ..found.clone() };
    Ok(webhooks.of_level_pod(operation.cluster, &given).await)
}

/// Reports the opt-out that was written; `flag` is needed by `diyadm empty` in addition to the
/// name.
fn declined(operation: &Operation<'_>, found: &LiveObject, interceptor: &Interceptor, flag: &str) {
    let who = interceptor.shown().unwrap_or_else(|| "a webhook".to_owned());
    operation.terminal.say(&format!(
        "  {who} would empty it again, so it is opted out from now on ({LABEL}: disabled); \
         `diyadm empty {}{flag}` removes that",
        found.typed(operation.cluster)
    ));
}

/// Gives up fields that an interrupted restore still owns; returns the object.
async fn disown(operation: &Operation<'_>, found: &LiveObject) -> ParsedObject {
    let LiveObject { kind, namespace, name, object } = found;
    if !operation.is_real() {
        return object.clone();
    }
    let at = (*kind, namespace.as_str(), name.as_str());
    operation.cluster.disown(at, Value::clone(object)).await.into()
}

/// Deletes it and creates it again, restored.
async fn recreate(
    operation: &Operation<'_>,
    webhooks: &Webhooks,
    options: &RestoreOptions<'_>,
    found: &LiveObject,
    manifest: Option<&ParsedObject>,
) -> Result<Restored> {
    let fresh = ParsedObject::from(recreation::without_server_fields(&found.object));
    let interceptor = webhooks.of_create(operation.cluster, found).await;
    let opt_out = opt_out_if(interceptor != Interceptor::Nobody);
    let mut back = Back { manifest, opt_out, template: OptOut::Leave };
    let of_pods = if found.kind == &POD {
        Interceptor::Nobody
    } else {
        let fresh = LiveObject { object: fresh.clone(), ..found.clone() };
        of_pods(operation, webhooks, &fresh, &back).await?
    };
    back.template = opt_out_if(of_pods.is_there());
    let operations = plan(&fresh, &back, &mut Vec::new())?;
    let new = ParsedObject::from(played(&fresh, &operations.unwrap_or_default())?);
    trust::check(operation, options, found, &new, manifest)?;
    let object = operation.recreate(found, &new).await?;
    if operation.is_real() && object.is_emptied() {
        let what = format!("{} was recreated, and something emptied it.", found.shown());
        let hint = "Remove the namespace's label, then try again.";
        return Err(Failure::no(Topic::EmptiedAgain, what, hint).into());
    }
    let (shown, would) = (operation.shown(found), operation.would());
    let what = format!("{shown} {would}recreated and restored{}", operation.dry());
    operation.terminal.done(&what, None);
    let declines = |object: &Value| object["metadata"]["annotations"][LABEL] == DISABLED;
    if opt_out == OptOut::Set && declines(&object) && !declines(&found.object) {
        declined(operation, found, &interceptor, " --recreate");
    }
    if back.template == OptOut::Set {
        pods::print_opted_out(operation, found, &of_pods);
    }
    Ok(Restored { object, patch: Vec::new(), outcome: WorkloadOutcome::Changed })
}

fn opt_out_if(would_be_emptied: bool) -> OptOut {
    if would_be_emptied { OptOut::Set } else { OptOut::Leave }
}

/// How to restore one workload.
struct Back<'a> {
    /// `--force-from`
    manifest: Option<&'a ParsedObject>,
    /// The opt-out of the workload itself.
    opt_out: OptOut,
    /// The opt-out of its pod template.
    template: OptOut,
}

/// The operations that restore the object; `None` if it is not empty.
fn plan(
    object: &ParsedObject,
    back: &Back<'_>,
    sent: &mut Vec<Value>,
) -> Result<Option<Vec<Value>>> {
    let Some(mut operations) = original(object, back)? else { return Ok(None) };
    if back.template == OptOut::Set {
        operations.extend(pods::refusal(&played(object, &operations)?.into())?);
    }
    sent.clone_from(&operations);
    Ok(Some(operations))
}

/// [`plan`] without the opt-out of its pod template.
fn original(object: &ParsedObject, back: &Back<'_>) -> Result<Option<Vec<Value>>> {
    let &Back { manifest, opt_out, .. } = back;
    let subject = object.try_subject()?;
    if !subject.is_emptied() {
        return Ok(None);
    }
    let Some(manifest) = manifest else {
        let change = subject.restore(opt_out, None);
        if change.is_empty() {
            // Another client has written another original since it was judged.
            let why = change
                .warnings
                .first()
                .map_or_else(|| "nothing would change".to_owned(), ToString::to_string);
            return Err(Failure::no(Topic::ChangedMeanwhile, format!("{why}."), "").into());
        }
        return Ok(Some(serde_json::from_str(&change.patch)?));
    };
    // Parts that the manifest lacks are restored from the original, if that is trusted.
    let mut sent: Vec<Value> = serde_json::from_str(&subject.restore(OptOut::Leave, None).patch)?;
    let restored = ParsedObject::from(played(object, &sent)?);
    let subject = restored.try_subject()?;
    let change = subject.restore_from(manifest.try_subject()?, FIELD_MANAGER, opt_out);
    let change = change.map_err(|why| {
        let what = format!("--force-from does not fit: {why}.");
        Failure::usage(Topic::Manifest, what, "Use another file.")
    })?;
    sent.extend(serde_json::from_str::<Vec<Value>>(&change.patch)?);
    Ok(Some(sent))
}

/// Whether the API server returns it emptied in a dry run.
async fn would_be_emptied(
    operation: &Operation<'_>,
    found: &LiveObject,
    manifest: Option<&ParsedObject>,
) -> Result<bool> {
    let LiveObject { kind, namespace, name, object } = found;
    let target = (*kind, namespace.as_str(), name.as_str());
    let back = Back { manifest, opt_out: OptOut::Leave, template: OptOut::Leave };
    let asked = operation
        .cluster
        .change(target, Some(object.clone()), WriteMode::DryRun, |object| original(object, &back))
        .await?;
    Ok(asked.object.is_emptied())
}

fn untrusted(operation: &Operation<'_>, found: &LiveObject, why: &str) -> anyhow::Error {
    let what =
        format!("{} stays empty: its original is not trusted: {why}.", operation.shown(found));
    let hint = format!(
        "Restore it from your own manifest: `diyadm restore {} --force-from FILE`, which takes \
         only the fields that emptying changes.",
        found.typed(operation.cluster)
    );
    Failure::no(Topic::Untrusted, what, hint).into()
}

/// A StatefulSet replaces its next Pod only when the previous one is ready, and an emptied Pod that
/// cannot start never will be: such a Pod of one of these emptied revisions is deleted. Slow Pods
/// that were never emptied are left to the user.
pub(super) async fn unstick(
    operation: &Operation<'_>,
    found: &LiveObject,
    emptied: &[&(&'static Kind, Value)],
) {
    if !found.kind.is_ordered() {
        return;
    }
    let is_emptied = |pod: &Value| {
        let revision = &pod["metadata"]["labels"]["controller-revision-hash"];
        emptied.iter().any(|(_, one)| one["metadata"]["name"] == *revision)
    };
    // Without the right to read them, the wait reports what is missing.
    for pod in operation.pods(&found.object).await.unwrap_or_default() {
        let going = pod["metadata"]["deletionTimestamp"].is_string();
        if going || is_ready(&pod) || !is_emptied(&pod) {
            continue;
        }
        let name = pod["metadata"]["name"].as_str().unwrap_or_default();
        match operation.cluster.delete_exactly(&POD, &pod).await {
            Ok(()) => {
                operation
                    .terminal
                    .done(&format!("pod/{name}, which did not start, was deleted"), None);
            }
            Err(error) if error::is_forbidden(&error) => operation.terminal.warn(&format!(
                "pod/{name} does not start, and {} waits for it: delete it with `kubectl -n {} \
                 delete pod {name}`",
                operation.shown(found),
                found.namespace
            )),
            // It has changed meanwhile, and may start after all.
            Err(_) => {}
        }
    }
}
