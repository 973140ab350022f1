//! `empty --copy`: creates an empty Deployment next to a workload, which stays as it is.

use std::collections::BTreeSet;

use anyhow::{Error, Result};
use serde_json::{Value, json};

use super::{
    decision::{EmptyMethod, EmptyRequest, Refused},
    stand_in,
    template::rewritten,
};
use crate::{
    exit::{Failure, Topic},
    kinds::{ARGO_ROLLOUT, Controller},
    kubernetes::{
        BUDGET, DAEMON_SET, DEPLOYMENT, DryRun, ObjectRef, REPLICA_SET, SERVICE, STATEFUL_SET,
        Scope, WriteMode, error, targets::LiveObject,
    },
    operations::{
        Operation, OperationResult, WorkloadOutcome,
        change::played,
        flags::{CopyFlags, EmptyArgs, Level, ObjectFormat},
        owner::{Owned, owned},
    },
    rollout::{self, Observations},
    workload::{
        Context, ORIGINAL, OptOut, ParsedObject, Warning,
        copy::{self, Claims, CopySpec},
        recreation,
    },
};

mod notes;

/// Objects whose selectors match Pods: the copy keeps no label that one of these uses.
const SELECTING: [&crate::kubernetes::Kind; 6] =
    [&SERVICE, &BUDGET, &DEPLOYMENT, &STATEFUL_SET, &DAEMON_SET, &REPLICA_SET];

/// Flags that cannot be combined with `--copy`.
pub(crate) fn check(args: &EmptyArgs) -> Result<()> {
    if args.copy.copy.is_none() {
        return Ok(());
    }
    if args.ways.level == Some(Level::Pod) {
        let what = "A copy is emptied by its own pod template, and not at level pod.";
        return Err(Failure::usage(Topic::CommandLine, what, "Omit --level, or --copy.").into());
    }
    if args.work.output == Some(ObjectFormat::Patch) {
        let what = "A copy is created, so there is no patch.";
        return Err(Failure::usage(
            Topic::CommandLine,
            what,
            "Use `-o yaml`, `-o json` or `-o name`.",
        )
        .into());
    }
    Ok(())
}

/// Creates the copy `name` of a workload, without waiting.
pub(super) async fn create(
    operation: &Operation<'_>,
    flags: &CopyFlags,
    name: &str,
    plan: &EmptyRequest<'_>,
    found: LiveObject,
) -> OperationResult {
    match try_create(operation, flags, name, plan, &found).await {
        Ok(done) => done,
        Err(error) => OperationResult::failed(found, error),
    }
}

async fn try_create(
    operation: &Operation<'_>,
    flags: &CopyFlags,
    name: &str,
    plan: &EmptyRequest<'_>,
    found: &LiveObject,
) -> Result<OperationResult> {
    let shown = operation.shown(found);
    let no_copy = |what: String, hint: String| {
        Error::from(Failure::no(Topic::Copy, format!("{shown} gets no copy: {what}."), hint))
    };
    refuse(operation, flags, found).map_err(|(what, hint)| no_copy(what, hint))?;
    let method = Ok(EmptyMethod::Patch);
    let (plan, method) =
        stand_in::complete(operation.cluster, operation.terminal, plan, found, method).await;
    method.map_err(|refused| no_copy(refused.what, refused.hint))?;
    let plan = plan.as_ref();
    let name = copy::name(&found.name, name)
        .map_err(|why| no_copy(why, "Use a shorter NAME with --copy.".to_owned()))?;
    let selected = selected_labels(operation, &found.namespace).await;
    let claims = if flags.fresh_volumes { Claims::Empty } else { Claims::Shared };
    let spec = CopySpec {
        name: flags.copy.as_deref().unwrap_or_default(),
        selected: selected.as_ref(),
        claims,
    };
    let original = original_form(operation, found)?;
    let Some(new) = copy::build(&original, &spec) else {
        let why = format!("a {} has no pod template", found.kind.kind);
        return Err(no_copy(why, "Use the workload that creates its Pods.".to_owned()));
    };
    let target = |object: ParsedObject| LiveObject {
        kind: &DEPLOYMENT,
        namespace: found.namespace.clone(),
        name: name.clone(),
        object,
    };
    let new = target(new.into());
    let chosen = chosen(plan, &new);
    let wanted = emptied(plan, &new).map_err(|refused| no_copy(refused.what, refused.hint))?;
    let wanted = target(wanted);

    let there = operation.cluster.get(&DEPLOYMENT, &found.namespace, &name).await?;
    if let Some(there) = there {
        return existing(operation, found, &wanted, there);
    }
    let registries = copy::registries(&new.object, &wanted.object, &chosen);
    let made = match operation.work.dry_run.mode {
        Some(DryRun::Client) => wanted.object.clone(),
        mode => match make(operation, &wanted, mode.into()).await? {
            Creation::New(made) => made,
            Creation::Existing(there) => return existing(operation, found, &wanted, there),
        },
    };
    let mut made = target(made);
    if operation.is_real() {
        made = verify(operation, found, made).await?;
    }
    operation.tell_dropped(&made, &wanted.object, &made.object).await;
    notes::print_created(operation, plan, found, &made, selected.is_some());
    notes::print_shared(operation, flags, found, &made, &registries);
    Ok(OperationResult { found: made, patch: Vec::new(), outcome: WorkloadOutcome::Changed })
}

