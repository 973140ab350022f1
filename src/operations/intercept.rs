//! Finds the webhook or policy of the cluster that would empty a written object, by its
//! configuration and rules.

use std::collections::BTreeMap;

use serde_json::Value;
use tokio::sync::{Mutex, OnceCell};

use super::server_rules;
use crate::{
    kinds::Kind,
    kubernetes::{
        CONFIGURATION, Cluster, NAMESPACE, POD, POLICY, POLICY_BINDING, WriteMode,
        targets::LiveObject,
    },
    webhook::checks::{
        policy,
        reach::{self, Written},
    },
    workload::{
        self, Context, ENABLED, EmptyingSettings, LABEL, Level, Rules, Subject, pod_from_template,
        pods::is_controlled,
    },
};

pub(crate) mod snapshot;

/// A cluster's readable configurations, policies and namespaces, each read at most once.
#[derive(Default)]
pub(crate) struct Webhooks {
    configurations: OnceCell<Option<Vec<Value>>>,
    /// With their bindings.
    policies: OnceCell<Option<(Vec<Value>, Vec<Value>)>>,
    /// The labels of each namespace.
    namespaces: Mutex<BTreeMap<String, Option<Value>>>,
    /// The rules of each configuration's server.
    rules: Mutex<BTreeMap<String, Rules>>,
    /// Whether Pods may be created in dry runs, to see the API server's result.
    asks: bool,
}

/// What empties an object when it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Interceptor {
    /// The webhook of this configuration.
    Webhook(String),
    /// This policy: Pods only.
    Policy(String),
    Nobody,
    /// The configurations, the policies or the namespace may not be read.
    Unknown,
}

/// Whether the server always ignores an object regardless of rules: those of kube-system, and its
/// own Deployment.
fn is_exempt(rules: &Rules, namespace: &str, object: &Value) -> bool {
    let is_own = rules.own.0 == namespace && object["metadata"]["name"] == rules.own.1.as_str();
    namespace == "kube-system" || is_own
}

/// Whether a policy ignores a Pod: one without an owner and without the label that requests
/// emptying. A policy saves no original, and such a Pod has none elsewhere.
fn is_exempt_from_policies(object: &Value) -> bool {
    let meta = &object["metadata"];
    let asks = [&meta["labels"], &meta["annotations"]].iter().any(|all| all[LABEL] == ENABLED);
    object["kind"] == POD.kind && !is_controlled(object) && !asks
}

/// The decision of a webhook's rules about an object or its Pods; `None` if they cannot be applied.
fn decide(rules: &Rules, namespace: &str, object: &Value) -> Option<EmptyingSettings> {
    let text = object.to_string();
    let context = Context { namespace, ..Context::default() };
    Some(Subject::parse(&text)?.decide(rules, &context).ok()?.way)
}

/// The path that lists the API server's admission resources.
pub(crate) const REGISTRATION: &str = "/apis/admissionregistration.k8s.io/v1";

/// Whether the API server has mutating admission policies, if known.
async fn serves_policies(cluster: &Cluster) -> bool {
    cluster.raw(REGISTRATION).await.is_ok_and(|list| policy::is_served(list.as_ref()))
}

impl Interceptor {
    /// Whether there is one, if known.
    pub(crate) fn is_there(&self) -> bool {
        matches!(self, Self::Webhook(_) | Self::Policy(_))
    }

    /// `webhook shop`, if known.
    pub(crate) fn shown(&self) -> Option<String> {
        match self {
            Self::Webhook(name) => Some(format!("webhook {name}")),
            Self::Policy(name) => Some(format!("policy {name}")),
            Self::Nobody | Self::Unknown => None,
        }
    }
}

impl Webhooks {
    /// For a command that changes something; unless it is a dry run itself, it may
    /// also use dry runs.
    pub(crate) fn new(mode: WriteMode) -> Self {
        Self { asks: mode == WriteMode::Persist, ..Self::default() }
    }

    /// For a namespace that has, or will have, these labels.
    pub(crate) fn with(namespace: &str, labels: Value) -> Self {
        let namespaces = Mutex::new([(namespace.to_owned(), Some(labels))].into());
        Self { namespaces, ..Self::default() }
    }

    /// What intercepts an update of this workload.
    pub(crate) async fn of_update(&self, cluster: &Cluster, found: &LiveObject) -> Interceptor {
        let own = &found.object["metadata"]["labels"];
        self.find(cluster, found, (found.kind, "UPDATE"), own).await
    }

    /// What intercepts its recreation.
    pub(crate) async fn of_create(&self, cluster: &Cluster, found: &LiveObject) -> Interceptor {
        let own = &found.object["metadata"]["labels"];
        if found.kind == &POD {
            return self.of_pod(cluster, found, own).await;
        }
        self.find(cluster, found, (found.kind, "CREATE"), own).await
    }

    /// What intercepts the creation of this workload's Pods.
    pub(crate) async fn of_pods(&self, cluster: &Cluster, found: &LiveObject) -> Interceptor {
        let pod = pod_from_template::pod(&found.object).unwrap_or_default();
        self.of_pod(cluster, found, &pod["metadata"]["labels"]).await
    }

    /// A hint for installing something that empties Pods, depending on the API server.
    pub(crate) async fn advice_for_pods(cluster: &Cluster) -> String {
        let flags = cluster.flags();
        let policy = if serves_policies(cluster).await {
            format!(" or `diyadm install --mode policy{flags}`")
        } else {
            String::new()
        };
        format!(
            "Install one with `diyadm install --level pod{flags}`{policy}, and label the namespace."
        )
    }

