//! The rules of a webhook's server, read from the cluster: the flags of its Deployment, and the
//! rules.yaml of its ConfigMap.

use anyhow::Result;
use clap::Parser;
use serde_json::Value;

use crate::{
    kubernetes::{CONFIG_MAP, Cluster, DEPLOYMENT},
    operations::{emptying_flags, flags::EmptyingFlags},
    webhook::manifests,
    workload::{self, Rule, Rules},
};

/// The emptying flags of a server.
const FLAGS: [&str; 19] = [
    "--image=",
    "--idle=",
    "--containers=",
    "--level=",
    "--ready=",
    "--stand-in=",
    "--registry=",
    "--agent-image=",
    "--image-pull-secret=",
    "--resources=",
    "--requests=",
    "--limits=",
    "--env=",
    "--env-from=",
    "--cache=",
    "--node-selector=",
    "--toleration=",
    "--service-account=",
    "--security-context=",
];

/// The flags of the server `name`; `None` if the Deployment does not exist.
///
/// # Errors
/// What the API server says.
pub(crate) async fn flags(cluster: &Cluster, namespace: &str, name: &str) -> Result<Option<Rules>> {
    let server = cluster.get(&DEPLOYMENT, namespace, name).await?;
    Ok(server.map(|server| emptying_flags::flags(&flags_of(&server), (namespace, name))))
}

/// Its rules.yaml, if any, or why a server would reject it.
///
/// # Errors
/// What the API server says.
pub(crate) async fn list(
    cluster: &Cluster,
    namespace: &str,
    name: &str,
) -> Result<Result<Vec<Rule>, String>> {
    let map = cluster.get(&CONFIG_MAP, namespace, &manifests::rules_name(name)).await?;
    let text = map.as_ref().and_then(|map| map["data"]["rules.yaml"].as_str());
    Ok(text.map_or(Ok(Vec::new()), workload::parse_rules).map_err(|error| error.to_string()))
}

/// The emptying flags among a server's arguments.
fn flags_of(server: &Value) -> EmptyingFlags {
    #[derive(Parser)]
    struct Flags {
        #[command(flatten)]
        ways: EmptyingFlags,
    }
    let containers = server["spec"]["template"]["spec"]["containers"].as_array();
    let args = containers.into_iter().flatten().filter_map(|c| c["args"].as_array()).flatten();
    let args = args.filter_map(Value::as_str);
    let ours = args.filter(|arg| FLAGS.iter().any(|flag| arg.starts_with(flag)));
    // Arguments that a server would also reject are ignored.
    Flags::try_parse_from(["serve"].into_iter().chain(ours)).map(|f| f.ways).unwrap_or_default()
}

/// The rules of the `diyadm serve` of this configuration. If its Deployment is unreadable or
/// missing, only its rules.yaml.
pub(crate) async fn rules(cluster: &Cluster, configuration: &Value) -> Rules {
    let service = &configuration["webhooks"][0]["clientConfig"]["service"];
    let text = |field: &str| service[field].as_str().unwrap_or_default().to_owned();
    let own = (text("namespace"), text("name"));
    if own.1.is_empty() {
        return Rules { own, ..Rules::default() };
    }
    let flags = self::flags(cluster, &own.0, &own.1).await.ok().flatten();
    let list = self::list(cluster, &own.0, &own.1).await;
    let list = list.ok().and_then(Result::ok).unwrap_or_default();
    Rules { list, ..flags.unwrap_or(Rules { own, ..Rules::default() }) }
}
