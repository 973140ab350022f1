//! Waits for the rollout of the webhook's server, and reports what blocks it.

use std::time::{Duration, Instant};

use anyhow::Result;
use serde_json::Value;

use super::proof::PAUSE;
use crate::{
    exit::{Failure, Topic},
    kubernetes::{Cluster, DEPLOYMENT, ENDPOINT_SLICE, EVENT, POD},
    rollout,
    ui::terminal::Terminal,
    webhook::checks::{CheckSubject, ready},
};

/// Waits until the new revision is rolled out and a Pod is ready behind the Service.
pub(super) async fn wait_until_ready(
    terminal: &Terminal,
    cluster: &Cluster,
    subject: &CheckSubject,
    seconds: u64,
) -> Result<()> {
    let CheckSubject { webhook_namespace: namespace, service, .. } = subject;
    let deadline = Instant::now() + Duration::from_secs(seconds);
    let selector = format!("kubernetes.io/service-name={service}");
    let mut wait = terminal.wait();
    loop {
        let slices = cluster.list(&ENDPOINT_SLICE, namespace, &selector).await?;
        let serves = !ready(&slices, None).is_empty();
        let deployment = cluster.get(&DEPLOYMENT, namespace, service).await?.unwrap_or_default();
        if serves && is_rolled_out(&deployment) {
            drop(wait);
            terminal.done(&format!("a server is ready behind Service {service}"), None);
            return Ok(());
        }
        let trouble = ServerTrouble::find(cluster, subject, &deployment).await;
        if Instant::now() > deadline {
            return Err(trouble.failure(subject, serves, seconds).into());
        }
        wait.say(&format!("waiting for a server behind Service {service}: {}", trouble.what));
        tokio::time::sleep(PAUSE).await;
    }
}

/// Whether all Pods have the newest revision. If endpoints are ready although none of the
/// Deployment's Pods is available, somebody else added them to the Service, and they are not an
/// older revision.
fn is_rolled_out(deployment: &Value) -> bool {
    let progress = rollout::progress(deployment, &rollout::Observations::default());
    let count = |pointer: &str| deployment.pointer(pointer).and_then(Value::as_i64).unwrap_or(0);
    let seen = count("/status/observedGeneration") >= count("/metadata/generation");
    progress.done || (seen && count("/status/availableReplicas") == 0)
}

/// What blocks the server's Pods.
struct ServerTrouble {
    what: String,
    /// Whether the problem is the image of the server.
    of_image: bool,
}

impl ServerTrouble {
    /// The Pods' own status, else the latest warning event about them.
    async fn find(cluster: &Cluster, subject: &CheckSubject, deployment: &Value) -> Self {
        let CheckSubject { webhook_namespace: namespace, service, .. } = subject;
        let selector = format!("app={service}");
        // Without the right to list them, less is reported.
        let pods = cluster.list(&POD, namespace, &selector).await.unwrap_or_default();
        let seen = rollout::Observations { pods: &pods, ..rollout::Observations::default() };
        let progress = rollout::progress(deployment, &seen);
        let what = match progress.trouble {
            Some(trouble) => trouble.what,
            None => match warning(cluster, subject).await {
                Some(warning) => warning,
                None => with_phases(&progress.message, &pods),
            },
        };
        Self { what, of_image: pods.iter().any(lacks_image) }
    }

