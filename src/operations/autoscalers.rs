//! Objects that conflict with an empty workload, listed once per namespace; suspends and resumes
//! autoscalers on request.

use anyhow::Result;
use serde_json::Value;

use super::Operation;
use crate::{
    exit::{Failure, Topic},
    kubernetes::{
        AUTOSCALER, Cluster, Kind, SCALED_OBJECT, Scope, VERTICAL, error, targets::LiveObject,
    },
    workload::{ParsedObject, autoscaler},
};

/// Kinds of autoscalers.
pub(crate) const AUTOSCALERS: [&Kind; 3] = [&AUTOSCALER, &SCALED_OBJECT, &VERTICAL];

/// Whether an autoscaler should scale its workload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Suspension {
    /// Not while the workload is empty.
    Suspend,
    /// As before.
    Resume,
}

/// The objects of the read namespaces.
#[derive(Default)]
pub(crate) struct ConflictingObjects {
    all: Vec<(&'static Kind, Value)>,
    unseen: Vec<Unseen>,
}

/// Kinds that could not be read.
pub(crate) struct Unseen {
    pub(crate) kind: &'static Kind,
    namespace: String,
    forbidden: bool,
}

impl Unseen {
    /// `may not be listed`, or another failure.
    fn why(&self) -> &'static str {
        if self.forbidden { "may not be listed" } else { "could not be listed" }
    }
}

impl ConflictingObjects {
    /// Reads the namespaces of these workloads. Kinds that the cluster lacks count as empty.
    pub(crate) async fn list(
        cluster: &Cluster,
        all: &[LiveObject],
        kinds: &[&'static Kind],
    ) -> Self {
        let mut namespaces: Vec<&str> = all.iter().map(|found| found.namespace.as_str()).collect();
        namespaces.sort_unstable();
        namespaces.dedup();
        let scopes = namespaces.into_iter().map(Scope::new);
        let places = scopes.flat_map(|scope| kinds.iter().map(move |kind| (*kind, scope)));
        let mut conflicting = Self::default();
        // Without the right to list a kind, it is unknown whether the cluster has it.
        let mut lacking = Vec::new();
        for (kind, scope, looked) in cluster.lists(places).await {
            let error = match looked {
                Ok(found) => {
                    conflicting.all.extend(found.into_iter().map(|object| (kind, object)));
                    continue;
                }
                Err(error) => error,
            };
            let forbidden = error::is_forbidden(&error);
            if lacking.contains(&kind) || error::is_absent(&error) {
                continue;
            }
            if forbidden && matches!(cluster.serves(kind).await, Ok(false)) {
                lacking.push(kind);
                continue;
            }
            let namespace = scope.namespace().unwrap_or_default().to_owned();
            conflicting.unseen.push(Unseen { kind, namespace, forbidden });
        }
        conflicting
    }

    /// All objects of a namespace.
    pub(crate) fn of_namespace(&self, namespace: &str) -> Vec<Value> {
        let here = |(_, object): &&(_, Value)| object["metadata"]["namespace"] == namespace;
        self.all.iter().filter(here).map(|(_, object)| object.clone()).collect()
    }

    /// Kinds that could not be read.
    pub(crate) fn unseen<'b>(&'b self, namespace: &'b str) -> impl Iterator<Item = &'b Unseen> {
        self.unseen.iter().filter(move |unseen| unseen.namespace == namespace)
    }

    /// Why HorizontalPodAutoscalers of a namespace cannot be suspended: `may not be listed`.
    pub(crate) fn unheld(&self, namespace: &str) -> Option<&'static str> {
        let mut unseen = self.unseen(namespace);
        unseen.find(|unseen| unseen.kind == &AUTOSCALER).map(Unseen::why)
    }

    /// What sets the replicas of this workload: `HorizontalPodAutoscaler web`.
    pub(crate) fn scaler(&self, found: &LiveObject) -> Option<String> {
        let mut scalers = self.scalers(found).filter(|(kind, _)| *kind != &VERTICAL);
        let (kind, object) = scalers.next()?;
        Some(format!("{} {}", kind.kind, object["metadata"]["name"].as_str().unwrap_or_default()))
    }

    /// The autoscalers of this workload.
    pub(crate) fn scalers<'b>(
        &'b self,
        found: &'b LiveObject,
    ) -> impl Iterator<Item = (&'static Kind, &'b Value)> {
        let here = |object: &Value| object["metadata"]["namespace"] == found.namespace.as_str();
        let of = move |(_, object): &&'b (&'static Kind, Value)| {
            here(object) && autoscaler::scales(object, found.kind.kind, &found.name)
        };
        self.all.iter().filter(of).map(|(kind, object)| (*kind, object))
    }
}

impl Operation<'_> {
    /// The autoscalers in the namespaces of these workloads; warns if they may not be read.
    pub(crate) async fn conflicting_objects(&self, all: &[LiveObject]) -> ConflictingObjects {
        let conflicting = ConflictingObjects::list(self.cluster, all, &AUTOSCALERS).await;
        for unseen in &conflicting.unseen {
            self.terminal.warn(&format!(
                "diyadm cannot tell whether a {} scales workloads of namespace {}: they {}",
                unseen.kind.kind,
                unseen.namespace,
                unseen.why()
            ));
        }
        conflicting
    }

    /// Suspends or resumes an autoscaler; returns whether that changed it.
    pub(crate) async fn scale(
        &self,
        kind: &'static Kind,
        object: &Value,
        suspension: Suspension,
    ) -> Result<bool> {
        let text = |field: &str| object["metadata"][field].as_str().unwrap_or_default();
        let (namespace, name) = (text("namespace"), text("name"));
        let shown = format!("{}/{name}", kind.singular());
        let plan = |object: &ParsedObject| match (suspension, autoscaler::release(object)) {
            (Suspension::Suspend, _) => Ok(autoscaler::hold(object)),
            (Suspension::Resume, None) => Ok(None),
            (Suspension::Resume, Some(Ok(operations))) => Ok(Some(operations)),
            (Suspension::Resume, Some(Err(why))) => Err(Failure::no(
                Topic::Untrusted,
                format!("{shown} stays suspended: its saved settings are not trusted: {why}."),
                format!("Fix it by hand: `kubectl -n {namespace} edit {shown}`."),
            )
            .into()),
        };
        let changed = self
            .cluster
            .change(
                (kind, namespace, name),
                Some(object.clone().into()),
                self.work.dry_run.mode.into(),
                plan,
            )
            .await?;
        if changed.changed {
            let what = match suspension {
                Suspension::Suspend => "suspended",
                Suspension::Resume => "resumed",
            };
            self.terminal.done(&format!("{shown} {what}{}", self.dry()), None);
        }
        Ok(changed.changed)
    }
}
