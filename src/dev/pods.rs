//! Which Pod, and which container in it, to work in. Pure: Pods come in as the API server told
//! them.

use std::fmt;

use serde_json::Value;

use self::container::{
    is_empty, is_going, is_ready, is_running, name, not_running, runs, spec, specs, status, text,
    why_not,
};
use crate::{exit::Failure, workload};

mod container;

pub(crate) use container::{controller, owner};

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
    /// Its image: all of what it runs that can change in a Pod.
    pub(crate) image: String,
    /// What it runs as PID 1, where it is a live container.
    pub(crate) live: Option<String>,
}

/// Which container is wanted.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Wanted<'a> {
    /// By the user, with -c.
    pub(crate) named: Option<&'a str>,
    /// By the workload, which knows what was emptied; a Pod of before may not have it.
    pub(crate) meant: Option<&'a str>,
    /// The workloads that the Pods were made from, where they are known.
    pub(crate) owners: &'a [Value],
    /// Whether a live container may be worked in where no emptied one runs.
    pub(crate) live: bool,
}

/// What the user calls the workload, for errors.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Named<'a> {
    /// `deploy/web`, as it was typed.
    pub(crate) target: &'a str,
    /// What `diyadm empty` takes to empty it: `deploy/web -n shop`.
    pub(crate) empty: &'a str,
    /// Whether its pod template is empty.
    pub(crate) emptied: bool,
}

/// The cause of a refusal to work in a live container. Waiting does not change it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NotEmptied;

impl fmt::Display for NotEmptied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the container is live")
    }
}

impl std::error::Error for NotEmptied {}

/// Whether an error refuses a live container.
pub(crate) fn is_not_emptied(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        let failure = cause.downcast_ref::<Failure>().and_then(|failure| failure.cause.as_ref());
        failure.is_some_and(|cause| cause.is::<NotEmptied>())
    })
}

/// The container to work in: of a Pod that is ready rather than one that only runs, and of the
/// newest among these. An emptied one comes before any live one.
///
/// # Errors
/// No Pod, none that runs (with what each waits for), none that was emptied, no such container.
pub(crate) fn choose(
    pods: &[Value],
    wanted: Wanted<'_>,
    named: &Named<'_>,
) -> Result<Pick, Failure> {
    let target = named.target;
    let Some(first) = pods.first() else {
        return Err(Failure::no(
            format!("There is no Pod of {target}."),
            "See why: `kubectl get events`; a workload scaled to 0 has none.",
        ));
    };
    let having = having(pods, wanted)?;
    let mut running = running(&having, wanted);
    if let Some(at) = running.iter().position(|pick| wanted.live || pick.live.is_none()) {
        return Ok(running.swap_remove(at));
    }
    if let Some(live) = running.first() {
        return Err(refused(live, &having, wanted, named));
    }
    let each = having.iter().take(3).map(|(pod, container)| why_not(pod, container));
    let each: Vec<_> = each.collect();
    let namespace = text(first, "/metadata/namespace");
    Err(Failure::no(
        format!("No Pod of {target} runs yet: {}.", each.join("; ")),
        format!("Look closer with `kubectl -n {namespace} describe pod {}`.", name(first)),
    ))
}

/// The containers of every Pod that runs, live ones too, in the order in which [`choose`] prefers
/// them.
pub(crate) fn all(pods: &[Value], wanted: Wanted<'_>) -> Result<Vec<Pick>, Failure> {
    Ok(running(&having(pods, wanted)?, wanted))
}

/// The container of a pick as it is now, in the same Pod.
pub(crate) fn again(pod: &Value, before: &Pick) -> Pick {
    let now = pick(pod, before.container.clone(), Wanted::default());
    let live = if now.image == before.image { before.live.clone() } else { now.live };
    Pick { live, ..now }
}

/// Those that run: the emptied ones first, among these the ready ones, and the newest.
fn running(having: &[(&Value, String)], wanted: Wanted<'_>) -> Vec<Pick> {
    let running = having.iter().filter(|(pod, container)| is_running(pod, container));
    let running = running.map(|(pod, container)| (*pod, pick(pod, container.clone(), wanted)));
    let mut running: Vec<_> = running.collect();
    running.sort_by_key(|(pod, pick)| {
        let created = text(pod, "/metadata/creationTimestamp").to_owned();
        std::cmp::Reverse((pick.live.is_none(), is_ready(pod), created, pick.pod.clone()))
    });
    running.into_iter().map(|(_, pick)| pick).collect()
}

