//! Empty Pods whose owner is not in the status table: an operator's own kind, or a workload that
//! another object controls.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Row, emptied_pod, is_empty_pod, of_pods};
use crate::{
    kinds,
    workload::{Subject, pods},
};

/// A row for each owner of running empty Pods that belong to none of these workloads, which are all
/// visible ones. `flags` select the cluster in hints.
pub fn of_others(objects: &[Value], pods: &[Value], flags: &str) -> Vec<Row> {
    let mut others: BTreeMap<[String; 3], Vec<&Value>> = BTreeMap::new();
    for pod in pods.iter().filter(|pod| is_empty_pod(pod)) {
        if let Some(owner) = owner(pod) {
            others.entry(owner).or_default().push(pod);
        }
    }
    // All Pods of one owner are alike.
    others.retain(|_, pods| !objects.iter().any(|object| pods::belongs_to(pods[0], object)));
    others.iter().filter_map(|(owner, pods)| row(owner, pods, flags)).collect()
}

/// Its namespace, and its owner's kind and name.
fn owner(pod: &Value) -> Option<[String; 3]> {
    let text = pod.to_string();
    let subject = Subject::parse(&text)?;
    let (kind, name) = *subject.stands_for().first()?;
    let namespace = pod["metadata"]["namespace"].as_str().unwrap_or_default();
    Some([namespace, kind, name].map(ToOwned::to_owned))
}

fn row([namespace, kind, name]: &[String; 3], pods: &[&Value], flags: &str) -> Option<Row> {
    let way_back = if kinds::named(kind).is_some() {
        let typed = format!("{}/{name} -n {namespace}{flags}", kind.to_lowercase());
        format!(
            "another object controls it, so it is restored by its name: `diyadm restore {typed}`"
        )
    } else {
        let names = pods.iter().filter_map(|pod| pod["metadata"]["name"].as_str());
        let names = names.collect::<Vec<_>>().join(" ");
        format!(
            "where nothing empties Pods any more, they come back as written: \
             `kubectl -n {namespace} delete pod {names}`"
        )
    };
    let ready = pods.iter().filter(|pod| pods::is_ready(pod)).count();
    let owner = serde_json::json!({
        "kind": kind, "metadata": { "namespace": namespace, "name": name },
    });
    let row = of_pods(&owner, &emptied_pod(pods.first()?)?, pods.len(), &way_back);
    Some(Row { ready: format!("{ready}/{}", pods.len()), ..row })
}
