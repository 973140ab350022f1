//! `uninstall --restore`: every workload of the namespace back before anything is taken away, and
//! before that the label, so that nothing empties them again.

use anyhow::Result;
use serde_json::{Value, json};

use crate::{
    cli::{DryRun, empty::Work, install::Uninstall, targets::Targets},
    cluster::{
        Cluster, NAMESPACE,
        targets::{self, Unnamed},
    },
    commands::{
        names,
        outcome::Outcomes,
        restore::{self, Way},
        workloads::{Errand, Outcome, webhooks::Webhooks},
    },
    workload::Subject,
};

/// Restores what is empty. Pods and Jobs are left, since they would have to be made anew, and so
/// is what has no original.
///
/// # Errors
/// One that could not be restored: nothing else is to be taken away then.
pub(super) async fn restore(
    outcomes: &mut Outcomes<'_>,
    cluster: &Cluster,
    args: &Uninstall,
) -> Result<()> {
    let webhooks = unlabel(outcomes, cluster, args).await?;
    let namespace = Some(args.names.namespace.clone());
    let targets = Targets { namespace, all: true, ..Targets::default() };
    let work = Work {
        yes: true,
        wait: args.wait,
        timeout: args.timeout,
        disable_eviction: args.disable_eviction,
        concurrency: Work::CONCURRENCY,
        dry_run: args.dry_run,
        output: None,
    };
    let terminal = outcomes.terminal;
    let errand = Errand { terminal, cluster, targets: &targets, work: &work };
    let targeted = targets::find(cluster, &targets, Unnamed::WithAll).await?;
    targeted.unseen.iter().for_each(|what| terminal.warn(what));
    let found = targeted.found.into_iter().filter(|found| is_ready_to_go(&found.object)).collect();
    let done = restore::settle(&errand, &Way::UNLABELLED, &webhooks, found, false).await;
    for one in done.iter().filter(|one| matches!(one.outcome, Outcome::Changed)) {
        let found = &one.found;
        outcomes.note(found.kind.kind, &found.namespace, &found.name, "restored");
    }
    let end = errand.end(done, "restored");
    end.map(drop).inspect_err(|_| {
        terminal.warn(
            "nothing of the webhook was taken away: the same command goes on, with --wait=false \
             it does not look at Pods, and without --restore it leaves workloads as they are",
        );
    })
}

/// Whether it can be restored without being made anew; what is not empty is passed over later.
fn is_ready_to_go(object: &Value) -> bool {
    let text = object.to_string();
    let workload = Subject::parse(&text).and_then(|subject| subject.workload());
    workload.is_some_and(|kind| kind.mutable)
}

/// Takes the label away, whoever has set it; what is known of webhooks without it.
async fn unlabel(
    outcomes: &mut Outcomes<'_>,
    cluster: &Cluster,
    args: &Uninstall,
) -> Result<Webhooks> {
    let namespace = args.names.namespace.as_str();
    let (key, value) = names::label(&args.names)?;
    let path = format!("/metadata/labels/{}", key.replace('~', "~0").replace('/', "~1"));
    let remove = |object: &Value| {
        let labelled = object["metadata"]["labels"][&key] == value.as_str();
        Ok(labelled.then(|| vec![json!({ "op": "remove", "path": path })]))
    };
    let Some(mut found) = cluster.get(&NAMESPACE, "", namespace).await? else {
        outcomes.add(NAMESPACE.kind, "", namespace, "absent");
        return Ok(Webhooks::default());
    };
    let outcome = match remove(&found)? {
        None => "unchanged",
        Some(_) => "unlabelled",
    };
    if args.dry_run != Some(DryRun::Client) {
        let target = (&NAMESPACE, "", namespace);
        let dry_run = args.dry_run.is_some();
        found = cluster.change(target, Some(found), dry_run, remove).await?.object;
    }
    outcomes.add(NAMESPACE.kind, "", namespace, outcome);
    let mut labels = found["metadata"]["labels"].take();
    if outcome == "unlabelled"
        && let Some(labels) = labels.as_object_mut()
    {
        labels.remove(&key);
    }
    Ok(Webhooks::with(namespace, labels))
}
