//! The table of workload kinds: API paths, the position of the pod template, and how Pods are
//! counted, found and replaced.
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

/// A kind of API objects. The fields from `pod` on are for workloads, and empty for other kinds.
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
    /// The path from the object to the pod's spec; the pod's metadata is next to it.
    pub pod: &'static [&'static str],
    /// Whether the pod template of an existing object can change.
    pub mutable: bool,
    /// Whether `/spec/replicas` is the number of Pods.
    pub replicas: bool,
    /// The fields of the workload's own spec that emptying may change.
    pub own_fields: &'static [&'static str],
    /// How its Pods are counted.
    pub count: Count,
    /// What controls its Pods.
    pub controller: Controller,
    /// How its Pods get a new template.
    pub rollout: Rollout,
    /// What keeps its earlier templates for `kubectl rollout undo`.
    pub revisions: Option<Revisions>,
}

/// Fields that count the Pods of a workload: JSON Pointers, and names of status fields.
#[derive(Debug, PartialEq, Eq)]
pub struct Count {
    /// The wanted number, and its default; `None` without a default.
    pub wanted: Option<(&'static str, i64)>,
    /// The number of Pods, including old ones.
    pub total: &'static str,
    /// The number of Pods with the newest template.
    pub updated: &'static str,
    /// The number of ready Pods.
    pub ready: &'static str,
    /// The number of available Pods: ready for the time that the workload requires.
    pub available: &'static str,
}

/// What controls the Pods of a workload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Controller {
    /// It is a Pod itself.
    Itself,
    /// The workload.
    Workload,
    /// ReplicaSets of the workload, named NAME-HASH; the Pods have the hash as this label.
    ReplicaSets(&'static str),
    /// Jobs of the workload, named NAME-MINUTES.
    Jobs,
}

/// How the Pods of a workload get a new template.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rollout {
    /// New ones are created next to the old ones (Deployment).
    Surge,
    /// One after another, from the last one down to the partition (StatefulSet).
    InOrder,
    /// Node by node (DaemonSet).
    PerNode,
    /// Not by the controller: Pods must be deleted (ReplicaSet).
    ByHand,
    /// Never: the object must be recreated (Pod, Job).
    Never,
    /// Pods started later have it (CronJob).
    Next,
    /// In an unknown way, so that only its Pods show the progress (a declared kind).
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
    /// A namespaced kind that is not a workload.
    pub const fn other(
        group: &'static str,
        version: &'static str,
        kind: &'static str,
        plural: &'static str,
    ) -> Self {
        Self { group, version, kind, plural, ..ANY }
    }

    /// A cluster-scoped kind.
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

    /// Whether it needs a CustomResourceDefinition: only custom groups have dots, except for
    /// Kubernetes' own, which have no workloads.
    pub fn is_custom(&self) -> bool {
        !self.pod.is_empty() && self.group.contains('.')
    }

    /// `deployments.apps`, as in kubectl and in RBAC messages.
    pub fn resource(&self) -> String {
        if self.group.is_empty() {
            self.plural.to_owned()
        } else {
            format!("{}.{}", self.plural, self.group)
        }
    }

    /// A JSON Pointer to the parent of the pod's metadata and spec: `/spec/template`; empty for a
    /// Pod.
    pub fn template(&self) -> String {
        let steps = self.pod.split_last().map_or(&[][..], |(_, steps)| steps);
        steps.iter().map(|step| format!("/{step}")).collect()
    }

    /// Its declaration in the format of rules.yaml and `--kinds FILE`.
    pub fn declaration(&self) -> Value {
        declared::declaration(self)
    }

    /// Whether `word` is a name of it: `deploy`, `deployment`, `Deployments`.
    pub fn is_called(&self, word: &str) -> bool {
        let is = |name: &str| word.eq_ignore_ascii_case(name);
        is(self.kind) || is(self.plural) || self.short.iter().any(|short| is(short))
    }

    /// The wanted number of Pods of an object; `None` if unknown.
    pub fn wanted(&self, object: &Value) -> Option<i64> {
        let (pointer, otherwise) = self.count.wanted?;
        Some(object.pointer(pointer).and_then(Value::as_i64).unwrap_or(otherwise))
    }

    /// Whether its Pods are permanent, and replaced when they end.
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

    /// The name of the workload of a ReplicaSet with this name, whose Pod has these labels.
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
pub fn find(api_version: &str, kind: &str) -> Option<&'static Kind> {
    let is = |known: &&Kind| known.is(api_version, kind);
    // Most kinds are built in, and need no lock.
    let built_in = WORKLOADS.into_iter().chain(CUSTOM).find(is);
    built_in.or_else(|| declared().into_iter().find(is))
}

/// The workload kind of an object. Without an `apiVersion`, the `kind` decides.
pub fn of_object(object: &Value) -> Option<&'static Kind> {
    let kind = object["kind"].as_str()?;
    match object["apiVersion"].as_str() {
        Some(api_version) => find(api_version, kind),
        None => named(kind),
    }
}

/// The first kind of workload whose `kind` this is.
pub fn named(kind: &str) -> Option<&'static Kind> {
    workloads().find(|known| known.kind == kind)
}
