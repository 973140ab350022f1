//! `diyadm uninstall`: removes the namespace's label, and the server if nobody else uses it: first
//! the configuration, so that nothing calls a deleted server.

use std::collections::BTreeMap;

use anyhow::Result;
use serde_json::Value;

use super::{
    outcomes::Outcomes,
    webhook_names::{self, Resolved},
};
use crate::{
    kubernetes::{
        BUDGET, CONFIG_MAP, CONFIGURATION, Cluster, DEPLOYMENT, DryRun, ObjectRef, POD, POLICY,
        POLICY_BINDING, SECRET, SERVICE, Scope, error,
        targets::{self, Targets, Unnamed},
    },
    operations::{flags::UninstallArgs, webhook_names::WebhookNames},
    status::{self, State},
    ui::terminal::Terminal,
    webhook::{checks::owner, manifests},
};

mod expire;
mod label;
mod opt_outs;
mod ownership;
mod workloads;

pub(crate) async fn uninstall(
    terminal: &Terminal,
    cluster: &Cluster,
    args: &UninstallArgs,
) -> Result<()> {
    let mut resolved = webhook_names::resolve(cluster, &args.names, &CONFIGURATION).await?;
    let policies = policies(terminal, cluster, &args.names.service).await;
    if resolved.installed.is_none() && policies.contains_key(POLICY.kind) {
        let hidden = resolved.hidden.take();
        resolved = webhook_names::resolve(cluster, &args.names, &POLICY).await?;
        resolved.hidden = resolved.hidden.or(hidden);
    }
    let label = label::Label::fetch(cluster, &resolved.names).await?;
    let rules = manifests::rules_name(&resolved.names.service);
    let mut doomed = doomed(args, &resolved.names, &rules, &policies);
    let kept = if args.force {
        None
    } else {
        kept(cluster, &resolved, policies.get(POLICY.kind), label.is_set(), &doomed).await?
    };
    let of_expire = if kept.is_some() {
        doomed.clear();
        Vec::new()
    } else {
        expire::objects(cluster, &resolved.names).await?
    };
    for object in &of_expire {
        doomed.push(ObjectRef::of(object)?);
    }
    let verb = if args.dry_run.mode == Some(DryRun::Client) { "get" } else { "delete" };
    let mut rights: Vec<_> = doomed.iter().map(|target| target.right(verb)).collect();
    if label.is_set() {
        rights.extend(label.rights());
    }
    cluster.demand(&rights).await?;

    let mut outcomes = Outcomes::new(terminal, args.dry_run.mode);
    let labels = label.remove(&mut outcomes, cluster, args.dry_run.mode).await?;
    if args.restore {
        workloads::restore(&mut outcomes, cluster, args, &resolved.names, labels).await?;
    }
    for ObjectRef { kind, namespace, name } in doomed {
        let there = match args.dry_run.mode {
            Some(DryRun::Client) => cluster.get(kind, namespace, name).await?.is_some(),
            other => cluster.delete(kind, namespace, name, other.into()).await?,
        };
        outcomes.add(kind.kind, namespace, name, if there { "deleted" } else { "absent" });
    }
    if args.restore {
        opt_outs::remove(terminal, cluster, resolved.names.namespace(), args.dry_run.mode).await?;
    }
    if let Some(Kept { why, hint }) = &kept {
        terminal.warn(&format!("the webhook {} stays: {why}", resolved.names.service));
        terminal.say(&format!("  {hint}"));
    }
    tell_empty(&outcomes, cluster, resolved.names.namespace(), kept.is_none()).await?;
    outcomes.print(args.output, None)
}

/// The policy of the name and its binding, by their kinds.
async fn policies(
    terminal: &Terminal,
    cluster: &Cluster,
    service: &str,
) -> BTreeMap<&'static str, Value> {
    let mut found = BTreeMap::new();
    for kind in [&POLICY_BINDING, &POLICY] {
        match cluster.get(kind, "", service).await {
            Ok(Some(object)) => {
                found.insert(kind.kind, object);
            }
            // An API server without policies answers 404.
            Ok(None) => {}
            // Without the right to read one, it is assumed that none was installed.
            Err(error) if error::is_forbidden(&error) => {}
            Err(error) => terminal.warn(&format!(
                "diyadm cannot tell whether there is a {} {service}: {error}; see `kubectl get {}`",
                kind.kind, kind.plural
            )),
        }
    }
    found
}

