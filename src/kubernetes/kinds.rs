//! The kinds of object that diyadm reads and writes, and where the API server has them.

use anyhow::{Context, Result};
use serde_json::Value;

use super::Scope;

/// A kind, as discovery would tell of it.
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
    /// Whether its objects are in a namespace.
    pub namespaced: bool,
}

const fn kind(
    group: &'static str,
    kind: &'static str,
    plural: &'static str,
    namespaced: bool,
) -> Kind {
    Kind { group, version: "v1", kind, plural, namespaced }
}

const fn versioned(
    group: &'static str,
    version: &'static str,
    kind: &'static str,
    plural: &'static str,
) -> Kind {
    Kind { group, version, kind, plural, namespaced: true }
}

/// `v1`
pub static NAMESPACE: Kind = kind("", "Namespace", "namespaces", false);
/// `v1`
pub static SECRET: Kind = kind("", "Secret", "secrets", true);
/// `v1`
pub static CONFIG_MAP: Kind = kind("", "ConfigMap", "configmaps", true);
/// `v1`
pub static SERVICE: Kind = kind("", "Service", "services", true);
/// `v1`
pub static EVENT: Kind = kind("", "Event", "events", true);
/// `v1`
pub static POD: Kind = kind("", "Pod", "pods", true);
/// Running commands in a Pod; only for asking whether one may.
pub static POD_EXEC: Kind = kind("", "PodExecOptions", "pods/exec", true);
/// Asking for a Pod to go; only for asking whether one may.
pub static POD_EVICTION: Kind = kind("", "Eviction", "pods/eviction", true);
/// Reaching a Pod's ports; only for asking whether one may.
pub static POD_FORWARD: Kind = kind("", "PodPortForwardOptions", "pods/portforward", true);
/// What a Pod's containers wrote; only for asking whether one may.
pub static POD_LOG: Kind = kind("", "PodLogOptions", "pods/log", true);
/// `apps/v1`
pub static DEPLOYMENT: Kind = kind("apps", "Deployment", "deployments", true);
/// `apps/v1`
pub static STATEFUL_SET: Kind = kind("apps", "StatefulSet", "statefulsets", true);
/// `apps/v1`
pub static DAEMON_SET: Kind = kind("apps", "DaemonSet", "daemonsets", true);
/// `apps/v1`
pub static REPLICA_SET: Kind = kind("apps", "ReplicaSet", "replicasets", true);
/// `apps/v1`: what a StatefulSet or DaemonSet was before.
pub static REVISION: Kind = kind("apps", "ControllerRevision", "controllerrevisions", true);
/// `batch/v1`
pub static JOB: Kind = kind("batch", "Job", "jobs", true);
/// `batch/v1`
pub static CRON_JOB: Kind = kind("batch", "CronJob", "cronjobs", true);
/// `autoscaling/v2`
pub static AUTOSCALER: Kind =
    versioned("autoscaling", "v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers");
/// `autoscaling.k8s.io/v1`; only where its CRD is.
pub static VERTICAL: Kind =
    kind("autoscaling.k8s.io", "VerticalPodAutoscaler", "verticalpodautoscalers", true);
/// `keda.sh/v1alpha1`; only where its CRD is.
pub static SCALED_OBJECT: Kind = versioned("keda.sh", "v1alpha1", "ScaledObject", "scaledobjects");
/// `policy/v1`
pub static BUDGET: Kind = kind("policy", "PodDisruptionBudget", "poddisruptionbudgets", true);
/// `discovery.k8s.io/v1`
pub static ENDPOINT_SLICE: Kind = kind("discovery.k8s.io", "EndpointSlice", "endpointslices", true);
/// `admissionregistration.k8s.io/v1`
pub static CONFIGURATION: Kind = kind(
    "admissionregistration.k8s.io",
    "MutatingWebhookConfiguration",
    "mutatingwebhookconfigurations",
    false,
);

