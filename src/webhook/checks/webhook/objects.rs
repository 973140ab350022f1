//! Checks objects: a newly created one, existing ones, and their events.

use serde_json::Value;

use super::{CheckSubject, DryCreate, Finding, Observed, refused_hint, unseen};
use crate::{
    webhook::{checks::explain, manifests},
    workload::{self, EMPTIED_BY},
};

/// The error of the API server, or of the webhook, for an object that was not created.
fn refused(text: &str, observed: &Observed, subject: &CheckSubject) -> Finding {
    match explain(text, subject) {
        Some(cause) => Finding::failed(cause.id, cause.what, cause.hint),
        None => Finding::failed(
            "dry-run",
            format!("objects created here are rejected: {text}"),
            refused_hint(&observed.namespace, subject),
        ),
    }
}

pub(super) fn dry_create(observed: &Observed, subject: &CheckSubject) -> Finding {
    let id = "dry-run";
    let CheckSubject { image: wanted, flags, .. } = subject;
    let created = match &observed.dry_create {
        Ok(DryCreate::Created(created)) => created,
        Ok(DryCreate::Refused(text)) => return refused(text, observed, subject),
        Ok(DryCreate::Denied { denial, .. })
            if denial.webhook.as_ref() == Some(&subject.host()) =>
        {
            return refused(&denial.message, observed, subject);
        }
        Ok(DryCreate::Denied { denial, anyway: false }) => {
            return denial.finding("what is emptied here");
        }
        Ok(DryCreate::Denied { denial, anyway: true }) => {
            return Finding::unknown(
                id,
                denial.denies("this command's sample object, emptied or not"),
                format!(
                    "`diyadm plan -n {}` checks the same with the existing workloads.",
                    subject.namespace
                ),
            );
        }
        Err(why) => return unseen(id, "a dry-run create", why),
    };
    let kind = if created["kind"] == "Pod" { "Pod" } else { "Deployment" };
    let found = image_of(created);
    let is_other = found != untouched();
    if is_emptied_by_policy(created) {
        Finding::failed(
            id,
            format!("a {kind} created here would be emptied by a policy, not by this webhook"),
            format!("See which: `kubectl get {POLICIES}`."),
        )
    } else if is_emptied_to(created, wanted) {
        Finding::ok(id, format!("a {kind} created here would get {found}"))
    } else if is_other && found == wanted {
        Finding::failed(
            id,
            format!("a {kind} created here would get {found}, and nothing to restore it from"),
            "See who else changes it: `kubectl get mutatingwebhookconfigurations`.",
        )
    } else if is_other || is_emptied_to(created, KEEP) {
        let image = if is_other { found } else { KEEP };
        Finding::failed(
            id,
            format!("a {kind} created here would get {found}, not {wanted}"),
            format!("If this image is intended, run `diyadm check{flags} --image {image}`."),
        )
    } else {
        Finding::failed(
            id,
            format!("a {kind} created here would not be emptied: it keeps {found}"),
            format!(
                "Under failurePolicy Ignore the API server gives no reason; `diyadm check \
                 --probe{flags}{}` finds it.",
                subject.image_flag()
            ),
        )
    }
}

/// The plural of policies for `kubectl get`.
const POLICIES: &str = "mutatingadmissionpolicies";

/// Whether a policy emptied a Pod, which leaves no original.
pub fn is_emptied_by_policy(object: &Value) -> bool {
    object["metadata"]["annotations"][EMPTIED_BY].is_string()
}

/// `--image keep`: emptied containers keep their image.
const KEEP: &str = "keep";

/// The image in templates/test.yaml.
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

/// Whether a Deployment or Pod was emptied to `image` (`keep`: its own).
pub fn is_emptied_to(object: &Value, image: &str) -> bool {
    workload::is_emptied_pod(&object.to_string()) && (image == KEEP || image_of(object) == image)
}

pub(super) fn missed(observed: &Observed, subject: &CheckSubject) -> Finding {
    let id = "missed";
    let workloads = match &observed.workloads {
        Ok(workloads) => workloads,
        Err(why) => return unseen(id, "the workloads", why),
    };
    // The webhook's own objects and Pods have its name as a label, and are never sent to it.
    let is_own = |object: &Value| {
        let meta = &object["metadata"];
        let service = subject.service.as_str();
        meta["name"] == service || meta["labels"]["app"] == service
    };
    let is_missed = |object: &&Value| {
        let text = object.to_string();
        !is_own(object) && !workload::is_emptied(&text) && !workload::declines(&text)
    };
    let missed: Vec<_> = workloads.iter().filter(is_missed).collect();
    if missed.is_empty() {
        return Finding::ok(id, "every workload here is emptied or opted out");
    }
    let names = |objects: &[&Value], between: &str| {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let name = |o: &&Value| {
            format!("{}/{}", text(&o["kind"]).to_lowercase(), text(&o["metadata"]["name"]))
        };
        objects.iter().map(name).collect::<Vec<_>>().join(between)
    };
    let seen =
        format!("not emptied, since they are older than the webhook: {}", names(&missed, ", "));
    let namespace = &subject.namespace;
    let (pods, others): (Vec<_>, Vec<_>) = missed.iter().partition(|o| o["kind"] == "Pod");
    let owned: Vec<_> =
        pods.into_iter().filter(|o: &&Value| o["metadata"]["ownerReferences"].is_array()).collect();
    let hint = if !others.is_empty() {
        let all = names(&others, " ");
        format!("Any update empties them: `kubectl -n {namespace} rollout restart {all}`.")
    } else if !owned.is_empty() {
        let all = names(&owned, " ");
        format!(
            "Their owners create new, emptied ones after `kubectl -n {namespace} delete \
             {all}`."
        )
    } else {
        format!(
            "Pods are emptied when they are created; create them again: `kubectl -n {namespace} \
             replace --force -f FILE`."
        )
    };
    Finding::warning(id, seen, hint)
}

pub(super) fn events(observed: &Observed, subject: &CheckSubject) -> Vec<Finding> {
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
        // The event may be outdated: the other findings show the current state.
        if found.iter().all(|f| f.seen != seen) {
            found.push(Finding::warning("events", seen, cause.hint));
        }
    }
    if found.is_empty() {
        found.push(Finding::ok("events", "no event reports a failed webhook"));
    }
    found
}