/// The objects to delete, in this order.
fn doomed<'a>(
    args: &UninstallArgs,
    names: &'a WebhookNames,
    rules: &'a str,
    policies: &BTreeMap<&'static str, Value>,
) -> Vec<ObjectRef<'a>> {
    let (namespace, service) = (names.webhook_namespace(), names.service.as_str());
    let target = |kind, namespace, name| ObjectRef { kind, namespace, name };
    let there = [&POLICY_BINDING, &POLICY].into_iter().filter(|k| policies.contains_key(k.kind));
    let mut doomed: Vec<_> = there.map(|kind| target(kind, "", service)).collect();
    doomed.push(target(&CONFIGURATION, "", service));
    doomed.extend([&DEPLOYMENT, &SERVICE, &BUDGET].map(|kind| target(kind, namespace, service)));
    doomed.push(target(&CONFIG_MAP, namespace, rules));
    if args.all {
        doomed.push(target(&SECRET, namespace, &names.secret));
    }
    doomed
}

/// Why a server or policy is not deleted, with a hint.
struct Kept {
    why: String,
    hint: String,
}

/// `None` if nobody else uses the installation.
async fn kept(
    cluster: &Cluster,
    resolved: &Resolved,
    policy: Option<&Value>,
    was_labelled: bool,
    doomed: &[ObjectRef<'_>],
) -> Result<Option<Kept>> {
    let names = &resolved.names;
    let (namespace, home, service) =
        (names.namespace(), names.webhook_namespace(), names.service.as_str());
    let flags = webhook_names::flags(cluster, names);
    let force = format!("`diyadm uninstall --force{flags}` removes it anyway.");
    let kept = |why: String, hint: &str| Ok(Some(Kept { why, hint: hint.to_owned() }));
    if resolved.hidden.is_some() {
        let why = "the namespaces that it serves are unknown: you may not get \
                   mutatingwebhookconfigurations";
        return kept(
            why.to_owned(),
            "The one who installed it can remove it with `diyadm \
                                     uninstall`.",
        );
    }
    if resolved.installed.is_none() && policy.is_none() {
        let foreign = ownership::foreign_object(cluster, names, doomed).await;
        return match foreign {
            Ok(None) => Ok(None),
            Ok(Some(object)) => kept(format!("diyadm has not made {object}"), &force),
            Err(error) if error::is_forbidden(&error) => kept(
                format!("whose objects of its names are may not be looked at: {error}"),
                &force,
            ),
            Err(error) => Err(error),
        };
    }
    let mut users = Vec::new();
    for installed in resolved.installed.iter().chain(policy) {
        let kind = installed["kind"].as_str().unwrap_or_default().to_lowercase();
        let show = format!("See who owns it: `kubectl get {kind}/{service} -o yaml`.");
        if let Some(foreign) = owner::foreign(installed, home, service) {
            return kept(foreign.to_string(), &show);
        }
        if kind == CONFIGURATION.singular()
            && ownership::trusts_another_ca(cluster, names, installed).await?
        {
            return kept(names.trusts_another_ca(), &force);
        }
        match webhook_names::selected(cluster, installed).await {
            Ok(selected) => users.extend(selected),
            Err(error) if error::is_forbidden(&error) => {
                let why = "the other namespaces that it serves are unknown: you may not list \
                           namespaces";
                return kept(why.to_owned(), &force);
            }
            Err(error) => return Err(error),
        }
    }
    users.retain(|user| user != namespace);
    users.sort_unstable();
    users.dedup();
    if !users.is_empty() {
        let word = if users.len() == 1 { "namespace" } else { "namespaces" };
        let (user, whose) = match &users[..] {
            [user] => (user.as_str(), "there"),
            _ => ("NAMESPACE", "for each of them"),
        };
        let names = WebhookNames { namespace: Some(user.to_owned()), ..names.clone() };
        let hint = format!(
            "To remove it too, run `diyadm uninstall --restore{}` {whose} first.",
            webhook_names::flags(cluster, &names)
        );
        return kept(format!("it serves {word} {}", listed(&users)), &hint);
    }
    if resolved.installed.as_ref().or(policy).is_some() && !resolved.is_own && !was_labelled {
        let why = format!(
            "it was installed from namespace {home}, and namespace {namespace} did not use it"
        );
        return kept(why, &format!("`diyadm uninstall{flags}` removes it."));
    }
    Ok(None)
}

/// A few names, and the number of others.
fn listed(names: &[String]) -> String {
    const FEW: usize = 20;
    let shown = names[..names.len().min(FEW)].join(", ");
    match names.len().saturating_sub(FEW) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

/// Reports workloads that are still empty, as far as they are readable; everything requested is
/// done at this point. A deleted configuration (`is_gone`) served all namespaces; without the right
/// to read them all, only the own namespace is reported.
async fn tell_empty(
    outcomes: &Outcomes<'_>,
    cluster: &Cluster,
    own: &str,
    is_gone: bool,
) -> Result<()> {
    let terminal = outcomes.terminal;
    let everywhere = Targets { all_namespaces: true, ..Targets::default() };
    let here = Targets { namespace: Some(own.to_owned()), all: true, ..Targets::default() };
    let all =
        if is_gone { targets::find(cluster, &everywhere, Unnamed::All).await.ok() } else { None };
    let (scope, targeted) = match all.filter(|targeted| targeted.unseen.is_empty()) {
        Some(targeted) => (Scope::ALL, Ok(targeted)),
        None => (Scope::new(own), targets::find(cluster, &here, Unnamed::All).await),
    };
    let targeted = match targeted {
        Err(error) if error::is_forbidden(&error) => {
            terminal.warn(&format!(
                "workloads of namespace {own} that are still empty could not be listed: {error}"
            ));
            return Ok(());
        }
        targeted => targeted?,
    };
    let pods = cluster.list(&POD, scope, "").await.unwrap_or_else(|error| {
        terminal.warn(&format!(
            "Pods could not be listed, so workloads that are empty at level pod are not named: \
             {error}"
        ));
        Vec::new()
    });
    let objects = targeted.found.into_iter().map(|found| found.object.into_value());
    let objects: Vec<_> = objects.collect();
    let mut rows = status::rows(&objects, &pods, |_| None);
    // After a dry run they still exist.
    rows.retain(|row| {
        let has = |outcome| outcomes.has(&row.kind, &row.namespace, &row.name, outcome);
        !has("restored") && !has("deleted")
    });
    rows.retain(|row| row.state != State::Held);
    // They are restored; only their old Pods are still terminating.
    let (returning, rows): (Vec<_>, Vec<_>) =
        rows.into_iter().partition(|row| row.state == State::Returning);
    for row in returning {
        terminal.say(&format!(
            "  {}/{} in namespace {} is restored; Pods of its emptied template are still \
             terminating",
            row.kind.to_lowercase(),
            row.name,
            row.namespace
        ));
    }
    let mut places: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for row in &rows {
        let shown = format!("{}/{}", row.kind.to_lowercase(), row.name);
        places.entry(&row.namespace).or_default().push(shown);
    }
    for (place, all) in places {
        terminal.warn(&format!("still empty in namespace {place}: {}", all.join(", ")));
        terminal.say(&format!(
            "  `diyadm restore --all -n {place}{}` restores them, also without the webhook",
            cluster.flags()
        ));
    }
    for row in status::of_others(&objects, &pods, cluster.flags()) {
        let shown = format!("{}/{}", row.kind.to_lowercase(), row.name);
        terminal
            .warn(&format!("still empty in namespace {}: {shown}: {}", row.namespace, row.note));
    }
    Ok(())
}
