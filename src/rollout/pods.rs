//! Problems of Pods, from their status and events.

use serde_json::Value;

use super::{Observations, RolloutProblem, cause::cause};
use crate::{
    kinds,
    workload::{
        self, AgentProbe,
        pods::{belongs_to, condition, is_ready},
    },
};

/// The Pod spec in the workload's template.
pub(super) fn template(workload: &Value) -> &Value {
    let steps = kinds::of_object(workload).map_or(&[][..], |kind| kind.pod);
    steps.iter().fold(workload, |value, step| &value[*step])
}

/// Whether a Pod matches the workload's current template, by its commands and images. Injected
/// containers are ignored.
pub fn is_new(workload: &Value, pod: &Value) -> bool {
    let running = pod["spec"]["containers"].as_array().map_or(&[][..], Vec::as_slice);
    let wanted = template(workload)["containers"].as_array().map_or(&[][..], Vec::as_slice);
    wanted.iter().all(|wanted| {
        let found = running.iter().find(|running| running["name"] == wanted["name"]);
        found.is_some_and(|found| {
            ["image", "command", "args"].iter().all(|field| found[field] == wanted[field])
        })
    })
}

/// Whether a container is Ready only while an application runs in it (`--ready app`).
fn waits_for_application(container: &Value) -> bool {
    workload::is_agent_probe(&container["readinessProbe"].to_string(), AgentProbe::Ready)
}

/// Whether one of the workload's containers is Ready only while an application runs in it.
pub(super) fn idles_unready(workload: &Value) -> bool {
    let containers = template(workload)["containers"].as_array();
    containers.is_some_and(|containers| containers.iter().any(waits_for_application))
}

/// Whether there is nothing to wait for: the Pod is Ready, or would be if its user started an
/// application.
pub fn is_up(pod: &Value) -> bool {
    let statuses = pod["status"]["containerStatuses"].as_array().map_or(&[][..], Vec::as_slice);
    let is_up = |container: &Value| {
        let status = statuses.iter().find(|status| status["name"] == container["name"]);
        status.is_some_and(|status| {
            let waits = waits_for_application(container) && status["state"]["running"].is_object();
            status["ready"] == true || waits
        })
    };
    let containers = pod["spec"]["containers"].as_array().map_or(&[][..], Vec::as_slice);
    is_ready(pod)
        || (pod["metadata"]["deletionTimestamp"].is_null()
            && containers.iter().any(waits_for_application)
            && containers.iter().all(is_up))
}

/// The workload's new Pods.
fn new<'s>(workload: &Value, seen: &Observations<'s>) -> impl Iterator<Item = &'s Value> {
    seen.pods.iter().filter(|pod| {
        belongs_to(pod, workload)
            && is_new(workload, pod)
            && pod["metadata"]["deletionTimestamp"].is_null()
    })
}

/// How many of the new Pods are ready, if some are not: `0 of 1 new Pods are ready`.
pub(super) fn coming(workload: &Value, seen: &Observations<'_>) -> Option<String> {
    let up: Vec<_> = new(workload, seen).map(is_up).collect();
    let ready = up.iter().filter(|up| **up).count();
    (ready < up.len()).then(|| format!("{ready} of {} new Pods are ready", up.len()))
}

/// What blocks one of the workload's new Pods; permanent problems first.
pub(super) fn trouble(workload: &Value, seen: &Observations<'_>) -> Option<RolloutProblem> {
    let own = new(workload, seen).filter(|pod| !is_up(pod));
    let mut troubles: Vec<_> = own.filter_map(|pod| pod_trouble(pod, seen.events)).collect();
    let at = troubles.iter().position(|trouble| trouble.lasting).unwrap_or(0);
    (!troubles.is_empty()).then(|| troubles.swap_remove(at))
}

/// What one of the workload's new Pods is doing, if that takes time: `pulling image x`.
pub(super) fn doing(workload: &Value, seen: &Observations<'_>) -> Option<String> {
    let is_coming = |event: &&Value| {
        seen.pods.iter().any(|pod| {
            event["involvedObject"]["uid"] == pod["metadata"]["uid"]
                && belongs_to(pod, workload)
                && is_new(workload, pod)
                && !is_up(pod)
        })
    };
    let last = seen.events.iter().filter(is_coming).max_by_key(|event| time(event))?;
    // `Pulling image "registry/app:1"`
    let image = last["message"].as_str()?.split('"').nth(1);
    image.filter(|_| last["reason"] == "Pulling").map(|image| format!("pulling image {image}"))
}

