//! `diyadm uninstall`: the configuration first, so that nothing calls a server that goes away.

use anyhow::Result;
use serde_json::json;

use super::{certificates, runtime, terminal::Terminal};
use crate::{
    cli::{DryRun, Global, Names, install::Uninstall},
    cluster::{
        Apply, BUDGET, CONFIGURATION, Cluster, DEPLOYMENT, Kind, NAMESPACE, Right, SECRET, SERVICE,
        STATEFUL_SET,
    },
    exit::Code,
    workload,
};

pub(super) fn run(global: &Global, args: &Uninstall) -> Result<Code> {
    let terminal = Terminal::new(global);
    let left = "What was not deleted yet stays; `diyadm uninstall` goes on from there.";
    runtime::run(left, async {
        let cluster = Cluster::connect(global).await?;
        uninstall(&terminal, &cluster, args).await
    })?;
    Ok(Code::Done)
}

async fn uninstall(terminal: &Terminal, cluster: &Cluster, args: &Uninstall) -> Result<()> {
    let Names { namespace, service, secret, .. } = &args.names;
    let mut doomed: Vec<(&'static Kind, &str, &str)> = vec![
        (&CONFIGURATION, "", service),
        (&DEPLOYMENT, namespace, service),
        (&SERVICE, namespace, service),
        (&BUDGET, namespace, service),
    ];
    if args.all {
        doomed.push((&SECRET, namespace, secret));
    }
    let mut rights: Vec<_> = doomed
        .iter()
        .map(|(kind, namespace, _)| Right { verb: "delete", kind, namespace })
        .collect();
    if args.all {
        rights.extend(["get", "patch"].map(|verb| Right { verb, kind: &NAMESPACE, namespace: "" }));
    }
    cluster.demand(&rights).await?;

    let dry_run = args.dry_run.is_some();
    for (kind, namespace, name) in doomed {
        let what = format!("{}/{name}", kind.kind.to_lowercase());
        if args.dry_run == Some(DryRun::Client) {
            terminal.done(&format!("{what} would be deleted (dry run)"), None);
        } else if cluster.delete(kind, namespace, name, dry_run).await? {
            let dry = if dry_run { " (server dry run)" } else { "" };
            terminal.done(&format!("{what} deleted{dry}"), None);
        } else {
            terminal.done(&format!("{what} was not there"), None);
        }
    }
    if args.all {
        unlabel(terminal, cluster, args).await?;
    }
    tell_empty(terminal, cluster, namespace).await
}

/// Gives up the label, and nothing else: an apply without it takes away what we own.
async fn unlabel(terminal: &Terminal, cluster: &Cluster, args: &Uninstall) -> Result<()> {
    let namespace = args.names.namespace.as_str();
    let (key, value) = certificates::label(&args.names)?;
    let found = cluster.get(&NAMESPACE, "", namespace).await?;
    if !found.is_some_and(|found| found["metadata"]["labels"][&key] == value.as_str()) {
        terminal.done(&format!("namespace/{namespace} has no label {key}={value}"), None);
        return Ok(());
    }
    if args.dry_run == Some(DryRun::Client) {
        terminal.done(&format!("namespace/{namespace} would lose its label (dry run)"), None);
        return Ok(());
    }
    let bare =
        json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": namespace } });
    let how = Apply { dry_run: args.dry_run.is_some(), force: false };
    let (_, after) = cluster.apply(&bare, how).await?;
    if after["metadata"]["labels"].get(&key).is_some() {
        terminal.warn(&format!(
            "another manager has set the label too; take it away with \
             `kubectl label namespace {namespace} {key}-`"
        ));
    } else {
        terminal.done(&format!("namespace/{namespace} lost its label; it stays itself"), None);
    }
    Ok(())
}

/// Workloads stay as they are; says which are still empty.
async fn tell_empty(terminal: &Terminal, cluster: &Cluster, namespace: &str) -> Result<()> {
    let mut empty = Vec::new();
    for kind in [&DEPLOYMENT, &STATEFUL_SET] {
        for object in cluster.list(kind, namespace, "").await? {
            if workload::is_emptied(&object.to_string()) {
                let name = object["metadata"]["name"].as_str().unwrap_or_default();
                empty.push(format!("{}/{name}", kind.kind.to_lowercase()));
            }
        }
    }
    if !empty.is_empty() {
        terminal.warn(&format!("still empty in namespace {namespace}: {}", empty.join(", ")));
    }
    Ok(())
}
