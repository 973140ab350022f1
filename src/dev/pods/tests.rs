//! Which Pods are chosen, and what is said about those that are not.

use super::*;
use serde_json::json;

fn pod(name: &str, created: &str, ready: bool, state: &Value) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {
            "name": name, "namespace": "n", "uid": name, "creationTimestamp": created,
        },
        "spec": { "containers": [
            { "name": "app", "volumeMounts": [
                { "name": AGENT, "mountPath": "/.diyadm", "readOnly": true },
            ] },
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

const ANY: PodRequest<'_> =
    PodRequest { named: None, meant: None, owners: &[], live: LiveContainers::Allowed };
const NAMED: Named<'_> = Named { target: "deploy/x", empty: "deploy/x -n n", emptied: false };

fn running() -> Value {
    json!({ "running": { "startedAt": "2026-01-01T00:00:00Z" } })
}

#[test]
fn newest_ready_pod_is_chosen() {
    let old = pod("old", "2026-01-01T00:00:00Z", true, &running());
    let new = pod("new", "2026-01-02T00:00:00Z", true, &running());
    let unready = pod("unready", "2026-01-03T00:00:00Z", false, &running());
    let mut going = pod("going", "2026-01-04T00:00:00Z", true, &running());
    going["metadata"]["deletionTimestamp"] = "2026-01-05T00:00:00Z".into();
    let mut pods = vec![old, unready, going, new];
    let pick = choose(&pods, ANY, &NAMED).unwrap();
    assert_eq!((&*pick.pod, &*pick.container, pick.agent, pick.restarts), ("new", "app", true, 2));
    pods.truncate(3);
    pods.remove(0);
    assert_eq!(choose(&pods, ANY, &NAMED).unwrap().pod, "unready");
    assert_eq!(all(&pods, ANY).unwrap().len(), 1);
    let side = PodRequest { named: Some("side"), ..ANY };
    let found = choose(&pods, side, &NAMED).unwrap();
    assert!(found.container == "side" && !found.agent);
    // One that goes may be of another template.
    pods[1]["spec"]["containers"].as_array_mut().unwrap().pop();
    assert_eq!(choose(&pods, side, &NAMED).unwrap().pod, "unready");
    assert_eq!(all(&pods, side).unwrap().len(), 1);
    let none = choose(&pods[1..], side, &NAMED).unwrap_err();
    assert_eq!(none.what, "Pod going has no container side.");
}

const EMPTIED: PodRequest<'_> = PodRequest { live: LiveContainers::Refused, ..ANY };

fn emptied(name: &str, created: &str, ready: bool, state: &Value) -> Value {
    let mut pod = pod(name, created, ready, state);
    pod["spec"]["containers"][0]["command"] = json!(["/.diyadm/diyadm-agent"]);
    pod
}

#[test]
fn emptied_pod_is_preferred_and_live_pod_refused() {
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
    assert!(failure.hint.contains("`diyadm empty deploy/x -n n --image keep`"), "{}", failure.hint);
    assert!(failure.hint.contains("--live"), "{}", failure.hint);
    assert!(is_not_emptied(&failure.into()));
    assert_eq!(choose(alone, ANY, &NAMED).unwrap().pod, "live");

    // Waiting may help here.
    let image = json!({ "waiting": { "reason": "ErrImageNeverPull" } });
    let stuck = emptied("new", "2026-01-04T00:00:00Z", false, &image);
    let failure = refused(&[live.clone(), stuck], EMPTIED);
    assert!(failure.what.starts_with("The rollout of deploy/x to the emptied template has not"));
    assert!(failure.what.contains("Pod new does not start because it is Running (ErrImage"));
    assert!(failure.what.contains("Pod live of the previous template still runs `sleep"));
    assert!(!is_not_emptied(&failure.into()));
    let begun = Named { emptied: true, ..NAMED };
    let failure = choose(alone, EMPTIED, &begun).unwrap_err();
    assert!(failure.what.contains("no emptied Pod was created yet"), "{failure}");
    assert!(!is_not_emptied(&failure.into()));
    // A sidecar is never emptied.
    let side = PodRequest { named: Some("side"), ..EMPTIED };
    assert!(is_not_emptied(&choose(alone, side, &begun).unwrap_err().into()));
}

#[test]
fn live_pod_refusal_names_its_process_and_controller() {
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
fn emptied_container_is_chosen() {
    let mut pod = pod("a", "2026-01-01T00:00:00Z", true, &running());
    pod["metadata"]["annotations"] = json!({ "diyadm.io/containers": "side" });
    assert_eq!(choose(&[pod.clone()], ANY, &NAMED).unwrap().container, "side");
    pod["metadata"]["annotations"] = json!({ "kubectl.kubernetes.io/default-container": "side" });
    assert_eq!(choose(&[pod.clone()], ANY, &NAMED).unwrap().container, "side");
    let meant = |meant| PodRequest { meant: Some(meant), ..ANY };
    assert_eq!(choose(&[pod.clone()], meant("app"), &NAMED).unwrap().container, "app");
    assert_eq!(choose(&[pod], meant("gone"), &NAMED).unwrap().container, "side");
}

#[test]
fn pending_pod_reports_its_reason() {
    let none = choose(&[], ANY, &NAMED).unwrap_err();
    assert_eq!(none.what, "deploy/x has no Pods.");
    let image = json!({ "waiting": { "reason": "ErrImageNeverPull", "message": "not here\nx" } });
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
    let said = choose(&[waiting], PodRequest { named: Some("none"), ..ANY }, &NAMED).unwrap_err();
    assert_eq!(said.hint, "It has app, side.");
}