/// Why a workload gets no copy, and a hint.
fn refuse(
    operation: &Operation<'_>,
    flags: &CopyFlags,
    found: &LiveObject,
) -> Result<(), (String, String)> {
    let no = |what: &str, hint: String| Err((what.to_owned(), hint));
    let place = format!("-n {}{}", found.namespace, operation.cluster.flags());
    let name = flags.copy.as_deref().unwrap_or_default();
    let instead = |workload: &str| format!("Run `diyadm empty {workload} --copy {name} {place}`.");
    if found.namespace == "kube-system" {
        return no("diyadm never touches kube-system", String::new());
    }
    if let Some(original) = copy::original(&found.object) {
        return no("it is a copy itself", instead(&original));
    }
    if recreation::is_placeholder(&found.object) {
        let hint = "Run that command again to remove it.".to_owned();
        return no("it is a placeholder of a command that was interrupted", hint);
    }
    let subject = found.object.subject();
    if let Some(Owned { by, typed }) = subject.and_then(owned) {
        let hint = typed.map(|owner| instead(&owner)).unwrap_or_default();
        return Err((format!("it belongs to {by}"), hint));
    }
    let reference = &found.object["spec"]["workloadRef"];
    if found.kind == &ARGO_ROLLOUT && reference.is_object() {
        let word = |field: &str| reference[field].as_str().unwrap_or_default();
        let whose = format!("{}/{}", word("kind").to_lowercase(), word("name"));
        let what = format!("its pod template is that of {whose} (spec.workloadRef)");
        return Err((what, instead(&whose)));
    }
    if found.kind.controller == Controller::Itself {
        let hint = "Use a workload that creates Pods, such as a Deployment.".to_owned();
        return no("a Pod has no pod template", hint);
    }
    let (templates, _) = copy::claims(&found.object);
    if !templates.is_empty() && !flags.fresh_volumes {
        let what = format!("each of its Pods has volumes of its own ({})", templates.join(", "));
        let hint = "--fresh-volumes gives the copy empty ones, which end with its Pod.".to_owned();
        return Err((what, hint));
    }
    Ok(())
}

/// The keys of labels that selectors of the namespace use; `None` if some may not be read.
async fn selected_labels(operation: &Operation<'_>, namespace: &str) -> Option<BTreeSet<String>> {
    let places = SELECTING.map(|kind| (kind, Scope::new(namespace)));
    let mut keys = BTreeSet::new();
    for (_, _, list) in operation.cluster.lists(places).await {
        let selecting = list.ok()?;
        // A copy has a selector of its own labels.
        let others = selecting.iter().filter(|object| !copy::is_copy(object));
        keys.extend(others.flat_map(copy::selector_keys));
    }
    Some(keys)
}

