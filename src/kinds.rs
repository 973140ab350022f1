//! The one table of workload kinds: where the API server has each, where it keeps its pod template,
//! how its Pods are counted, found and replaced.
//!
//! It stands below `workload` and `kubernetes`, which both use it, and is pure. A kind is a row of
//! `kinds/table.rs`: the webhook's rules, roles, policies, the command line, metrics and the
//! documentation are made from it. CONTRIBUTING.md ("Add a kind") shows the change. Users add kinds
//! without one: `kinds/declared.rs`.

use serde_json::Value;

mod declared;
mod table;

pub use declared::{Declaration, declare, declared};
pub use table::*;

/// A kind of object of the API server. Everything from `pod` on is about workloads, and empty for
/// any other kind.
#[derive(Debug, PartialEq, Eq)]
pub struct Kind {
    /// Empty for the core group.
    pub group: &'static str,
    /// `v1`
    pub version: &'static str,
    /// `Deployment`
    pub kind: &'static str,
    /// `deployments`
    pub plural: &'static str,
    /// kubectl's short names; the first is the one to show.
    pub short: &'static [&'static str],
    /// Whether its objects are in a namespace.
    pub namespaced: bool,
    /// The path from the object to the pod's spec; the pod's metadata is beside it.
    pub pod: &'static [&'static str],
    /// Whether the pod template can change once the object exists.
    pub mutable: bool,
    /// Whether `/spec/replicas` says how many Pods there are.
    pub replicas: bool,
    /// The fields of the workload's own spec that emptying may change.
    pub own_fields: &'static [&'static str],
    /// What its Pods are counted by.
    pub count: Count,
    /// What controls its Pods.
    pub controller: Controller,
    /// How its Pods get a new template.
    pub rollout: Rollout,
    /// What keeps its earlier templates for `kubectl rollout undo`.
    pub revisions: Option<Revisions>,
}

/// What the Pods of a workload are counted by: JSON Pointers, and names of fields of its status.
#[derive(Debug, PartialEq, Eq)]
pub struct Count {
    /// How many it is to have, and how many where that is absent; `None` where that has no answer.
    pub wanted: Option<(&'static str, i64)>,
    /// How many there are, old ones too.
    pub total: &'static str,
    /// How many of them have the newest template.
    pub updated: &'static str,
    /// How many are ready.
    pub ready: &'static str,
    /// How many are ready for as long as the workload asks.
    pub available: &'static str,
}

/// What controls the Pods of a workload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Controller {
    /// It is the Pod.
    Itself,
    /// The workload.
    Workload,
    /// ReplicaSets that the workload controls, called NAME-HASH; the Pods have the hash as this
    /// label.
    ReplicaSets(&'static str),
    /// Jobs that the workload starts, called NAME-MINUTES.
    Jobs,
}

/// How the Pods of a workload get a new template.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rollout {
    /// New ones are made beside the old ones (Deployment).
    Surge,
    /// One after another, from the last one down to the partition (StatefulSet).
    InOrder,
    /// Node by node (DaemonSet).
    PerNode,
    /// Not by the controller: whoever wants that deletes them (ReplicaSet).
    ByHand,
    /// Never: the object is deleted and created again (Pod, Job).
    Never,
    /// Those that are started from then on have it (CronJob).
    Next,
    /// In a way that is not known, so that only its Pods show how far it is (a declared kind).
    Unknown,
}

/// What keeps the earlier templates of a workload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Revisions {
    /// Its old ReplicaSets.
    ReplicaSets,
    /// ControllerRevisions.
    ControllerRevisions,
}

impl Kind {
    /// A kind in a namespace that is no workload.
    pub const fn other(
        group: &'static str,
        version: &'static str,
        kind: &'static str,
        plural: &'static str,
    ) -> Self {
        Self { group, version, kind, plural, ..ANY }
    }

    /// The same at the cluster's scope.
    pub const fn of_cluster(group: &'static str, kind: &'static str, plural: &'static str) -> Self {
        Self { group, kind, plural, namespaced: false, ..ANY }
    }

    /// `apps/v1`, `v1`
    pub fn api_version(&self) -> String {
        if self.group.is_empty() {
            self.version.to_owned()
        } else {
            format!("{}/{}", self.group, self.version)
        }
    }

