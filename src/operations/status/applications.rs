//! Applications in empty containers, as reported by their agents.

use std::{collections::BTreeMap, time::Duration};

use futures_util::{StreamExt, stream};
use serde_json::Value;
use tokio::time::timeout;

use crate::{
    dev::{
        pods::{Pick, PodRequest, all},
        reach::existing,
        table::lease_of,
        target::EXEC,
    },
    kubernetes::{Cluster, Right},
    status::{self, Application, Row},
    workload::pods::belongs_to,
};
use diyadm_agent::protocol::{Apps, State};

/// Number of agents to query at once.
const AT_ONCE: usize = 8;
/// Timeout for each.
const ANSWER: Duration = Duration::from_secs(5);

/// Queries the agents of all Pods in the status table. Without the right to exec, or without an
/// answer, nothing is shown.
pub(crate) async fn ask(cluster: &Cluster, rows: &mut [Row], objects: &[Value], pods: &[Value]) {
    let mut allowed: BTreeMap<String, bool> = BTreeMap::new();
    let mut picks = Vec::new();
    for (at, row) in rows.iter().enumerate() {
        use status::State::{Drifted, Empty, Pods, Returning, Stuck};
        if !matches!(row.state, Empty | Pods | Stuck | Returning | Drifted) {
            continue;
        }
        if !allowed.contains_key(&row.namespace) {
            let namespace = &row.namespace;
            let rights = EXEC.map(|(verb, kind)| Right { verb, kind, namespace, name: "" });
            let missing = cluster.missing(&rights).await;
            allowed.insert(row.namespace.clone(), missing.is_ok_and(|missing| missing.is_empty()));
        }
        if allowed[&row.namespace] {
            let (object, own) = own(row, objects, pods);
            let meant = row.containers.first().map(|container| container.name.as_str());
            let wanted = PodRequest { meant, owners: object, ..PodRequest::default() };
            let own = all(&own, wanted).unwrap_or_default();
            // Nothing is started in a live container, also not in an old Pod of a rollout.
            let own = own.into_iter().filter(|pick| pick.live.is_none());
            picks.extend(own.map(|pick| (at, pick)));
        }
    }
    let asked = picks.into_iter().map(async |(at, pick): (usize, Pick)| {
        let apps = timeout(ANSWER, list(cluster, &pick)).await.ok().flatten();
        (at, pick, apps.unwrap_or_default())
    });
    let mut answers = stream::iter(asked).buffered(AT_ONCE);
    while let Some((at, pick, apps)) = answers.next().await {
        let Apps { apps, leases, .. } = apps;
        let applications = apps.into_iter().map(|app| {
            let lease = lease_of(&leases, &app.name);
            Application {
                pod: pick.pod.clone(),
                state: match &app.state {
                    State::Running => "running".to_owned(),
                    State::Stopping => "stopping".to_owned(),
                    State::Ended(end) => end.to_string(),
                },
                who: lease.map(|lease| lease.who.clone()),
                left_ms: lease.and_then(|lease| lease.left_ms),
                name: app.name,
            }
        });
        rows[at].applications.extend(applications);
    }
}

/// A row's workload, and its Pods.
fn own<'o>(row: &Row, objects: &'o [Value], pods: &[Value]) -> (&'o [Value], Vec<Value>) {
    let is_it = |object: &&Value| {
        let meta = &object["metadata"];
        object["kind"] == row.kind.as_str()
            && meta["name"] == row.name.as_str()
            && meta["namespace"] == row.namespace.as_str()
    };
    let Some(object) = objects.iter().find(is_it) else { return (&[], Vec::new()) };
    let own = pods.iter().filter(|pod| belongs_to(pod, object)).cloned();
    (std::slice::from_ref(object), own.collect())
}

async fn list(cluster: &Cluster, pick: &Pick) -> Option<Apps> {
    existing(cluster, pick).await.ok()??.apps().await
}
