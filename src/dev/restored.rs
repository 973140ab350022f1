//! Notices that a workload is not empty any more, and reports who changed it, from its managed
//! fields and Events.

use std::time::Duration;

use anyhow::Error;
use serde_json::Value;
use tokio::time::sleep;

use super::{
    pods::{LiveContainers, NotEmptied},
    session::Session,
    target::Which,
};
use crate::{
    exit::{Failure, Topic},
    kubernetes::{FIELD_MANAGER, POD},
    workload::{ParsedObject, Subject},
};
use diyadm_agent::protocol::Bytes;

/// How often the workload is checked.
const LOOK: Duration = Duration::from_secs(2);
/// The hint for a workload that is not empty any more: the file says how it is emptied.
const EMPTY_AGAIN: &str = "Run `diyadm dev` again, which empties it first.";

/// The container that the workload's pod template makes empty; `None` if only the Pods are empty,
/// or a live container is used.
fn emptied_container(session: &Session<'_>) -> Option<String> {
    match &session.target.which {
        Which::Workload(found) if found.kind != &POD && session.live == LiveContainers::Refused => {
            let meant = found.object.subject().and_then(Subject::container);
            let container = session.target.container.clone().or(meant);
            container.filter(|container| is_empty(&found.object, container))
        }
        _ => None,
    }
}

/// What ends the work in an empty workload from outside.
pub(super) enum EndOfWork {
    /// Its pod template is not empty any more.
    NotEmpty(Failure),
    /// It has expired, and the user may restore it.
    Expired,
}

/// Waits until the pod template of an empty workload is not empty any more, or it has expired.
pub(super) async fn until_not_empty(session: &Session<'_>) -> EndOfWork {
    let Some(container) = emptied_container(session) else {
        return std::future::pending().await;
    };
    let (mut before, mut was_expired) = (found(session), false);
    loop {
        sleep(LOOK).await;
        match session.target.workload(session.cluster).await {
            Ok(Some(now)) if is_empty(&now, &container) => {
                let has_expired = session.left_of(&now) == Some(Duration::ZERO);
                // Asked once for each end.
                if has_expired && !was_expired && session.may_restore().await {
                    return EndOfWork::Expired;
                }
                was_expired = has_expired;
                before = now;
            }
            Ok(now) => {
                let failure = explain(session, &before, now.as_ref()).await;
                return EndOfWork::NotEmpty(failure);
            }
            // Without an answer of the API server nothing is known about the workload.
            Err(_) => {}
        }
    }
}

/// The error if the next Pod of a workload is live. `refusal` names the Pod.
pub(super) async fn next_is_live(session: &Session<'_>, refusal: Error) -> Error {
    let Ok(now) = session.target.workload(session.cluster).await else { return refusal };
    let failure = match now {
        // Its pod template was never empty, so it says nothing here.
        Some(now) if emptied_container(session).is_none() => {
            let (shown, event) = (&session.target.shown, event(session, &now).await);
            let what = format!("{shown} is not empty any more. {refusal}{event}");
            Failure::no(Topic::Drifted, what, EMPTY_AGAIN)
        }
        now => explain(session, &found(session), now.as_ref()).await,
    };
    failure.because(NotEmptied).into()
}

/// The workload as it was first found.
fn found(session: &Session<'_>) -> ParsedObject {
    match &session.target.which {
        Which::Workload(found) => found.object.clone(),
        Which::Labels { .. } => Value::Null.into(),
    }
}

/// The error for work in a workload that is not empty any more. `now`: the workload, if it still
/// exists.
async fn explain(
    session: &Session<'_>,
    before: &ParsedObject,
    now: Option<&ParsedObject>,
) -> Failure {
    let shown = &session.target.shown;
    let Some(now) = now else {
        let hint = "Once it exists again, run `diyadm dev` again, which empties it first.";
        return Failure::no(Topic::Drifted, format!("{shown} was deleted."), hint);
    };
    let event = event(session, now).await;
    Failure::no(Topic::Drifted, format!("{shown} {}{event}", change(before, now)), EMPTY_AGAIN)
}

/// A sentence about the newest Event of the workload, after a space; empty if there is none.
async fn event(session: &Session<'_>, now: &Value) -> String {
    let text = |value: &Value| Bytes::from(value.as_str().unwrap_or_default()).show();
    let namespace = now["metadata"]["namespace"].as_str().unwrap_or_default();
    let uid = now["metadata"]["uid"].as_str().unwrap_or_default();
    let events = session.events(namespace, &format!("involvedObject.uid={uid}")).await;
    let event = last_event(&events).map(|event| {
        let message = text(&event["message"]);
        format!(" Last Event: {}: {}.", text(&event["reason"]), message.trim_end_matches('.'))
    });
    event.unwrap_or_default()
}

