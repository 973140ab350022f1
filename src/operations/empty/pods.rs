//! Empties at level pod: the workload itself does not change, its Pods are replaced, and a webhook
//! or policy empties them when they are created.

use anyhow::Result;
use serde_json::Value;

use super::{offer_restore, opt_out, roll_back};
use crate::{
    exit::{Failure, Topic},
    kinds::{CRON_JOB, JOB},
    kubernetes::targets::LiveObject,
    operations::{
        Operation, OperationResult, WorkloadOutcome,
        flags::EmptyArgs,
        intercept::{Interceptor, Webhooks},
        replace::PodMatch,
    },
    rollout::{self, Form},
    workload::ParsedObject,
};

pub(super) async fn empty(
    operation: &Operation<'_>,
    args: &EmptyArgs,
    webhooks: &Webhooks,
    found: LiveObject,
) -> OperationResult {
    match try_empty(operation, args, webhooks, &found).await {
        Ok((object, patch, changed)) => {
            let outcome =
                if changed { WorkloadOutcome::Changed } else { WorkloadOutcome::Unchanged };
            OperationResult { found: LiveObject { object, ..found }, patch, outcome }
        }
        Err(error) => OperationResult::failed(found, error),
    }
}

async fn try_empty(
    operation: &Operation<'_>,
    args: &EmptyArgs,
    webhooks: &Webhooks,
    found: &LiveObject,
) -> Result<(ParsedObject, Vec<Value>, bool)> {
    let shown = operation.shown(found);
    let interceptor = webhooks.of_pods(operation.cluster, found).await;
    if interceptor == Interceptor::Nobody {
        let what = format!(
            "{shown} stays as it is: at level pod a webhook or policy empties Pods when they are \
             created, and namespace {} has none.",
            found.namespace
        );
        let hint = Webhooks::advice_for_pods(operation.cluster).await;
        return Err(Failure::no(Topic::Installation, what, hint).into());
    }
    let ignored = [
        opt_out::ignored_annotations(&found.object),
        opt_out::ignored_shape(&found.object, &interceptor),
    ];
    for warning in ignored.into_iter().flatten() {
        operation.terminal.warn(&format!("{shown}: {warning}"));
    }
    let later = format!("{shown}: its new Pods are empty from now on");
    if found.kind == &JOB {
        operation.terminal.done(&later, None);
        return Ok((found.object.clone(), Vec::new(), false));
    }
    let mut sent = Vec::new();
    let operations = |object: &ParsedObject| {
        let (operations, _) = opt_out::remove(object)?;
        sent.clone_from(&operations);
        Ok((!operations.is_empty()).then_some(operations))
    };
    let (object, changed) = operation.change(found, operations).await?;
    if changed {
        let what =
            format!("{shown}: its pod template is not opted out any more{}", operation.dry());
        operation.terminal.done(&what, None);
    }
    if found.kind == &CRON_JOB {
        operation.terminal.done(&later, None);
        return Ok((object, sent, changed));
    }
    if !operation.is_real() {
        operation
            .terminal
            .done(&format!("{shown}: its Pods would be replaced{}", operation.dry()), None);
        return Ok((object, sent, true));
    }
    if changed && !rollout::is_by_hand(&object) {
        // The change of the template triggers a rollout.
        return Ok((object, sent, true));
    }
    let now = LiveObject { object: object.clone(), ..found.clone() };
    // Workloads that were empty before are not rolled back.
    let back =
        args.rollback && (changed || operation.check_pods(&now, Form::Emptied).await.is_err());
    let count = match operation.replace(&now, &PodMatch::Made(Form::Emptied)).await {
        Ok(count) => count,
        Err(error) if back => return Err(roll_back(operation, args, found, &error).await),
        Err(error) => return Err(offer_restore(operation, found, &error)),
    };
    let what = match count {
        0 => format!("{shown}: its Pods are already empty"),
        count => format!("{shown}: {count} Pods were replaced and are empty"),
    };
    operation.terminal.done(&what, None);
    Ok((object, sent, count > 0))
}