/// `admissionregistration.k8s.io/v1`, from 1.36 on.
pub static POLICY: Kind = kind(
    "admissionregistration.k8s.io",
    "MutatingAdmissionPolicy",
    "mutatingadmissionpolicies",
    false,
);
/// `admissionregistration.k8s.io/v1`, from 1.36 on.
pub static POLICY_BINDING: Kind = kind(
    "admissionregistration.k8s.io",
    "MutatingAdmissionPolicyBinding",
    "mutatingadmissionpolicybindings",
    false,
);

/// The kinds of workload, in the order of [`crate::workload::KINDS`].
pub static WORKLOADS: [&Kind; 7] =
    [&DEPLOYMENT, &STATEFUL_SET, &DAEMON_SET, &REPLICA_SET, &JOB, &CRON_JOB, &POD];

/// Every kind there is here.
static ALL: [&Kind; 21] = [
    &NAMESPACE,
    &SECRET,
    &CONFIG_MAP,
    &SERVICE,
    &EVENT,
    &POD,
    &DEPLOYMENT,
    &STATEFUL_SET,
    &DAEMON_SET,
    &REPLICA_SET,
    &REVISION,
    &JOB,
    &CRON_JOB,
    &AUTOSCALER,
    &VERTICAL,
    &SCALED_OBJECT,
    &BUDGET,
    &ENDPOINT_SLICE,
    &CONFIGURATION,
    &POLICY,
    &POLICY_BINDING,
];

impl Kind {
    /// `apps/v1`, `v1`
    pub fn api_version(&self) -> String {
        if self.group.is_empty() {
            self.version.to_owned()
        } else {
            format!("{}/{}", self.group, self.version)
        }
    }

    /// `deployment`, as kubectl names one.
    pub fn singular(&self) -> String {
        self.kind.to_lowercase()
    }

    /// `deployments.apps`, as kubectl takes it and RBAC's messages say it.
    pub fn resource(&self) -> String {
        if self.group.is_empty() {
            self.plural.to_owned()
        } else {
            format!("{}.{}", self.plural, self.group)
        }
    }

    /// Writes into an object what it is.
    pub(super) fn name(&self, object: &mut Value) {
        object["apiVersion"] = self.api_version().into();
        object["kind"] = self.kind.into();
    }

    /// The path of the collection; `scope` counts for namespaced kinds only.
    pub fn path<'a>(&self, scope: impl Into<Scope<'a>>) -> String {
        let root = if self.group.is_empty() { "api" } else { "apis" };
        let place = match scope.into().namespace() {
            Some(namespace) if self.namespaced => format!("namespaces/{namespace}/"),
            _ => String::new(),
        };
        format!("/{root}/{}/{place}{}", self.api_version(), self.plural)
    }
}

/// Kind, namespace (empty where it has none) and name of an object.
pub(super) fn identify(object: &Value) -> Result<(&'static Kind, &str, &str)> {
    let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str);
    let (version, name) = (text("/apiVersion"), text("/kind"));
    let kind = ALL
        .into_iter()
        .find(|k| Some(k.kind) == name && Some(k.api_version().as_str()) == version)
        .with_context(|| format!("diyadm does not know {name:?} of {version:?}"))?;
    let named = text("/metadata/name").unwrap_or_default();
    Ok((kind, text("/metadata/namespace").unwrap_or_default(), named))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload;

    #[test]
    fn paths_are_the_api_servers() {
        assert_eq!(SECRET.path("test"), "/api/v1/namespaces/test/secrets");
        assert_eq!(DEPLOYMENT.path(Scope::ALL), "/apis/apps/v1/deployments");
        assert_eq!(NAMESPACE.path("test"), "/api/v1/namespaces");
        assert_eq!(NAMESPACE.resource(), "namespaces");
        assert_eq!(DEPLOYMENT.resource(), "deployments.apps");
        let path = "/apis/autoscaling/v2/namespaces/test/horizontalpodautoscalers";
        assert_eq!(AUTOSCALER.path("test"), path);
    }

    #[test]
    fn the_kinds_of_workload_are_the_hearts() {
        let ours = WORKLOADS.map(|kind| (kind.api_version(), kind.kind));
        let hearts = workload::KINDS.each_ref().map(|k| (k.api_version.to_owned(), k.kind));
        assert_eq!(ours, hearts);
    }
}
