//! A StatefulSet or DaemonSet whose pod template `kubectl rollout undo` took from a revision of the
//! emptied form: the revision has the original of that template, and the workload has another one
//! or none.

use std::ops::ControlFlow;

use anyhow::Result;
use serde_json::Value;

use super::{leftovers, options::RestoreOptions};
use crate::{
    exit::{Failure, Topic},
    kinds::Revisions,
    kubernetes::{
        REVISION, error,
        targets::{LiveObject, Selection},
    },
    operations::{Operation, OperationResult, WorkloadOutcome, change::annotated},
    workload::{ORIGINAL, ParsedObject},
};

/// The field manager of `kubectl rollout undo`, which no other kubectl command uses for a template.
const UNDO: &str = "kubectl";

/// Writes the original that belongs to its template to the workload, which is then restored as
/// usual; breaks if nothing remains to do.
pub(super) async fn recover_from_rollout_undo(
    operation: &Operation<'_>,
    options: &RestoreOptions<'_>,
    found: LiveObject,
    selection: Selection,
) -> ControlFlow<OperationResult, LiveObject> {
    let of_revisions = found.kind.revisions == Some(Revisions::ControllerRevisions);
    if !of_revisions || options.manifests.is_some() {
        return ControlFlow::Continue(found);
    }
    match try_recall(operation, &found, selection).await {
        Ok(None) => ControlFlow::Continue(found),
        Ok(Some((object, patch))) => {
            let is_back = !object.is_emptied();
            // A dry run leaves nothing to restore, and a webhook restores an opted-out workload at
            // once.
            let is_over = is_back || (!operation.is_real() && !found.object.is_emptied());
            let shown = operation.shown(&found);
            let found = LiveObject { object, ..found };
            if !is_over {
                return ControlFlow::Continue(found);
            }
            let what = format!("{shown} {}restored{}", operation.would(), operation.dry());
            operation.terminal.done(&what, None);
            ControlFlow::Break(OperationResult { found, patch, outcome: WorkloadOutcome::Changed })
        }
        Err(error) => ControlFlow::Break(OperationResult::failed(found, error)),
    }
}

/// The workload with the missing original; `None` if its own is the right one.
async fn try_recall(
    operation: &Operation<'_>,
    found: &LiveObject,
    selection: Selection,
) -> Result<Option<(ParsedObject, Vec<Value>)>> {
    let subject = found.object.try_subject()?;
    let is_lost = subject.is_lost();
    let is_undone = || subject.template_writers().iter().any(|writer| writer == UNDO);
    let is_meant = is_lost || (subject.is_emptied() && is_undone());
    if !is_meant {
        return Ok(None);
    }
    let shown = operation.shown(found);
    let revisions = match operation.cluster.list(&REVISION, &found.namespace, "").await {
        Ok(revisions) => revisions,
        Err(error) if is_lost && selection == Selection::Named => {
            return Err(lost(operation, found, Some(&error)));
        }
        Err(error) => {
            let right = "checking that needs the right to list controllerrevisions".to_owned();
            let why = if error::is_forbidden(&error) { right } else { format!("{error:#}") };
            operation.terminal.warn(&format!(
                "the pod template of {shown} may be that of an older revision (`kubectl rollout \
                 undo`), with an older image, command and probes: {why}"
            ));
            return Ok(None);
        }
    };
    let its_own = |one: &&Value| {
        leftovers::owns(found, one) && template(&one["data"]) == template(&found.object)
    };
    let theirs = revisions.iter().filter(its_own);
    let mut theirs = theirs.filter_map(|one| one["metadata"]["annotations"][ORIGINAL].as_str());
    let Some(original) = theirs.find_map(|theirs| subject.recalled(theirs)) else {
        return if is_lost && selection == Selection::Named {
            Err(lost(operation, found, None))
        } else {
            Ok(None)
        };
    };
    let mut sent = Vec::new();
    let plan = |object: &ParsedObject| {
        let same = |of: fn(&Value) -> Value| of(object) == of(&found.object);
        // Judged by its previous state.
        if !same(template) || !same(|object| object["metadata"]["annotations"][ORIGINAL].clone()) {
            return Err(Failure::no(
                Topic::ChangedMeanwhile,
                "it has been changed meanwhile.",
                "Run the same command again.",
            )
            .into());
        }
        sent = vec![annotated(object, "", ORIGINAL, &original)];
        Ok(Some(sent.clone()))
    };
    let (object, _) = operation.change(found, plan).await?;
    operation.terminal.say(&format!(
        "{shown}: its pod template is that of an older revision, which is what it is restored to"
    ));
    Ok(Some((object, sent)))
}

/// The pod template, as a workload has it or as a revision, which is a patch.
fn template(object: &Value) -> Value {
    let mut template = object["spec"]["template"].clone();
    if let Some(template) = template.as_object_mut() {
        template.shift_remove("$patch");
    }
    if let Some(metadata) = template["metadata"].as_object_mut() {
        metadata.retain(|_, value| !value.is_null());
    }
    template
}

fn lost(
    operation: &Operation<'_>,
    found: &LiveObject,
    error: Option<&anyhow::Error>,
) -> anyhow::Error {
    let why = match error {
        None => "none of its revisions has an original".to_owned(),
        Some(error) => format!("its revisions could not be read: {error:#}"),
    };
    let what = format!(
        "{} runs the empty container and has no original, and {why}.",
        operation.shown(found)
    );
    let hint =
        format!("Apply its own manifest again: `kubectl -n {} apply -f FILE`.", found.namespace);
    Failure::no(Topic::Untrusted, what, hint).into()
}
