//! What becomes of objects: one that is created now, those that are there, and their events.

use serde_json::Value;

use super::{DryCreate, Finding, Observed, Subject, unseen};
use crate::{checks::explain, manifests, workload};

pub(super) fn dry_create(observed: &Observed, subject: &Subject) -> Finding {
    let id = "dry-run";
    let Subject { image, flags, .. } = subject;
    match &observed.dry_create {
        Ok(DryCreate::Image(found)) if found == image => {
            Finding::ok(id, format!("a Deployment created here would get {image}"))
        }
        Ok(DryCreate::Image(found)) if *found != untouched() => Finding::failed(
            id,
            format!("a Deployment created here would get {found}, not {image}"),
            format!(
                "If the webhook is meant to empty to that, say so: \
                 `diyadm check{flags} --image {found}`."
            ),
        ),
        Ok(DryCreate::Image(found)) => Finding::failed(
            id,
            format!("a Deployment created here would keep {found} instead of {image}"),
            format!(
                "Under failurePolicy Ignore the API server tells no reason; ask it for one with \
                 `diyadm check --probe{flags}{}`.",
                subject.image_flag()
            ),
        ),
        Ok(DryCreate::Refused(text)) => match explain(text, subject) {
            Some(cause) => Finding::failed(cause.id, cause.what, cause.hint),
            None => {
                Finding::failed(id, format!("a Deployment created here is refused: {text}"), "")
            }
        },
        Err(why) => unseen(id, "a dry-run create", why),
    }
}

/// The image that templates/test.yaml asks for.
fn untouched() -> String {
    let object = manifests::test_deployment("test").unwrap_or_default();
    image_of(&object).to_owned()
}

/// The image of the first container of a Deployment or Pod.
pub fn image_of(object: &Value) -> &str {
    let containers = match object["kind"].as_str() {
        Some("Pod") => &object["spec"]["containers"],
        _ => &object["spec"]["template"]["spec"]["containers"],
    };
    containers[0]["image"].as_str().unwrap_or("no image")
}

/// Whether a Deployment or Pod was emptied, and to `image` (`keep` is its own).
pub fn is_emptied_to(object: &Value, image: &str) -> bool {
    workload::is_emptied_pod(&object.to_string()) && (image == "keep" || image_of(object) == image)
}

pub(super) fn missed(observed: &Observed, subject: &Subject) -> Finding {
    let id = "missed";
    let workloads = match &observed.workloads {
        Ok(workloads) => workloads,
        Err(why) => return unseen(id, "the workloads", why),
    };
    let is_missed = |object: &&Value| {
        let text = object.to_string();
        object["metadata"]["name"] != subject.service.as_str()
            && !workload::is_emptied(&text)
            && !workload::declines(&text)
    };
    let names: Vec<_> = workloads
        .iter()
        .filter(is_missed)
        .map(|o| {
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            format!("{}/{}", text(&o["kind"]).to_lowercase(), text(&o["metadata"]["name"]))
        })
        .collect();
    if names.is_empty() {
        return Finding::ok(id, "every workload here is emptied, or asks not to be");
    }
    Finding::warning(
        id,
        format!("not emptied, they were here before: {}", names.join(", ")),
        format!(
            "Any write empties them: `kubectl -n {} rollout restart {}`.",
            subject.namespace, names[0]
        ),
    )
}

pub(super) fn events(observed: &Observed, subject: &Subject) -> Vec<Finding> {
    let events = match &observed.events {
        Ok(events) => events,
        Err(why) => return vec![unseen("events", "the events", why)],
    };
    let mut found: Vec<Finding> = Vec::new();
    for event in events {
        let message = event["message"].as_str().unwrap_or_default();
        let Some(cause) = explain(message, subject) else { continue };
        let about = &event["involvedObject"];
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let whose = format!("{}/{}", text(&about["kind"]).to_lowercase(), text(&about["name"]));
        let seen = format!("an event of {whose}: {}", cause.what);
        // It may be over by now: what holds now the other findings tell.
        if found.iter().all(|f| f.seen != seen) {
            found.push(Finding::warning("events", seen, cause.hint));
        }
    }
    if found.is_empty() {
        found.push(Finding::ok("events", "no event tells of a webhook that failed"));
    }
    found
}