    /// Whether the API server rejects requests when this webhook cannot be called, so that an
    /// unchanged result is meaningful.
    pub(crate) fn is_sure(&self, name: &str) -> bool {
        let mut webhooks =
            self.named(name).and_then(|c| c["webhooks"].as_array()).into_iter().flatten();
        webhooks.all(|webhook| webhook["failurePolicy"] == "Fail")
    }

    fn named(&self, name: &str) -> Option<&Value> {
        let configurations = self.configurations.get()?.as_ref()?;
        configurations.iter().find(|configuration| configuration["metadata"]["name"] == name)
    }

    /// What empties new Pods of this workload. A webhook whose readable rules exclude them counts
    /// as nobody, and so does a policy that leaves a Pod unchanged in a dry run.
    pub(crate) async fn emptying_pods(&self, cluster: &Cluster, found: &LiveObject) -> Interceptor {
        let interceptor = self.of_pods(cluster, found).await;
        let pod = pod_from_template::pod(&found.object).unwrap_or_default();
        let leaves = match &interceptor {
            Interceptor::Webhook(name) => {
                let way = self.way(cluster, name, found, &pod).await;
                way.is_some_and(|way| !way.empty)
            }
            Interceptor::Policy(_) if self.asks => {
                let made = cluster.create(&pod, WriteMode::DryRun).await;
                made.is_ok_and(|made| !workload::is_emptied_pod(&made.to_string()))
            }
            _ => false,
        };
        if leaves { Interceptor::Nobody } else { interceptor }
    }

    /// [`Webhooks::emptying_pods`] for an unchanged workload.
    pub(crate) async fn of_level_pod(&self, cluster: &Cluster, found: &LiveObject) -> Interceptor {
        // Immutable objects are intercepted when they are created.
        let own = if found.kind.mutable {
            self.of_update(cluster, found).await
        } else {
            self.of_create(cluster, found).await
        };
        let pods = self.emptying_pods(cluster, found).await;
        let is_left = match (&own, &pods) {
            (Interceptor::Nobody, _) => true,
            (Interceptor::Webhook(own), Interceptor::Webhook(pods)) if own == pods => {
                let way = self.way(cluster, own, found, &found.object).await;
                way.is_some_and(|way| way.level == Level::Pod)
            }
            _ => false,
        };
        if is_left { pods } else { Interceptor::Nobody }
    }

    /// Whether the readable rules of this webhook exclude the workload.
    pub(crate) async fn leaves(&self, cluster: &Cluster, name: &str, found: &LiveObject) -> bool {
        let way = self.way(cluster, name, found, &found.object).await;
        way.is_some_and(|way| !way.empty)
    }

    /// The decision of this webhook's rules about an object in the namespace of `found`.
    async fn way(
        &self,
        cluster: &Cluster,
        name: &str,
        found: &LiveObject,
        object: &Value,
    ) -> Option<EmptyingSettings> {
        let configuration = self.named(name)?;
        let mut known = self.rules.lock().await;
        if !known.contains_key(name) {
            known.insert(name.to_owned(), server_rules::rules(cluster, configuration).await);
        }
        let rules = known.get(name)?;
        let mut way = decide(rules, &found.namespace, object)?;
        way.empty &= !is_exempt(rules, &found.namespace, &found.object);
        Some(way)
    }

    async fn of_pod(&self, cluster: &Cluster, found: &LiveObject, labels: &Value) -> Interceptor {
        match self.find(cluster, found, (&POD, "CREATE"), labels).await {
            Interceptor::Webhook(name) => Interceptor::Webhook(name),
            unseen if is_exempt_from_policies(&found.object) => unseen,
            unseen => match self.policy(cluster, found, labels).await {
                Interceptor::Nobody => unseen,
                policy => policy,
            },
        }
    }

    /// The policy that intercepts the creation of such a Pod in the namespace.
    async fn policy(&self, cluster: &Cluster, found: &LiveObject, labels: &Value) -> Interceptor {
        let read = async || {
            let bindings = cluster.list_served(&POLICY_BINDING).await.ok()?;
            Some((cluster.list_served(&POLICY).await.ok()?, bindings))
        };
        let Some((policies, bindings)) = self.policies.get_or_init(read).await else {
            return Interceptor::Unknown;
        };
        if policies.is_empty() {
            return Interceptor::Nobody;
        }
        let Some(namespace) = self.labels(cluster, &found.namespace).await else {
            return Interceptor::Unknown;
        };
        let operation = "CREATE";
        let written = Written { namespace: &namespace, labels, kind: &POD, operation };
        match reach::policy(policies, bindings, &written) {
            Some(name) => Interceptor::Policy(name.to_owned()),
            None => Interceptor::Nobody,
        }
    }

    async fn find(
        &self,
        cluster: &Cluster,
        found: &LiveObject,
        (kind, operation): (&Kind, &str),
        labels: &Value,
    ) -> Interceptor {
        let read = async || cluster.list(&CONFIGURATION, "", "").await.ok();
        let Some(configurations) = self.configurations.get_or_init(read).await else {
            return Interceptor::Unknown;
        };
        let Some(namespace) = self.labels(cluster, &found.namespace).await else {
            return Interceptor::Unknown;
        };
        let written = Written { namespace: &namespace, labels, kind, operation };
        match reach::webhook(configurations, &written) {
            Some(name) => Interceptor::Webhook(name.to_owned()),
            None => Interceptor::Nobody,
        }
    }

    async fn labels(&self, cluster: &Cluster, namespace: &str) -> Option<Value> {
        let mut known = self.namespaces.lock().await;
        if let Some(labels) = known.get(namespace) {
            return labels.clone();
        }
        let found = cluster.get(&NAMESPACE, "", namespace).await.ok().flatten();
        let labels = found.map(|found| found["metadata"]["labels"].clone());
        known.insert(namespace.to_owned(), labels.clone());
        labels
    }
}