/// Why nothing is done where only live containers run. A rollout that has not finished may still
/// bring an emptied one.
fn refused(
    live: &Pick,
    having: &[(&Value, String)],
    wanted: Wanted<'_>,
    named: &Named<'_>,
) -> Failure {
    let Pick { namespace, pod: old, live: runs, .. } = live;
    let Named { target, empty, emptied } = named;
    let runs = runs.as_deref().unwrap_or_default();
    let coming = having.iter().find(|(pod, container)| {
        !is_going(pod) && !is_running(pod, container) && is_empty(pod, container, wanted.owners)
    });
    let unfinished = format!("The rollout of {target} to the emptied template has not finished");
    let untouched = format!("Pod {old} of the template before still runs {runs}");
    if let Some((new, container)) = coming {
        let (new, why) = (name(new), not_running(new, container));
        return Failure::no(
            format!("{unfinished}: Pod {new} does not start because it is {why}. {untouched}."),
            format!("See why: `kubectl -n {namespace} describe pod {new}`."),
        );
    }
    if *emptied && wanted.named.is_none_or(|named| wanted.meant == Some(named)) {
        return Failure::no(
            format!("{unfinished}: no emptied Pod was created yet. {untouched}."),
            format!("See why: `kubectl -n {namespace} get events`."),
        );
    }
    not_emptied(live, runs, empty)
}

/// The refusal to work in a live container. `runs` is its PID 1, `empty` what `diyadm empty` takes.
pub(crate) fn not_emptied(pick: &Pick, runs: &str, empty: &str) -> Failure {
    let Pick { pod, container, .. } = pick;
    Failure::no(
        format!(
            "Container {container} of Pod {pod} was not emptied by diyadm: its PID 1 is {runs}."
        ),
        format!(
            "Empty it first: `diyadm empty {empty}`; or use --live to work in a live container."
        ),
    )
    .because(NotEmptied)
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
    let Some(controller) = controller(object) else { return false };
    if kind != "Deployment" {
        return controller["uid"] == uid;
    }
    let hash = text(object, "/metadata/labels/pod-template-hash");
    controller["kind"] == "ReplicaSet" && controller["name"] == format!("{owner}-{hash}")
}

