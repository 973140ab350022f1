//! Restores by deleting a copy, which `empty --copy` created.

use std::time::{Duration, Instant};

use anyhow::Result;

use super::{options::RestoreOptions, pods::Pods};
use crate::{
    exit::Failure,
    kubernetes::{DryRun, WriteMode, error, targets::LiveObject},
    operations::{Operation, OperationResult, WorkloadOutcome, empty},
    workload::copy,
};

const PAUSE: Duration = Duration::from_millis(300);

/// Deletes a copy, and waits until its Pods have ended.
pub(super) async fn delete(
    operation: &Operation<'_>,
    options: &RestoreOptions<'_>,
    pods: &Pods,
    mut found: LiveObject,
) -> OperationResult {
    if options.over.is_some() {
        let now = operation.cluster.get(found.kind, &found.namespace, &found.name).await;
        let outcome = match now {
            Ok(Some(now)) => {
                found.object = now.into();
                let subject = found.object.subject();
                subject.is_some_and(|s| options.is_put_off(s)).then(RestoreOptions::put_off)
            }
            Ok(None) => None,
            // It may have been extended.
            Err(error) => Some(WorkloadOutcome::Failed(error)),
        };
        if let Some(outcome) = outcome {
            return OperationResult { found, patch: Vec::new(), outcome };
        }
    }
    let outcome = match try_delete(operation, pods, &found).await {
        Ok(()) => match wait(operation, &found).await {
            Ok(()) => WorkloadOutcome::Changed,
            Err(error) => WorkloadOutcome::NotReady(error),
        },
        Err(error) => WorkloadOutcome::Failed(error),
    };
    OperationResult { found, patch: Vec::new(), outcome }
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

async fn try_delete(operation: &Operation<'_>, pods: &Pods, found: &LiveObject) -> Result<()> {
    let LiveObject { kind, namespace, name, object } = found;
    match operation.work.dry_run.mode {
        Some(DryRun::Client) => {}
        Some(DryRun::Server) => {
            operation.cluster.delete(kind, namespace, name, WriteMode::DryRun).await?;
        }
        None => {
            operation.stop_applications(object, &pods.running(found)).await;
            empty::copy::delete(operation, found).await?;
        }
    }
    let deleted = if operation.is_real() { "deleted" } else { "would be deleted" };
    let original = copy::original(object).unwrap_or_default();
    let what = format!("{} {deleted}, a copy of {original}", operation.shown(found));
    operation.terminal.done(&format!("{what}{}", operation.dry()), None);
    Ok(())
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
            return Err(Failure::no(what, hint).into());
        }
        wait.say(&format!("{shown}: waiting until its Pods have ended ({left} left)"));
        tokio::time::sleep(PAUSE).await;
    }
}
