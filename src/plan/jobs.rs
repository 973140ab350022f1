//! The effect of a CronJob's schedule and a Job's deadline on idle Pods.

use serde_json::Value;

use crate::{
    kinds::{self, Controller, JOB, POD},
    webhook::checks::Finding,
};

const SUSPEND: &str = "`diyadm empty … --suspend-cronjobs` suspends it while it is empty.";

/// Findings about a workload that is, or would be, empty. `suspended`: whether it starts no Jobs.
pub fn findings(object: &Value, suspended: bool) -> Vec<Finding> {
    let mut found = Vec::new();
    let spec = &object["spec"];
    let name = object["metadata"]["name"].as_str().unwrap_or("NAME");
    let kind = kinds::of_object(object);
    let starts_jobs = kind.is_some_and(|kind| kind.controller == Controller::Jobs);
    if starts_jobs && suspended {
        let seen = format!(
            "it is suspended: `kubectl create job {name}-dev --from=cronjob/{name}` starts an empty Job"
        );
        found.push(Finding::ok("cronjob", seen));
    } else if starts_jobs {
        let schedule = spec["schedule"].as_str().unwrap_or_default();
        let then = match spec["concurrencyPolicy"].as_str() {
            Some("Forbid") => "the next Job waits for that (concurrencyPolicy Forbid)",
            Some("Replace") => "the next Job replaces it (concurrencyPolicy Replace)",
            _ => "each run adds another Job (concurrencyPolicy Allow)",
        };
        let seen =
            format!("each Job that it starts ({schedule}) idles until it is deleted, and {then}");
        found.push(Finding::warning("cronjob", seen, SUSPEND));
    }
    let of_job = spec.pointer("/jobTemplate/spec").unwrap_or(spec);
    let of_pod = kind.and_then(|kind| object.pointer(&format!("{}/spec", kind.template())));
    let deadlines = [(&JOB, of_job), (&POD, of_pod.unwrap_or(&Value::Null))];
    let is_pod = kind == Some(&POD);
    for (what, spec) in deadlines.into_iter().filter(|(what, _)| !(is_pod && *what == &JOB)) {
        let what = what.kind;
        let Some(seconds) = spec["activeDeadlineSeconds"].as_u64() else { continue };
        let seen = format!(
            "each {what} ends {seconds} s after it has started (activeDeadlineSeconds), with all \
             that runs in it"
        );
        let hint = "Remove activeDeadlineSeconds from the manifest meanwhile.";
        found.push(Finding::warning("deadline", seen, hint));
    }
    found
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn plan_reports_schedules_and_deadlines() {
        let cron = |spec: Value| json!({ "apiVersion": "batch/v1", "kind": "CronJob", "metadata": { "name": "x" }, "spec": spec });
        let job = |spec: Value| json!({ "apiVersion": "batch/v1", "kind": "Job", "spec": spec });
        let ended = json!({ "activeDeadlineSeconds": 60 });
        let template = |spec: &Value| json!({ "spec": { "template": { "spec": spec } } });
        for (object, suspended, said) in [
            (cron(json!({ "schedule": "* * * * *" })), false, vec!["concurrencyPolicy Allow"]),
            (cron(json!({ "concurrencyPolicy": "Forbid" })), false, vec!["waits for that"]),
            (cron(json!({ "concurrencyPolicy": "Replace" })), false, vec!["replaces it"]),
            (cron(json!({})), true, vec!["it is suspended"]),
            (
                cron(json!({ "jobTemplate": { "spec": ended } })),
                true,
                vec!["suspended", "each Job ends 60 s"],
            ),
            (
                cron(json!({ "jobTemplate": template(&ended) })),
                true,
                vec!["suspended", "each Pod ends 60 s"],
            ),
            (job(ended.clone()), false, vec!["each Job ends 60 s"]),
            (template(&json!({})), false, vec![]),
            (
                json!({ "apiVersion": "v1", "kind": "Pod", "spec": ended }),
                false,
                vec!["each Pod ends 60 s"],
            ),
        ] {
            let found = findings(&object, suspended);
            assert_eq!(found.len(), said.len(), "{object}: {found:?}");
            for (found, said) in found.iter().zip(said) {
                assert!(found.seen.contains(said), "{object}: {found:?}");
            }
        }
    }
}
