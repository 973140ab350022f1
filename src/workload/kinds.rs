//! The kinds of workload, and where each keeps its pod.

/// What emptying needs to know of a kind.
#[derive(Debug, PartialEq, Eq)]
pub struct Kind {
    /// `apps/v1`
    pub api_version: &'static str,
    /// `Deployment`
    pub kind: &'static str,
    /// From the object to the pod's spec; the pod's metadata is beside it.
    pub(super) pod: &'static [&'static str],
    /// Whether the pod template can change once the object is there.
    pub mutable: bool,
    /// Whether `/spec/replicas` says how many Pods there are.
    pub replicas: bool,
}

impl Kind {
    /// A JSON Pointer to what has the pod's metadata and spec: `/spec/template`; empty for a Pod.
    pub fn template(&self) -> String {
        let steps = &self.pod[..self.pod.len() - 1];
        steps.iter().map(|step| format!("/{step}")).collect()
    }
}

const TEMPLATE: &[&str] = &["spec", "template", "spec"];

const fn apps(kind: &'static str, replicas: bool) -> Kind {
    Kind { api_version: "apps/v1", kind, pod: TEMPLATE, mutable: true, replicas }
}

const fn batch(kind: &'static str, pod: &'static [&'static str], mutable: bool) -> Kind {
    Kind { api_version: "batch/v1", kind, pod, mutable, replicas: false }
}

/// Every kind of workload.
pub static KINDS: [Kind; 7] = [
    apps("Deployment", true),
    apps("StatefulSet", true),
    apps("DaemonSet", false),
    apps("ReplicaSet", true),
    batch("Job", TEMPLATE, false),
    batch("CronJob", &["spec", "jobTemplate", "spec", "template", "spec"], true),
    Kind { api_version: "v1", kind: "Pod", pod: &["spec"], mutable: false, replicas: false },
];

/// The kind that an object's `apiVersion` and `kind` name.
pub fn of(api_version: &str, kind: &str) -> Option<&'static Kind> {
    KINDS.iter().find(|known| known.api_version == api_version && known.kind == kind)
}
