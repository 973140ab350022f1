//! `diyadm restore`: restores the original in its newest form, and removes leftovers of the emptied
//! form.

use std::ops::ControlFlow;

use anyhow::Result;
use serde_json::Value;

pub(crate) use self::{expire::expire, from_manifest::Manifests, options::RestoreOptions};
use self::{leftovers::Leftovers, pods::Pods, template::NOT_EMPTY};
use super::{
    Operation, OperationResult, WorkloadOutcome,
    autoscalers::{ConflictingObjects, Suspension},
    confirm,
    intercept::Webhooks,
    owner::owned,
    replace::PodMatch,
    targets,
    wait::NotReady,
};
use crate::{
    exit::{Code, Failure, Topic},
    kinds::CRON_JOB,
    kubernetes::{
        DryRun, POD, WriteMode,
        targets::{LiveObject, Selection, Unnamed},
    },
    operations::flags::RestoreArgs,
    rollout::{self, Form},
    status,
    workload::{self, ORIGINAL, Refusal, Subject, autoscaler, copy},
};

mod copies;
mod expire;
mod from_manifest;
mod leftovers;
mod options;
mod pods;
mod rollout_undo;
mod template;
mod trust;

/// Restores the workloads that `args` name.
pub(crate) async fn restore(
    operation: &Operation<'_>,
    args: &RestoreArgs,
    manifests: Option<&Manifests>,
) -> Result<Code> {
    let (targets, files) = (&args.targets, &args.manifests.filename);
    let targeted = targets::find(operation.cluster, targets, files, Unnamed::WithAll).await?;
    targeted.unseen.iter().for_each(|what| operation.terminal.warn(what));
    if confirm::is_wanted(operation, &targeted) {
        let meant = what_is_empty(operation, &targeted.found).await;
        let copies = meant.iter().filter(|found| copy::is_copy(&found.object));
        let copies: Vec<_> = copies.map(|found| operation.shown(found)).collect();
        if !copies.is_empty() {
            let what = format!("These are copies, which would be deleted: {}", copies.join(", "));
            operation.terminal.say(&what);
        }
        let meant = meant.iter().map(|found| (found.kind, found.namespace.as_str()));
        confirm::confirm(operation.terminal, "restore", meant).await?;
    }
    let options = RestoreOptions {
        manifests,
        recreate: args.recreate,
        trust_original: args.trust_original,
        ..RestoreOptions::default()
    };
    let webhooks = Webhooks::new(operation.work.dry_run.mode.into());
    let done =
        restore_all(operation, &options, &webhooks, targeted.found, targeted.selection).await;
    if targeted.everything {
        pods::tell_others(operation, &done).await;
    }
    let printed = operation.print(&done);
    let code = operation.end(done, "restored")?;
    printed.map(|()| code)
}

/// The emptied workloads, by their template or by their visible Pods.
async fn what_is_empty<'f>(
    operation: &Operation<'_>,
    all: &'f [LiveObject],
) -> Vec<&'f LiveObject> {
    let scope = operation.cluster.scope(operation.targets);
    let pods = operation.cluster.list(&POD, scope, "").await.unwrap_or_default();
    let objects: Vec<_> = all.iter().map(|found| Value::clone(&found.object)).collect();
    let rows = status::rows(&objects, &pods, |_| None);
    let is_row = |found: &&LiveObject| {
        let own = [found.kind.kind, &found.namespace, &found.name];
        rows.iter().any(|row| [&*row.kind, &*row.namespace, &*row.name] == own)
    };
    all.iter().filter(is_row).collect()
}

