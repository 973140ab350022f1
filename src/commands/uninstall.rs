//! `diyadm uninstall`: the configuration first, so that nothing calls a server that goes away.

use std::collections::BTreeMap;

use anyhow::Result;
use serde_json::json;

use super::{names, outcome::Outcomes, runtime, terminal::Terminal};
use crate::{
    board::{self, State},
    cli::{DryRun, Global, Names, install::Uninstall, targets::Targets},
    cluster::{
        Apply, BUDGET, CONFIG_MAP, CONFIGURATION, Cluster, DEPLOYMENT, NAMESPACE, POD, POLICY,
        POLICY_BINDING, SECRET, SERVICE, Scope, Target, error,
        targets::{self, Unnamed},
    },
    exit::Code,
    manifests,
};

mod back;
mod refusals;

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
    if args.all || args.restore {
        let own = target(&NAMESPACE, "", namespace);
        rights.extend(["get", "patch"].map(|verb| own.right(verb)));
    }
    cluster.demand(&rights).await?;

    let mut outcomes = Outcomes::new(terminal, args.dry_run);
    if args.restore {
        back::restore(&mut outcomes, cluster, args).await?;
    }
    for Target { kind, namespace, name } in doomed {
        let there = match args.dry_run {
            Some(DryRun::Client) => cluster.get(kind, namespace, name).await?.is_some(),
            other => cluster.delete(kind, namespace, name, other.is_some()).await?,
        };
        outcomes.add(kind.kind, namespace, name, if there { "deleted" } else { "absent" });
    }
    if args.restore {
        refusals::remove(terminal, cluster, args).await?;
    }
    if args.all && !args.restore {
        unlabel(&mut outcomes, cluster, args).await?;
    }
    tell_empty(&outcomes, cluster, namespace).await?;
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

/// Says which workloads are still empty, where that may be looked at: all that was asked for is
/// done by now. The configuration was every namespace's; whoever may not see them all is told of
/// its own one.
async fn tell_empty(outcomes: &Outcomes<'_>, cluster: &Cluster, own: &str) -> Result<()> {
    let terminal = outcomes.terminal;
    let everywhere = Targets { all_namespaces: true, ..Targets::default() };
    let here = Targets { namespace: Some(own.to_owned()), all: true, ..Targets::default() };
    let (scope, targeted) = match targets::find(cluster, &everywhere, Unnamed::All).await {
        Ok(targeted) if targeted.unseen.is_empty() => (Scope::ALL, Ok(targeted)),
        _ => (Scope::of(own), targets::find(cluster, &here, Unnamed::All).await),
    };
    let targeted = match targeted {
        Err(error) if error::is_forbidden(&error) => {
            terminal.warn(&format!(
                "which workloads of namespace {own} are still empty could not be looked at: {error}"
            ));
            return Ok(());
        }
        targeted => targeted?,
    };
    let pods = cluster.list(&POD, scope, "").await.unwrap_or_else(|error| {
        terminal.warn(&format!(
            "Pods could not be looked at, so workloads that are empty at level pod are not named: \
             {error}"
        ));
        Vec::new()
    });
    let objects: Vec<_> = targeted.found.into_iter().map(|found| found.object).collect();
    let mut rows = board::rows(&objects, &pods, |_| None);
    // After a dry run they still are.
    rows.retain(|row| !outcomes.has(&row.kind, &row.namespace, &row.name, "restored"));
    rows.retain(|row| row.state != State::Held);
    let mut places: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for row in &rows {
        let shown = format!("{}/{}", row.kind.to_lowercase(), row.name);
        places.entry(&row.namespace).or_default().push(shown);
    }
    for (place, all) in places {
        terminal.warn(&format!("still empty in namespace {place}: {}", all.join(", ")));
        terminal.say(&format!(
            "  `diyadm restore --all -n {place}{}` gives them back, without the webhook too",
            cluster.flags()
        ));
    }
    for row in board::of_others(&objects, &pods, cluster.flags()) {
        let shown = format!("{}/{}", row.kind.to_lowercase(), row.name);
        terminal
            .warn(&format!("still empty in namespace {}: {shown}: {}", row.namespace, row.note));
    }
    Ok(())
}
