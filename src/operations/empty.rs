//! `diyadm empty`: makes the webhook's change from the client, with only the rights `get` and
//! `patch`.

use anyhow::{Error, Result};

use self::decision::{EmptyMethod, EmptyRequest};
use super::{
    Operation, OperationResult, WorkloadOutcome,
    autoscalers::{ConflictingObjects, Suspension},
    confirm,
    intercept::Webhooks,
    replace::PodMatch,
    restore, targets,
    wait::{NotReady, Waited},
};
use crate::{
    exit::{self, Code, Failure, Topic},
    kubernetes::{
        AUTOSCALER, DryRun, JOB,
        targets::{LiveObject, Unnamed},
    },
    operations::flags::EmptyArgs,
    rollout::{self, Form},
    workload::{Rules, Stamp, copy::is_copy, expiry},
};

pub(crate) mod copy;
pub(crate) mod decision;
pub(crate) mod opt_out;
mod pods;
pub(crate) mod requested;
mod scale_down;
pub(crate) mod stand_in;
mod template;

pub(crate) async fn empty(
    operation: &Operation<'_>,
    args: &EmptyArgs,
    rules: &Rules,
) -> Result<Code> {
    let (targets, files) = (&args.targets, &args.manifests.filename);
    let targeted = targets::find(operation.cluster, targets, files, Unnamed::Refused).await?;
    targeted.unseen.iter().for_each(|what| operation.terminal.warn(what));
    if targeted.found.is_empty() {
        operation.terminal.warn("the workload does not exist, so nothing was emptied");
        return Ok(Code::Done);
    }
    let conflicting = operation.conflicting_objects(&targeted.found).await;
    let by = operation.cluster.whoami().await?;
    // After an answer, so that it is the API server's clock.
    let now = operation.cluster.now();
    let stamp = Stamp { at: format!("{now:.0}"), by };
    let plan = EmptyRequest {
        rules,
        requested_annotations: requested::annotations(
            &args.ways,
            args.scale,
            args.stand_in.command.as_deref(),
            args.time.map(|time| expiry(now, time)),
        ),
        selection: targeted.selection,
        recreate: args.recreate,
        level: args.ways.level,
        stamp,
        flags: operation.cluster.flags(),
    };
    if confirm::is_wanted(operation, &targeted) {
        let changes = |found: &&LiveObject| {
            !found.object.is_emptied() && plan.choose_method(found, None).is_ok()
        };
        let meant = targeted.found.iter().filter(changes);
        let meant = meant.map(|found| (found.kind, found.namespace.as_str()));
        confirm::confirm(operation.terminal, "empty", meant).await?;
    }
    if !plan.requested_annotations.is_empty() && args.copy.copy.is_none() {
        let keys: Vec<_> = plan.requested_annotations.iter().map(|one| one.key).collect();
        operation.terminal.say(&format!(
            "Each workload also gets the flags as annotations ({}); restoring removes them.",
            keys.join(", ")
        ));
    }
    let webhooks = Webhooks::new(operation.work.dry_run.mode.into());
    let observed = Observed { conflicting, webhooks };
    let work = async |found| match &args.copy.copy {
        Some(name) => copy::create(operation, &args.copy, name, &plan, found).await,
        None => one(operation, args, &plan, &observed, found).await,
    };
    let mut done = operation.each("emptied", targeted.found, work).await;
    if args.work.pods.wait && operation.is_real() {
        wait(operation, args, &mut done).await?;
    }
    let printed = operation.print(&done);
    let code = operation.end(done, "emptied")?;
    printed.map(|()| code)
}

/// Observations of the cluster besides the workloads.
struct Observed {
    conflicting: ConflictingObjects,
    webhooks: Webhooks,
}

/// Everything before the wait, for one workload.
async fn one(
    operation: &Operation<'_>,
    args: &EmptyArgs,
    plan: &EmptyRequest<'_>,
    Observed { conflicting, webhooks }: &Observed,
    found: LiveObject,
) -> OperationResult {
    let scaled = conflicting.scaler(&found);
    let settled =
        plan.choose_method_in_cluster(operation.cluster, webhooks, &found, scaled.as_deref()).await;
    let (plan, settled) =
        stand_in::complete(operation.cluster, operation.terminal, plan, &found, settled).await;
    let plan = plan.as_ref();
    let shown = operation.shown(&found);
    if args.hold_autoscalers
        && found.kind.replicas
        && settled.is_ok()
        && let Some(why) = conflicting.unheld(&found.namespace)
    {
        let resource = AUTOSCALER.resource();
        let what = format!("{shown} stays as it is: {resource} {why}, so none can be suspended.");
        let hint = format!(
            "Ask for that right (`kubectl -n {} auth can-i list {resource}`), or omit \
             --hold-autoscalers.",
            found.namespace
        );
        return OperationResult::failed(found, Failure::no(Topic::Forbidden, what, hint));
    }
    let done = match settled {
        Ok(EmptyMethod::Patch) => {
            if args.recreate
                && let Err(error) = operation.unhold(&found).await
            {
                return OperationResult::failed(found, error);
            }
            if let Some(replicas) = args.scale.replicas
                && let Err(error) = scale_down::keep_applications(operation, &found, replicas).await
            {
                return OperationResult::failed(found, error);
            }
            template::patch(operation, plan, found, scaled.as_deref()).await
        }
        Ok(EmptyMethod::Pods) => pods::empty(operation, args, webhooks, found).await,
        Ok(EmptyMethod::Recreate) => template::recreate(operation, plan, found).await,
        Err(decision::Refused { what, hint, soft }) if soft => {
            operation.terminal.warn(&format!("{shown} stays as it is: {what}. {hint}"));
            OperationResult { found, patch: Vec::new(), outcome: WorkloadOutcome::PassedOver(what) }
        }
        Err(decision::Refused { what, hint, .. }) => {
            return OperationResult::failed(
                found,
                Failure::no(Topic::LeftAlone, format!("{shown} stays as it is: {what}."), hint),
            );
        }
    };
    if !done.is_good() {
        return done;
    }
    let scalers: Vec<_> = conflicting.scalers(&done.found).collect();
    for (kind, object) in scalers {
        if !args.hold_autoscalers {
            let name = object["metadata"]["name"].as_str().unwrap_or_default();
            operation.terminal.warn(&format!(
                "{shown} is scaled by {}/{name}, by metrics that an idle container makes useless; \
                 --hold-autoscalers suspends it meanwhile",
                kind.singular()
            ));
        } else if args.work.dry_run.mode == Some(DryRun::Client) {
            operation
                .terminal
                .done(&format!("{} would be suspended (dry run)", kind.singular()), None);
        } else if let Err(error) = operation.scale(kind, object, Suspension::Suspend).await {
            return OperationResult { outcome: WorkloadOutcome::Failed(error), ..done };
        }
    }
    done
}