    /// Whether an object's `apiVersion` and `kind` name it.
    pub fn is(&self, api_version: &str, kind: &str) -> bool {
        let (group, version) = api_version.rsplit_once('/').unwrap_or(("", api_version));
        self.kind == kind && self.group == group && self.version == version
    }

    /// `deployment`, as kubectl names one; `rollout.argoproj.io` of a custom resource.
    pub fn singular(&self) -> String {
        let name = self.kind.to_lowercase();
        if self.is_custom() { format!("{name}.{}", self.group) } else { name }
    }

    /// Whether it is there only where its CustomResourceDefinition is: only their groups have dots,
    /// but for Kubernetes' own, which have no workloads.
    pub fn is_custom(&self) -> bool {
        !self.pod.is_empty() && self.group.contains('.')
    }

    /// `deployments.apps`, as kubectl takes it and RBAC's messages say it.
    pub fn resource(&self) -> String {
        if self.group.is_empty() {
            self.plural.to_owned()
        } else {
            format!("{}.{}", self.plural, self.group)
        }
    }

    /// A JSON Pointer to what has the pod's metadata and spec: `/spec/template`; empty for a Pod.
    pub fn template(&self) -> String {
        let steps = self.pod.split_last().map_or(&[][..], |(_, steps)| steps);
        steps.iter().map(|step| format!("/{step}")).collect()
    }

    /// Its declaration, as rules.yaml and `--kinds FILE` have it.
    pub fn declaration(&self) -> Value {
        declared::declaration(self)
    }

    /// Whether `word` is a name of it: `deploy`, `deployment`, `Deployments`.
    pub fn is_called(&self, word: &str) -> bool {
        let is = |name: &str| word.eq_ignore_ascii_case(name);
        is(self.kind) || is(self.plural) || self.short.iter().any(|short| is(short))
    }

    /// How many Pods an object of it is to have; `None` where that has no answer.
    pub fn wanted(&self, object: &Value) -> Option<i64> {
        let (pointer, otherwise) = self.count.wanted?;
        Some(object.pointer(pointer).and_then(Value::as_i64).unwrap_or(otherwise))
    }

    /// Whether its Pods are to be there for good: they are replaced when they end.
    pub fn is_lasting(&self) -> bool {
        !matches!(self.rollout, Rollout::Never | Rollout::Next)
    }

    /// Whether its Pods have numbers, and are replaced in their order (StatefulSet).
    pub fn is_ordered(&self) -> bool {
        self.rollout == Rollout::InOrder
    }

    /// The label of its Pods that has the hash in the name of their ReplicaSet; `None` where its
    /// Pods have no ReplicaSet.
    pub fn hash_label(&self) -> Option<&'static str> {
        match self.controller {
            Controller::ReplicaSets(label) => Some(label),
            _ => None,
        }
    }

    /// The name of the workload whose ReplicaSet of this name has a Pod with these labels.
    pub fn of_replica_set<'n>(
        &self,
        set: &'n str,
        label: impl Fn(&str) -> Option<&'n str>,
    ) -> Option<&'n str> {
        set.strip_suffix(label(self.hash_label()?)?)?.strip_suffix('-')
    }
}

/// Every kind of workload.
pub fn workloads() -> impl Iterator<Item = &'static Kind> {
    WORKLOADS.into_iter().chain(CUSTOM).chain(declared())
}

/// The kind of workload that an object's `apiVersion` and `kind` name.
pub fn of(api_version: &str, kind: &str) -> Option<&'static Kind> {
    let is = |known: &&Kind| known.is(api_version, kind);
    // Most are: no lock is taken for those.
    let built_in = WORKLOADS.into_iter().chain(CUSTOM).find(is);
    built_in.or_else(|| declared().into_iter().find(is))
}

/// The kind of workload that an object is. One that has no `apiVersion` is known by its `kind`.
pub fn of_object(object: &Value) -> Option<&'static Kind> {
    let kind = object["kind"].as_str()?;
    match object["apiVersion"].as_str() {
        Some(api_version) => of(api_version, kind),
        None => named(kind),
    }
}

/// The first kind of workload whose `kind` this is.
pub fn named(kind: &str) -> Option<&'static Kind> {
    workloads().find(|known| known.kind == kind)
}
