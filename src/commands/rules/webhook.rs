//! The rules that a webhook of the cluster goes by, and what they make of its workloads.

use anyhow::Result;

use crate::{
    cli::{rules::Explain, ways::Ways},
    cluster::{
        Cluster, POLICY,
        targets::{self, Unnamed},
    },
    commands::{terminal::Terminal, ways, workloads::server},
    exit::Failure,
    explain::{Explained, explain_object},
    workload::{Context, Rules},
};

/// What becomes of each workload that is meant.
pub(super) async fn explained(
    terminal: &Terminal,
    cluster: &Cluster,
    args: &Explain,
) -> Result<Vec<Explained>> {
    let targeted = targets::find(cluster, &args.targets, Unnamed::All).await?;
    targeted.unseen.iter().for_each(|what| terminal.warn(what));
    let rules = if args.ways == Ways::default() {
        rules(terminal, cluster, &args.webhook).await?
    } else {
        ways::rules(&args.ways, None)?
    };
    let each = targeted.found.iter().filter_map(|found| {
        let context = Context { namespace: &found.namespace, ..Context::default() };
        explain_object(&rules, &found.object, &context, &found.name)
    });
    Ok(each.collect())
}

/// What the server's Deployment and ConfigMap say.
async fn rules(terminal: &Terminal, cluster: &Cluster, webhook: &str) -> Result<Rules> {
    let Some((namespace, name)) = webhook.split_once('/') else {
        let what = format!("--webhook {webhook} is not NAMESPACE/NAME.");
        return Err(Failure::usage(what, "Type it like test/diyadmissionwebhook.").into());
    };
    let Some(mut rules) = server::flags(cluster, namespace, name).await? else {
        let policy = cluster.get(&POLICY, "", name).await.ok().flatten();
        terminal.warn(&if policy.is_some() {
            format!(
                "policy {name} has its rules in CEL, which only the API server reads: these are \
                 diyadm's defaults; --rules FILE and the flags that it was installed with say more"
            )
        } else {
            format!(
                "there is no Deployment {name} in namespace {namespace}: these are diyadm's \
                 defaults; --webhook NAMESPACE/NAME names another"
            )
        });
        return Ok(Rules::default());
    };
    match server::list(cluster, namespace, name).await? {
        Ok(list) => rules.list = list,
        // The server keeps what it had before, which nobody else knows.
        Err(why) => terminal.warn(&format!("its rules.yaml is refused: {why}")),
    }
    Ok(rules)
}
