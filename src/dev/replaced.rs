//! Finds out how a Pod ended and which Pod a new one replaced, from Pods and Events.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;
use tokio::time::sleep;

use super::{pods::Pick, session::Session, table::span, target::Which};
use crate::{
    kinds::{self, Controller, Kind, REPLICA_SET},
    kubernetes::{EVENT, POD},
    workload::{ParsedObject, pods::controller},
};
use diyadm_agent::protocol::Bytes;

/// Maximum time between the end of a Pod and the start of its replacement.
const APART_MS: i64 = 10 * 60 * 1000;
/// Pods that ended this near to a Pod's creation are told apart by their template: times are whole
/// seconds, and the kubelet reports an end a moment after the replacement was created.
const NEAR_MS: i64 = 5 * 1000;
/// How often to ask the node about a killed container, since the status is updated a moment later.
const TRIES: usize = 5;
const PAUSE: Duration = Duration::from_millis(300);
/// Reasons of Events about Pods that are removed without a user's command.
const REMOVED: [&str; 5] =
    ["Evicted", "Preempted", "TaintManagerEviction", "NodeNotReady", "DeletingOrphanedPod"];

/// Whether the container itself may have been killed, which its status shows a moment later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Suspicion {
    None,
    Killed,
}

impl Suspicion {
    /// `killed`: whether a signal ended the application.
    pub(crate) fn from_end(killed: bool) -> Self {
        if killed { Self::Killed } else { Self::None }
    }
}

impl Session<'_> {
    /// What happened to the container while an application ran in it; `None` if it still runs.
    pub(crate) async fn fate(&self, pick: &Pick, suspicion: Suspicion) -> Option<String> {
        let Pick { namespace, pod: name, uid, container, restarts, .. } = pick;
        let tries = if suspicion == Suspicion::Killed { TRIES } else { 1 };
        for attempt in 0..tries {
            if attempt > 0 {
                sleep(PAUSE).await;
            }
            let pod = self.cluster.get(&POD, namespace, name).await.ok()?;
            let same = pod.as_ref().filter(|pod| pod["metadata"]["uid"] == **uid);
            let Some(pod) = same else {
                let why = self.removed(pick).await;
                return Some(format!("Pod {name} was deleted{why}, and {GONE}"));
            };
            if pod["metadata"]["deletionTimestamp"].is_string() {
                let why = self.removed(pick).await;
                return Some(format!("Pod {name} is being deleted{why}, and {GONE} with it"));
            }
            let status = container_status(pod, container);
            if status["restartCount"].as_u64().is_some_and(|now| now > *restarts)
                || status["state"]["terminated"].is_object()
            {
                let why = ended(status);
                return Some(format!("container {container} of Pod {name} ended{why}, and {GONE}"));
            }
        }
        None
    }

    /// Explains what is lost if an emptied container was restarted and nothing was started in it
    /// since.
    pub(crate) async fn warn_of_restart(&self, pick: &Pick) {
        if pick.restarts == 0 || pick.live.is_some() {
            return;
        }
        let apps = match self.existing_agent(pick).await {
            Ok(Some(mut agent)) => self.list(&mut agent).await.unwrap_or_default().apps,
            _ => Vec::new(),
        };
        if apps.iter().all(|app| app.stand_in)
            && let Some(lost) = self.lost(pick).await
        {
            self.terminal.warn(&lost);
        }
    }

    /// How the container's last run ended, in brackets: ` (OOMKilled, exit 137)`; empty if unknown.
    pub(crate) async fn last_end(&self, pick: &Pick) -> String {
        let pod = self.cluster.get(&POD, &pick.namespace, &pick.pod).await.ok().flatten();
        pod.map(|pod| ended(container_status(&pod, &pick.container))).unwrap_or_default()
    }

    /// Why a Pod is removed, in brackets; empty if unknown.
    async fn removed(&self, pick: &Pick) -> String {
        let own = format!("involvedObject.uid={}", pick.uid);
        removal(&self.events(&pick.namespace, &own).await, &pick.uid)
    }

    /// Events of a field selector; none if they may not be listed.
    pub(super) async fn events(&self, namespace: &str, fields: &str) -> Vec<Value> {
        let events = self.cluster.list_where(&EVENT, namespace, None, Some(fields)).await;
        events.unwrap_or_default()
    }

    /// Explains what is lost because a Pod is new or its container was restarted; `None` if nothing
    /// is known.
    pub(crate) async fn lost(&self, pick: &Pick) -> Option<String> {
        let pod = self.cluster.get(&POD, &pick.namespace, &pick.pod).await.ok()??;
        let mut killed = self.events(&pick.namespace, "reason=Killing").await;
        if let Some(event) = before(&pod, &killed)
            && self.was_live(pick, &event["involvedObject"]["name"]).await
        {
            // A live Pod had no files or processes of a developer.
            killed.clear();
        }
        let uid = before(&pod, &killed).map(|event| event["involvedObject"]["uid"].clone());
        let uid = uid.as_ref().and_then(Value::as_str).unwrap_or_default();
        let mut events = killed;
        if !uid.is_empty() {
            let own = format!("involvedObject.uid={uid}");
            events.extend(self.events(&pick.namespace, &own).await);
        }
        lost(&pod, &pick.container, &events, Timestamp::now())
    }

    /// Whether a Pod of an empty Deployment was live, by the template of its ReplicaSet.
    async fn was_live(&self, pick: &Pick, old: &Value) -> bool {
        let Which::Workload(found) = &self.target.which else { return false };
        let is_made = matches!(found.kind.controller, Controller::ReplicaSets(_));
        let set = old.as_str().and_then(prefix).filter(|_| is_made && found.object.is_emptied());
        let Some(set) = set else { return false };
        let set = self.cluster.get(&REPLICA_SET, &pick.namespace, set).await.ok().flatten();
        let owners: Vec<_> = found.object.subject().into_iter().collect();
        set.map(ParsedObject::from).is_some_and(|set| {
            set.subject().is_some_and(|set| !set.is_empty_container(&pick.container, &owners))
        })
    }
}