/// What blocks a Pod that is not ready, from its status and events.
pub fn pod_trouble(pod: &Value, events: &[Value]) -> Option<RolloutProblem> {
    of_pod(pod, events).or_else(|| of_events(pod, events))
}

fn of_pod(pod: &Value, events: &[Value]) -> Option<RolloutProblem> {
    let name = pod["metadata"]["name"].as_str().unwrap_or_default();
    let scheduled = condition(pod, "PodScheduled");
    if scheduled["status"] == "False" {
        let message = scheduled["message"].as_str().unwrap_or("no node fits");
        return Some(RolloutProblem::passing(
            format!("no node fits Pod {name}: {}", cause(message, &[name])),
            "Free resources on a node, or lower the Pod's requests: `kubectl describe nodes | \
             grep -A8 Allocated`.",
        ));
    }
    let statuses = |field: &str| pod["status"][field].as_array().cloned().unwrap_or_default();
    let all = statuses("initContainerStatuses").into_iter().chain(statuses("containerStatuses"));
    let mut troubles: Vec<_> =
        all.filter_map(|status| of_container(pod, &status, events)).collect();
    let at = troubles.iter().position(|trouble| trouble.lasting).unwrap_or(0);
    (!troubles.is_empty()).then(|| troubles.swap_remove(at))
}

fn of_container(whole: &Value, status: &Value, events: &[Value]) -> Option<RolloutProblem> {
    let pod = whole["metadata"]["name"].as_str().unwrap_or_default();
    let container = status["name"].as_str().unwrap_or_default();
    let image = status["image"].as_str().filter(|image| !image.is_empty());
    let specs = ["initContainers", "containers"].map(|list| whole["spec"][list].as_array());
    let mut specs = specs.into_iter().flatten().flatten();
    let spec = specs.find(|spec| spec["name"] == container);
    let image = image.or_else(|| spec?["image"].as_str()).unwrap_or_default();
    let waiting = &status["state"]["waiting"];
    let message = waiting["message"].as_str().unwrap_or_default();
    let said = cause(message, &[image, container, pod]);
    // The flag that sets the image.
    let flag = if container == workload::AGENT { "--agent-image" } else { "--image" };
    let because = |said: &str| if said.is_empty() { String::new() } else { format!(": {said}") };
    let logs = format!("See its last output: `kubectl logs {pod} -c {container} --previous`.");
    Some(match waiting["reason"].as_str() {
        Some("InvalidImageName") => RolloutProblem::lasting(
            format!("container {container}: {image:?} is not a valid image name"),
            "Fix the image in the manifest of the workload.",
        )
        .or_emptied(format!("Use another with {flag}.")),
        Some("ErrImageNeverPull") => RolloutProblem::lasting(
            format!("container {container}: image {image} is not on the node, and is never pulled"),
            "Load it onto the node, or set imagePullPolicy: IfNotPresent in the manifest.",
        )
        .or_emptied(format!("Load it onto the node, or use another with {flag}.")),
        Some(reason @ ("ImagePullBackOff" | "ErrImagePull" | "RegistryUnavailable")) => {
            // Older kubelets report the cause only in an event.
            let said = if said.is_empty() { failed_pull(whole, image, events) } else { said };
            let said = if said.is_empty() { reason.to_owned() } else { said };
            RolloutProblem {
                lasting: reason == "ImagePullBackOff",
                ..RolloutProblem::passing(
                    format!("container {container}: image {image} cannot be pulled: {said}"),
                    "Push it to a registry that the nodes can pull from, or fix the image or the \
                 imagePullSecrets in the manifest of the workload.",
                )
            }
            .or_emptied(if container == workload::AGENT {
                "Push it to a registry that the nodes can pull from, or use another with \
                 --agent-image. --image keep without --idle agent, --ready app and --stand-in \
                 needs none."
            } else {
                "Push it to a registry that the nodes can pull from, use another with --image, or \
                 use the workload's own with --image keep."
            })
        }
        Some(reason @ ("CreateContainerConfigError" | "CreateContainerError")) => RolloutProblem {
            lasting: reason == "CreateContainerConfigError",
            ..RolloutProblem::passing(
                format!("container {container} cannot be created{}", because(&said)),
                if message.contains("runAsNonRoot") {
                    format!(
                        "The Pod requires a non-root user, and the image runs as root: use an image \
                     with a numeric USER with {flag}."
                    )
                } else {
                    format!("Fix that; `kubectl describe pod {pod}` shows more.")
                },
            )
        },
        Some("RunContainerError") => ended(container, 128, &because(&said), &logs),
        Some("CrashLoopBackOff") => {
            let last = &status["lastState"]["terminated"];
            let words = cause(last["message"].as_str().unwrap_or_default(), &[container, pod]);
            ended(container, last["exitCode"].as_i64().unwrap_or(-1), &because(&words), &logs)
        }
        _ if status["state"]["running"].is_object() && status["started"] == false => {
            let spec = spec.filter(|spec| spec["startupProbe"].is_object())?;
            let (role, waits) = match spec["restartPolicy"].as_str() {
                Some("Always") => ("sidecar", "; later containers wait for that"),
                _ => ("container", ""),
            };
            RolloutProblem::passing(
                format!(
                    "{role} {container} runs, and its startupProbe does not succeed yet{waits}"
                ),
                format!("See the probe's results: `kubectl describe pod {pod}`."),
            )
            .or_emptied("A probe of the emptied application never succeeds: remove it meanwhile.")
        }
        _ => return None,
    })
}

