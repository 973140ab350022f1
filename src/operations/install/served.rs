//! Adds a namespace to an installed webhook or policy: only sets the label.

use anyhow::Result;
use serde_json::Value;

use super::proof::Proof;
use crate::{
    kubernetes::{Cluster, DEPLOYMENT, POD, POLICY, Right},
    operations::{
        applier::Applier,
        emptying_flags,
        flags::install::InstallArgs,
        namespace_label::{demand, label},
        webhook_names::Resolved,
    },
    ui::terminal::Terminal,
    webhook::{checks::level, manifests},
    workload,
};

/// Labels the namespace, and waits until new objects there are emptied.
pub(super) async fn install(
    terminal: &Terminal,
    cluster: &Cluster,
    args: &InstallArgs,
    resolved: &Resolved,
) -> Result<()> {
    demand(cluster, resolved).await?;
    // The namespace of the server may not be readable.
    let namespace = resolved.names.namespace();
    let mut applier =
        Applier::new(terminal, cluster, namespace, args.dry_run).await?.forced(args.force);
    label(&mut applier, resolved, args.names.label.as_deref()).await?;
    if args.dry_run.mode.is_none()
        && let Some(installed) = resolved.serving()
    {
        let object = if installed["kind"] == POLICY.kind {
            manifests::test_pod(namespace)?
        } else {
            manifests::test_object(namespace, level(installed))?
        };
        let kind = if object["kind"] == POD.kind { &POD } else { &DEPLOYMENT };
        let create = Right { verb: "create", kind, namespace, name: "" };
        if cluster.missing(&[create]).await?.is_empty() {
            // The owner chooses the image.
            let is_emptied = |created: &Value| workload::is_emptied_pod(&created.to_string());
            let subject = resolved.subject(cluster, &emptying_flags::image(&args.webhook.ways))?;
            let proof = Proof { subject: &subject, object, mode: args.webhook.mode };
            proof.wait(terminal, cluster, args.timeout, is_emptied).await?;
            terminal.done(&format!("workloads created in namespace {namespace} start empty"), None);
        } else {
            terminal.say(&format!(
                "diyadm did not test whether new workloads there start empty: you may not {create}."
            ));
        }
    }
    applier.outcomes.print(args.output, None)
}