/// Restores all of them; if they were not named, skips those that are not empty.
pub(crate) async fn restore_all(
    operation: &Operation<'_>,
    options: &RestoreOptions<'_>,
    webhooks: &Webhooks,
    all: Vec<LiveObject>,
    selection: Selection,
) -> Vec<OperationResult> {
    let pods = Pods::list(operation, &all).await;
    let (copies, all): (Vec<_>, _) =
        all.into_iter().partition(|found| copy::is_copy(&found.object));
    let delete = async |found| copies::delete(operation, options, &pods, found).await;
    let deleted = operation.each("deleted", copies, delete).await;
    let conflicting = operation.conflicting_objects(&all).await;
    let work = async |found: LiveObject| {
        let done = restore_one(operation, webhooks, options, &pods, found, selection).await;
        if matches!(done.outcome, WorkloadOutcome::Failed(_)) {
            // It may still be empty, and then its autoscaler stays suspended.
            return (done, false);
        }
        match release(operation, &conflicting, &done.found).await {
            Ok(released) => (done, released),
            Err(error) => {
                (OperationResult { outcome: WorkloadOutcome::Failed(error), ..done }, false)
            }
        }
    };
    let done = operation.each("restored", all, work).await;
    let (mut done, released): (Vec<_>, Vec<_>) = done.into_iter().unzip();

    if operation.is_real() {
        finish(operation, &pods, &mut done).await;
    }
    for (one, released) in done.iter_mut().zip(released) {
        if let WorkloadOutcome::PassedOver(why) = &one.outcome {
            if released {
                one.outcome = WorkloadOutcome::Unchanged;
            } else if selection == Selection::Named {
                let what = format!("{}: {why}.", operation.shown(&one.found));
                one.outcome =
                    WorkloadOutcome::Failed(Failure::no(Topic::NotEmpty, what, NOT_EMPTY).into());
            }
        }
    }
    done.extend(deleted);
    if options.expired_at.is_none() && done.iter().all(is_passed) {
        operation.terminal.say("Nothing to restore: none of these workloads is empty.");
    }
    done
}

/// Why an owned workload stays as it is: a ReplicaSet has its Deployment's template, and is created
/// and deleted with it.
fn refused(operation: &Operation<'_>, found: &LiveObject) -> Option<Failure> {
    let owner = owned(found.object.subject()?)?.typed?;
    let what = format!("{} belongs to {owner}.", operation.shown(found));
    let flags = operation.cluster.flags();
    let hint = format!("`diyadm restore {owner} -n {}{flags}` restores that.", found.namespace);
    Some(Failure::no(Topic::NotEmpty, what, hint))
}

/// Restores one workload, at its level, without waiting.
async fn restore_one(
    operation: &Operation<'_>,
    webhooks: &Webhooks,
    options: &RestoreOptions<'_>,
    pods: &Pods,
    found: LiveObject,
    selection: Selection,
) -> OperationResult {
    if let Some(failure) = refused(operation, &found) {
        return OperationResult::failed(found, failure);
    }
    let found =
        match rollout_undo::recover_from_rollout_undo(operation, options, found, selection).await {
            ControlFlow::Continue(found) => found,
            ControlFlow::Break(done) => return done,
        };
    let at_pods = pods.are_empty(operation, webhooks, &found, selection).await;
    let goes_back = || matches!(at_pods, Ok(true)) || template::can_be_restored(options, &found);
    if operation.is_real() && goes_back() {
        operation.stop_applications(&found.object, &pods.running(&found)).await;
    }
    match at_pods {
        Ok(true) => pods::restore(operation, webhooks, options, pods, found).await,
        Ok(false) if found.kind == &CRON_JOB => {
            let before = found.clone();
            let done = template::restore(operation, webhooks, options, found).await;
            if !matches!(done.outcome, WorkloadOutcome::Failed(_)) {
                pods.tell_jobs(operation, &before);
            }
            done
        }
        Ok(false) => template::restore(operation, webhooks, options, found).await,
        Err(error) => OperationResult::failed(found, error),
    }
}

