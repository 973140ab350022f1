//! The rules of the cluster's webhooks, and their decisions about workloads.

use std::collections::BTreeMap;

use anyhow::Result;

use crate::{
    exit::{Failure, Topic},
    explain::{Explained, explain_object},
    kubernetes::{
        CONFIGURATION, Cluster, NAMESPACE, POLICY,
        targets::{self, Targets, Unnamed},
    },
    operations::{
        emptying_flags,
        flags::EmptyingFlags,
        server_rules,
        webhook_names::{SERVICE, WebhookNames},
    },
    ui::terminal::Terminal,
    webhook::checks::owner,
    workload::{Context, Rules},
};

/// The decision about each selected workload.
pub(crate) async fn explain_workloads(
    terminal: &Terminal,
    cluster: &Cluster,
    targets: &Targets,
    ways: &EmptyingFlags,
    webhook: Option<&str>,
) -> Result<Vec<Explained>> {
    let targeted = targets::find(cluster, targets, Unnamed::All).await?;
    targeted.unseen.iter().for_each(|what| terminal.warn(what));
    // By namespace, then by webhook, so that each is read and reported once.
    let mut webhooks = BTreeMap::new();
    let mut rules = BTreeMap::new();
    if *ways != EmptyingFlags::default() {
        rules.insert(String::new(), emptying_flags::rules(ways, None)?);
    }
    let mut all = Vec::new();
    for found in &targeted.found {
        if !webhooks.contains_key(&found.namespace) {
            let webhook = match webhook {
                _ if *ways != EmptyingFlags::default() => String::new(),
                Some(named) => named.to_owned(),
                None => serving(cluster, &found.namespace).await,
            };
            webhooks.insert(found.namespace.clone(), webhook);
        }
        let webhook = &webhooks[&found.namespace];
        if !rules.contains_key(webhook) {
            rules.insert(webhook.clone(), fetch_rules(terminal, cluster, webhook).await?);
        }
        let context = Context { namespace: &found.namespace, ..Context::default() };
        all.extend(explain_object(&rules[webhook], &found.object, &context, &found.name));
    }
    Ok(all)
}

/// `NAMESPACE/NAME` of diyadm's webhook that selects the namespace, if that may be read; else of
/// the one with the default name.
async fn serving(cluster: &Cluster, namespace: &str) -> String {
    let named = |configuration: &serde_json::Value| {
        let name = configuration["metadata"]["name"].as_str()?;
        Some(format!("{}/{name}", owner::home(configuration)?))
    };
    let found = cluster.get(&NAMESPACE, "", namespace).await.ok().flatten().unwrap_or_default();
    let labels = &found["metadata"]["labels"];
    let all = cluster.list(&CONFIGURATION, "", "").await.unwrap_or_default();
    let mut ours = all.iter().filter(|one| owner::is_diyadm(one));
    let selecting = ours.clone().find(|one| owner::selects_namespace(one, labels));
    let found = selecting.or_else(|| ours.find(|one| one["metadata"]["name"] == SERVICE));
    found.and_then(named).unwrap_or_else(|| format!("{}/{SERVICE}", WebhookNames::NAMESPACE))
}

/// The rules in the server's Deployment and ConfigMap.
async fn fetch_rules(terminal: &Terminal, cluster: &Cluster, webhook: &str) -> Result<Rules> {
    let Some((namespace, name)) = webhook.split_once('/') else {
        let what = format!("--webhook {webhook} is not NAMESPACE/NAME.");
        return Err(Failure::usage(
            Topic::CommandLine,
            what,
            "Write it like test/diyadmissionwebhook.",
        )
        .into());
    };
    let Some(mut rules) = server_rules::flags(cluster, namespace, name).await? else {
        let policy = cluster.get(&POLICY, "", name).await.ok().flatten();
        terminal.warn(&if policy.is_some() {
            format!(
                "policy {name} has its rules in CEL, which only the API server evaluates: these \
                 are diyadm's defaults; use --rules FILE and the flags of its installation"
            )
        } else {
            format!(
                "there is no Deployment {name} in namespace {namespace}: these are diyadm's \
                 defaults; use --webhook NAMESPACE/NAME for another"
            )
        });
        return Ok(Rules::default());
    };
    match server_rules::list(cluster, namespace, name).await? {
        Ok(list) => rules.list = list,
        // The server keeps its previous rules, which are unknown here.
        Err(why) => terminal.warn(&format!("its rules.yaml is invalid: {why}")),
    }
    Ok(rules)
}
