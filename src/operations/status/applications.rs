//! Applications in empty containers, as reported by their agents.

use std::{
    collections::{BTreeMap, HashMap},
    mem,
    time::Duration,
};

use futures_util::{StreamExt, stream};
use serde_json::Value;
use tokio::time::timeout;

use crate::{
    dev::{
        pods::{Pick, PodRequest, all},
        reach::{Agent, existing},
        table::lease_of,
        target::EXEC,
    },
    kubernetes::{Cluster, Right},
    status::{Application, Row},
    workload::pods::belongs_to,
};
use diyadm_agent::protocol::{App, Apps, State};

/// Number of agents to query at once.
const AT_ONCE: usize = 8;
/// Timeout for each.
const ANSWER: Duration = Duration::from_secs(5);

/// The agents in the containers of a cluster. Their connections stay open from one query to the
/// next. Starts no agent.
pub(crate) struct Agents<'a> {
    cluster: &'a Cluster,
    /// By namespace, whether the user may exec there.
    allowed: BTreeMap<String, bool>,
    /// By the Pod's uid and the container.
    open: HashMap<(String, String), Agent>,
}

/// The answer of an agent.
pub(crate) struct AgentAnswer {
    /// The index of the row.
    pub(crate) row: usize,
    /// The Pod.
    pub(crate) pod: String,
    /// Its applications and their leases.
    pub(crate) apps: Apps,
}

impl<'a> Agents<'a> {
    pub(crate) fn new(cluster: &'a Cluster) -> Self {
        Self { cluster, allowed: BTreeMap::new(), open: HashMap::new() }
    }

    /// Queries the agents of all Pods of these rows, and disconnects from all others. Without the
    /// right to exec, or without an answer, a container has no applications.
    pub(crate) async fn ask(
        &mut self,
        rows: &[Row],
        objects: &[Value],
        pods: &[Value],
    ) -> Vec<AgentAnswer> {
        let mut picks = Vec::new();
        for (at, row) in rows.iter().enumerate() {
            if !row.state.is_emptied() || !self.may_exec(&row.namespace).await {
                continue;
            }
            let (object, own) = own(row, objects, pods);
            let meant = row.containers.first().map(|container| container.name.as_str());
            let wanted = PodRequest { meant, owners: object, ..PodRequest::default() };
            let own = all(&own, wanted).unwrap_or_default();
            // Nothing is started in a live container, also not in an old Pod of a rollout.
            let own = own.into_iter().filter(|pick| pick.live.is_none());
            picks.extend(own.map(|pick| (at, pick)));
        }
        let mut known = mem::take(&mut self.open);
        let cluster = self.cluster;
        let asked = picks.into_iter().map(|(row, pick)| {
            let key = (pick.uid.clone(), pick.container.clone());
            let agent = known.remove(&key);
            async move {
                let answer = timeout(ANSWER, list(cluster, &pick, agent)).await.ok().flatten();
                (key, row, pick.pod, answer)
            }
        });
        let asked: Vec<_> = asked.collect();
        drop(known);
        let mut asked = stream::iter(asked).buffered(AT_ONCE);
        let mut answers = Vec::new();
        while let Some((key, row, pod, answer)) = asked.next().await {
            if let Some((agent, apps)) = answer {
                self.open.insert(key, agent);
                answers.push(AgentAnswer { row, pod, apps });
            }
        }
        answers
    }

    async fn may_exec(&mut self, namespace: &str) -> bool {
        if let Some(allowed) = self.allowed.get(namespace) {
            return *allowed;
        }
        let rights = EXEC.map(|(verb, kind)| Right { verb, kind, namespace, name: "" });
        let missing = self.cluster.missing(&rights).await;
        let allowed = missing.is_ok_and(|missing| missing.is_empty());
        self.allowed.insert(namespace.to_owned(), allowed);
        allowed
    }
}

/// Adds the answers to their rows.
pub(crate) fn add(rows: &mut [Row], answers: Vec<AgentAnswer>) {
    for AgentAnswer { row, pod, apps } in answers {
        let Apps { apps, leases, .. } = apps;
        let applications = apps.into_iter().map(|app| {
            let lease = lease_of(&leases, &app.name);
            Application {
                pod: pod.clone(),
                state: state(&app),
                who: lease.map(|lease| lease.who.clone()),
                left_ms: lease.and_then(|lease| lease.left_ms),
                name: app.name,
            }
        });
        rows[row].applications.extend(applications);
    }
}

/// `running`, `stopping`, `exit 1`
pub(crate) fn state(app: &App) -> String {
    match &app.state {
        State::Running => "running".to_owned(),
        State::Stopping => "stopping".to_owned(),
        State::Ended(end) => end.to_string(),
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

/// The applications, over a known connection if it still works.
async fn list(cluster: &Cluster, pick: &Pick, known: Option<Agent>) -> Option<(Agent, Apps)> {
    if let Some(mut agent) = known
        && let Some(apps) = agent.apps().await
    {
        return Some((agent, apps));
    }
    let mut agent = existing(cluster, pick).await.ok()??;
    let apps = agent.apps().await?;
    Some((agent, apps))
}