/// Restores one workload and waits for it; returns whether it was still empty.
pub(crate) async fn roll_back(
    operation: &Operation<'_>,
    found: LiveObject,
    recreate: bool,
) -> Result<bool> {
    let webhooks = Webhooks::new(WriteMode::Persist);
    let object = operation.cluster.get(found.kind, &found.namespace, &found.name).await?;
    if copy::is_copy(&found.object) {
        return copies::roll_back(operation, found, object.is_some()).await;
    }
    let original = |object: &Value| object["metadata"]["annotations"][ORIGINAL].clone();
    let object = object.unwrap_or_default();
    // This command wrote it.
    let trust_original = original(&object) == original(&found.object);
    let found = LiveObject { object: object.into(), ..found };
    let options = RestoreOptions { recreate, trust_original, ..RestoreOptions::default() };
    let conflicting = operation.conflicting_objects(std::slice::from_ref(&found)).await;
    let pods = Pods::list(operation, std::slice::from_ref(&found)).await;
    let mut done =
        vec![restore_one(operation, &webhooks, &options, &pods, found, Selection::Together).await];
    let was_empty = done[0].is_good();
    if !matches!(done[0].outcome, WorkloadOutcome::Failed(_)) {
        release(operation, &conflicting, &done[0].found).await?;
    }
    finish(operation, &pods, &mut done).await;
    match done.remove(0).outcome {
        WorkloadOutcome::Failed(error) | WorkloadOutcome::NotReady(error) => Err(error),
        _ => Ok(was_empty),
    }
}

/// Resumes the workload's autoscalers; returns whether one was suspended.
async fn release(
    operation: &Operation<'_>,
    conflicting: &ConflictingObjects,
    found: &LiveObject,
) -> Result<bool> {
    let mut released = false;
    for (kind, object) in
        conflicting.scalers(found).filter(|(_, object)| autoscaler::is_held(object))
    {
        if operation.work.dry_run.mode == Some(DryRun::Client) {
            operation
                .terminal
                .done(&format!("{} would be resumed (dry run)", kind.singular()), None);
        } else {
            released |= operation.scale(kind, object, Suspension::Resume).await?;
        }
    }
    Ok(released)
}

/// Waits for workloads restored by this or an interrupted command, then deletes revisions of the
/// emptied form, which `kubectl rollout undo` could bring back.
async fn finish(operation: &Operation<'_>, pods: &Pods, done: &mut [OperationResult]) {
    let leftovers = Leftovers::list(operation, done.iter().map(|one| &one.found)).await;
    let is_open = |one: &OperationResult| {
        one.is_good() || (is_passed(one) && !leftovers.owned_by(&one.found).is_empty())
    };
    let open: Vec<_> = (0..done.len()).filter(|at| is_open(&done[*at])).collect();
    for one in done.iter_mut().filter(|one| is_passed(one) && !is_open(one)) {
        go_on(operation, pods, one).await;
    }
    if !operation.work.pods.wait {
        if open.iter().any(|at| done[*at].is_good()) {
            operation.terminal.say(
                "Revisions of the emptied form may remain, which `kubectl rollout undo` could \
                 bring back: `diyadm restore` without --wait=false deletes them.",
            );
        }
        for one in done.iter().filter(|one| one.is_good() && rollout::is_by_hand(&one.found.object))
        {
            let left = pods.left(&one.found).len();
            if left > 0 {
                operation.terminal.say(&format!(
                    "  {left} Pods of {} stay empty until `diyadm restore {}` replaces them",
                    operation.shown(&one.found),
                    one.found.typed(operation.cluster)
                ));
            }
        }
        return;
    }
    for at in &open {
        template::unstick(operation, &done[*at].found, &leftovers.owned_by(&done[*at].found)).await;
        if rollout::is_by_hand(&done[*at].found.object)
            && let Err(error) = operation.replace(&done[*at].found, &PodMatch::New).await
        {
            done[*at].outcome = WorkloadOutcome::NotReady(error);
        }
    }
    let all: Vec<_> = open.iter().map(|at| &done[*at].found).collect();
    let waited = operation.wait(&all).await;
    for (at, waited) in open.into_iter().zip(waited) {
        let shown = operation.shown(&done[at].found);
        let one = &mut done[at];
        if !one.is_good() && !is_passed(one) {
            continue;
        }
        let message = match waited.into_result(&format!("{shown} is restored"), Form::Original) {
            Ok(message) => message,
            Err(NotReady::Stuck(failure) | NotReady::Unknown(failure)) => {
                one.outcome = WorkloadOutcome::NotReady(failure.into());
                continue;
            }
        };
        // diyadm's own webhooks respect the opt-out in the template; others may not.
        let refusals = one.found.object.subject().map(Subject::refusals);
        let of_pods = rollout::wanted(&one.found.object) > 0
            && refusals.is_some_and(|all| all.contains(&Refusal::PodAnnotation));
        let judged = if of_pods { check_pods(operation, &one.found).await } else { Ok(()) };
        if let Err(error) = judged {
            one.outcome = WorkloadOutcome::Failed(error);
            continue;
        }
        operation.terminal.done(&format!("{shown}: {message}"), None);
        if is_passed(one) {
            one.outcome = WorkloadOutcome::Unchanged;
        }
    }
    let has = |one: &OperationResult| one.is_good() && leftovers::may_have(&one.found);
    let good: Vec<_> = (0..done.len()).filter(|at| has(&done[*at])).collect();
    let now = operation.each("looked at", good, async |at: usize| {
        // Its revision status has changed during the wait.
        let found = &done[at].found;
        let object = operation.cluster.get(found.kind, &found.namespace, &found.name).await;
        object
            .ok()
            .flatten()
            .map(|object| (at, LiveObject { object: object.into(), ..found.clone() }))
    });
    let now: Vec<_> = now.await.into_iter().flatten().collect();
    let found: Vec<_> = now.iter().map(|(_, found)| found).collect();
    let leftovers = Leftovers::list(operation, found.iter().copied()).await;
    leftovers.sweep(operation, &found).await;
    for (at, found) in &now {
        if let Some(partition) = leftovers::kept(found, &leftovers.owned_by(found)) {
            done[*at].outcome =
                WorkloadOutcome::NotReady(below(operation, found, partition).into());
        }
    }
}

