//! `diyadm install --mode policy`: labels the namespace, installs the policy and its binding, and
//! waits until a new Pod is emptied.

use anyhow::Result;
use serde_json::Value;

use super::proof::Proof;
use crate::{
    kubernetes::{Cluster, NAMESPACE, ObjectRef, POD, POLICY, POLICY_BINDING, Right},
    operations::{
        applier::Applier,
        emptying_flags,
        flags::{install::InstallArgs, render::Mode},
        namespace_label,
        webhook_names::{self, Resolved},
        webhook_settings,
    },
    ui::terminal::Terminal,
    webhook::{
        checks::{is_emptied_by_policy, is_emptied_to},
        manifests::{self, Settings},
    },
    workload::Rules,
};

pub(super) async fn install(
    terminal: &Terminal,
    cluster: &Cluster,
    args: &InstallArgs,
    resolved: &Resolved,
    settings: Settings,
    rules: Rules,
) -> Result<()> {
    let names = &resolved.names;
    let (namespace, name) = (names.namespace(), names.service.as_str());
    let targets = [(&NAMESPACE, namespace), (&POLICY, name), (&POLICY_BINDING, name)]
        .map(|(kind, name)| ObjectRef { kind, namespace: "", name });
    let create = [Right { verb: "create", kind: &POD, namespace, name: "" }];
    let more = if args.dry_run.mode.is_some() { &[][..] } else { &create };
    let demanded = cluster.demand_apply(&targets, more).await;
    demanded.map_err(|error| match resolved.hidden {
        Some(_) => namespace_label::ask_for(error, namespace, &names.label()),
        None => error,
    })?;
    if !args.force {
        resolved.refuse_foreign(cluster, None)?;
        namespace_label::refuse_two(cluster, resolved).await?;
    }
    let objects = webhook_settings::policy_objects(&settings, rules)?;
    let home = names.webhook_namespace();
    let mut applier = Applier::new(terminal, cluster, home, args.dry_run).await?.forced(args.force);
    applier.apply(&manifests::namespace(namespace, &webhook_names::label(names)?)).await?;
    for object in &objects {
        applier.apply(object).await?;
    }
    if args.dry_run.mode.is_none() {
        let subject = resolved.subject(cluster, &emptying_flags::image(&args.webhook.ways))?;
        let object = manifests::test_pod(namespace)?;
        let proof = Proof { subject: &subject, object, mode: Mode::Policy };
        let is_emptied = |created: &Value| {
            is_emptied_to(created, &subject.image) && is_emptied_by_policy(created)
        };
        proof.wait(terminal, cluster, args.timeout, is_emptied).await?;
        let what = format!("Pods created in namespace {namespace} start empty, by policy {name}");
        terminal.done(&what, None);
    }
    applier.outcomes.print(args.output, None)
}
