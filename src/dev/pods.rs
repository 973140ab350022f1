//! Which Pod, and which container in it, to work in. Pure: Pods come in as the API server told
//! them.

use serde_json::Value;

use crate::{exit::Failure, workload};

/// Name of the volume that brings the agent, as emptying writes it.
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
    /// Whether the agent's volume is mounted into it.
    pub(crate) agent: bool,
}

/// Which container is wanted.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Wanted<'a> {
    /// By the user, with -c.
    pub(crate) named: Option<&'a str>,
    /// By the workload, which knows what was emptied; a Pod of before may not have it.
    pub(crate) meant: Option<&'a str>,
}

/// The container to work in: of a Pod that is ready rather than one that only runs, and of the
/// newest among these. `target` is as the user typed it.
///
/// # Errors
/// No Pod, none that runs (with what each waits for), no such container.
pub(crate) fn choose(pods: &[Value], wanted: Wanted<'_>, target: &str) -> Result<Pick, Failure> {
    let Some(first) = pods.first() else {
        return Err(Failure::no(
            format!("There is no Pod of {target}."),
            "See why: `kubectl get events`; a workload scaled to 0 has none.",
        ));
    };
    let having = having(pods, wanted)?;
    if let Some(pick) = running(&having).into_iter().next() {
        return Ok(pick);
    }
    let each = having.iter().take(3).map(|(pod, container)| why_not(pod, container));
    let each: Vec<_> = each.collect();
    let namespace = text(first, "/metadata/namespace");
    Err(Failure::no(
        format!("No Pod of {target} runs yet: {}.", each.join("; ")),
        format!("Look closer with `kubectl -n {namespace} describe pod {}`.", name(first)),
    ))
}

/// The containers of every Pod that runs, in the order in which [`choose`] prefers them.
pub(crate) fn all(pods: &[Value], wanted: Wanted<'_>) -> Result<Vec<Pick>, Failure> {
    Ok(running(&having(pods, wanted)?))
}

/// Those that run: the ready ones first, and the newest first among these.
fn running(having: &[(&Value, String)]) -> Vec<Pick> {
    let running = having.iter().filter(|(pod, container)| is_running(pod, container));
    let mut running: Vec<_> = running.collect();
    let rank = |pod| (is_ready(pod), text(pod, "/metadata/creationTimestamp"), name(pod));
    running.sort_by(|(a, _), (b, _)| rank(b).cmp(&rank(a)));
    running.into_iter().map(|(pod, container)| pick(pod, container.clone())).collect()
}

/// A label selector in the words of a query: `app=web,tier in (a,b),!old`.
pub(crate) fn selector(selector: &Value) -> String {
    let labels = selector["matchLabels"].as_object().into_iter().flatten();
    let labels = labels.map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default()));
    let expressions = selector["matchExpressions"].as_array().into_iter().flatten();
    let expressions = expressions.map(|expression| {
        let key = text(expression, "/key");
        let values = expression["values"].as_array().into_iter().flatten();
        let values: Vec<_> = values.filter_map(Value::as_str).collect();
        match text(expression, "/operator") {
            "In" => format!("{key} in ({})", values.join(",")),
            "NotIn" => format!("{key} notin ({})", values.join(",")),
            "Exists" => key.to_owned(),
            _ => format!("!{key}"),
        }
    });
    labels.chain(expressions).collect::<Vec<_>>().join(",")
}

/// Whether a Pod, or a Job, is of this controller (its kind, name and uid); a Deployment's are of
/// its ReplicaSets.
pub(crate) fn is_of(object: &Value, kind: &str, owner: &str, uid: &str) -> bool {
    let owners = object["metadata"]["ownerReferences"].as_array();
    let controller = owners.and_then(|owners| owners.iter().find(|o| o["controller"] == true));
    let Some(controller) = controller else { return false };
    if kind != "Deployment" {
        return controller["uid"] == uid;
    }
    let hash = text(object, "/metadata/labels/pod-template-hash");
    controller["kind"] == "ReplicaSet" && controller["name"] == format!("{owner}-{hash}")
}

fn pick(pod: &Value, container: String) -> Pick {
    let status = status(pod, &container);
    let restarts = status.and_then(|status| status["restartCount"].as_u64()).unwrap_or_default();
    let spec = spec(pod, &container);
    let mounts = spec.and_then(|spec| spec["volumeMounts"].as_array());
    let agent = mounts.is_some_and(|mounts| mounts.iter().any(|mount| mount["name"] == AGENT));
    Pick {
        namespace: text(pod, "/metadata/namespace").to_owned(),
        pod: name(pod).to_owned(),
        uid: text(pod, "/metadata/uid").to_owned(),
        container,
        restarts,
        agent,
    }
}