/// The cause of the last failed pull in events; empty if there is none.
fn failed_pull(pod: &Value, image: &str, events: &[Value]) -> String {
    let about = |event: &&Value| {
        event["involvedObject"]["uid"] == pod["metadata"]["uid"]
            && event["reason"] == "Failed"
            && event["message"].as_str().is_some_and(|m| m.starts_with("Failed to pull image"))
    };
    let last = events.iter().filter(about).max_by_key(|event| time(event));
    last.and_then(|event| event["message"].as_str())
        .map_or_else(String::new, |m| cause(m, &[image]))
}

/// A container that exits at once; `words` is its last output, after a colon. 126 to 128 are exit
/// codes of shells and runtimes for a program that cannot be run.
fn ended(container: &str, code: i64, words: &str, logs: &str) -> RolloutProblem {
    let hint = if (126..=128).contains(&code) || words.contains("not found") {
        "The image lacks the program; --idle agent has its own, and needs no shell.".to_owned()
    } else {
        format!("{logs} An image whose process exits idles with --idle shell or --idle agent.")
    };
    RolloutProblem::lasting(format!("container {container} exits at once with {code}{words}"), logs)
        .or_emptied(hint)
}

/// Problems that the kubelet reports only as events: volumes, and the Pod's sandbox.
fn of_events(pod: &Value, events: &[Value]) -> Option<RolloutProblem> {
    let name = pod["metadata"]["name"].as_str().unwrap_or_default();
    let about = |event: &&Value| {
        event["involvedObject"]["uid"] == pod["metadata"]["uid"] && event["type"] == "Warning"
    };
    let last = events.iter().filter(about).max_by_key(|event| time(event))?;
    let message = cause(last["message"].as_str().unwrap_or_default(), &[name]);
    Some(match last["reason"].as_str()? {
        "FailedMount" | "FailedAttachVolume" | "FailedMapVolume" => RolloutProblem::passing(
            format!("a volume of Pod {name} cannot be mounted: {message}"),
            format!(
                "Create or fix what the message names; `kubectl describe pod {name}` shows \
                 more."
            ),
        ),
        "FailedCreatePodSandBox" | "NetworkNotReady" => RolloutProblem::passing(
            format!("the node cannot create Pod {name}: {message}"),
            "This is a problem of the node: `kubectl describe nodes`.",
        ),
        _ => return None,
    })
}

/// When an event last occurred; RFC 3339 of one clock and zone sorts as text.
pub(super) fn time(event: &Value) -> String {
    let text = event["series"]["lastObservedTime"].as_str().or(event["lastTimestamp"].as_str());
    text.or(event["eventTime"].as_str()).unwrap_or_default().to_owned()
}