/// `was replaced by a newer version by field manager helm at 2026-01-01T00:00:00Z.`
fn change(before: &ParsedObject, now: &ParsedObject) -> String {
    let newest = newest_writers(now);
    let is_emptied = now.is_emptied();
    if newest == newest_writers(before) && !is_emptied {
        // Only diyadm returns fields to their managers as if it had never written them.
        return format!("was restored by {FIELD_MANAGER}.");
    }
    let (writers, at) = newest;
    let by = match &writers[..] {
        [] => String::new(),
        _ => format!(" by field manager {}{at}", writers.join(", ")),
    };
    if is_emptied {
        return format!("was replaced by a newer version{by}.");
    }
    if writers.iter().any(|writer| writer == FIELD_MANAGER)
        || now.subject().is_some_and(Subject::declines)
    {
        return format!("was restored{by}.");
    }
    format!("is not empty any more: its pod template was changed{by}.")
}

/// Who last wrote the pod template, and ` at ` when.
fn newest_writers(object: &ParsedObject) -> (Vec<String>, String) {
    let writers = object.subject().map(Subject::template_writers);
    let writers = writers.unwrap_or_default();
    let entries = object["metadata"]["managedFields"].as_array().into_iter().flatten();
    let times = entries.filter(|entry| writers.iter().any(|writer| entry["manager"] == **writer));
    // RFC 3339 in UTC sorts as text.
    let at = times.filter_map(|entry| entry["time"].as_str()).max();
    let at = at.map(|at| format!(" at {}", Bytes::from(at).show())).unwrap_or_default();
    (writers.iter().map(|writer| Bytes::from(writer.as_str()).show()).collect(), at)
}

fn is_empty(object: &ParsedObject, container: &str) -> bool {
    object.subject().is_some_and(|subject| subject.is_empty_container(container, &[]))
}

/// The newest Event.
fn last_event(events: &[Value]) -> Option<&Value> {
    events.iter().max_by_key(|event| {
        let series = event["series"]["lastObservedTime"].as_str();
        let time = series.or(event["lastTimestamp"].as_str()).or(event["eventTime"].as_str());
        time.unwrap_or_default().to_owned()
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::workload::{LABEL, ORIGINAL};

    #[test]
    fn restore_is_attributed_to_its_field_manager() {
        let entry = |manager: &str, time: &str| json!({ "manager": manager, "time": time, "fieldsV1": { "f:spec": { "f:template": {} } } });
        let mut now = json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": { "name": "shop", "managedFields": [
                entry("kubectl", "2026-01-01T00:00:01Z"),
                entry("diyadm", "2026-01-01T00:00:09Z"),
            ] },
            "spec": { "template": { "spec": { "containers": [{ "name": "app", "image": "shop:1" }] } } },
        });
        let change = |before: &Value, now: &Value| {
            super::change(&before.clone().into(), &now.clone().into())
        };
        let newer = json!({});
        let restored = "was restored by field manager diyadm at 2026-01-01T00:00:09Z.";
        assert_eq!(change(&newer, &now), restored);
        assert_eq!(change(&now, &now), "was restored by diyadm.");
        now["metadata"]["managedFields"][1]["manager"] = "helm\u{1b}".into();
        let changed = change(&newer, &now);
        assert!(changed.ends_with("changed by field manager helm\\u{1b} at 2026-01-01T00:00:09Z."));
        now["metadata"]["annotations"] = json!({ LABEL: "disabled" });
        assert!(change(&newer, &now).starts_with("was restored by field manager helm"));
        now["metadata"]["annotations"] = json!({ ORIGINAL: "{}" });
        assert!(change(&now, &now).starts_with("was replaced by a newer version by field manager"));
        now["metadata"]["managedFields"] = json!([]);
        assert_eq!(change(&newer, &now), "was replaced by a newer version.");
    }

    #[test]
    fn latest_event_wins() {
        let event = |field: &str, time: &str| json!({ field: time, "reason": field });
        let events = [
            event("eventTime", "2026-01-01T00:00:02.000001Z"),
            event("lastTimestamp", "2026-01-01T00:00:01Z"),
        ];
        assert_eq!(last_event(&events).unwrap()["reason"], "eventTime");
        assert!(last_event(&[]).is_none());
    }
}
