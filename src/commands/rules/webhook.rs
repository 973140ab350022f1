//! The rules that a webhook of the cluster goes by, and what they make of its workloads.

use anyhow::Result;
use clap::Parser;
use serde_json::Value;

use crate::{
    cli::{rules::Explain, ways::Ways},
    cluster::{
        CONFIG_MAP, Cluster, DEPLOYMENT, POLICY,
        targets::{self, Unnamed},
    },
    commands::{terminal::Terminal, ways},
    exit::Failure,
    explain::{Explained, explain},
    workload::{self, Context, Rules, Subject},
};

/// The flags of a server that say how workloads are emptied.
const FLAGS: [&str; 5] = ["--image=", "--idle=", "--containers=", "--level=", "--agent-image="];

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
        let text = found.object.to_string();
        let subject = Subject::parse(&text)?;
        let context = Context { namespace: &found.namespace, ..Context::default() };
        Some(explain(&rules, &subject, &context, &found.name))
    });
    Ok(each.collect())
}

/// What the server's Deployment and ConfigMap say.
async fn rules(terminal: &Terminal, cluster: &Cluster, webhook: &str) -> Result<Rules> {
    let Some((namespace, name)) = webhook.split_once('/') else {
        let what = format!("--webhook {webhook} is not NAMESPACE/NAME.");
        return Err(Failure::usage(what, "Type it like test/diyadmissionwebhook.").into());
    };
    let Some(server) = cluster.get(&DEPLOYMENT, namespace, name).await? else {
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
    let mut rules = ways::flags(&flags(&server), (namespace, name));
    let map = cluster.get(&CONFIG_MAP, namespace, &format!("{name}-rules")).await?;
    if let Some(text) = map.as_ref().and_then(|map| map["data"]["rules.yaml"].as_str()) {
        match workload::parse_rules(text) {
            Ok(list) => rules.list = list,
            // The server keeps what it had before, which nobody else knows.
            Err(why) => terminal.warn(&format!("its rules.yaml is refused: {why}")),
        }
    }
    Ok(rules)
}

/// The ways among a server's flags.
fn flags(server: &Value) -> Ways {
    #[derive(Parser)]
    struct Flags {
        #[command(flatten)]
        ways: Ways,
    }
    let containers = server["spec"]["template"]["spec"]["containers"].as_array();
    let args = containers.into_iter().flatten().filter_map(|c| c["args"].as_array()).flatten();
    let args = args.filter_map(Value::as_str);
    let ours = args.filter(|arg| FLAGS.iter().any(|flag| arg.starts_with(flag)));
    // What a server would not take either is none of its ways.
    Flags::try_parse_from(["serve"].into_iter().chain(ours)).map(|f| f.ways).unwrap_or_default()
}
