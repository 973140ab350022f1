//! Why Pods are not created: quotas, policies, webhooks.

use serde_json::Value;

use super::{Observations, RolloutProblem, cause::cause, pods::time};
use crate::{
    kinds::{self, Controller, REPLICA_SET},
    workload::copy,
};

/// Messages of controllers about failed Pod creation: a condition of a Deployment, events of other
/// kinds.
pub fn trouble(workload: &Value, seen: &Observations<'_>) -> Option<RolloutProblem> {
    let explain = |message: &str| {
        let problem = explain(message);
        // A copy has no old Pod whose end makes room.
        let lasting = problem.lasting || (copy::is_copy(workload) && is_over_quota(message));
        RolloutProblem { lasting, ..problem }
    };
    let conditions = workload["status"]["conditions"].as_array();
    let condition = conditions.and_then(|all| {
        all.iter().find(|one| one["type"] == "ReplicaFailure" && one["status"] == "True")
    });
    if let Some(message) = condition.and_then(|one| one["message"].as_str()) {
        return Some(explain(message));
    }
    let controller = kinds::of_object(workload).map(|kind| kind.controller);
    let has_sets = matches!(controller, Some(Controller::ReplicaSets(_)));
    let name = workload["metadata"]["name"].as_str().unwrap_or_default();
    let about = |event: &&Value| {
        let object = &event["involvedObject"];
        let of_set = has_sets
            && object["kind"] == REPLICA_SET.kind
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

fn is_over_quota(message: &str) -> bool {
    message.contains("exceeded quota") || message.contains("failed quota")
}

/// `message` is that of the API server, with a prefix of the controller.
fn explain(message: &str) -> RolloutProblem {
    let inner = message.split_once(" is forbidden: ").map_or(message, |(_, inner)| inner);
    let said = cause(inner, &[]);
    let has = |words: &str| inner.contains(words);
    if is_over_quota(inner) {
        return RolloutProblem::passing(
            format!("a quota does not allow the Pod: {said}"),
            "Free some of it, or raise it: `kubectl describe resourcequotas`. A rollout needs \
             room for one more Pod than there is.",
        );
    }
    if has("violates PodSecurity") {
        return RolloutProblem::lasting(
            format!("the namespace's Pod Security level rejects the Pod: {said}"),
            "See `kubectl get namespace -L pod-security.kubernetes.io/enforce`.",
        )
        .or_emptied(
            "The empty container keeps the workload's own securityContext: see \
             `kubectl get namespace -L pod-security.kubernetes.io/enforce`.",
        );
    }
    if has("per Container") || has("per Pod") {
        return RolloutProblem::lasting(
            format!("a LimitRange rejects the Pod: {said}"),
            "See `kubectl describe limitranges`.",
        );
    }
    if has("failed calling webhook") {
        return RolloutProblem::passing(
            format!("a webhook that is called for the Pod fails: {said}"),
            "If it is diyadm's, `diyadm check` shows why.",
        );
    }
    if has("denied the request") {
        return RolloutProblem::lasting(
            format!("a policy of the cluster rejects the Pod: {said}"),
            "Ask the owner of that policy.",
        )
        .or_emptied("Ask the owner of that policy, or use an image that it allows with --image.");
    }
    RolloutProblem::passing(format!("the Pod cannot be created: {said}"), "")
}
