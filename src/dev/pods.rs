//! Chooses the Pod and the container to work in. Pure: Pods are passed in as returned by the API
//! server.

use std::fmt;

use serde_json::Value;

use self::container::{
    is_empty, is_running, name, not_running, runs, spec, specs, status, text, why_not,
};
use crate::{
    exit::{Failure, Topic},
    workload::{
        self,
        pods::{is_ready, is_terminating},
    },
};

mod container;

pub(crate) use container::owner;

/// Name of the volume with the agent that emptying adds.
const AGENT: &str = "diyadm-agent";

/// A container that runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pick {
    /// `metadata.namespace`
    pub(crate) namespace: String,
    /// `metadata.name`
    pub(crate) pod: String,
    /// `metadata.uid`: a StatefulSet's next Pod has the same name.
    pub(crate) uid: String,
    /// Its name.
    pub(crate) container: String,
    /// How often it was restarted.
    pub(crate) restarts: u64,
    /// Whether the agent's volume is mounted read-only into it.
    pub(crate) agent: bool,
    /// Its image, the only part of its command that can change in a Pod.
    pub(crate) image: String,
    /// Its PID 1, if it is a live container.
    pub(crate) live: Option<String>,
}

/// Whether a container that diyadm did not empty may be chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum LiveContainers {
    /// Only emptied containers.
    #[default]
    Refused,
    /// With `--live`: also live ones, if no emptied one runs.
    Allowed,
}

impl LiveContainers {
    /// From `--live`.
    pub(crate) fn from_flag(live: bool) -> Self {
        if live { Self::Allowed } else { Self::Refused }
    }

    /// Whether this container may be used.
    pub(crate) fn allow(self, pick: &Pick) -> bool {
        self == Self::Allowed || pick.live.is_none()
    }
}

/// Which container to choose.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct PodRequest<'a> {
    /// Chosen by the user, with -c.
    pub(crate) named: Option<&'a str>,
    /// Chosen by the workload, which knows what was emptied; an old Pod may not have it.
    pub(crate) meant: Option<&'a str>,
    /// The workloads that own the Pods, if known.
    pub(crate) owners: &'a [Value],
    pub(crate) live: LiveContainers,
}

/// The user's name for the workload, for errors.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Named<'a> {
    /// `deploy/web`, as typed.
    pub(crate) target: &'a str,
    /// Arguments of `diyadm empty` for it: `deploy/web -n shop`.
    pub(crate) empty: &'a str,
    /// Whether its pod template is empty.
    pub(crate) emptied: bool,
}

/// The cause of a refusal to work in a live container. Waiting does not help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NotEmptied;

impl fmt::Display for NotEmptied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the container is live")
    }
}

impl std::error::Error for NotEmptied {}

/// Whether an error is such a refusal.
pub(crate) fn is_not_emptied(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        let failure = cause.downcast_ref::<Failure>().and_then(|failure| failure.cause.as_ref());
        failure.is_some_and(|cause| cause.is::<NotEmptied>())
    })
}

/// The container to work in: emptied before live, in a ready Pod before one that only runs, and in
/// the newest of these.
///
/// # Errors
/// No Pod, none that runs (with what each waits for), none that was emptied, no such container.
pub(crate) fn choose(
    pods: &[Value],
    wanted: PodRequest<'_>,
    named: &Named<'_>,
) -> Result<Pick, Failure> {
    let target = named.target;
    let Some(first) = pods.first() else {
        return Err(Failure::no(
            Topic::NoPods,
            format!("{target} has no Pods."),
            "See why: `kubectl get events`; a workload scaled to 0 has no Pods.",
        ));
    };
    let having = having(pods, wanted)?;
    let mut running = running(&having, wanted);
    if let Some(at) = running.iter().position(|pick| wanted.live.allow(pick)) {
        return Ok(running.swap_remove(at));
    }
    if let Some(live) = running.first() {
        return Err(refused(live, &having, wanted, named));
    }
    let each = having.iter().take(3).map(|(pod, container)| why_not(pod, container));
    let each: Vec<_> = each.collect();
    let namespace = text(first, "/metadata/namespace");
    Err(Failure::no(
        Topic::Waiting,
        format!("No Pod of {target} runs yet: {}.", each.join("; ")),
        format!("See why: `kubectl -n {namespace} describe pod {}`.", name(first)),
    ))
}

/// The containers of all running Pods, including live ones, in the order of preference of
/// [`choose`].
pub(crate) fn all(pods: &[Value], wanted: PodRequest<'_>) -> Result<Vec<Pick>, Failure> {
    Ok(running(&having(pods, wanted)?, wanted))
}

/// The current state of a chosen container in the same Pod.
pub(crate) fn again(pod: &Value, before: &Pick) -> Pick {
    let now = pick(pod, before.container.clone(), PodRequest::default());
    let live = if now.image == before.image { before.live.clone() } else { now.live };
    Pick { live, ..now }
}

