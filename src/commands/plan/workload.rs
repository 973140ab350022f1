//! Plans for workloads of a cluster: what `diyadm empty` itself decides, and nothing sent.

use anyhow::Result;

use super::around;
use crate::{
    cli::plan::Plan as Args,
    cluster::{
        Cluster,
        targets::{self, Found, Unnamed},
    },
    commands::{
        empty::plan::{self as empty, Settled},
        terminal::Terminal,
        workloads::webhooks::{Watcher, Webhooks},
    },
    plan::{Decided, Does, Plan, plan},
    workload::{Context, Rules, Stamp, Subject, autoscaler},
};

/// A plan for each workload that is meant, and whether each was named.
pub(super) async fn plans(
    terminal: &Terminal,
    cluster: &Cluster,
    args: &Args,
    rules: &Rules,
) -> Result<(Vec<Plan>, bool)> {
    let targeted = targets::find(cluster, &args.targets, Unnamed::All).await?;
    targeted.unseen.iter().for_each(|what| terminal.warn(what));
    if targeted.found.is_empty() {
        terminal.warn("there is no such workload");
    }
    let around = around::look(cluster, &targeted.found).await;
    let webhooks = Webhooks::default();
    let emptying = empty::Plan {
        rules,
        wishes: empty::wishes(&args.ways, args.replicas),
        named: targeted.named,
        recreate: false,
        stamp: Stamp::default(),
    };
    let mut plans = Vec::new();
    for found in &targeted.found {
        let beside = around.of(&found.namespace);
        let scales = |one: &&_| autoscaler::scales(one, found.kind.kind, &found.name);
        let scaled = beside.iter().find(scales).map(|one| {
            let word = |pointer: &str| one.pointer(pointer).and_then(serde_json::Value::as_str);
            format!(
                "{} {}",
                word("/kind").unwrap_or_default(),
                word("/metadata/name").unwrap_or_default()
            )
        });
        let decided = decide(cluster, &emptying, &webhooks, found, scaled.as_deref()).await?;
        let wishes = &emptying.wishes;
        let context = Context { namespace: &found.namespace, wishes, ..Context::default() };
        let mut one = plan(rules, &found.object, &context, decided, &beside);
        one.findings.extend(around.unknown(&found.namespace));
        plans.push(one);
    }
    Ok((plans, targeted.named))
}

async fn decide(
    cluster: &Cluster,
    emptying: &empty::Plan<'_>,
    webhooks: &Webhooks,
    found: &Found,
    scaled: Option<&str>,
) -> Result<Decided> {
    let mut decided = Decided {
        does: Does::Template,
        why: String::new(),
        hint: String::new(),
        operations: Vec::new(),
        warnings: Vec::new(),
    };
    match emptying.settle(found, scaled) {
        Err(refused) => {
            (decided.does, decided.why, decided.hint) = (Does::Nothing, refused.what, refused.hint);
        }
        Ok(Settled::Pods) => match webhooks.of_pods(cluster, found).await {
            Watcher::Nobody => {
                decided.does = Does::Nothing;
                decided.why = "at level pod a webhook or policy empties Pods as they are created, \
                               and there is none for those of this namespace"
                    .to_owned();
                decided.hint = format!(
                    "Put one there with `diyadm install --level pod{}`, and label the namespace.",
                    cluster.flags()
                );
            }
            Watcher::Unknown => {
                decided.does = Does::Pods;
                decided.why = "whether something empties them may not be looked at".to_owned();
            }
            _ => {
                decided.does = Does::Pods;
                decided.why = "they are emptied as they are created".to_owned();
            }
        },
        Ok(Settled::Patch | Settled::Recreate) => {
            (decided.operations, decided.warnings) = emptying.operations(found, &found.object)?;
            let text = found.object.to_string();
            let is_empty = Subject::parse(&text).is_some_and(|subject| subject.is_emptied());
            if decided.operations.is_empty() {
                decided.does = if is_empty { Does::Already } else { Does::Nothing };
            }
            if decided.does == Does::Nothing {
                let why = decided.warnings.first().map(|why| why.trim_start_matches("diyadm: "));
                decided.why = why.unwrap_or("there is nothing to empty in it").to_owned();
            }
        }
    }
    Ok(decided)
}
