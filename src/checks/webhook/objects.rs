//! What becomes of objects: one that is created now, those that are there, and their events.

use serde_json::Value;

use super::{DryCreate, Finding, Observed, Subject, unseen};
use crate::{checks::explain, workload};

pub(super) fn dry_create(observed: &Observed, subject: &Subject) -> Finding {
    let id = "dry-run";
    let Subject { namespace, service, image, .. } = subject;
    match &observed.dry_create {
        Ok(DryCreate::Image(found)) if found == image => {
            Finding::ok(id, format!("a Deployment created here would get {image}"))
        }
        Ok(DryCreate::Image(found)) => Finding::failed(
            id,
            format!("a Deployment created here would keep {found} instead of {image}"),
            format!(
                "Under failurePolicy Ignore the API server tells no reason; ask it for one with \
                 `diyadm check --probe -n {namespace} --service {service}`."
            ),
        ),
        Ok(DryCreate::Refused(text)) => match explain(text, service, namespace) {
            Some(cause) => Finding::failed(cause.id, cause.what, cause.hint),
            None => {
                Finding::failed(id, format!("a Deployment created here is refused: {text}"), "")
            }
        },
        Err(why) => unseen(id, "a dry-run create", why),
    }
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
        let Some(cause) = explain(message, &subject.service, &subject.namespace) else { continue };
        let about = &event["involvedObject"];
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let whose = format!("{}/{}", text(&about["kind"]).to_lowercase(), text(&about["name"]));
        let title = format!("an event of {whose}: {}", cause.what);
        // It may be over by now: what holds now the other findings tell.
        if found.iter().all(|f| f.title != title) {
            found.push(Finding::warning("events", title, cause.hint));
        }
    }
    if found.is_empty() {
        found.push(Finding::ok("events", "no event tells of a webhook that failed"));
    }
    found
}
