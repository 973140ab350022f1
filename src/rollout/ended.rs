//! Jobs and Pods that have ended, perhaps before diyadm could read their status.

use serde_json::Value;

use super::{Progress, RolloutProblem, cause::cause, done, waiting};
use crate::workload;

/// A Job that has ended, or one of whose Pods has ended.
pub(super) fn job(job: &Value) -> Option<Progress> {
    let conditions = job["status"]["conditions"].as_array();
    let condition = |kind: &str| {
        let mut all = conditions.into_iter().flatten();
        all.find(|one| one["type"] == kind && one["status"] == "True")
    };
    if let Some(failed) = condition("Failed") {
        return Some(failure(job, failed["message"].as_str().unwrap_or_default()));
    }
    let is_through = condition("Complete").is_some()
        || job["status"]["succeeded"].as_i64().is_some_and(|count| count > 0);
    is_through.then(|| success(job))
}

/// A Pod that has ended.
pub(super) fn pod(pod: &Value) -> Option<Progress> {
    let status = &pod["status"];
    match status["phase"].as_str()? {
        "Succeeded" => Some(success(pod)),
        "Failed" => {
            let said = [&status["message"], &status["reason"]];
            let said = said.into_iter().filter_map(Value::as_str).find(|said| !said.is_empty());
            Some(failure(pod, said.unwrap_or_default()))
        }
        _ => None,
    }
}

/// A normal application has completed its work. An empty container should still idle.
fn success(object: &Value) -> Progress {
    if !workload::is_emptied(&object.to_string()) {
        return done("it has ended");
    }
    let hint = "An image whose process exits idles with --idle shell or --idle agent.";
    let trouble = RolloutProblem::lasting("its container has ended", hint);
    Progress { trouble: Some(trouble), ..waiting("it has ended") }
}

fn failure(object: &Value, said: &str) -> Progress {
    let said = cause(said, &[]);
    let said = if said.is_empty() { String::new() } else { format!(": {said}") };
    let text = |field: &str| object["metadata"][field].as_str().unwrap_or_default();
    let kind = object["kind"].as_str().unwrap_or_default().to_lowercase();
    let hint = format!(
        "See its last output: `kubectl -n {} logs {kind}/{} --all-containers`.",
        text("namespace"),
        text("name")
    );
    Progress {
        trouble: Some(RolloutProblem::lasting(format!("it has failed{said}"), hint)),
        ..waiting("it has failed")
    }
}
