//! Empties one workload by a guarded JSON Patch, and checks the result.

use anyhow::Result;
use serde_json::Value;

use super::decision::{EmptyMethod, EmptyRequest};
use crate::{
    exit::{Failure, Topic},
    kubernetes::targets::LiveObject,
    operations::{Operation, OperationResult, WorkloadOutcome, change::played},
    plan::jobs,
    workload::{
        EmptiedSummary, EmptyContainer, Idle, LABEL, ORIGINAL, ParsedObject, Warning, recreation,
    },
};

pub(super) async fn patch(
    operation: &Operation<'_>,
    plan: &EmptyRequest<'_>,
    found: LiveObject,
    scaled: Option<&str>,
) -> OperationResult {
    let mut warnings = Vec::new();
    let mut sent = Vec::new();
    let mut freed = false;
    let operations = |object: &ParsedObject| -> Result<Option<Vec<Value>>> {
        // It may have changed since it was judged.
        let now = LiveObject { object: object.clone(), ..found.clone() };
        match plan.choose_method(&now, scaled) {
            Ok(EmptyMethod::Patch) => {}
            Ok(_) => {
                return Err(Failure::no(
                    Topic::ChangedMeanwhile,
                    "It has been changed meanwhile.",
                    "Try again.",
                )
                .into());
            }
            Err(refused) => {
                return Err(Failure::no(Topic::LeftAlone, refused.what, refused.hint).into());
            }
        }
        let (operations, found_warnings) = plan.operations(&now, object)?;
        let is_empty = object["metadata"]["annotations"].get(ORIGINAL).is_some();
        if operations.is_empty() && !is_empty {
            let why = found_warnings
                .first()
                .map_or_else(|| "there is nothing to empty in it".to_owned(), Warning::reason);
            return Err(Failure::no(
                Topic::LeftAlone,
                format!("{} stays as it is: {why}.", found.shown()),
                "",
            )
            .into());
        }
        freed = object["metadata"]["annotations"].get(LABEL).is_some();
        warnings = found_warnings;
        sent.clone_from(&operations);
        Ok((!operations.is_empty()).then_some(operations))
    };
    let outcome = operation.change(&found, operations).await;
    let (object, changed) = match outcome {
        Ok(outcome) => outcome,
        Err(error) => return OperationResult::failed(found, error),
    };
    let object = if changed && operation.is_real() && rewritten(&object).is_some() {
        let at = LiveObject { object: object.clone(), ..found.clone() };
        match operation.change(&at, |now| Ok(rewritten(now))).await {
            Ok((object, _)) => object,
            Err(error) => return OperationResult::failed(found, error),
        }
    } else {
        object
    };
    let shown = operation.shown(&found);
    warnings
        .iter()
        .for_each(|what| operation.terminal.warn(&format!("{shown}: {}", what.message())));
    let summary = object.subject().and_then(|subject| subject.summary()?.ok());
    let outcome = match summary {
        Some(summary) if !summary.drifted => {
            let verb = match (changed, operation.is_real()) {
                (false, _) => "already empty",
                (true, true) => "emptied",
                (true, false) => "would be emptied",
            };
            let how = containers(&summary);
            operation.terminal.done(&format!("{shown} {verb}: {how}{}", operation.dry()), None);
            for finding in jobs::findings(&object, object["spec"]["suspend"] == true) {
                operation.terminal.say(&format!("  {}", finding.seen));
                if !finding.hint.is_empty() {
                    operation.terminal.say(&format!("  {}", finding.hint));
                }
            }
            if changed && let Some(choice) = plan.choice(&found) {
                operation.terminal.say(&format!("  {choice}"));
            }
            if changed && freed {
                let what = format!("{shown} is not opted out any more ({LABEL} was removed)");
                operation.terminal.say(&format!("  {what}"));
            }
            if changed { WorkloadOutcome::Changed } else { WorkloadOutcome::Unchanged }
        }
        // Nothing was sent: the warnings above are the reason.
        _ if !changed && !warnings.is_empty() => {
            let what = format!("{shown} stays as it is.");
            let hint = format!(
                "Fix what the warnings above say; for an original that is not trusted, run \
                 `diyadm restore {} --force-from FILE`.",
                found.typed(operation.cluster)
            );
            WorkloadOutcome::Failed(Failure::no(Topic::Untrusted, what, hint).into())
        }
        _ => {
            let what = format!("{shown} was emptied, and something undid that at once.");
            let hint = "A webhook or controller of this cluster did it: see `kubectl get \
                        mutatingwebhookconfigurations` and the workload's owner.";
            WorkloadOutcome::Failed(Failure::no(Topic::Drifted, what, hint).into())
        }
    };
    OperationResult {
        found: LiveObject { object, ..found },
        patch: if changed { sent } else { Vec::new() },
        outcome,
    }
}

/// Operations that save how another admission plugin rewrote the empty image.
pub(super) fn rewritten(object: &ParsedObject) -> Option<Vec<Value>> {
    let change = object.subject()?.note_rewritten()?;
    serde_json::from_str(&change.patch).ok()
}

/// Deletes it and creates it again, emptied.
pub(super) async fn recreate(
    operation: &Operation<'_>,
    plan: &EmptyRequest<'_>,
    found: LiveObject,
) -> OperationResult {
    let shown = operation.shown(&found);
    let new = ParsedObject::from(recreation::without_server_fields(&found.object));
    let new = plan.operations(&found, &new).and_then(|(operations, warnings)| {
        warnings
            .iter()
            .for_each(|what| operation.terminal.warn(&format!("{shown}: {}", what.message())));
        Ok(ParsedObject::from(played(&new, &operations)?))
    });
    let new = match new {
        Ok(new) if new.is_emptied() => {
            // A container that is no longer chosen would run its original command.
            let subjects = found.object.subject().zip(new.subject());
            if subjects.is_some_and(|(old, new)| !old.from_original(new).is_empty()) {
                let what = format!(
                    "{shown} stays as it is: its original would decide what it \
                                    runs."
                );
                let hint = format!(
                    "Restore it first: `diyadm restore {} --recreate` shows the original.",
                    found.typed(operation.cluster)
                );
                return OperationResult::failed(found, Failure::no(Topic::LeftAlone, what, hint));
            }
            new
        }
        Ok(_) => {
            let what = format!("{shown} stays as it is: there is nothing to empty in it.");
            return OperationResult::failed(found, Failure::no(Topic::LeftAlone, what, ""));
        }
        Err(error) => return OperationResult::failed(found, error),
    };
    match operation.recreate(&found, &new).await {
        Ok(object) => {
            let would = operation.would();
            let what = format!("{shown} {would}recreated and emptied{}", operation.dry());
            operation.terminal.done(&what, None);
            let found = LiveObject { object, ..found };
            OperationResult { found, patch: Vec::new(), outcome: WorkloadOutcome::Changed }
        }
        Err(error) => OperationResult::failed(found, error),
    }
}

/// `container app idles in empty-container:latest by its entrypoint`
pub(super) fn containers(summary: &EmptiedSummary) -> String {
    let each = summary.containers.iter().map(|EmptyContainer { name, image, idle, stand_in }| {
        if *stand_in {
            return format!("container {name} runs its own command in {image} until `diyadm run`");
        }
        let how = match idle {
            Idle::Entrypoint => "its entrypoint",
            Idle::Shell => "a shell",
            Idle::Agent => "the agent",
        };
        format!("container {name} idles in {image} by {how}")
    });
    each.collect::<Vec<_>>().join(", ")
}