const GONE: &str = "its files and processes are gone";

fn lost(pod: &Value, container: &str, events: &[Value], now: Timestamp) -> Option<String> {
    let name = pod["metadata"]["name"].as_str()?;
    let status = container_status(pod, container);
    if status["restartCount"].as_u64().is_some_and(|count| count > 0) {
        let since = time(&status["state"]["running"]["startedAt"])?;
        let why = ended(status);
        let age = span(ms(now, since));
        return Some(format!(
            "container {container} of Pod {name} was restarted {age} ago{why}: its processes and \
             its files outside of volumes are gone"
        ));
    }
    let created = time(&pod["metadata"]["creationTimestamp"])?;
    let age = format!("Pod {name} is new: it was created {} ago", span(ms(now, created)));
    let before = before(pod, events)?;
    let (old, at) = (before["involvedObject"]["name"].as_str()?, seen(before)?);
    let why = removal(events, before["involvedObject"]["uid"].as_str().unwrap_or_default());
    let before = if old == name {
        "the Pod of that name before it".to_owned()
    } else {
        format!("Pod {old}, whose place it took,")
    };
    Some(format!("{age}; {before} ended {} ago{why}, and {GONE}", span(ms(now, at))))
}

/// The Event about the end of the Pod that this one replaced.
fn before<'e>(pod: &Value, events: &'e [Value]) -> Option<&'e Value> {
    let created = time(&pod["metadata"]["creationTimestamp"])?;
    let distance = |event: &&Value| {
        let at = seen(event).map_or(i64::MAX, Timestamp::as_millisecond);
        at.saturating_sub(created.as_millisecond()).saturating_abs()
    };
    let ended = events.iter().filter(|event| {
        event["reason"] == "Killing" && precedes(event, pod) && distance(event) <= APART_MS
    });
    let template = |name: &Value| name.as_str().and_then(prefix).map(ToOwned::to_owned);
    let own = template(&pod["metadata"]["name"]);
    ended.min_by_key(|event| {
        let distance = distance(event);
        let is_other = template(&event["involvedObject"]["name"]) != own;
        (distance.max(NEAR_MS), is_other, distance)
    })
}

/// The name of a Pod without its last part: five random characters of the API server, or the number
/// in a StatefulSet.
fn prefix(name: &str) -> Option<&str> {
    name.rsplit_once('-').map(|(prefix, _)| prefix)
}

/// Whether an Event is about another Pod of the same owner.
fn precedes(event: &Value, pod: &Value) -> bool {
    let object = &event["involvedObject"];
    let (Some(old), Some(name)) = (object["name"].as_str(), pod["metadata"]["name"].as_str())
    else {
        return false;
    };
    if object["kind"] != "Pod" || object["uid"] == pod["metadata"]["uid"] {
        return false;
    }
    let labels = &pod["metadata"]["labels"];
    let hash = kinds::workloads().find_map(|kind| labels[kind.hash_label()?].as_str());
    let is_ordered = |owner: &Value| kinds::of_object(owner).is_some_and(Kind::is_ordered);
    let is_made = controller(pod).is_some_and(|owner| !is_ordered(owner));
    match (is_made, hash) {
        (false, _) => old == name,
        (true, None) => prefix(old) == prefix(name),
        // For a Deployment the preceding part is a hash of the template.
        (true, Some(_)) => {
            let deployment = |name| prefix(name).and_then(prefix);
            deployment(old).is_some() && deployment(old) == deployment(name)
        }
    }
}

