//! Restores by deleting a copy, which `empty --copy` created.

use std::time::{Duration, Instant};

use anyhow::Result;

use super::{
    options::{RestoreOptions, extended},
    pods::Pods,
};
use crate::{
    exit::{Failure, Topic},
    kubernetes::{DryRun, WriteMode, error, targets::LiveObject},
    operations::{Operation, OperationResult, WorkloadOutcome, empty},
    workload::copy,
};

const PAUSE: Duration = Duration::from_millis(300);
/// How often the deletion of a copy is tried that others change at the same time.
const TRIES: u32 = 10;

/// Deletes a copy, and waits until its Pods have ended.
pub(super) async fn delete(
    operation: &Operation<'_>,
    options: &RestoreOptions<'_>,
    pods: &Pods,
    mut found: LiveObject,
) -> OperationResult {
    let outcome = match try_delete(operation, options, pods, &mut found).await {
        Ok(CopyState::Extended) => extended(operation, &found),
        Ok(_) => match wait(operation, &found).await {
            Ok(()) => WorkloadOutcome::Changed,
            Err(error) => WorkloadOutcome::NotReady(error),
        },
        Err(error) => WorkloadOutcome::Failed(error),
    };
    OperationResult { found, patch: Vec::new(), outcome }
}

/// A copy, as it was read last.
enum CopyState {
    /// It is to be deleted.
    ToDelete,
    /// It is deleted, or it would be.
    Deleted,
    /// It had expired, and another client has extended it meanwhile.
    Extended,
}

/// Deletes a copy that does not start; returns whether it was still there.
pub(super) async fn roll_back(
    operation: &Operation<'_>,
    found: LiveObject,
    exists: bool,
) -> Result<bool> {
    if !exists {
        return Ok(false);
    }
    match delete(operation, &RestoreOptions::default(), &Pods::default(), found).await.outcome {
        WorkloadOutcome::Failed(error) | WorkloadOutcome::NotReady(error) => Err(error),
        _ => Ok(true),
    }
}

async fn try_delete(
    operation: &Operation<'_>,
    options: &RestoreOptions<'_>,
    pods: &Pods,
    found: &mut LiveObject,
) -> Result<CopyState> {
    match operation.work.dry_run.mode {
        Some(DryRun::Client) => {}
        Some(DryRun::Server) => {
            let LiveObject { kind, namespace, name, .. } = &*found;
            operation.cluster.delete(kind, namespace, name, WriteMode::DryRun).await?;
        }
        None => {
            // What was extended keeps its applications.
            let mut now = refresh(operation, options, found).await?;
            if matches!(now, CopyState::ToDelete) {
                operation.stop_applications(&found.object, &pods.running(found)).await;
                now = delete_now(operation, options, found).await?;
            }
            if matches!(now, CopyState::Extended) {
                return Ok(now);
            }
        }
    }
    let deleted = if operation.is_real() { "deleted" } else { "would be deleted" };
    let original = copy::original(&found.object).unwrap_or_default();
    let what = format!("{} {deleted}, a copy of {original}", operation.shown(found));
    operation.terminal.done(&format!("{what}{}", operation.dry()), None);
    Ok(CopyState::Deleted)
}

/// Reads a copy again if only an expired one is to be deleted.
async fn refresh(
    operation: &Operation<'_>,
    options: &RestoreOptions<'_>,
    found: &mut LiveObject,
) -> Result<CopyState> {
    if options.expired_at.is_none() {
        return Ok(CopyState::ToDelete);
    }
    let now = operation.cluster.get(found.kind, &found.namespace, &found.name).await?;
    let uid = &found.object["metadata"]["uid"];
    let Some(now) = now.filter(|now| now["metadata"]["uid"] == *uid) else {
        return Ok(CopyState::Deleted);
    };
    found.object = now.into();
    let is_extended = found.object.subject().is_some_and(|subject| options.is_extended(subject));
    Ok(if is_extended { CopyState::Extended } else { CopyState::ToDelete })
}

/// Deletes a copy. An expired one may be extended while its applications stop, so it is read again, and
/// deleted only in that version.
async fn delete_now(
    operation: &Operation<'_>,
    options: &RestoreOptions<'_>,
    found: &mut LiveObject,
) -> Result<CopyState> {
    if options.expired_at.is_none() {
        empty::copy::delete(operation, found).await?;
        return Ok(CopyState::Deleted);
    }
    let mut tries = 0;
    loop {
        let now = refresh(operation, options, found).await?;
        if !matches!(now, CopyState::ToDelete) {
            return Ok(now);
        }
        match operation.cluster.delete_exactly(found.kind, &found.object).await {
            Ok(()) => return Ok(CopyState::Deleted),
            // Its status changes while its applications stop.
            Err(error) if error::is_conflict(&error) && tries < TRIES => tries += 1,
            Err(error) => return Err(error),
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Waits until no Pod of the deleted copy is left.
async fn wait(operation: &Operation<'_>, found: &LiveObject) -> Result<()> {
    if !operation.is_real() || !operation.work.pods.wait {
        return Ok(());
    }
    let deadline = Instant::now() + Duration::from_secs(operation.work.pods.timeout);
    let shown = operation.shown(found);
    let mut wait = operation.terminal.wait();
    loop {
        let left = match operation.pods(&found.object).await {
            Ok(left) => left.len(),
            // Without the right to list Pods there is nothing to wait for.
            Err(error) if error::is_forbidden(&error) => return Ok(()),
            Err(error) => return Err(error),
        };
        if left == 0 {
            return Ok(());
        }
        if Instant::now() > deadline {
            let what = format!("{shown} is deleted, and {left} of its Pods did not end in time.");
            let hint = "They end by themselves: see `kubectl get pods`; --timeout waits longer.";
            return Err(Failure::no(Topic::Waiting, what, hint).into());
        }
        wait.say(&format!("{shown}: waiting until its Pods have ended ({left} left)"));
        tokio::time::sleep(PAUSE).await;
    }
}
