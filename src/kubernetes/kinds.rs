//! The other kinds of objects that diyadm reads and writes, and the API paths of all kinds.

use anyhow::{Context, Result};
use serde_json::Value;

use super::Scope;
use crate::kinds;
pub use crate::kinds::{
    CRON_JOB, DAEMON_SET, DEPLOYMENT, JOB, Kind, POD, REPLICA_SET, SERVICE, STATEFUL_SET, WORKLOADS,
};

/// `v1`
pub static NAMESPACE: Kind = Kind::of_cluster("", "Namespace", "namespaces");
/// `v1`
pub static SECRET: Kind = Kind::other("", "v1", "Secret", "secrets");
/// `v1`
pub static CONFIG_MAP: Kind = Kind::other("", "v1", "ConfigMap", "configmaps");
/// `v1`
pub static EVENT: Kind = Kind::other("", "v1", "Event", "events");
/// Running commands in a Pod; only for checking rights.
pub static POD_EXEC: Kind = Kind::other("", "v1", "PodExecOptions", "pods/exec");
/// Evicting a Pod; only for checking rights.
pub static POD_EVICTION: Kind = Kind::other("", "v1", "Eviction", "pods/eviction");
/// Forwarding ports of a Pod; only for checking rights.
pub static POD_FORWARD: Kind = Kind::other("", "v1", "PodPortForwardOptions", "pods/portforward");
/// Reading a Pod's logs; only for checking rights.
pub static POD_LOG: Kind = Kind::other("", "v1", "PodLogOptions", "pods/log");
/// `apps/v1`: earlier revisions of a StatefulSet or DaemonSet.
pub static REVISION: Kind = Kind::other("apps", "v1", "ControllerRevision", "controllerrevisions");
/// `autoscaling/v2`
pub static AUTOSCALER: Kind =
    Kind::other("autoscaling", "v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers");
/// `autoscaling.k8s.io/v1`; only if its CRD is installed.
pub static VERTICAL: Kind =
    Kind::other("autoscaling.k8s.io", "v1", "VerticalPodAutoscaler", "verticalpodautoscalers");
/// `keda.sh/v1alpha1`; only if its CRD is installed.
pub static SCALED_OBJECT: Kind =
    Kind::other("keda.sh", "v1alpha1", "ScaledObject", "scaledobjects");
/// `policy/v1`
pub static BUDGET: Kind =
    Kind::other("policy", "v1", "PodDisruptionBudget", "poddisruptionbudgets");
/// `discovery.k8s.io/v1`
pub static ENDPOINT_SLICE: Kind =
    Kind::other("discovery.k8s.io", "v1", "EndpointSlice", "endpointslices");
/// `admissionregistration.k8s.io/v1`
pub static CONFIGURATION: Kind = Kind::of_cluster(
    "admissionregistration.k8s.io",
    "MutatingWebhookConfiguration",
    "mutatingwebhookconfigurations",
);

/// `admissionregistration.k8s.io/v1`, from 1.36 on.
pub static POLICY: Kind = Kind::of_cluster(
    "admissionregistration.k8s.io",
    "MutatingAdmissionPolicy",
    "mutatingadmissionpolicies",
);
/// `admissionregistration.k8s.io/v1`, from 1.36 on.
pub static POLICY_BINDING: Kind = Kind::of_cluster(
    "admissionregistration.k8s.io",
    "MutatingAdmissionPolicyBinding",
    "mutatingadmissionpolicybindings",
);

/// `v1`
pub static SERVICE_ACCOUNT: Kind = Kind::other("", "v1", "ServiceAccount", "serviceaccounts");
/// `rbac.authorization.k8s.io/v1`
pub static ROLE_BINDING: Kind =
    Kind::other("rbac.authorization.k8s.io", "v1", "RoleBinding", "rolebindings");
/// `rbac.authorization.k8s.io/v1`
pub static CLUSTER_ROLE: Kind =
    Kind::of_cluster("rbac.authorization.k8s.io", "ClusterRole", "clusterroles");
/// `rbac.authorization.k8s.io/v1`
pub static CLUSTER_ROLE_BINDING: Kind =
    Kind::of_cluster("rbac.authorization.k8s.io", "ClusterRoleBinding", "clusterrolebindings");

/// Every kind that is not a workload, except subresources of Pods.
static OTHERS: [&Kind; 18] = [
    &SERVICE_ACCOUNT,
    &ROLE_BINDING,
    &CLUSTER_ROLE,
    &CLUSTER_ROLE_BINDING,
    &NAMESPACE,
    &SECRET,
    &CONFIG_MAP,
    &SERVICE,
    &EVENT,
    &REVISION,
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
    /// Sets apiVersion and kind of an object.
    pub(super) fn name(&self, object: &mut Value) {
        object["apiVersion"] = self.api_version().into();
        object["kind"] = self.kind.into();
    }

    /// The path of the collection; `scope` is used for namespaced kinds only.
    pub fn path<'a>(&self, scope: impl Into<Scope<'a>>) -> String {
        let root = if self.group.is_empty() { "api" } else { "apis" };
        let place = match scope.into().namespace() {
            Some(namespace) if self.namespaced => format!("namespaces/{namespace}/"),
            _ => String::new(),
        };
        format!("/{root}/{}/{place}{}", self.api_version(), self.plural)
    }
}

/// One object, by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ObjectRef<'a> {
    /// What it is.
    pub kind: &'static Kind,
    /// Where; empty for what has no namespace.
    pub namespace: &'a str,
    /// `metadata.name`
    pub name: &'a str,
}

impl<'a> ObjectRef<'a> {
    /// That of an object.
    ///
    /// # Errors
    /// diyadm does not know its kind.
    pub fn of(object: &'a Value) -> Result<Self> {
        identify(object).map(|(kind, namespace, name)| Self { kind, namespace, name })
    }
}

/// Kind, namespace (empty where it has none) and name of an object.
pub(super) fn identify(object: &Value) -> Result<(&'static Kind, &str, &str)> {
    let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str);
    let (version, name) = (text("/apiVersion"), text("/kind"));
    let is = |kind: &&Kind| version.zip(name).is_some_and(|(version, name)| kind.is(version, name));
    let kind = kinds::workloads()
        .chain(OTHERS)
        .find(is)
        .with_context(|| format!("diyadm does not know {name:?} of {version:?}"))?;
    let named = text("/metadata/name").unwrap_or_default();
    Ok((kind, text("/metadata/namespace").unwrap_or_default(), named))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resource_paths_match_the_api_server() {
        assert_eq!(SECRET.path("test"), "/api/v1/namespaces/test/secrets");
        assert_eq!(DEPLOYMENT.path(Scope::ALL), "/apis/apps/v1/deployments");
        assert_eq!(NAMESPACE.path("test"), "/api/v1/namespaces");
        assert_eq!(NAMESPACE.resource(), "namespaces");
        assert_eq!(DEPLOYMENT.resource(), "deployments.apps");
        let path = "/apis/autoscaling/v2/namespaces/test/horizontalpodautoscalers";
        assert_eq!(AUTOSCALER.path("test"), path);
    }
}