fn pick(pod: &Value, container: String, wanted: Wanted<'_>) -> Pick {
    let status = status(pod, &container);
    let restarts = status.and_then(|status| status["restartCount"].as_u64()).unwrap_or_default();
    let spec = spec(pod, &container);
    let image = spec.map(|spec| text(spec, "/image").to_owned()).unwrap_or_default();
    let mounts = spec.and_then(|spec| spec["volumeMounts"].as_array());
    let agent = mounts.is_some_and(|mounts| mounts.iter().any(|mount| mount["name"] == AGENT));
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
fn container(pod: &Value, Wanted { named, meant, .. }: Wanted<'_>) -> Result<String, Failure> {
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

    const ANY: Wanted<'_> = Wanted { named: None, meant: None, owners: &[], live: true };
    const NAMED: Named<'_> = Named { target: "deploy/x", empty: "deploy/x -n n", emptied: false };

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
        let pick = choose(&pods, ANY, &NAMED).unwrap();
        assert_eq!(
            (&*pick.pod, &*pick.container, pick.agent, pick.restarts),
            ("new", "app", true, 2)
        );
        pods.truncate(3);
        pods.remove(0);
        assert_eq!(choose(&pods, ANY, &NAMED).unwrap().pod, "unready");
        assert_eq!(all(&pods, ANY).unwrap().len(), 1);
        let side = Wanted { named: Some("side"), ..ANY };
        let found = choose(&pods, side, &NAMED).unwrap();
        assert!(found.container == "side" && !found.agent);
        // One that goes may be of another template.
        pods[1]["spec"]["containers"].as_array_mut().unwrap().pop();
        assert_eq!(choose(&pods, side, &NAMED).unwrap().pod, "unready");
        assert_eq!(all(&pods, side).unwrap().len(), 1);
        let none = choose(&pods[1..], side, &NAMED).unwrap_err();
        assert_eq!(none.what, "Pod going has no container side.");
    }

    const EMPTIED: Wanted<'_> = Wanted { live: false, ..ANY };

    fn emptied(name: &str, created: &str, ready: bool, state: &Value) -> Value {
        let mut pod = pod(name, created, ready, state);
        pod["spec"]["containers"][0]["command"] = json!(["/.diyadm/diyadm", "idle"]);
        pod
    }

    #[test]
    fn an_emptied_pod_is_preferred_and_a_live_one_refused() {
        let mut live = pod("live", "2026-01-03T00:00:00Z", true, &running());
        live["spec"]["containers"][0]["command"] = json!(["sleep", "1 h\u{1b}"]);
        let old = emptied("old", "2026-01-01T00:00:00Z", false, &running());
        let both = [live.clone(), old];
        assert_eq!(choose(&both, EMPTIED, &NAMED).unwrap().pod, "old");
        assert_eq!(choose(&both, ANY, &NAMED).unwrap().pod, "old");
        let all = all(&both, EMPTIED).unwrap();
        let runs: Vec<_> = all.iter().map(|pick| (&*pick.pod, pick.live.as_deref())).collect();
        assert_eq!(runs, [("old", None), ("live", Some("`sleep '1 h\\u{1b}'`"))]);

        let refused = |pods: &[Value], wanted| choose(pods, wanted, &NAMED).unwrap_err();
        let alone = std::slice::from_ref(&live);
        let failure = refused(alone, EMPTIED);
        assert_eq!(
            failure.what,
            "Container app of Pod live was not emptied by diyadm: its PID 1 is `sleep '1 h\\u{1b}'`."
        );
        assert!(failure.hint.contains("`diyadm empty deploy/x -n n`"), "{}", failure.hint);
        assert!(failure.hint.contains("--live"), "{}", failure.hint);
        assert!(is_not_emptied(&failure.into()));
        assert_eq!(choose(alone, ANY, &NAMED).unwrap().pod, "live");

        // Waiting may help here.
        let image = json!({ "waiting": { "reason": "ErrImageNeverPull" } });
        let stuck = emptied("new", "2026-01-04T00:00:00Z", false, &image);
        let failure = refused(&[live.clone(), stuck], EMPTIED);
        assert!(
            failure.what.starts_with("The rollout of deploy/x to the emptied template has not")
        );
        assert!(failure.what.contains("Pod new does not start because it is Running (ErrImage"));
        assert!(failure.what.contains("Pod live of the template before still runs `sleep"));
        assert!(!is_not_emptied(&failure.into()));
        let begun = Named { emptied: true, ..NAMED };
        let failure = choose(alone, EMPTIED, &begun).unwrap_err();
        assert!(failure.what.contains("no emptied Pod was created yet"), "{failure}");
        assert!(!is_not_emptied(&failure.into()));
        // A sidecar is never emptied.
        let side = Wanted { named: Some("side"), ..EMPTIED };
        assert!(is_not_emptied(&choose(alone, side, &begun).unwrap_err().into()));
    }

    #[test]
    fn what_runs_and_what_controls_it_are_named() {
        let mut pod = pod("a", "", true, &running());
        pod["spec"]["containers"][0]["image"] = "shop:1".into();
        assert_eq!(runs(&pod, "app"), "the entrypoint of image shop:1");
        pod["spec"]["containers"][0]["args"] = json!(["serve"]);
        assert_eq!(runs(&pod, "app"), "the entrypoint of image shop:1 with `serve`");
        assert_eq!(owner(&pod), "pod/a");
        let controlled =
            |kind: &str, name: &str| json!([{ "controller": true, "kind": kind, "name": name }]);
        pod["metadata"]["ownerReferences"] = controlled("StatefulSet", "db");
        assert_eq!(owner(&pod), "statefulset/db");
        pod["metadata"]["ownerReferences"] = controlled("ReplicaSet", "web-5d4");
        assert_eq!(owner(&pod), "replicaset/web-5d4");
        pod["metadata"]["labels"] = json!({ "pod-template-hash": "5d4" });
        assert_eq!(owner(&pod), "deployment/web");
    }

    #[test]
    fn the_emptied_container_is_meant() {
        let mut pod = pod("a", "2026-01-01T00:00:00Z", true, &running());
        pod["metadata"]["annotations"] = json!({ "diyadm.io/containers": "side" });
        assert_eq!(choose(&[pod.clone()], ANY, &NAMED).unwrap().container, "side");
        pod["metadata"]["annotations"] =
            json!({ "kubectl.kubernetes.io/default-container": "side" });
        assert_eq!(choose(&[pod.clone()], ANY, &NAMED).unwrap().container, "side");
        let meant = |meant| Wanted { meant: Some(meant), ..ANY };
        assert_eq!(choose(&[pod.clone()], meant("app"), &NAMED).unwrap().container, "app");
        assert_eq!(choose(&[pod], meant("gone"), &NAMED).unwrap().container, "side");
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
        let none = choose(&[], ANY, &NAMED).unwrap_err();
        assert_eq!(none.what, "There is no Pod of deploy/x.");
        let image =
            json!({ "waiting": { "reason": "ErrImageNeverPull", "message": "not here\nx" } });
        let waiting = pod("a", "2026-01-01T00:00:00Z", false, &image);
        let said = choose(std::slice::from_ref(&waiting), ANY, &NAMED).unwrap_err();
        assert!(said.what.ends_with("a is Running (ErrImageNeverPull: not here)."), "{said}");
        let mut pending = waiting.clone();
        pending["status"] = json!({ "phase": "Pending", "conditions": [
            { "type": "PodScheduled", "status": "False", "message": "0/1 nodes are available." },
        ] });
        let said = choose(&[pending], ANY, &NAMED).unwrap_err();
        assert!(said.what.ends_with("a is Pending (0/1 nodes are available)."), "{said}");
        let mut init = waiting.clone();
        init["status"]["initContainerStatuses"] = json!([
            { "name": "i", "state": { "terminated": { "exitCode": 3, "reason": "Error" } } },
        ]);
        let said = choose(&[init], ANY, &NAMED).unwrap_err();
        assert!(said.what.contains("(init container i: Error, exit 3)"), "{said}");
        let said = choose(&[waiting], Wanted { named: Some("none"), ..ANY }, &NAMED).unwrap_err();
        assert_eq!(said.hint, "It has app, side.");
    }
}
