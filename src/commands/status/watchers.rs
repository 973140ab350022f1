//! Which workloads a webhook of this cluster would empty, as far as one may look.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::{
    checks::reach::{self, Written},
    cluster::{CONFIG_MAP, CONFIGURATION, Cluster, Kind, NAMESPACE, POD, WORKLOADS},
    commands::terminal::Terminal,
    workload::{self, Context, Level, Rules, Subject},
};

/// What was read once.
pub(super) struct Watchers {
    /// Each configuration with the rules.yaml of its server.
    configurations: Vec<(Value, Rules)>,
    /// The labels of the namespaces.
    namespaces: BTreeMap<String, Value>,
}

impl Watchers {
    /// Looks at the cluster for one namespace, or, where it is empty, for all.
    pub(super) async fn look(terminal: &Terminal, cluster: &Cluster, namespace: &str) -> Self {
        let mut watchers = Self { configurations: Vec::new(), namespaces: BTreeMap::new() };
        let namespaces = if namespace.is_empty() {
            cluster.list(&NAMESPACE, "", "").await
        } else {
            let found = cluster.get(&NAMESPACE, "", namespace).await;
            found.map(|found| found.into_iter().collect())
        };
        let configurations = cluster.list(&CONFIGURATION, "", "").await;
        let (Ok(namespaces), Ok(configurations)) = (namespaces, configurations) else {
            terminal.warn(
                "namespaces or webhook configurations may not be read, so workloads that a \
                 webhook has missed are not seen",
            );
            return watchers;
        };
        for namespace in namespaces {
            let name = namespace["metadata"]["name"].as_str().unwrap_or_default().to_owned();
            watchers.namespaces.insert(name, namespace["metadata"]["labels"].clone());
        }
        for configuration in configurations {
            let service = &configuration["webhooks"][0]["clientConfig"]["service"];
            let text = |field: &str| service[field].as_str().unwrap_or_default().to_owned();
            let own = (text("namespace"), text("name"));
            let list = if own.1.is_empty() {
                Vec::new()
            } else {
                let name = format!("{}-rules", own.1);
                let map = cluster.get(&CONFIG_MAP, &own.0, &name).await.ok().flatten();
                let text = map.and_then(|map| Some(map["data"]["rules.yaml"].as_str()?.to_owned()));
                text.and_then(|text| workload::parse_rules(&text).ok()).unwrap_or_default()
            };
            watchers.configurations.push((configuration, Rules { list, own, ..Rules::default() }));
        }
        watchers
    }

    /// Whether one of them is called for the workload, or for its Pods at level pod, and its
    /// rules do not say no.
    pub(super) fn would_empty(&self, object: &Value) -> bool {
        let namespace = object["metadata"]["namespace"].as_str().unwrap_or_default();
        let text = object.to_string();
        let kind = WORKLOADS.iter().find(|kind| object["kind"] == kind.kind);
        let (Some(labels), Some(subject), Some(kind)) =
            (self.namespaces.get(namespace), Subject::parse(&text), kind)
        else {
            return false;
        };
        if namespace == "kube-system" {
            return false;
        }
        let name = object["metadata"]["name"].as_str().unwrap_or_default();
        self.configurations.iter().any(|(configuration, rules)| {
            let context = Context { namespace, ..Context::default() };
            let way = subject.decide(rules, &context).map(|decision| decision.way);
            let Ok(way) = way else { return false };
            if !way.empty || (rules.own.0 == namespace && rules.own.1 == name) {
                return false;
            }
            let sees = |kind: &Kind, operation, own: &Value| {
                let (group, resource) = (kind.group, kind.plural);
                let written =
                    Written { namespace: labels, labels: own, group, resource, operation };
                reach::webhook(std::slice::from_ref(configuration), &written).is_some()
            };
            let mutable = subject.workload().is_some_and(|kind| kind.mutable);
            let operation = if mutable { "UPDATE" } else { "CREATE" };
            let own = sees(kind, operation, &object["metadata"]["labels"]);
            let cron = object["kind"] == "CronJob";
            let base = if cron { "/spec/jobTemplate/spec" } else { "/spec" };
            let pod = object.pointer(&format!("{base}/template/metadata/labels"));
            let pods = *kind != &POD && sees(&POD, "CREATE", pod.unwrap_or(&Value::Null));
            // A configuration that sees Pods alone is one of level pod.
            if own { way.level == Level::Workload || *kind == &POD || pods } else { pods }
        })
    }
}
