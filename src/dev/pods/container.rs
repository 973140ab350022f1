//! The state of one container of a Pod: its PID 1, its status, and whether it is emptied.

use serde_json::Value;

use diyadm_agent::protocol::Bytes;

use crate::{
    dev::words,
    kinds::{self, Controller, Kind, REPLICA_SET},
    workload::{
        Subject,
        pods::{controller, is_terminating},
    },
};

/// Maximum characters of a command line in an error.
const MOST_SHOWN: usize = 120;

/// Whether diyadm emptied this container of the Pod.
pub(super) fn is_empty(pod: &Value, container: &str, owners: &[Value]) -> bool {
    let uid = controller(pod).map(|controller| &controller["uid"]);
    let made = owners.iter().filter(|owner| {
        // For these, another object controls the Pod.
        let controller = kinds::of_object(owner).map(|kind| kind.controller);
        matches!(controller, Some(Controller::ReplicaSets(_) | Controller::Jobs))
            || Some(&owner["metadata"]["uid"]) == uid
    });
    let texts: Vec<_> = made.map(ToString::to_string).collect();
    let owners: Vec<_> = texts.iter().filter_map(|text| Subject::parse(text)).collect();
    let owners: Vec<_> = owners.iter().collect();
    let text = pod.to_string();
    Subject::parse(&text).is_some_and(|pod| pod.is_empty_container(container, &owners))
}

/// A container's PID 1, by the Pod's spec.
pub(super) fn runs(pod: &Value, container: &str) -> String {
    let spec = spec(pod, container).unwrap_or(&Value::Null);
    let words = |field: &str| {
        let words = spec[field].as_array().into_iter().flatten().filter_map(Value::as_str);
        words.map(|word| words::quoted(&Bytes::from(word))).collect::<Vec<_>>()
    };
    let (mut command, args) = (words("command"), words("args"));
    let line = |words: &[String]| {
        let line = words.join(" ");
        let cut = line.char_indices().nth(MOST_SHOWN).map(|(at, _)| format!("{}…", &line[..at]));
        format!("`{}`", cut.unwrap_or(line))
    };
    if !command.is_empty() {
        command.extend(args);
        return line(&command);
    }
    let image = Bytes::from(text(spec, "/image")).show();
    let with = if args.is_empty() { String::new() } else { format!(" with {}", line(&args)) };
    format!("the entrypoint of image {image}{with}")
}

/// The controller of a Pod in the form of `diyadm empty`: `deployment/web`; the Pod itself if it
/// has none.
pub(crate) fn owner(pod: &Value) -> String {
    let Some(controller) = controller(pod) else { return format!("pod/{}", name(pod)) };
    let (kind, owner) = (text(controller, "/kind"), text(controller, "/name"));
    let label = |hash: &str| pod["metadata"]["labels"][hash].as_str();
    let of_replica_set = |one: &'static Kind| Some((one, one.of_replica_set(owner, label)?));
    let parent = kinds::workloads().filter(|_| kind == REPLICA_SET.kind).find_map(of_replica_set);
    match parent.or_else(|| Some((kinds::of_object(controller)?, owner))) {
        Some((kind, name)) => format!("{}/{name}", kind.singular()),
        None => format!("{}/{owner}", kind.to_lowercase()),
    }
}

pub(super) fn specs(pod: &Value) -> impl Iterator<Item = &Value> {
    let lists = ["containers", "initContainers", "ephemeralContainers"];
    lists.into_iter().flat_map(|list| pod["spec"][list].as_array().into_iter().flatten())
}

pub(super) fn spec<'a>(pod: &'a Value, container: &str) -> Option<&'a Value> {
    specs(pod).find(|spec| spec["name"] == container)
}

pub(super) fn status<'a>(pod: &'a Value, container: &str) -> Option<&'a Value> {
    let lists = ["containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses"];
    let mut all =
        lists.into_iter().flat_map(|list| pod["status"][list].as_array().into_iter().flatten());
    all.find(|status| status["name"] == container)
}

pub(super) fn is_running(pod: &Value, container: &str) -> bool {
    let running =
        status(pod, container).is_some_and(|status| status["state"]["running"].is_object());
    running && !is_terminating(pod)
}

/// Why a Pod cannot be used: `web-1 is Pending (0/1 nodes are available)`.
pub(super) fn why_not(pod: &Value, container: &str) -> String {
    format!("{} is {}", name(pod), not_running(pod, container))
}

/// `Pending (0/1 nodes are available)`
pub(super) fn not_running(pod: &Value, container: &str) -> String {
    if is_terminating(pod) {
        return "being deleted".to_owned();
    }
    let phase = text(pod, "/status/phase");
    let reason = reason(pod, container).map(|reason| format!(" ({reason})")).unwrap_or_default();
    let phase = if phase.is_empty() { "not started" } else { phase };
    format!("{phase}{reason}")
}

fn reason(pod: &Value, container: &str) -> Option<String> {
    let conditions = pod["status"]["conditions"].as_array().into_iter().flatten();
    let mut unscheduled =
        conditions.filter(|c| c["type"] == "PodScheduled" && c["status"] == "False");
    if let Some(condition) = unscheduled.next() {
        return first_line(&condition["message"]).or_else(|| first_line(&condition["reason"]));
    }
    let inits = pod["status"]["initContainerStatuses"].as_array().into_iter().flatten();
    let stuck =
        inits.filter_map(|status| state(status).map(|state| (text(status, "/name"), state)));
    if let Some((init, state)) = stuck.into_iter().next() {
        return Some(format!("init container {init}: {state}"));
    }
    status(pod, container).and_then(state)
}

/// Why a container waits, or how it ended.
fn state(status: &Value) -> Option<String> {
    let waiting = &status["state"]["waiting"];
    if let Some(reason) = waiting["reason"].as_str() {
        let message = first_line(&waiting["message"]).map(|m| format!(": {m}")).unwrap_or_default();
        return Some(format!("{reason}{message}"));
    }
    let ended = &status["state"]["terminated"];
    match ended["exitCode"].as_i64() {
        None | Some(0) => None,
        Some(code) => Some(format!("{}, exit {code}", ended["reason"].as_str().unwrap_or("ended"))),
    }
}

fn first_line(value: &Value) -> Option<String> {
    let line = value.as_str()?.lines().next()?.trim().trim_end_matches('.');
    // Foreign text must not control the terminal.
    (!line.is_empty()).then(|| Bytes::from(line).show())
}

pub(super) fn name(pod: &Value) -> &str {
    text(pod, "/metadata/name")
}

pub(super) fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}
