//! `diyadm version`: the versions of this program, of the cluster and of its webhooks, as kubectl
//! prints its own. What cannot be read is left out, with a warning.

use std::{fmt::Write as _, time::Duration};

use anyhow::{Context as _, Result, anyhow};
use futures_util::future::join_all;
use serde::Serialize;
use serde_json::Value;

use super::runtime;
use crate::{
    cli::{Global, version::Version},
    exit::{self, Code},
    kinds::POD,
    kubernetes::{CONFIGURATION, Cluster, Scope},
    operations::outcomes,
    ui::terminal,
    version::{Build, OWN, skew},
    webhook::checks::owner,
};
use diyadm_agent::protocol::PROTOCOL;

/// Longest time that an answer is waited for.
const PATIENCE: Duration = Duration::from_secs(10);
/// The name of the container port that serves `/version`.
const PORT: &str = "health";

/// What is printed.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Versions {
    client_version: Client,
    /// The API server's own answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    server_version: Option<Value>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    webhooks: Vec<Webhook>,
}

/// This program.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Client {
    #[serde(flatten)]
    build: Build,
    /// The version of the protocol to the agent in containers.
    agent_protocol: u32,
}

/// A webhook of diyadm in the cluster.
#[derive(Serialize)]
struct Webhook {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    namespace: Option<String>,
    /// What its server answered: a [`Build`].
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<Value>,
    #[serde(skip)]
    problem: Option<String>,
}

pub(super) fn run(global: &Global, args: &Version) -> Result<Code> {
    let client_version = Client { build: OWN, agent_protocol: PROTOCOL };
    let mut versions = Versions { client_version, server_version: None, webhooks: Vec::new() };
    if !args.client {
        match runtime::run_interruptible("", observe(global)) {
            Ok((server, webhooks)) => {
                versions.server_version = Some(server);
                versions.webhooks = webhooks;
            }
            Err(error) if exit::code(&error) == Code::Interrupted => return Err(error),
            Err(error) => exit::warn(&format!("The cluster's version is unknown: {error:#}")),
        }
    }
    match args.output {
        Some(output) => outcomes::print(output, &versions)?,
        None => terminal::print_text(&text(&versions))?,
    }
    versions.webhooks.iter().filter_map(warning).for_each(|what| exit::warn(&what));
    Ok(Code::Done)
}

fn text(versions: &Versions) -> String {
    let Client { build, agent_protocol } = &versions.client_version;
    let mut text = format!("Client Version: {}\n", build.git_version);
    if let Some(commit) = build.git_commit {
        let _ = writeln!(text, "Client Commit: {commit}");
    }
    let _ = writeln!(text, "Agent Protocol: {agent_protocol}");
    if let Some(server) = &versions.server_version {
        let version = server["gitVersion"].as_str().unwrap_or("unknown");
        let _ = writeln!(text, "Server Version: {version}");
    }
    for webhook in &versions.webhooks {
        let version = webhook.git_version().unwrap_or("unknown");
        let _ = writeln!(text, "Webhook Version: {version} ({})", webhook.name);
    }
    text
}

fn warning(webhook: &Webhook) -> Option<String> {
    let problem = webhook.problem.clone();
    let skewed = || skew(OWN.git_version, webhook.git_version()?);
    Some(format!("Webhook {}: {}.", webhook.name, problem.or_else(skewed)?))
}

impl Webhook {
    fn git_version(&self) -> Option<&str> {
        self.version.as_ref()?["gitVersion"].as_str()
    }
}

/// The API server's version, and the webhooks of diyadm.
async fn observe(global: &Global) -> Result<(Value, Vec<Webhook>)> {
    let cluster = Cluster::connect(&global.connection).await?;
    let server = in_time(cluster.version_info()).await?;
    let configurations = match in_time(cluster.list(&CONFIGURATION, Scope::ALL, "")).await {
        Ok(configurations) => configurations,
        Err(error) => {
            exit::warn(&format!("The webhook's version is unknown: {error:#}"));
            Vec::new()
        }
    };
    let own = configurations.iter().filter(|found| owner::is_diyadm(found));
    let webhooks = join_all(own.map(|found| webhook(&cluster, found))).await;
    Ok((server, webhooks))
}

async fn in_time<T>(answer: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::time::timeout(PATIENCE, answer).await.context("no answer in 10 s")?
}

/// An installed webhook, with what its server answers.
async fn webhook(cluster: &Cluster, found: &Value) -> Webhook {
    let name = found["metadata"]["name"].as_str().unwrap_or_default().to_owned();
    let namespace = owner::home(found).map(ToOwned::to_owned);
    let answer = match &namespace {
        Some(namespace) => in_time(ask(cluster, namespace, &name)).await,
        None => Err(anyhow!("its server is not in the cluster")),
    };
    let (version, problem) = match answer {
        Ok(version) => (Some(version), None),
        Err(error) => (None, Some(format!("its version is unknown: {error:#}"))),
    };
    Webhook { name, namespace, version, problem }
}

/// Asks a Pod of a webhook, through the API server.
async fn ask(cluster: &Cluster, namespace: &str, name: &str) -> Result<Value> {
    let pods = cluster.list(&POD, namespace, &format!("app={name}")).await?;
    let is_running = |pod: &&Value| pod["status"]["phase"] == "Running";
    let pod = pods.iter().find(is_running).context("none of its Pods runs")?;
    let containers = pod["spec"]["containers"].as_array().into_iter().flatten();
    let mut ports = containers.flat_map(|one| one["ports"].as_array().into_iter().flatten());
    let port = ports.find(|port| port["name"] == PORT).context("its Pod has no health port")?;
    let (pod, port) = (pod["metadata"]["name"].as_str(), &port["containerPort"]);
    let pod = pod.context("its Pod has no name")?;
    let path = format!("/api/v1/namespaces/{namespace}/pods/{pod}:{port}/proxy/version");
    cluster.raw(&path).await?.context("its server is older than this question")
}