/// The workload as it was before it was emptied.
fn original_form(operation: &Operation<'_>, found: &LiveObject) -> Result<Value> {
    let subject = found.object.try_subject()?;
    match subject.stamp() {
        None => Ok(Value::clone(&found.object)),
        Some(Ok(_)) => {
            let change = subject.restore(OptOut::Leave, None);
            played(&found.object, &serde_json::from_str::<Vec<Value>>(&change.patch)?)
        }
        Some(Err(why)) => {
            let what = format!(
                "{} gets no copy: its original is not trusted: {why}.",
                operation.shown(found)
            );
            let typed = found.typed(operation.cluster);
            let hint = format!("Restore it first: `diyadm restore {typed} --force-from FILE`.");
            Err(Failure::no(Topic::Untrusted, what, hint).into())
        }
    }
}

/// The containers of the copy that are emptied.
fn chosen(plan: &EmptyRequest<'_>, new: &LiveObject) -> Vec<String> {
    let context = Context {
        namespace: &new.namespace,
        requested_annotations: &plan.requested_annotations,
        ..Context::default()
    };
    let subject = new.object.subject();
    subject.map(|subject| subject.chosen(plan.rules, &context)).unwrap_or_default()
}

/// The emptied copy.
fn emptied(plan: &EmptyRequest<'_>, new: &LiveObject) -> Result<ParsedObject, Refused> {
    let refused = |what: String, hint: &str| Refused { what, hint: hint.to_owned(), soft: false };
    if plan.choose_method(new, None)? != EmptyMethod::Patch {
        let hint = "Use --level workload, or another rule.";
        return Err(refused("a rule of --rules sets level pod".to_owned(), hint));
    }
    let (operations, warnings) = plan
        .operations(new, &new.object)
        .map_err(|error| refused(format!("{error:#}"), crate::exit::hint(&error).unwrap_or("")))?;
    let object = played(&new.object, &operations).map_err(|e| refused(format!("{e:#}"), ""))?;
    let object = ParsedObject::from(object);
    if object.is_emptied() {
        return Ok(object);
    }
    let nothing = || "there is nothing to empty in it".to_owned();
    Err(refused(warnings.first().map_or_else(nothing, Warning::reason), ""))
}

/// A Deployment of the copy's name that was there before.
fn existing(
    operation: &Operation<'_>,
    found: &LiveObject,
    wanted: &LiveObject,
    there: Value,
) -> Result<OperationResult> {
    let name = operation.shown(wanted);
    let original = operation.shown(found);
    let typed = wanted.typed(operation.cluster);
    if !copy::is_copy_of(&there, &found.object) {
        let (what, hint) = match copy::original(&there) {
            Some(other) if other == found.shown() => (
                format!("{name} is a copy of an earlier {original}."),
                format!("Delete it with `diyadm restore {typed}`, or use another NAME."),
            ),
            Some(other) => (
                format!("{name} is there already, a copy of {other}."),
                "Use another NAME with --copy.".to_owned(),
            ),
            None => (
                format!("{name} is there already, and is no copy of {original}."),
                "Use another NAME with --copy: diyadm changes no other workload.".to_owned(),
            ),
        };
        return Err(Failure::no(Topic::Copy, what, hint).into());
    }
    let is_same = copy::covers(&there["spec"]["template"], &wanted.object["spec"]["template"]);
    operation.terminal.done(&format!("{name} is already there, a copy of {original}"), None);
    if !is_same {
        operation.terminal.warn(&format!(
            "{name} stays as it is, and differs from what this command creates: {original} or the \
             flags have changed since. `diyadm restore {typed}` deletes it; then run this command \
             again"
        ));
    }
    let found = LiveObject { object: there.into(), ..wanted.clone() };
    Ok(OperationResult { found, patch: Vec::new(), outcome: WorkloadOutcome::Unchanged })
}

