//! Whether a webhook of the cluster would empty what is written: by what its configurations say.

use std::collections::BTreeMap;

use serde_json::Value;
use tokio::sync::{Mutex, OnceCell};

use crate::{
    checks::reach::{self, Written},
    cluster::{CONFIGURATION, Cluster, NAMESPACE, POD, targets::Found},
};

/// What could be read of a cluster's configurations and namespaces, each at most once.
#[derive(Default)]
pub(in crate::commands) struct Webhooks {
    configurations: OnceCell<Option<Vec<Value>>>,
    /// The labels of each namespace.
    namespaces: Mutex<BTreeMap<String, Option<Value>>>,
}

/// Who sees a write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::commands) enum Watcher {
    /// The webhook of this configuration.
    Webhook(String),
    Nobody,
    /// The configurations or the namespace may not be read.
    Unknown,
}

impl Webhooks {
    /// Who sees an update of this workload.
    pub(in crate::commands) async fn of_update(&self, cluster: &Cluster, found: &Found) -> Watcher {
        let own = &found.object["metadata"]["labels"];
        self.of(cluster, found, (found.kind.group, found.kind.plural, "UPDATE"), own).await
    }

    /// Who sees it when it is created again.
    pub(in crate::commands) async fn of_create(&self, cluster: &Cluster, found: &Found) -> Watcher {
        let own = &found.object["metadata"]["labels"];
        self.of(cluster, found, (found.kind.group, found.kind.plural, "CREATE"), own).await
    }

    /// Who sees the Pods of this workload as they are created.
    pub(in crate::commands) async fn of_pods(&self, cluster: &Cluster, found: &Found) -> Watcher {
        let is_cron = found.kind.kind == "CronJob";
        let base = if is_cron { "/spec/jobTemplate/spec" } else { "/spec" };
        let labels = found.object.pointer(&format!("{base}/template/metadata/labels"));
        let labels = labels.unwrap_or(&Value::Null);
        self.of(cluster, found, (POD.group, POD.plural, "CREATE"), labels).await
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
