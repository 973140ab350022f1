//! From what the user named to the Pods and containers that are meant. Reads only.

use anyhow::Result;
use serde_json::{Value, json};

use super::pods::{self, Pick, Wanted};
use crate::{
    cli::{
        dev::{At, Inside},
        targets::Targets,
    },
    cluster::{
        CRON_JOB, Cluster, JOB, Kind, POD, POD_EXEC, Right, SERVICE,
        targets::{self, Found, Unnamed},
    },
    exit::Failure,
    workload,
};

/// A workload, as the user named it.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    /// `deploy/web`, as it was typed.
    pub(crate) shown: String,
    /// What was found.
    pub(crate) which: Which,
    /// The container of -c.
    pub(crate) container: Option<String>,
}

/// What Pods are meant.
#[derive(Clone, Debug)]
pub(crate) enum Which {
    /// Those of a workload.
    Workload(Box<Found>),
    /// Those with these labels.
    Labels {
        /// Where.
        namespace: String,
        /// `app=web`
        selector: String,
    },
}

/// What `exec` takes: a WebSocket begins as a GET, and newer API servers ask for create too.
pub(crate) const EXEC: [(&str, &Kind); 2] = [("create", &POD_EXEC), ("get", &POD_EXEC)];

/// Asks whether the user may, then looks the workload up.
pub(crate) async fn find(
    cluster: &Cluster,
    at: &At,
    rights: &[(&'static str, &'static Kind)],
) -> Result<Target> {
    let namespace = at.inside.namespace.as_deref().unwrap_or(cluster.namespace()).to_owned();
    demand(cluster, &namespace, rights).await?;
    if let Some(name) = service_name(&at.workload) {
        let service = service(cluster, &namespace, name).await?;
        let which = Which::Labels { namespace, selector: pods_of_service(&service)? };
        let container = at.inside.container.clone();
        return Ok(Target { shown: at.workload.clone(), which, container });
    }
    // A bare name is a Pod's, as kubectl has it for exec and logs.
    let bare = !at.workload.contains('/');
    let word = if bare { format!("pod/{}", at.workload) } else { at.workload.clone() };
    let targets =
        Targets { workloads: vec![word], namespace: Some(namespace), ..Targets::default() };
    let targeted = targets::find(cluster, &targets, Unnamed::Refused).await?;
    let found = targeted.found.into_iter().next().ok_or_else(|| {
        Failure::usage("Nothing says which workload is meant.", "Type KIND/NAME, like deploy/web.")
    })?;
    let which = Which::Workload(Box::new(found));
    Ok(Target { shown: at.workload.clone(), which, container: at.inside.container.clone() })
}

/// The name in `svc/web`.
pub(crate) fn service_name(word: &str) -> Option<&str> {
    let (kind, name) = word.split_once('/')?;
    let kinds = ["svc", "service", "services", "service.v1", "services.v1"];
    kinds.contains(&kind.to_ascii_lowercase().as_str()).then_some(name)
}

/// A Service that is there.
pub(crate) async fn service(cluster: &Cluster, namespace: &str, name: &str) -> Result<Value> {
    cluster.get(&SERVICE, namespace, name).await?.ok_or_else(|| {
        let what = format!("There is no service {name} in namespace {namespace}.");
        Failure::no(what, format!("See what is there: `kubectl -n {namespace} get services`."))
            .into()
    })
}

/// The labels of a Service's Pods: `app=web,tier=a`.
fn pods_of_service(service: &Value) -> Result<String, Failure> {
    let selector = pods::selector(&json!({ "matchLabels": service["spec"]["selector"] }));
    if selector.is_empty() {
        let name = service["metadata"]["name"].as_str().unwrap_or_default();
        let what = format!("The service {name} has no selector, so it has no Pods of its own.");
        return Err(Failure::usage(what, "Name a workload or a Pod: deploy/web, pod/web-0."));
    }
    Ok(selector)
}

