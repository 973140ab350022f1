//! Plans for workloads of a cluster: the decisions of `diyadm empty`, without sending anything.

use anyhow::Result;

use crate::{
    kubernetes::{
        BUDGET, Cluster, SERVICE,
        targets::{self, LiveObject, Selection, Targets, Unnamed},
    },
    operations::{
        autoscalers::{AUTOSCALERS, ConflictingObjects},
        empty::{
            decision::{self as empty, EmptyMethod, Refused},
            opt_out, stand_in,
        },
        flags::Level,
        intercept::{Interceptor, Webhooks},
    },
    plan::{Decided, Does, WorkloadPlan, plan},
    ui::terminal::Terminal,
    webhook::checks::Finding,
    workload::{Context, RequestedAnnotation, Rules, Stamp, Warning},
};

mod denials;
pub(crate) mod manifests;
mod rights;

use rights::Allowed;

/// A plan for each selected workload, and how they were selected.
pub(crate) async fn plans(
    terminal: &Terminal,
    cluster: &Cluster,
    targets: &Targets,
    (requested_annotations, level): (Vec<RequestedAnnotation>, Option<Level>),
    rules: &Rules,
) -> Result<(Vec<WorkloadPlan>, Selection)> {
    let targeted = targets::find(cluster, targets, Unnamed::All).await?;
    targeted.unseen.iter().for_each(|what| terminal.warn(what));
    if targeted.found.is_empty() {
        terminal.warn("the workload does not exist");
    }
    let kinds = [&AUTOSCALERS[..], &[&BUDGET, &SERVICE]].concat();
    let conflicting = ConflictingObjects::list(cluster, &targeted.found, &kinds).await;
    let webhooks = Webhooks::default();
    let emptying = empty::EmptyRequest {
        rules,
        requested_annotations,
        selection: targeted.selection,
        recreate: false,
        level,
        stamp: Stamp::default(),
        flags: cluster.flags(),
    };
    let mut plans = Vec::new();
    let mut wait = terminal.wait();
    let mut allowed = Allowed::new(cluster);
    for found in &targeted.found {
        let scaled = conflicting.scaler(found);
        let settled =
            emptying.choose_method_in_cluster(cluster, &webhooks, found, scaled.as_deref()).await;
        let (emptying, settled) =
            stand_in::complete(cluster, terminal, &emptying, found, settled).await;
        let mut decided = decide(cluster, &emptying, &webhooks, found, settled.clone()).await?;
        if let Ok(settled) = settled
            && matches!(decided.does, Does::Template | Does::Pods)
            && let Some(missing) = allowed.missing(found, settled).await?
        {
            let flags = cluster.flags();
            decided = Decided {
                does: Does::Nothing,
                why: format!("you may not {missing}"),
                hint: format!(
                    "Ask an administrator: `diyadm rights --for developer -n {}{flags} -o yaml` \
                     prints the roles that you need.",
                    found.namespace
                ),
                operations: Vec::new(),
                ..decided
            };
        }
        let denied = if matches!(decided.does, Does::Template | Does::Pods) {
            let may_create = allowed.may_create_pods(&found.namespace).await?;
            denials::judge(cluster, found, &mut decided, may_create).await
        } else {
            None
        };
        let requested_annotations = &emptying.requested_annotations;
        let context =
            Context { namespace: &found.namespace, requested_annotations, ..Context::default() };
        let around = conflicting.of_namespace(&found.namespace);
        let mut one = plan(rules, &found.object, &context, decided, &around);
        let unseen = conflicting.unseen(&found.namespace).map(|unseen| {
            let kind = unseen.kind;
            let seen = format!("{} may not be listed here", kind.resource());
            let hint = format!(
                "Ask for this right: `kubectl -n {} auth can-i list {}` shows whether you have it.",
                found.namespace,
                kind.resource()
            );
            Finding::unknown("around", seen, hint)
        });
        one.findings.extend(unseen);
        one.findings.extend(denied);
        plans.push(one);
        wait.count("planned", plans.len(), targeted.found.len());
    }
    Ok((plans, targeted.selection))
}

async fn decide(
    cluster: &Cluster,
    emptying: &empty::EmptyRequest<'_>,
    webhooks: &Webhooks,
    found: &LiveObject,
    settled: Result<EmptyMethod, Refused>,
) -> Result<Decided> {
    let mut decided = Decided::new(Does::Template);
    match settled {
        Err(refused) => {
            (decided.does, decided.why, decided.hint) = (Does::Nothing, refused.what, refused.hint);
        }
        Ok(EmptyMethod::Pods) => match webhooks.of_pods(cluster, found).await {
            Interceptor::Nobody => {
                decided.does = Does::Nothing;
                decided.why = "at level pod a webhook or policy empties Pods when they are \
                               created, and this namespace has none"
                    .to_owned();
                decided.hint = Webhooks::advice_for_pods(cluster).await;
            }
            Interceptor::Unknown => {
                decided.does = Does::Pods;
                decided.why = "diyadm may not check whether something empties them".to_owned();
            }
            interceptor @ (Interceptor::Webhook(_) | Interceptor::Policy(_)) => {
                decided.does = Does::Pods;
                decided.warnings.extend(opt_out::ignored_annotations(&found.object));
                decided.warnings.extend(opt_out::ignored_shape(&found.object, &interceptor));
                let who = interceptor.shown().unwrap_or_default();
                decided.why = format!("{who} empties them when they are created");
                decided.hint = "The flags of its installation decide how; `diyadm rules explain` \
                                shows it for a webhook."
                    .to_owned();
            }
        },
        Ok(EmptyMethod::Patch | EmptyMethod::Recreate) => {
            let (operations, warnings) = emptying.operations(found, &found.object)?;
            decided.operations = operations;
            decided.warnings = warnings.iter().map(Warning::message).collect();
            if decided.operations.is_empty() {
                decided.does =
                    if found.object.is_emptied() { Does::Already } else { Does::Nothing };
            }
            if decided.does == Does::Nothing {
                decided.why = warnings.first().map_or_else(
                    || "there is nothing to empty in it".to_owned(),
                    ToString::to_string,
                );
            }
        }
    }
    Ok(decided)
}