/// Continues an interrupted restore: nobody else replaces Pods that are still empty.
async fn go_on(operation: &Operation<'_>, pods: &Pods, one: &mut OperationResult) {
    let left = pods.left(&one.found);
    if left.is_empty() || !rollout::is_by_hand(&one.found.object) {
        return;
    }
    one.outcome = WorkloadOutcome::Unchanged;
    if !operation.work.pods.wait {
        return;
    }
    operation.stop_applications(&one.found.object, &left).await;
    match operation.replace(&one.found, &PodMatch::NotLeft).await {
        Ok(count) => {
            let shown = operation.shown(&one.found);
            let what = format!("{shown}: {count} Pods that were still empty were replaced");
            operation.terminal.done(&what, None);
        }
        Err(error) => one.outcome = WorkloadOutcome::NotReady(error),
    }
}

/// Checks whether a rollout has restored Pods that were empty at level pod.
async fn check_pods(operation: &Operation<'_>, found: &LiveObject) -> Result<()> {
    operation.check_pods(found, Form::Original).await?;
    let partition = leftovers::partition(found);
    let Some(partition) = partition.filter(|partition| *partition > 0) else { return Ok(()) };
    // Pods that the rollout did not reach.
    let pods = operation.pods(&found.object).await.unwrap_or_default();
    if pods.iter().any(|pod| workload::is_emptied_pod(&pod.to_string())) {
        return Err(below(operation, found, partition).into());
    }
    Ok(())
}

/// Pods below a partition, which were emptied before the partition was set.
fn below(operation: &Operation<'_>, found: &LiveObject, partition: i64) -> Failure {
    let shown = operation.shown(found);
    let what =
        format!("{shown} is restored, and its Pods below partition {partition} are still empty.");
    let patch = r#"{"spec":{"updateStrategy":{"rollingUpdate":{"partition":0}}}}"#;
    let hint = format!(
        "The partition keeps updates from them: lower it with `kubectl -n {} patch {} -p \
         '{patch}'`, then run `diyadm restore {}` again, which deletes the emptied revision.",
        found.namespace,
        found.shown(),
        found.typed(operation.cluster)
    );
    Failure::no(Topic::Waiting, what, hint)
}

fn is_passed(one: &OperationResult) -> bool {
    matches!(one.outcome, WorkloadOutcome::PassedOver(_))
}
