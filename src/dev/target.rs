//! Finds the Pods and containers for the user's arguments. Only reads.

use anyhow::Result;
use serde_json::{Value, json};

use super::pods::{self, LiveContainers, Named, Pick, PodRequest};
use crate::{
    dev::flags::{ContainerFlags, ContainerTarget},
    exit::{Failure, Topic, quoted},
    kinds,
    kubernetes::{
        CRON_JOB, Cluster, JOB, Kind, POD, POD_EXEC, Right, SERVICE,
        targets::{self, LiveObject, Targets, Unnamed},
    },
    workload::{
        ParsedObject, Subject, is_emptied_pod,
        pods::{controller, is_controlled_by, label_selector},
    },
};

/// A workload as given by the user.
#[derive(Clone, Debug)]
pub(crate) struct ResolvedTarget {
    /// `deploy/web`, as typed.
    pub(crate) shown: String,
    /// The same for a command that is to be typed, with the flags that lead to it: `deploy/web -n
    /// shop --context test -c app`.
    pub(crate) typed: String,
    /// What was found.
    pub(crate) which: Which,
    /// The container given with -c.
    pub(crate) container: Option<String>,
}

/// Which Pods to use.
#[derive(Clone, Debug)]
pub(crate) enum Which {
    /// The Pods of a workload.
    Workload(Box<LiveObject>),
    /// Pods with these labels.
    Labels {
        /// Where.
        namespace: String,
        /// `app=web`
        selector: String,
    },
}

/// Rights that `exec` needs: a WebSocket starts with a GET, and newer API servers also require
/// create.
pub(crate) const EXEC: [(&str, &Kind); 2] = [("create", &POD_EXEC), ("get", &POD_EXEC)];

/// Checks the user's rights, then finds the workload.
pub(crate) async fn find(
    cluster: &Cluster,
    at: &ContainerTarget,
    rights: &[(&'static str, &'static Kind)],
) -> Result<ResolvedTarget> {
    let namespace = cluster.namespace_of(at.inside.namespace.as_deref()).to_owned();
    demand(cluster, &namespace, rights).await?;
    if let Some(name) = service_name(&at.workload) {
        let service = service(cluster, &namespace, name).await?;
        let which = Which::Labels { namespace, selector: pods_of_service(&service)? };
        return Ok(ResolvedTarget::new(cluster, at.workload.clone(), which, &at.inside));
    }
    // A bare name is that of a Pod, as for kubectl exec and logs.
    let bare = !at.workload.contains('/');
    let word = if bare { format!("pod/{}", at.workload) } else { at.workload.clone() };
    let targets =
        Targets { workloads: vec![word], namespace: Some(namespace), ..Targets::default() };
    let targeted = targets::find(cluster, &targets, Unnamed::Refused).await?;
    let found = targeted.found.into_iter().next().ok_or_else(|| {
        Failure::usage(
            Topic::CommandLine,
            "No workload is given.",
            "Use KIND/NAME, like deploy/web.",
        )
    })?;
    let which = Which::Workload(Box::new(found));
    Ok(ResolvedTarget::new(cluster, at.workload.clone(), which, &at.inside))
}

/// The name in `svc/web`.
pub(crate) fn service_name(word: &str) -> Option<&str> {
    let (kind, name) = word.split_once('/')?;
    let kinds = ["svc", "service", "services", "service.v1", "services.v1"];
    kinds.contains(&kind.to_ascii_lowercase().as_str()).then_some(name)
}

/// An existing Service.
pub(crate) async fn service(cluster: &Cluster, namespace: &str, name: &str) -> Result<Value> {
    cluster.get(&SERVICE, namespace, name).await?.ok_or_else(|| {
        let what = format!("There is no service {name} in namespace {namespace}.");
        Failure::no(
            Topic::NotFound,
            what,
            format!("List them: `kubectl -n {namespace} get services`."),
        )
        .into()
    })
}

/// The labels of a Service's Pods: `app=web,tier=a`.
fn pods_of_service(service: &Value) -> Result<String, Failure> {
    let selector = label_selector(&json!({ "matchLabels": service["spec"]["selector"] }));
    if selector.is_empty() {
        let name = service["metadata"]["name"].as_str().unwrap_or_default();
        let what = format!("The service {name} has no selector, so it has no Pods of its own.");
        return Err(Failure::usage(
            Topic::CommandLine,
            what,
            "Use a workload or a Pod: deploy/web, pod/web-0.",
        ));
    }
    Ok(selector)
}

/// Checks whether the user may work in the Pods with these labels.
pub(crate) async fn select(
    cluster: &Cluster,
    inside: &ContainerFlags,
    selector: &str,
) -> Result<ResolvedTarget> {
    let namespace = cluster.namespace_of(inside.namespace.as_deref()).to_owned();
    demand(cluster, &namespace, &EXEC).await?;
    let which = Which::Labels { namespace, selector: selector.to_owned() };
    Ok(ResolvedTarget::new(cluster, format!("-l {}", quoted(selector)), which, inside))
}