/// Waits for the emptied workloads; those that cannot start are reported, and restored if
/// requested.
async fn wait(
    operation: &Operation<'_>,
    args: &EmptyArgs,
    done: &mut [OperationResult],
) -> Result<()> {
    let mut stuck = Vec::new();
    // At level pod every replaced Pod was already waited for, and a Job's Pods do not change.
    let is_through = |one: &OperationResult| {
        let object = &one.found.object;
        (rollout::is_by_hand(object) || one.found.kind == &JOB) && !object.is_emptied()
    };
    for (at, one) in done.iter().enumerate().filter(|(_, one)| one.is_good()) {
        if rollout::is_by_hand(&one.found.object)
            && !is_through(one)
            && let Err(error) = operation.replace(&one.found, &PodMatch::New).await
        {
            stuck.push((at, error));
        }
    }
    let is_stuck = |at: usize| stuck.iter().any(|(stuck, _)| *stuck == at);
    let is_left = |at: &usize| done[*at].is_good() && !is_stuck(*at) && !is_through(&done[*at]);
    let good: Vec<_> = (0..done.len()).filter(is_left).collect();
    let all: Vec<_> = good.iter().map(|at| &done[*at].found).collect();
    let waited = operation.wait(&all).await;
    for (at, waited) in good.into_iter().zip(waited) {
        let shown = operation.shown(&done[at].found);
        // A workload whose Pods do not start is rolled back; one in an unknown state is left empty.
        let rolls_back = args.rollback && matches!(waited, Waited::Stuck { .. });
        let is = if rolls_back { "was emptied" } else { "is empty" };
        let message = match waited.into_result(&format!("{shown} {is}"), Form::Emptied) {
            Ok(message) => message,
            Err(NotReady::Unknown(failure)) => {
                done[at].outcome = WorkloadOutcome::NotReady(failure.into());
                continue;
            }
            Err(NotReady::Stuck(failure)) => {
                stuck.push((at, failure.into()));
                continue;
            }
        };
        // At level pod the Pods have not been checked yet.
        let found = &done[at].found;
        let of_pods = rollout::wanted(&found.object) > 0 && !found.object.is_emptied();
        let judged =
            if of_pods { operation.check_pods(found, Form::Emptied).await } else { Ok(()) };
        match judged {
            Ok(()) => operation.terminal.done(&format!("{shown}: {message}"), None),
            Err(error) => stuck.push((at, error)),
        }
    }
    for (at, error) in stuck {
        let found = &done[at].found;
        // Workloads that were empty before are not rolled back.
        let is_new = matches!(done[at].outcome, WorkloadOutcome::Changed);
        done[at].outcome = if is_new && (args.rollback || copy::is_refused(operation, found).await)
        {
            WorkloadOutcome::Failed(roll_back(operation, args, found, &error).await)
        } else {
            WorkloadOutcome::NotReady(offer_restore(operation, found, &error))
        };
    }
    Ok(())
}

fn failure(error: &Error) -> Failure {
    let hint = exit::hint(error).unwrap_or_default();
    let (code, topic) = (exit::code(error), exit::topic(error));
    Failure::made_of(code, topic, format!("{error:#}"), hint)
}

/// Adds to `error` how to restore a workload whose Pods do not start.
fn offer_restore(operation: &Operation<'_>, found: &LiveObject, error: &Error) -> Error {
    let mut failure = failure(error);
    let verb = if is_copy(&found.object) { "Delete" } else { "Restore" };
    let offer = format!("{verb} it with `diyadm restore {}`.", found.typed(operation.cluster));
    failure.hint = format!("{} {offer}", failure.hint).trim_start().to_owned();
    failure.into()
}

/// Restores a workload whose Pods do not start: returns `error` with the result.
async fn roll_back(
    operation: &Operation<'_>,
    args: &EmptyArgs,
    found: &LiveObject,
    error: &Error,
) -> Error {
    let mut failure = failure(error);
    match restore::roll_back(operation, found.clone(), args.recreate).await {
        Ok(true) if is_copy(&found.object) => failure.what.push_str(" It was deleted."),
        Ok(true) => failure.what.push_str(" It was restored."),
        Ok(false) if is_copy(&found.object) => failure.what.push_str(" It did not exist any more."),
        Ok(false) => failure.what.push_str(" It was not empty any more."),
        // The result follows as a separate sentence.
        Err(error) => {
            return error.context(format!("{} Restoring it failed", failure.what));
        }
    }
    failure.into()
}