/// Asks whether the user may work in the Pods with these labels.
pub(crate) async fn select(cluster: &Cluster, inside: &Inside, selector: &str) -> Result<Target> {
    let namespace = inside.namespace.as_deref().unwrap_or(cluster.namespace()).to_owned();
    demand(cluster, &namespace, &EXEC).await?;
    let which = Which::Labels { namespace, selector: selector.to_owned() };
    Ok(Target { shown: format!("-l {selector}"), which, container: inside.container.clone() })
}

/// Fails with every missing right by name.
pub(crate) async fn demand(
    cluster: &Cluster,
    namespace: &str,
    rights: &[(&'static str, &'static Kind)],
) -> Result<()> {
    let all = [&[("list", &POD)], rights].concat();
    let rights: Vec<_> =
        all.into_iter().map(|(verb, kind)| Right { verb, kind, namespace, name: "" }).collect();
    cluster.demand(&rights).await
}

impl Target {
    /// Where its Pods are.
    pub(crate) fn namespace(&self) -> &str {
        match &self.which {
            Which::Workload(found) => &found.namespace,
            Which::Labels { namespace, .. } => namespace,
        }
    }

    /// The container to work in.
    pub(crate) async fn pick(&self, cluster: &Cluster) -> Result<Pick> {
        let pods = self.pods(cluster).await?;
        let meant = self.meant();
        Ok(pods::choose(&pods, self.wanted(meant.as_deref()), &self.shown)?)
    }

    /// The containers of all Pods that run.
    pub(crate) async fn all(&self, cluster: &Cluster) -> Result<Vec<Pick>> {
        let pods = self.pods(cluster).await?;
        let meant = self.meant();
        let picks = pods::all(&pods, self.wanted(meant.as_deref()))?;
        if picks.is_empty() {
            // Its error says what they wait for.
            pods::choose(&pods, self.wanted(meant.as_deref()), &self.shown)?;
        }
        Ok(picks)
    }

    /// Whether the workload was emptied, or any of its Pods.
    pub(crate) async fn is_emptied(&self, cluster: &Cluster) -> Result<bool> {
        if let Which::Workload(found) = &self.which
            && workload::is_emptied(&found.object.to_string())
        {
            return Ok(true);
        }
        let pods = self.pods(cluster).await?;
        Ok(pods.iter().any(|pod| workload::is_emptied(&pod.to_string())))
    }

    fn meant(&self) -> Option<String> {
        match &self.which {
            Which::Workload(found) => {
                workload::Subject::parse(&found.object.to_string())?.container()
            }
            Which::Labels { .. } => None,
        }
    }

    fn wanted<'a>(&'a self, meant: Option<&'a str>) -> Wanted<'a> {
        Wanted { named: self.container.as_deref(), meant }
    }

    /// Its Pods.
    pub(crate) async fn pods(&self, cluster: &Cluster) -> Result<Vec<Value>> {
        let found = match &self.which {
            Which::Workload(found) => found,
            Which::Labels { namespace, selector } => {
                return cluster.list(&POD, namespace, selector).await;
            }
        };
        let Found { kind, namespace, name, object } = &**found;
        if *kind == &POD {
            // Anew: what was found may be a Pod of before.
            return Ok(cluster.get(&POD, namespace, name).await?.into_iter().collect());
        }
        let uid = object["metadata"]["uid"].as_str().unwrap_or_default();
        if *kind == &CRON_JOB {
            let jobs = cluster.list(&JOB, namespace, "").await?;
            let own = jobs.iter().filter(|job| pods::is_of(job, kind.kind, name, uid));
            let names: Vec<_> = own.filter_map(|job| job["metadata"]["name"].as_str()).collect();
            if names.is_empty() {
                return Ok(Vec::new());
            }
            let selector = format!("batch.kubernetes.io/job-name in ({})", names.join(","));
            return cluster.list(&POD, namespace, &selector).await;
        }
        let selector = pods::selector(&object["spec"]["selector"]);
        let pods = cluster.list(&POD, namespace, &selector).await?;
        Ok(pods.into_iter().filter(|pod| pods::is_of(pod, kind.kind, name, uid)).collect())
    }
}