/// The running containers: emptied ones first, then ready ones, then the newest.
fn running(having: &[(&Value, String)], wanted: PodRequest<'_>) -> Vec<Pick> {
    let running = having.iter().filter(|(pod, container)| is_running(pod, container));
    let running = running.map(|(pod, container)| (*pod, pick(pod, container.clone(), wanted)));
    let mut running: Vec<_> = running.collect();
    running.sort_by_key(|(pod, pick)| {
        let created = text(pod, "/metadata/creationTimestamp").to_owned();
        std::cmp::Reverse((pick.live.is_none(), is_ready(pod), created, pick.pod.clone()))
    });
    running.into_iter().map(|(_, pick)| pick).collect()
}

/// The error if only live containers run. An unfinished rollout may still bring an emptied one.
fn refused(
    live: &Pick,
    having: &[(&Value, String)],
    wanted: PodRequest<'_>,
    named: &Named<'_>,
) -> Failure {
    let Pick { namespace, pod: old, live: runs, .. } = live;
    let Named { target, empty, emptied } = named;
    let runs = runs.as_deref().unwrap_or_default();
    let coming = having.iter().find(|(pod, container)| {
        !is_terminating(pod)
            && !is_running(pod, container)
            && is_empty(pod, container, wanted.owners)
    });
    let unfinished = format!("The rollout of {target} to the emptied template has not finished");
    let untouched = format!("Pod {old} of the previous template still runs {runs}");
    if let Some((new, container)) = coming {
        let (new, why) = (name(new), not_running(new, container));
        return Failure::no(
            Topic::Waiting,
            format!("{unfinished}: Pod {new} does not start because it is {why}. {untouched}."),
            format!("See why: `kubectl -n {namespace} describe pod {new}`."),
        );
    }
    if *emptied && wanted.named.is_none_or(|named| wanted.meant == Some(named)) {
        return Failure::no(
            Topic::Waiting,
            format!("{unfinished}: no emptied Pod was created yet. {untouched}."),
            format!("See why: `kubectl -n {namespace} get events`."),
        );
    }
    not_emptied(live, runs, empty)
}

/// The refusal to work in a live container. `runs` is its PID 1, `empty` the arguments of `diyadm
/// empty`.
pub(crate) fn not_emptied(pick: &Pick, runs: &str, empty: &str) -> Failure {
    let Pick { pod, container, .. } = pick;
    Failure::no(
        Topic::Live,
        format!(
            "Container {container} of Pod {pod} was not emptied by diyadm: its PID 1 is {runs}."
        ),
        format!(
            "Empty it first: `diyadm empty {empty} --image keep`; or use --live to work in a live \
             container."
        ),
    )
    .because(NotEmptied)
}

fn pick(pod: &Value, container: String, wanted: PodRequest<'_>) -> Pick {
    let status = status(pod, &container);
    let restarts = status.and_then(|status| status["restartCount"].as_u64()).unwrap_or_default();
    let spec = spec(pod, &container);
    let image = spec.map(|spec| text(spec, "/image").to_owned()).unwrap_or_default();
    let mounts = spec.and_then(|spec| spec["volumeMounts"].as_array());
    let is_agent = |mount: &Value| mount["name"] == AGENT && mount["readOnly"] == true;
    let agent = mounts.is_some_and(|mounts| mounts.iter().any(is_agent));
    let live = (!is_empty(pod, &container, wanted.owners)).then(|| runs(pod, &container));
    Pick {
        namespace: text(pod, "/metadata/namespace").to_owned(),
        pod: name(pod).to_owned(),
        uid: text(pod, "/metadata/uid").to_owned(),
        container,
        restarts,
        agent,
        image,
        live,
    }
}

/// The Pods that have the container, with its name. During a rollout other Pods may not have it; it
/// is an error if none has it.
fn having<'p>(
    pods: &'p [Value],
    wanted: PodRequest<'_>,
) -> Result<Vec<(&'p Value, String)>, Failure> {
    let mut having = Vec::new();
    let mut lacking = None;
    for pod in pods {
        match container(pod, wanted) {
            Ok(container) => having.push((pod, container)),
            Err(failure) => lacking = lacking.or(Some(failure)),
        }
    }
    match lacking {
        Some(failure) if having.is_empty() => Err(failure),
        _ => Ok(having),
    }
}

/// The requested container, else the one that emptying chooses.
fn container(
    pod: &Value,
    PodRequest { named, meant, .. }: PodRequest<'_>,
) -> Result<String, Failure> {
    if let Some(wanted) = named {
        if spec(pod, wanted).is_some() {
            return Ok(wanted.to_owned());
        }
        let names: Vec<_> = specs(pod).filter_map(|spec| spec["name"].as_str()).collect();
        return Err(Failure::usage(
            Topic::NotFound,
            format!("Pod {} has no container {wanted}.", name(pod)),
            format!("It has {}.", names.join(", ")),
        ));
    }
    if let Some(meant) = meant.filter(|meant| spec(pod, meant).is_some()) {
        return Ok(meant.to_owned());
    }
    let text = pod.to_string();
    let meant = workload::Subject::parse(&text).and_then(|subject| subject.container());
    let first = || Some(pod["spec"]["containers"][0]["name"].as_str()?.to_owned());
    meant.or_else(first).ok_or_else(|| {
        Failure::no(
            Topic::NotFound,
            format!("Pod {} has no container to work in.", name(pod)),
            String::new(),
        )
    })
}

#[cfg(test)]
mod tests;