/// Fails with a list of all missing rights.
pub(crate) async fn demand(
    cluster: &Cluster,
    namespace: &str,
    rights: &[(&'static str, &'static Kind)],
) -> Result<()> {
    let all = [&[("list", &POD), ("get", &POD)], rights].concat();
    let rights: Vec<_> =
        all.into_iter().map(|(verb, kind)| Right { verb, kind, namespace, name: "" }).collect();
    cluster.demand(&rights).await
}

/// The state of a target at one moment.
struct Look {
    pods: Vec<Value>,
    /// The workloads that own the Pods.
    owners: Vec<Value>,
    /// The default container of the workload.
    meant: Option<String>,
    /// Whether the workload's pod template is empty.
    emptied: bool,
}

impl Which {
    fn namespace(&self) -> &str {
        match self {
            Self::Workload(found) => &found.namespace,
            Self::Labels { namespace, .. } => namespace,
        }
    }

    /// The flags that lead to its namespace and cluster: ` -n shop --context test`.
    fn flags(&self, cluster: &Cluster) -> String {
        let namespace = self.namespace();
        let other = namespace != cluster.namespace();
        let namespace = if other { format!(" -n {namespace}") } else { String::new() };
        format!("{namespace}{}", cluster.flags())
    }
}

impl ResolvedTarget {
    fn new(cluster: &Cluster, shown: String, which: Which, inside: &ContainerFlags) -> Self {
        let container = inside.container.clone();
        let of = container.as_deref().map(|name| format!(" -c {}", quoted(name)));
        let typed = format!("{shown}{}{}", which.flags(cluster), of.unwrap_or_default());
        Self { shown, typed, which, container }
    }

    /// The namespace of its Pods.
    pub(crate) fn namespace(&self) -> &str {
        self.which.namespace()
    }

    /// The container to work in; a live one only with `live`.
    pub(crate) async fn pick(&self, cluster: &Cluster, live: LiveContainers) -> Result<Pick> {
        let look = self.read_state(cluster).await?;
        self.choose(cluster, &look, live)
    }

    /// The containers of all running Pods, emptied ones first.
    ///
    /// # Errors
    /// None runs; or, without `live`, none that runs was emptied.
    pub(crate) async fn all(&self, cluster: &Cluster, live: LiveContainers) -> Result<Vec<Pick>> {
        let look = self.read_state(cluster).await?;
        // Its error says why they wait, or that they are live.
        self.choose(cluster, &look, live)?;
        Ok(pods::all(&look.pods, self.wanted(&look, live))?)
    }

    /// The current state of the same container; `None` if its Pod is gone or was replaced.
    pub(crate) async fn again(&self, cluster: &Cluster, pick: &Pick) -> Result<Option<Pick>> {
        let pod = cluster.get(&POD, &pick.namespace, &pick.pod).await?;
        let is_same = |pod: &Value| {
            pod["metadata"]["uid"] == *pick.uid && !pod["metadata"]["deletionTimestamp"].is_string()
        };
        Ok(pod.filter(is_same).map(|pod| pods::again(&pod, pick)))
    }

    /// The current workload; `None` if it is gone, and for a selector.
    pub(crate) async fn workload(&self, cluster: &Cluster) -> Result<Option<ParsedObject>> {
        let Which::Workload(found) = &self.which else { return Ok(None) };
        let object = cluster.get(found.kind, &found.namespace, &found.name).await?;
        Ok(object.map(ParsedObject::from))
    }

    /// Whether the workload's pod template is empty, or a Pod was emptied on its own.
    pub(crate) async fn is_emptied(&self, cluster: &Cluster) -> Result<bool> {
        let look = self.read_state(cluster).await?;
        let own = |pod: &Value| {
            let picks =
                pods::all(std::slice::from_ref(pod), self.wanted(&look, LiveContainers::Allowed));
            let stays = pod["metadata"]["deletionTimestamp"].is_null();
            (stays && is_emptied_pod(&pod.to_string()))
                || picks.is_ok_and(|picks| {
                    self.is_pods() && picks.iter().any(|pick| pick.live.is_none())
                })
        };
        Ok(look.emptied || look.pods.iter().any(own))
    }

    /// The arguments of `diyadm empty` for the target: `deploy/web -n shop`. `owner`: the
    /// controller of a Pod that was selected by labels.
    pub(crate) fn empty_words(&self, cluster: &Cluster, owner: &str) -> String {
        let named = match &self.which {
            Which::Workload(found) if found.kind != &POD => self.shown.clone(),
            Which::Workload(found) => pods::owner(&found.object),
            Which::Labels { .. } => owner.to_owned(),
        };
        format!("{named}{}", self.which.flags(cluster))
    }