fn removal(events: &[Value], uid: &str) -> String {
    let why = events.iter().find(|event| {
        event["involvedObject"]["uid"] == uid
            && REMOVED.iter().any(|reason| event["reason"] == *reason)
    });
    let Some(why) = why else { return String::new() };
    let text = |field: &str| {
        let line = why[field].as_str().and_then(|text| text.lines().next()).unwrap_or_default();
        Bytes::from(line.trim().trim_end_matches('.')).show()
    };
    format!(" ({}: {})", text("reason"), text("message"))
}

/// How the container's last run ended, in brackets.
fn ended(status: &Value) -> String {
    let ended = [&status["state"]["terminated"], &status["lastState"]["terminated"]];
    let Some(ended) = ended.into_iter().find(|ended| ended.is_object()) else {
        return String::new();
    };
    let reason = Bytes::from(ended["reason"].as_str().unwrap_or("ended")).show();
    match ended["exitCode"].as_i64() {
        Some(code) => format!(" ({reason}, exit {code})"),
        None => format!(" ({reason})"),
    }
}

fn container_status<'p>(pod: &'p Value, container: &str) -> &'p Value {
    let all = pod["status"]["containerStatuses"].as_array();
    let found = all.and_then(|all| all.iter().find(|status| status["name"] == container));
    found.unwrap_or(&Value::Null)
}

/// When an Event last occurred.
fn seen(event: &Value) -> Option<Timestamp> {
    let series = &event["series"]["lastObservedTime"];
    [series, &event["lastTimestamp"], &event["eventTime"]].into_iter().find_map(time)
}

fn time(text: &Value) -> Option<Timestamp> {
    text.as_str()?.parse().ok()
}

fn ms(now: Timestamp, then: Timestamp) -> u64 {
    u64::try_from(now.as_millisecond() - then.as_millisecond()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn at(second: u32) -> String {
        format!("2026-01-01T00:{:02}:{:02}Z", second / 60, second % 60)
    }

    fn pod(name: &str, owner: &str) -> Value {
        json!({
            "metadata": {
                "name": name, "uid": "new", "creationTimestamp": at(100),
                "ownerReferences": [{ "kind": owner, "controller": true }],
            },
            "status": { "containerStatuses": [{ "name": "app", "restartCount": 0 }] },
        })
    }

    fn event(reason: &str, name: &str, uid: &str, second: u32) -> Value {
        json!({
            "reason": reason, "message": "The node was low on memory.\nx", "lastTimestamp": at(second),
            "involvedObject": { "kind": "Pod", "name": name, "uid": uid },
        })
    }

    #[test]
    fn replaced_pod_is_explained_by_its_last_event() {
        let now = at(130).parse().unwrap();
        let explained = |pod: &Value, events: &[Value]| lost(pod, "app", events, now);
        let mut shop = pod("shop-aaaa-11111", "ReplicaSet");
        shop["metadata"]["labels"] = json!({ "pod-template-hash": "aaaa" });
        let events = [
            event("Killing", "other-aaaa-22222", "o", 99),
            event("Killing", "shop-bbbb-33333", "old", 98),
            event("Killing", "shop-bbbb-44444", "older", 50),
            event("Killing", "shop-aaaa-11111", "new", 100),
            event("Evicted", "shop-bbbb-33333", "old", 97),
        ];
        assert_eq!(
            explained(&shop, &events).unwrap(),
            "Pod shop-aaaa-11111 is new: it was created 30s ago; Pod shop-bbbb-33333, whose place \
             it took, ended 32s ago (Evicted: The node was low on memory), and its files and \
             processes are gone"
        );
        let same_second = event("Killing", "shop-bbbb-33333", "old", 99);
        let own_template = event("Killing", "shop-aaaa-55555", "newer", 101);
        let before = explained(&shop, &[same_second, own_template]).unwrap();
        assert!(before.contains("shop-aaaa-55555"), "{before}");
        assert_eq!(
            explained(&shop, &events[..1]),
            None,
            "the first Pod of its workload lost nothing"
        );
        let db = pod("db-0", "StatefulSet");
        assert_eq!(explained(&db, &[event("Killing", "db-1", "x", 99)]), None);
        let same = explained(&db, &[event("Killing", "db-0", "x", 99)]).unwrap();
        assert!(same.contains("the Pod of that name before it ended 31s ago, and"), "{same}");
    }

    #[test]
    fn restarted_container_reports_its_last_termination() {
        let mut pod = pod("db-0", "StatefulSet");
        pod["status"]["containerStatuses"][0] = json!({
            "name": "app", "restartCount": 1, "state": { "running": { "startedAt": at(120) } },
            "lastState": { "terminated": { "reason": "OOMKilled", "exitCode": 137 } },
        });
        assert_eq!(
            lost(&pod, "app", &[], at(130).parse().unwrap()).unwrap(),
            "container app of Pod db-0 was restarted 10s ago (OOMKilled, exit 137): its processes \
             and its files outside of volumes are gone"
        );
    }
}