/// The Pods that have the container, with its name. In a rollout the others may not have it yet, or
/// any more; where none has it, that is an error.
fn having<'p>(pods: &'p [Value], wanted: Wanted<'_>) -> Result<Vec<(&'p Value, String)>, Failure> {
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

/// The container that is wanted, else the one that emptying chooses.
fn container(pod: &Value, Wanted { named, meant }: Wanted<'_>) -> Result<String, Failure> {
    if let Some(wanted) = named {
        if spec(pod, wanted).is_some() {
            return Ok(wanted.to_owned());
        }
        let names: Vec<_> = specs(pod).filter_map(|spec| spec["name"].as_str()).collect();
        return Err(Failure::usage(
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
        Failure::no(format!("Pod {} has no container to work in.", name(pod)), String::new())
    })
}

fn specs(pod: &Value) -> impl Iterator<Item = &Value> {
    let lists = ["containers", "initContainers", "ephemeralContainers"];
    lists.into_iter().flat_map(|list| pod["spec"][list].as_array().into_iter().flatten())
}

fn spec<'a>(pod: &'a Value, container: &str) -> Option<&'a Value> {
    specs(pod).find(|spec| spec["name"] == container)
}

fn status<'a>(pod: &'a Value, container: &str) -> Option<&'a Value> {
    let lists = ["containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses"];
    let mut all =
        lists.into_iter().flat_map(|list| pod["status"][list].as_array().into_iter().flatten());
    all.find(|status| status["name"] == container)
}

fn is_running(pod: &Value, container: &str) -> bool {
    let running =
        status(pod, container).is_some_and(|status| status["state"]["running"].is_object());
    running && !is_going(pod)
}

fn is_ready(pod: &Value) -> bool {
    let conditions = pod["status"]["conditions"].as_array();
    conditions.is_some_and(|all| all.iter().any(|c| c["type"] == "Ready" && c["status"] == "True"))
}

fn is_going(pod: &Value) -> bool {
    pod["metadata"]["deletionTimestamp"].is_string()
}

/// What keeps a Pod from being worked in: `web-1 is Pending (0/1 nodes are available)`.
fn why_not(pod: &Value, container: &str) -> String {
    let (name, phase) = (name(pod), text(pod, "/status/phase"));
    if is_going(pod) {
        return format!("{name} is being deleted");
    }
    let reason = reason(pod, container).map(|reason| format!(" ({reason})")).unwrap_or_default();
    let phase = if phase.is_empty() { "not started" } else { phase };
    format!("{name} is {phase}{reason}")
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

/// What a container waits for, or how it ended.
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
    (!line.is_empty()).then(|| line.to_owned())
}

fn name(pod: &Value) -> &str {
    text(pod, "/metadata/name")
}

fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn pod(name: &str, created: &str, ready: bool, state: &Value) -> Value {
        json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {
                "name": name, "namespace": "n", "uid": name, "creationTimestamp": created,
            },
            "spec": { "containers": [
                { "name": "app", "volumeMounts": [{ "name": AGENT, "mountPath": "/.diyadm" }] },
                { "name": "side" },
            ] },
            "status": {
                "phase": "Running",
                "conditions": [{ "type": "Ready", "status": if ready { "True" } else { "False" } }],
                "containerStatuses": [
                    { "name": "app", "restartCount": 2, "state": state },
                    { "name": "side", "state": { "running": {} } },
                ],
            },
        })
    }

    const ANY: Wanted<'_> = Wanted { named: None, meant: None };

    fn running() -> Value {
        json!({ "running": { "startedAt": "2026-01-01T00:00:00Z" } })
    }

    #[test]
    fn the_newest_ready_pod_is_chosen() {
        let old = pod("old", "2026-01-01T00:00:00Z", true, &running());
        let new = pod("new", "2026-01-02T00:00:00Z", true, &running());
        let unready = pod("unready", "2026-01-03T00:00:00Z", false, &running());
        let mut going = pod("going", "2026-01-04T00:00:00Z", true, &running());
        going["metadata"]["deletionTimestamp"] = "2026-01-05T00:00:00Z".into();
        let mut pods = vec![old, unready, going, new];
        let pick = choose(&pods, ANY, "deploy/x").unwrap();
        assert_eq!(
            (&*pick.pod, &*pick.container, pick.agent, pick.restarts),
            ("new", "app", true, 2)
        );
        pods.truncate(3);
        pods.remove(0);
        assert_eq!(choose(&pods, ANY, "deploy/x").unwrap().pod, "unready");
        assert_eq!(all(&pods, ANY).unwrap().len(), 1);
        let side = Wanted { named: Some("side"), meant: None };
        let found = choose(&pods, side, "deploy/x").unwrap();
        assert!(found.container == "side" && !found.agent);
        // One that goes may be of another template.
        pods[1]["spec"]["containers"].as_array_mut().unwrap().pop();
        assert_eq!(choose(&pods, side, "deploy/x").unwrap().pod, "unready");
        assert_eq!(all(&pods, side).unwrap().len(), 1);
        let none = choose(&pods[1..], side, "deploy/x").unwrap_err();
        assert_eq!(none.what, "Pod going has no container side.");
    }

    #[test]
    fn the_emptied_container_is_meant() {
        let mut pod = pod("a", "2026-01-01T00:00:00Z", true, &running());
        pod["metadata"]["annotations"] = json!({ "diyadm.io/containers": "side" });
        assert_eq!(choose(&[pod.clone()], ANY, "a").unwrap().container, "side");
        pod["metadata"]["annotations"] =
            json!({ "kubectl.kubernetes.io/default-container": "side" });
        assert_eq!(choose(&[pod.clone()], ANY, "a").unwrap().container, "side");
        let meant = |meant| Wanted { named: None, meant: Some(meant) };
        assert_eq!(choose(&[pod.clone()], meant("app"), "a").unwrap().container, "app");
        assert_eq!(choose(&[pod], meant("gone"), "a").unwrap().container, "side");
    }

    #[test]
    fn a_selector_is_a_query() {
        let both = json!({
            "matchLabels": { "a": "b" },
            "matchExpressions": [
                { "key": "k", "operator": "In", "values": ["v", "w"] },
                { "key": "n", "operator": "NotIn", "values": ["x"] },
                { "key": "e", "operator": "Exists" },
                { "key": "d", "operator": "DoesNotExist" },
            ],
        });
        assert_eq!(selector(&both), "a=b,k in (v,w),n notin (x),e,!d");
    }

    #[test]
    fn pods_of_another_owner_with_the_same_labels_are_not_ours() {
        let owned = |kind: &str, name: &str| {
            json!({ "metadata": {
                "labels": { "pod-template-hash": "h" },
                "ownerReferences": [{ "controller": true, "kind": kind, "name": name, "uid": "u" }],
            } })
        };
        assert!(is_of(&owned("ReplicaSet", "web-h"), "Deployment", "web", "other"));
        assert!(!is_of(&owned("ReplicaSet", "web-2-h"), "Deployment", "web", "other"));
        assert!(is_of(&owned("StatefulSet", "db"), "StatefulSet", "db", "u"));
        assert!(!is_of(&owned("StatefulSet", "db"), "StatefulSet", "db", "v"));
        assert!(!is_of(&json!({ "metadata": {} }), "StatefulSet", "db", ""));
    }

    #[test]
    fn what_a_pod_waits_for_is_told() {
        let none = choose(&[], ANY, "deploy/x").unwrap_err();
        assert_eq!(none.what, "There is no Pod of deploy/x.");
        let image =
            json!({ "waiting": { "reason": "ErrImageNeverPull", "message": "not here\nx" } });
        let waiting = pod("a", "2026-01-01T00:00:00Z", false, &image);
        let said = choose(std::slice::from_ref(&waiting), ANY, "deploy/x").unwrap_err();
        assert!(said.what.ends_with("a is Running (ErrImageNeverPull: not here)."), "{said}");
        let mut pending = waiting.clone();
        pending["status"] = json!({ "phase": "Pending", "conditions": [
            { "type": "PodScheduled", "status": "False", "message": "0/1 nodes are available." },
        ] });
        let said = choose(&[pending], ANY, "deploy/x").unwrap_err();
        assert!(said.what.ends_with("a is Pending (0/1 nodes are available)."), "{said}");
        let mut init = waiting.clone();
        init["status"]["initContainerStatuses"] = json!([
            { "name": "i", "state": { "terminated": { "exitCode": 3, "reason": "Error" } } },
        ]);
        let said = choose(&[init], ANY, "deploy/x").unwrap_err();
        assert!(said.what.contains("(init container i: Error, exit 3)"), "{said}");
        let said = choose(&[waiting], Wanted { named: Some("none"), meant: None }, "deploy/x")
            .unwrap_err();
        assert_eq!(said.hint, "It has app, side.");
    }
}
