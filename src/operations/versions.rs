//! The versions of this program, of the cluster and of its webhooks.

use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};
use futures_util::future::join_all;
use serde::Serialize;
use serde_json::Value;

use crate::{
    exit,
    kinds::POD,
    kubernetes::{CONFIGURATION, Cluster, Scope},
    version::Build,
    webhook::checks::owner,
};

/// Longest time that an answer is waited for.
const PATIENCE: Duration = Duration::from_secs(10);
/// The name of the container port that serves `/version`.
const PORT: &str = "health";

/// What is printed.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Versions {
    pub(crate) client_version: ClientVersion,
    /// The API server's own answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) server_version: Option<Value>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) webhooks: Vec<WebhookVersion>,
}

/// This program.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ClientVersion {
    #[serde(flatten)]
    pub(crate) build: Build,
    /// The version of the protocol to the agent in containers.
    pub(crate) agent_protocol: u32,
}

/// A webhook of diyadm in the cluster.
#[derive(Serialize)]
pub(crate) struct WebhookVersion {
    pub(crate) name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    namespace: Option<String>,
    /// What its server answered: a [`Build`].
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<Value>,
    #[serde(skip)]
    pub(crate) problem: Option<String>,
}

impl WebhookVersion {
    pub(crate) fn git_version(&self) -> Option<&str> {
        self.version.as_ref()?["gitVersion"].as_str()
    }
}

/// The API server's version, and the webhooks of diyadm.
pub(crate) async fn observe(cluster: &Cluster) -> Result<(Value, Vec<WebhookVersion>)> {
    let server = in_time(cluster.version_info()).await?;
    let configurations = match in_time(cluster.list(&CONFIGURATION, Scope::ALL, "")).await {
        Ok(configurations) => configurations,
        Err(error) => {
            exit::warn(&format!("The webhook's version is unknown: {error:#}"));
            Vec::new()
        }
    };
    let own = configurations.iter().filter(|found| owner::is_diyadm(found));
    let webhooks = join_all(own.map(|found| webhook(cluster, found))).await;
    Ok((server, webhooks))
}

async fn in_time<T>(answer: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::time::timeout(PATIENCE, answer).await.context("no answer in 10 s")?
}

/// An installed webhook, with what its server answers.
async fn webhook(cluster: &Cluster, found: &Value) -> WebhookVersion {
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
    WebhookVersion { name, namespace, version, problem }
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
