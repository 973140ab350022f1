//! What becomes of objects: one that is created now, those that are there, and their events.

use serde_json::Value;

use super::{DryCreate, Finding, Observed, Subject, unseen};
use crate::{checks::explain, manifests, workload};

pub(super) fn dry_create(observed: &Observed, subject: &Subject) -> Finding {
    let id = "dry-run";
    let Subject { image: wanted, flags, .. } = subject;
    let (kind, found, emptied) = match &observed.dry_create {
        Ok(created @ DryCreate::Stored { kind, image, .. }) if created.is_empty(wanted) => {
            return Finding::ok(id, format!("a {kind} created here would get {image}"));
        }
        Ok(DryCreate::Stored { kind, image, emptied }) => (kind, image, emptied),
        Ok(DryCreate::Refused(text)) => {
            return match explain(text, subject) {
                Some(cause) => Finding::failed(cause.id, cause.what, cause.hint),
                None => Finding::failed(id, format!("what is created here is refused: {text}"), ""),
            };
        }
        Err(why) => return unseen(id, "a dry-run create", why),
    };
    if *emptied || *found != untouched() {
        let image = if *found == untouched() { "keep" } else { found };
        return Finding::failed(
            id,
            format!("a {kind} created here would get {found}, not {wanted}"),
            format!(
                "If the webhook is meant to empty to that, say so: \
                 `diyadm check{flags} --image {image}`."
            ),
        );
    }
    Finding::failed(
        id,
        format!("a {kind} created here would keep {found} instead of {wanted}"),
        format!(
            "Under failurePolicy Ignore the API server tells no reason; ask it for one with \
             `diyadm check --probe{flags}{}`.",
            subject.image_flag()
        ),
    )
}

/// The image that templates/test.yaml asks for.
fn untouched() -> String {
    let object = manifests::test_deployment("test").unwrap_or_default();
    image_of(&object).to_owned()
}

/// The image of the first container of a Deployment, or of a Pod.
pub fn image_of(object: &Value) -> &str {
    let spec =
        if object["kind"] == "Pod" { &object["spec"] } else { &object["spec"]["template"]["spec"] };
    spec["containers"][0]["image"].as_str().unwrap_or("no image")
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
    let seen = format!("not emptied, they were here before: {}", names.join(", "));
    let namespace = &subject.namespace;
    let first = &names[0];
    let hint = match first.split('/').next() {
        Some("pod") => {
            format!("Their owners make new ones: `kubectl -n {namespace} delete {first}`.")
        }
        Some("cronjob") => {
            format!("Any write empties them: `kubectl -n {namespace} label {first} touched=yes`.")
        }
        _ => format!("Any write empties them: `kubectl -n {namespace} rollout restart {first}`."),
    };
    Finding::warning(id, seen, hint)
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
