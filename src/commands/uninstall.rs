//! `diyadm uninstall`: the configuration first, so that nothing calls a server that goes away.

use anyhow::Result;
use serde_json::json;

use super::{names, outcome::Outcomes, runtime, terminal::Terminal};
use crate::{
    cli::{DryRun, Global, Names, install::Uninstall},
    cluster::{
        Apply, BUDGET, CONFIG_MAP, CONFIGURATION, Cluster, DEPLOYMENT, NAMESPACE, POLICY,
        POLICY_BINDING, SECRET, SERVICE, STATEFUL_SET, Target, error,
    },
    exit::Code,
    manifests, workload,
};

pub(super) fn run(global: &Global, args: &Uninstall) -> Result<Code> {
    let terminal = Terminal::new(global);
    let left = "What was not deleted yet stays; the same command goes on from there.";
    // Usage first: no cluster makes a wrong flag right.
    names::check(&args.names)?;
    runtime::run(left, async {
        let cluster = Cluster::connect(global).await?;
        uninstall(&terminal, &cluster, args).await
    })?;
    Ok(Code::Done)
}

async fn uninstall(terminal: &Terminal, cluster: &Cluster, args: &Uninstall) -> Result<()> {
    let Names { namespace, service, secret, .. } = &args.names;
    let rules = manifests::rules_name(service);
    let target = |kind, namespace, name| Target { kind, namespace, name };
    let mut doomed = vec![
        target(&CONFIGURATION, "", service.as_str()),
        target(&DEPLOYMENT, namespace, service),
        target(&SERVICE, namespace, service),
        target(&BUDGET, namespace, service),
        target(&CONFIG_MAP, namespace, &rules),
    ];
    for kind in [&POLICY_BINDING, &POLICY] {
        match cluster.get(kind, "", service).await {
            Ok(Some(_)) => doomed.insert(0, target(kind, "", service)),
            // An API server without policies says so with 404.
            Ok(None) => {}
            // Whoever may not look has not installed one.
            Err(error) if error::is_forbidden(&error) => {}
            Err(error) => terminal.warn(&format!(
                "whether there is a {} {service} could not be looked at: {error}; see \
                 `kubectl get {}`",
                kind.kind, kind.plural
            )),
        }
    }
    if args.all {
        doomed.push(target(&SECRET, namespace, secret));
    }
    let verb = if args.dry_run == Some(DryRun::Client) { "get" } else { "delete" };
    let mut rights: Vec<_> = doomed.iter().map(|target| target.right(verb)).collect();
    if args.all {
        let own = target(&NAMESPACE, "", namespace);
        rights.extend(["get", "patch"].map(|verb| own.right(verb)));
    }
    cluster.demand(&rights).await?;

    let mut outcomes = Outcomes::new(terminal, args.dry_run);
    for Target { kind, namespace, name } in doomed {
        let there = match args.dry_run {
            Some(DryRun::Client) => cluster.get(kind, namespace, name).await?.is_some(),
            other => cluster.delete(kind, namespace, name, other.is_some()).await?,
        };
        outcomes.add(kind.kind, namespace, name, if there { "deleted" } else { "absent" });
    }
    if args.all {
        unlabel(&mut outcomes, cluster, args).await?;
    }
    tell_empty(terminal, cluster, namespace).await?;
    outcomes.print(args.output, None)
}

/// Gives up the label, and nothing else: an apply without it takes away what we own.
async fn unlabel(outcomes: &mut Outcomes<'_>, cluster: &Cluster, args: &Uninstall) -> Result<()> {
    let namespace = args.names.namespace.as_str();
    let (key, value) = names::label(&args.names)?;
    let found = cluster.get(&NAMESPACE, "", namespace).await?;
    if !found.is_some_and(|found| found["metadata"]["labels"][&key] == value.as_str()) {
        outcomes.add(NAMESPACE.kind, "", namespace, "unchanged");
        return Ok(());
    }
    if args.dry_run == Some(DryRun::Client) {
        outcomes.add(NAMESPACE.kind, "", namespace, "unlabelled");
        return Ok(());
    }
    let bare =
        json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": namespace } });
    let how = Apply { dry_run: args.dry_run.is_some(), force: false };
    let (_, after) = cluster.apply(&bare, how).await?;
    if after["metadata"]["labels"].get(&key).is_some() {
        outcomes.add(NAMESPACE.kind, "", namespace, "unchanged");
        outcomes.terminal.warn(&format!(
            "someone else has set its label too; take it away with \
             `kubectl label namespace {namespace} {key}-`"
        ));
    } else {
        outcomes.add(NAMESPACE.kind, "", namespace, "unlabelled");
    }
    Ok(())
}

/// Workloads stay as they are; says which are still empty, where that may be looked at: all that
/// was asked for is done by now.
async fn tell_empty(terminal: &Terminal, cluster: &Cluster, namespace: &str) -> Result<()> {
    let mut empty = Vec::new();
    for kind in [&DEPLOYMENT, &STATEFUL_SET] {
        let all = match cluster.list(kind, namespace, "").await {
            Err(error) if error::status(&error).is_some_and(|status| status.code == 403) => {
                terminal.warn(&format!(
                    "which workloads of namespace {namespace} are still empty could not be \
                     looked at: {error}"
                ));
                return Ok(());
            }
            all => all?,
        };
        for object in all {
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