    /// The final error of `install`. `serves`: whether there is an older server.
    fn failure(self, subject: &CheckSubject, serves: bool, seconds: u64) -> Failure {
        let CheckSubject { webhook_namespace: namespace, service, flags, .. } = subject;
        let Self { what: why, of_image } = self;
        let (what, back) = if serves {
            (
                format!(
                    "The new server is not rolled out after {seconds} s: {why}. The old one keeps \
                     serving."
                ),
                format!(
                    "`kubectl -n {namespace} rollout undo deployment/{service}` undoes the \
                     update."
                ),
            )
        } else {
            (
                format!("No server is ready behind Service {service} after {seconds} s: {why}."),
                format!(
                    "The webhook is not switched on; the same command goes on, `diyadm \
                     uninstall{flags}` removes it."
                ),
            )
        };
        let first = if of_image {
            "Use an image that the nodes can pull with --webhook-image, or load it onto the nodes."
                .to_owned()
        } else {
            format!("See why: `kubectl -n {namespace} describe pods -l app={service}`.")
        };
        Failure::no(Topic::Installation, what, format!("{first} {back}"))
    }
}

/// Whether a container of this Pod waits for its image.
fn lacks_image(pod: &Value) -> bool {
    let statuses = pod["status"]["containerStatuses"].as_array();
    let mut reasons = statuses
        .into_iter()
        .flatten()
        .filter_map(|status| status["state"]["waiting"]["reason"].as_str());
    reasons.any(|reason| reason.contains("Image") || reason == "RegistryUnavailable")
}

/// `0 of 2 Pods are ready; 2 are Pending`
fn with_phases(message: &str, pods: &[Value]) -> String {
    let mut phases: Vec<_> =
        pods.iter().filter_map(|pod| pod["status"]["phase"].as_str()).collect();
    phases.sort_unstable();
    let counted = phases.chunk_by(|one, other| one == other);
    let counted = counted.map(|same| format!("{} {}", same.len(), same[0])).collect::<Vec<_>>();
    if counted.is_empty() {
        format!("{message}; there is none")
    } else {
        format!("{message}; {}", counted.join(", "))
    }
}

/// The latest warning about the server's Pods.
async fn warning(cluster: &Cluster, subject: &CheckSubject) -> Option<String> {
    let events = cluster.list(&EVENT, &subject.webhook_namespace, "").await.ok()?;
    let about = |event: &&Value| {
        let name = event["involvedObject"]["name"].as_str().unwrap_or_default();
        event["type"] == "Warning" && name.starts_with(&subject.service)
    };
    let time = |event: &Value| {
        let text = event["lastTimestamp"].as_str().or(event["eventTime"].as_str());
        text.unwrap_or_default().to_owned()
    };
    let last = events.iter().filter(about).max_by_key(|event| time(event))?;
    Some(last["message"].as_str()?.lines().next()?.to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn server_upgrade_is_complete_when_every_pod_is_new() {
        let deployment = |status: Value| {
            json!({
                "kind": "Deployment", "metadata": { "generation": 2 }, "spec": { "replicas": 2 },
                "status": status,
            })
        };
        let status = |observed, all, new, available| {
            deployment(json!({
                "observedGeneration": observed, "replicas": all, "updatedReplicas": new,
                "availableReplicas": available,
            }))
        };
        assert!(is_rolled_out(&status(2, 2, 2, 2)));
        assert!(!is_rolled_out(&status(1, 2, 2, 2)), "its controller has not seen it yet");
        assert!(!is_rolled_out(&status(2, 3, 1, 2)), "an old revision serves");
        assert!(!is_rolled_out(&status(2, 3, 2, 2)), "an old Pod is left");
        assert!(!is_rolled_out(&status(2, 2, 2, 1)));
        // A server that is not one of its Pods.
        assert!(is_rolled_out(&deployment(json!({ "observedGeneration": 2, "replicas": 2 }))));
        assert!(!is_rolled_out(&deployment(json!({}))));
    }

    #[test]
    fn pods_are_counted_by_phase() {
        let pod = |phase: &str| json!({ "status": { "phase": phase } });
        let message = "0 of 3 Pods are ready";
        let pods = [pod("Pending"), pod("Running"), pod("Pending")];
        assert_eq!(with_phases(message, &pods), "0 of 3 Pods are ready; 2 Pending, 1 Running");
        assert_eq!(with_phases(message, &[]), "0 of 3 Pods are ready; there is none");
    }
}
