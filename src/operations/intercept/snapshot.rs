//! A snapshot of a cluster's webhooks and policies, to decide which workloads they would empty.

use std::collections::BTreeMap;

use anyhow::{Error, Result};
use serde_json::Value;
use tokio::join;

use super::{decide, is_exempt, is_exempt_from_policies};
use crate::{
    kinds,
    kubernetes::{CONFIGURATION, Cluster, Kind, NAMESPACE, POD, POLICY, POLICY_BINDING, Scope},
    operations::server_rules,
    webhook::checks::reach::{self, Written},
    workload::{Level, Rules, pod_from_template},
};

/// The snapshot.
#[derive(PartialEq)]
pub(crate) struct Snapshot {
    /// Each configuration with the rules of its server.
    configurations: Vec<(Value, Rules)>,
    policies: Vec<Value>,
    bindings: Vec<Value>,
    /// The labels of the namespaces.
    namespaces: BTreeMap<String, Value>,
}

impl Snapshot {
    /// Reads the cluster for `scope`; also returns read errors.
    pub(crate) async fn fetch(cluster: &Cluster, scope: Scope<'_>) -> (Self, Vec<Error>) {
        let namespaces = async {
            let Some(namespace) = scope.namespace() else {
                return cluster.list(&NAMESPACE, Scope::ALL, "").await;
            };
            let found = cluster.get(&NAMESPACE, "", namespace).await;
            found.map(|found| found.into_iter().collect())
        };
        let (namespaces, seen, policies, bindings) = join!(
            namespaces,
            cluster.list(&CONFIGURATION, Scope::ALL, ""),
            cluster.list_served(&POLICY),
            cluster.list_served(&POLICY_BINDING),
        );
        let mut errors = Vec::new();
        let mut read = |list: Result<Vec<Value>>| {
            list.unwrap_or_else(|error| {
                errors.push(error);
                Vec::new()
            })
        };
        let [namespaces, seen, policies, bindings] =
            [namespaces, seen, policies, bindings].map(&mut read);
        let labels = |namespace: &Value| {
            let name = namespace["metadata"]["name"].as_str().unwrap_or_default().to_owned();
            (name, namespace["metadata"]["labels"].clone())
        };
        let namespaces = namespaces.iter().map(labels).collect();
        let mut configurations = Vec::new();
        for configuration in seen {
            let rules = server_rules::rules(cluster, &configuration).await;
            configurations.push((configuration, rules));
        }
        (Self { configurations, policies, bindings, namespaces }, errors)
    }

    /// The level at which one of them is called for the workload, unless its rules exclude it.
    pub(crate) fn would_empty(&self, object: &Value) -> Option<Level> {
        let namespace = object["metadata"]["namespace"].as_str().unwrap_or_default();
        let kind = kinds::of_object(object)?;
        let asked = Asked { kind, object, namespace, labels: self.namespaces.get(namespace)? };
        let by_webhook = self.configurations.iter();
        let by_webhook = by_webhook.filter_map(|(configuration, rules)| {
            asked.level(rules, |written| {
                reach::webhook(std::slice::from_ref(configuration), written).is_some()
            })
        });
        let by_policy = || {
            if is_exempt_from_policies(object) {
                return None;
            }
            // Its rules are CEL: workloads that they exclude are assumed to be included.
            asked.level(&Rules::default(), |written| {
                reach::policy(&self.policies, &self.bindings, written).is_some()
            })
        };
        by_webhook.max_by_key(|level| *level == Level::Workload).or_else(by_policy)
    }
}

/// A workload that may be intercepted.
struct Asked<'a> {
    kind: &'static Kind,
    object: &'a Value,
    namespace: &'a str,
    /// Of the namespace.
    labels: &'a Value,
}

impl Asked<'_> {
    /// The level at which these rules would empty it; `sees` returns whether writes are
    /// intercepted.
    fn level(&self, rules: &Rules, sees: impl Fn(&Written<'_>) -> bool) -> Option<Level> {
        let Self { kind, object, namespace, labels } = *self;
        if is_exempt(rules, namespace, object) {
            return None;
        }
        let sees = |kind: &Kind, operation, own: &Value| {
            sees(&Written { namespace: labels, labels: own, kind, operation })
        };
        let way = decide(rules, namespace, object)?;
        let operation = if kind.mutable { "UPDATE" } else { "CREATE" };
        let is_meant = way.empty && (way.level == Level::Workload || kind == &POD);
        if is_meant && sees(kind, operation, &object["metadata"]["labels"]) {
            return Some(Level::Workload);
        }
        let pod = pod_from_template::pod(object)?;
        let way = decide(rules, namespace, &pod)?;
        let pods = kind != &POD && way.empty && sees(&POD, "CREATE", &pod["metadata"]["labels"]);
        pods.then_some(Level::Pod)
    }
}
