//! `uninstall --restore`: restores all workloads of the namespace before the server is deleted. The
//! label is already removed, so that nothing empties them again.

use anyhow::Result;
use serde_json::Value;

use crate::{
    kubernetes::{
        Cluster,
        targets::{self, Selection, Targets, Unnamed},
    },
    operations::{
        Operation, WorkloadOutcome,
        flags::{OperationFlags, UninstallArgs},
        intercept::Webhooks,
        outcomes::Outcomes,
        restore::{self, RestoreOptions},
        webhook_names::WebhookNames,
    },
    workload::{ParsedObject, Subject, copy},
};

/// Restores empty workloads in a namespace with these current labels. Skips Pods and Jobs, which
/// would have to be recreated, and workloads without an original.
///
/// # Errors
/// One that could not be restored: nothing else is to be taken away then.
pub(super) async fn restore(
    outcomes: &mut Outcomes<'_>,
    cluster: &Cluster,
    args: &UninstallArgs,
    names: &WebhookNames,
    labels: Option<Value>,
) -> Result<()> {
    let namespace = names.namespace();
    let webhooks =
        labels.map_or_else(Webhooks::default, |labels| Webhooks::with(namespace, labels));
    let namespace = Some(namespace.to_owned());
    let targets = Targets { namespace, all: true, ..Targets::default() };
    let work = OperationFlags {
        yes: true,
        pods: args.pods,
        dry_run: args.dry_run,
        ..OperationFlags::default()
    };
    let terminal = outcomes.terminal;
    let operation = Operation { terminal, cluster, targets: &targets, work: &work };
    let targeted = targets::find(cluster, &targets, Unnamed::WithAll).await?;
    targeted.unseen.iter().for_each(|what| terminal.warn(what));
    let found = targeted.found.into_iter().filter(|found| is_ready_to_go(&found.object)).collect();
    let done = restore::restore_all(
        &operation,
        &RestoreOptions::unlabelled(),
        &webhooks,
        found,
        Selection::Together,
    )
    .await;
    for one in done.iter().filter(|one| matches!(one.outcome, WorkloadOutcome::Changed)) {
        let found = &one.found;
        let outcome = if copy::is_copy(&found.object) { "deleted" } else { "restored" };
        outcomes.note(found.kind.kind, &found.namespace, &found.name, outcome);
    }
    let end = operation.end(done, "restored");
    end.map(drop).inspect_err(|_| {
        terminal.warn(
            "nothing of the webhook was deleted: run the same command again, with --wait=false to \
             ignore Pods, or without --restore to keep the workloads empty",
        );
    })
}

/// Whether it can be restored without recreating it; workloads that are not empty are skipped
/// later.
fn is_ready_to_go(object: &ParsedObject) -> bool {
    let workload = object.subject().and_then(Subject::workload);
    workload.is_some_and(|kind| kind.mutable)
}