/// The result of a creation.
enum Creation {
    New(ParsedObject),
    /// Another client was faster.
    Existing(Value),
}

async fn make(operation: &Operation<'_>, wanted: &LiveObject, mode: WriteMode) -> Result<Creation> {
    let LiveObject { namespace, name, object, .. } = wanted;
    let error = match operation.cluster.create(object, mode).await {
        Ok(made) => return Ok(Creation::New(made.into())),
        Err(error) => error,
    };
    if error::exists(&error) || error::is_unknown(&error) {
        // It says when, and by whom.
        let original = |object: &Value| object["metadata"]["annotations"][ORIGINAL].clone();
        return match operation.cluster.get(&DEPLOYMENT, namespace, name).await? {
            // The answer to the creation was lost.
            Some(there) if error::is_unknown(&error) && original(&there) == original(object) => {
                Ok(Creation::New(there.into()))
            }
            Some(there) => Ok(Creation::Existing(there)),
            None => Err(error),
        };
    }
    let right = ObjectRef { kind: &DEPLOYMENT, namespace, name: "" }.right("create");
    if error::is_forbidden(&error) && !operation.cluster.missing(&[right]).await?.is_empty() {
        let what = format!("You may not {right}, so there is no copy.");
        let hint = format!(
            "Ask an administrator: `diyadm rights --for developer -n {namespace} -o yaml` prints \
             the Role that you need."
        );
        return Err(Failure::unreachable(what, hint).into());
    }
    Err(error)
}

/// The stored copy, if it is still empty and its original is still there; else it is deleted.
async fn verify(
    operation: &Operation<'_>,
    found: &LiveObject,
    made: LiveObject,
) -> Result<LiveObject> {
    let made = if rewritten(&made.object).is_some() {
        let (object, _) = operation.change(&made, |now| Ok(rewritten(now))).await?;
        LiveObject { object, ..made }
    } else {
        made
    };
    let (name, original) = (operation.shown(&made), operation.shown(found));
    let summary = made.object.subject().and_then(|subject| subject.summary()?.ok());
    if summary.is_none_or(|summary| summary.drifted) {
        delete(operation, &made).await?;
        let what = format!("{name} was created empty, something undid that, and it was deleted.");
        let hint = "A webhook of this cluster did it: see `kubectl get \
                    mutatingwebhookconfigurations`, and diyadm's own by `diyadm rules explain`.";
        return Err(Failure::no(Topic::Copy, what, hint).into());
    }
    let now = operation.cluster.get(found.kind, &found.namespace, &found.name).await?;
    if now.is_none_or(|now| now["metadata"]["uid"] != found.object["metadata"]["uid"]) {
        delete(operation, &made).await?;
        let what = format!("{original} was deleted meanwhile, and {name} with it.");
        return Err(Failure::no(Topic::ChangedMeanwhile, what, "").into());
    }
    Ok(made)
}

/// Deletes exactly this copy, whatever has changed in it.
pub(crate) async fn delete(operation: &Operation<'_>, found: &LiveObject) -> Result<()> {
    let LiveObject { namespace, name, object, .. } = found;
    let only = json!({
        "metadata": { "namespace": namespace, "name": name, "uid": object["metadata"]["uid"] },
    });
    operation.cluster.delete_exactly(&DEPLOYMENT, &only).await
}

/// Whether the cluster refuses to create the Pod of a copy.
pub(super) async fn is_refused(operation: &Operation<'_>, found: &LiveObject) -> bool {
    if !copy::is_copy(&found.object) {
        return false;
    }
    let now = operation.cluster.get(&DEPLOYMENT, &found.namespace, &found.name).await;
    let now = now.ok().flatten().unwrap_or_default();
    let pods = operation.pods(&found.object).await.unwrap_or_default();
    let events = operation.events(found, &pods).await;
    let seen = Observations { pods: &pods, events: &events, since: "" };
    pods.is_empty() && rollout::refused(&now, &seen).is_some()
}
