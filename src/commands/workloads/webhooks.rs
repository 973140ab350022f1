//! Whether a webhook or policy of the cluster would empty what is written: by what is said of them
//! there.

use std::collections::BTreeMap;

use serde_json::Value;
use tokio::sync::{Mutex, OnceCell};

use super::server;
use crate::{
    checks::reach::{self, Written},
    cluster::{
        CONFIGURATION, Cluster, Kind, NAMESPACE, POD, POLICY, POLICY_BINDING, error, targets::Found,
    },
    workload::{Context, Rules, Subject},
};

/// What could be read of a cluster's configurations, policies and namespaces, each at most once.
#[derive(Default)]
pub(in crate::commands) struct Webhooks {
    configurations: OnceCell<Option<Vec<Value>>>,
    /// With their bindings.
    policies: OnceCell<Option<(Vec<Value>, Vec<Value>)>>,
    /// The labels of each namespace.
    namespaces: Mutex<BTreeMap<String, Option<Value>>>,
    /// What each configuration's server goes by.
    rules: Mutex<BTreeMap<String, Rules>>,
}

/// Who sees a write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::commands) enum Watcher {
    /// The webhook of this configuration.
    Webhook(String),
    /// This policy: Pods only.
    Policy(String),
    Nobody,
    /// The configurations, the policies or the namespace may not be read.
    Unknown,
}

impl Watcher {
    /// `webhook shop`, where it is known.
    pub(in crate::commands) fn shown(&self) -> Option<String> {
        match self {
            Self::Webhook(name) => Some(format!("webhook {name}")),
            Self::Policy(name) => Some(format!("policy {name}")),
            Self::Nobody | Self::Unknown => None,
        }
    }
}

impl Webhooks {
    /// What is known where a namespace has these labels, or is about to.
    pub(in crate::commands) fn with(namespace: &str, labels: Value) -> Self {
        let namespaces = Mutex::new([(namespace.to_owned(), Some(labels))].into());
        Self { namespaces, ..Self::default() }
    }

    /// Who sees an update of this workload.
    pub(in crate::commands) async fn of_update(&self, cluster: &Cluster, found: &Found) -> Watcher {
        let own = &found.object["metadata"]["labels"];
        self.of(cluster, found, (found.kind.group, found.kind.plural, "UPDATE"), own).await
    }

    /// Who sees it when it is created again.
    pub(in crate::commands) async fn of_create(&self, cluster: &Cluster, found: &Found) -> Watcher {
        let own = &found.object["metadata"]["labels"];
        if found.kind == &POD {
            return self.of_pod(cluster, found, own).await;
        }
        self.of(cluster, found, (found.kind.group, found.kind.plural, "CREATE"), own).await
    }

    /// Who sees the Pods of this workload as they are created.
    pub(in crate::commands) async fn of_pods(&self, cluster: &Cluster, found: &Found) -> Watcher {
        let is_cron = found.kind.kind == "CronJob";
        let base = if is_cron { "/spec/jobTemplate/spec" } else { "/spec" };
        let labels = found.object.pointer(&format!("{base}/template/metadata/labels"));
        let labels = labels.unwrap_or(&Value::Null);
        self.of_pod(cluster, found, labels).await
    }

    /// Whether the API server refuses what this webhook could not be asked of, so that its silence
    /// means something.
    pub(in crate::commands) fn is_sure(&self, name: &str) -> bool {
        let mut webhooks =
            self.named(name).and_then(|c| c["webhooks"].as_array()).into_iter().flatten();
        webhooks.all(|webhook| webhook["failurePolicy"] == "Fail")
    }

    fn named(&self, name: &str) -> Option<&Value> {
        let configurations = self.configurations.get()?.as_ref()?;
        configurations.iter().find(|configuration| configuration["metadata"]["name"] == name)
    }

    /// Who empties the Pods of this workload as they are created: a webhook whose rules, as far as
    /// they may be read, leave it alone is nobody.
    pub(in crate::commands) async fn emptying_pods(
        &self,
        cluster: &Cluster,
        found: &Found,
    ) -> Watcher {
        match self.of_pods(cluster, found).await {
            Watcher::Webhook(name) if self.leaves(cluster, &name, found).await => Watcher::Nobody,
            watcher => watcher,
        }
    }

    /// Whether the rules of this webhook, as far as they may be read, leave the workload alone.
    pub(in crate::commands) async fn leaves(
        &self,
        cluster: &Cluster,
        name: &str,
        found: &Found,
    ) -> bool {
        let Some(configuration) = self.named(name) else { return false };
        let mut known = self.rules.lock().await;
        if !known.contains_key(name) {
            known.insert(name.to_owned(), server::rules(cluster, configuration).await);
        }
        let text = found.object.to_string();
        let context = Context { namespace: &found.namespace, ..Context::default() };
        let subject = Subject::parse(&text);
        let decided = known.get(name).zip(subject).map(|(rules, s)| s.decide(rules, &context));
        matches!(decided, Some(Ok(decision)) if !decision.way.empty)
    }

    async fn of_pod(&self, cluster: &Cluster, found: &Found, labels: &Value) -> Watcher {
        match self.of(cluster, found, (POD.group, POD.plural, "CREATE"), labels).await {
            Watcher::Webhook(name) => Watcher::Webhook(name),
            unseen => match self.policy(cluster, found, labels).await {
                Watcher::Nobody => unseen,
                policy => policy,
            },
        }
    }

    /// The policy that sees such a Pod of the namespace as it is created.
    async fn policy(&self, cluster: &Cluster, found: &Found, labels: &Value) -> Watcher {
        let read = async || {
            let list = async |kind: &Kind| match cluster.list(kind, "", "").await {
                Ok(list) => Some(list),
                // A version that has no policies has none.
                Err(error) => error::status(&error).filter(|s| s.code == 404).map(|_| Vec::new()),
            };
            Some((list(&POLICY).await?, list(&POLICY_BINDING).await?))
        };
        let Some((policies, bindings)) = self.policies.get_or_init(read).await else {
            return Watcher::Unknown;
        };
        if policies.is_empty() {
            return Watcher::Nobody;
        }
        let Some(namespace) = self.labels(cluster, &found.namespace).await else {
            return Watcher::Unknown;
        };
        let (group, resource, operation) = (POD.group, POD.plural, "CREATE");
        let written = Written { namespace: &namespace, labels, group, resource, operation };
        match reach::policy(policies, bindings, &written) {
            Some(name) => Watcher::Policy(name.to_owned()),
            None => Watcher::Nobody,
        }
    }

    async fn of(
        &self,
        cluster: &Cluster,
        found: &Found,
        (group, resource, operation): (&str, &str, &str),
        labels: &Value,
    ) -> Watcher {
        let read = async || cluster.list(&CONFIGURATION, "", "").await.ok();
        let Some(configurations) = self.configurations.get_or_init(read).await else {
            return Watcher::Unknown;
        };
        let Some(namespace) = self.labels(cluster, &found.namespace).await else {
            return Watcher::Unknown;
        };
        let written = Written { namespace: &namespace, labels, group, resource, operation };
        match reach::webhook(configurations, &written) {
            Some(name) => Watcher::Webhook(name.to_owned()),
            None => Watcher::Nobody,
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