    /// Whether the container was emptied with another image than its own, as far as the workload says.
    pub(crate) fn has_other_image(&self) -> bool {
        let Which::Workload(found) = &self.which else { return false };
        found.object.subject().is_some_and(|subject| {
            let container = self.container.clone().or_else(|| subject.container());
            container.is_some_and(|container| subject.has_other_image(&container))
        })
    }

    fn choose(&self, cluster: &Cluster, look: &Look, live: LiveContainers) -> Result<Pick> {
        let owner = look.pods.first().map(pods::owner).unwrap_or_default();
        let empty = self.empty_words(cluster, &owner);
        let named = Named { target: &self.shown, empty: &empty, emptied: look.emptied };
        Ok(pods::choose(&look.pods, self.wanted(look, live), &named)?)
    }

    fn wanted<'a>(&'a self, look: &'a Look, live: LiveContainers) -> PodRequest<'a> {
        let Look { meant, owners, .. } = look;
        PodRequest { named: self.container.as_deref(), meant: meant.as_deref(), owners, live }
    }

    /// Whether the target is Pods, and not their workload.
    fn is_pods(&self) -> bool {
        match &self.which {
            Which::Workload(found) => found.kind == &POD,
            Which::Labels { .. } => true,
        }
    }

    async fn read_state(&self, cluster: &Cluster) -> Result<Look> {
        let found = match &self.which {
            Which::Workload(found) if found.kind != &POD => found,
            _ => {
                let pods = self.own_pods(cluster).await?;
                let live = |pod: &Value| {
                    let wanted =
                        PodRequest { named: self.container.as_deref(), ..PodRequest::default() };
                    let picks = pods::all(std::slice::from_ref(pod), wanted);
                    picks.is_ok_and(|picks| picks.iter().any(|pick| pick.live.is_some()))
                };
                let unsure: Vec<_> = pods.iter().filter(|pod| live(pod)).cloned().collect();
                let owners = controllers(cluster, &unsure).await.into_iter().flatten().collect();
                return Ok(Look { pods, owners, meant: None, emptied: false });
            }
        };
        // A workload that was created again under the same name counts.
        let now = self.workload(cluster).await?;
        let object = now.unwrap_or_else(|| found.object.clone());
        let subject = object.subject();
        let meant = subject.and_then(Subject::container);
        let emptied = subject
            .zip(meant.as_deref())
            .is_some_and(|(subject, meant)| subject.is_empty_container(meant, &[]));
        let pods = made(cluster, found, &object).await?;
        Ok(Look { pods, owners: vec![object.into_value()], meant, emptied })
    }

    /// The Pods with the given name or labels.
    async fn own_pods(&self, cluster: &Cluster) -> Result<Vec<Value>> {
        match &self.which {
            Which::Workload(found) => {
                // Read again, since the known one may be an old Pod.
                let pod = cluster.get(&POD, &found.namespace, &found.name).await?;
                Ok(pod.into_iter().collect())
            }
            Which::Labels { namespace, selector } => cluster.list(&POD, namespace, selector).await,
        }
    }
}

/// The Pods of a workload in its current state.
async fn made(cluster: &Cluster, found: &LiveObject, object: &Value) -> Result<Vec<Value>> {
    let LiveObject { kind, namespace, name, .. } = found;
    let uid = &object["metadata"]["uid"];
    if *kind == &CRON_JOB {
        let jobs = cluster.list(&JOB, namespace, "").await?;
        let own = jobs.iter().filter(|job| is_controlled_by(job, kind.controller, name, uid));
        let names: Vec<_> = own.filter_map(|job| job["metadata"]["name"].as_str()).collect();
        if names.is_empty() {
            return Ok(Vec::new());
        }
        // Since 1.27, Pods of Jobs also have the label `batch.kubernetes.io/job-name`.
        let selector = format!("job-name in ({})", names.join(","));
        return cluster.list(&POD, namespace, &selector).await;
    }
    let selector = label_selector(&object["spec"]["selector"]);
    let pods = cluster.list(&POD, namespace, &selector).await?;
    Ok(pods.into_iter().filter(|pod| is_controlled_by(pod, kind.controller, name, uid)).collect())
}

/// The controllers of these Pods, without duplicates; unreadable ones are omitted.
async fn controllers(cluster: &Cluster, pods: &[Value]) -> Vec<Option<Value>> {
    let mut found: Vec<Option<Value>> = Vec::new();
    let mut seen = Vec::new();
    for pod in pods {
        let Some(controller) = controller(pod) else { continue };
        let kind = kinds::of_object(controller);
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        if let Some(kind) = kind
            && !seen.contains(&controller["uid"])
        {
            seen.push(controller["uid"].clone());
            let namespace = text(&pod["metadata"]["namespace"]);
            let owner = cluster.get(kind, &namespace, &text(&controller["name"])).await;
            found.push(owner.ok().flatten());
        }
    }
    found
}
