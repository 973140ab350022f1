//! Why no Pod is even created: quotas, policies, webhooks.

use serde_json::Value;

use super::{
    Seen, Trouble,
    pods::{line, time},
};

/// What the controllers say about creating Pods: a Deployment in a condition, the others in
/// events.
pub fn trouble(workload: &Value, seen: &Seen<'_>) -> Option<Trouble> {
    let conditions = workload["status"]["conditions"].as_array();
    let condition = conditions.and_then(|all| {
        all.iter().find(|one| one["type"] == "ReplicaFailure" && one["status"] == "True")
    });
    if let Some(message) = condition.and_then(|one| one["message"].as_str()) {
        return Some(explain(message));
    }
    let kind = workload["kind"].as_str().unwrap_or_default();
    let name = workload["metadata"]["name"].as_str().unwrap_or_default();
    let about = |event: &&Value| {
        let object = &event["involvedObject"];
        let of_set = kind == "Deployment"
            && object["kind"] == "ReplicaSet"
            && object["name"]
                .as_str()
                .and_then(|n| n.rsplit_once('-'))
                .is_some_and(|n| n.0 == name);
        (of_set || object["uid"] == workload["metadata"]["uid"])
            && event["reason"] == "FailedCreate"
            && time(event).as_str() >= seen.since
    };
    let last = seen.events.iter().filter(about).max_by_key(|event| time(event))?;
    Some(explain(last["message"].as_str().unwrap_or_default()))
}

/// `message` is the API server's, with the controller's words before it.
fn explain(message: &str) -> Trouble {
    let whole = line(message);
    let said = whole.split_once(" is forbidden: ").map_or(whole, |(_, said)| said);
    if said.contains("exceeded quota") || said.contains("failed quota") {
        return Trouble::new(
            format!("a quota does not allow the Pod: {said}"),
            "Free some of it, or raise it: `kubectl describe resourcequotas`. A rollout needs room \
             for one Pod more than there are.",
            false,
        );
    }
    if said.contains("violates PodSecurity") {
        return Trouble::new(
            format!("the namespace's Pod Security level refuses the Pod: {said}"),
            "The empty container keeps the workload's own securityContext: see \
             `kubectl get namespace -L pod-security.kubernetes.io/enforce`.",
            true,
        );
    }
    if said.contains("per Container") || said.contains("per Pod") {
        return Trouble::new(
            format!("a LimitRange refuses the Pod: {said}"),
            "See `kubectl describe limitranges`.",
            true,
        );
    }
    if said.contains("failed calling webhook") {
        return Trouble::new(
            format!("a webhook is called for the Pod and fails: {said}"),
            "Where it is diyadm's, `diyadm check` says why.",
            false,
        );
    }
    if said.contains("denied the request") {
        return Trouble::new(
            format!("a policy of the cluster refuses the Pod: {said}"),
            "Ask whoever runs that policy; --image may name an image that it allows.",
            true,
        );
    }
    Trouble::new(format!("the Pod cannot be created: {said}"), "", false)
}
