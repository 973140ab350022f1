//! Looks at what is beside workloads, once a namespace.

use futures_util::future::join_all;
use serde_json::Value;

use crate::{
    checks::Finding,
    cluster::{AUTOSCALER, BUDGET, Cluster, Kind, SCALED_OBJECT, VERTICAL, error, targets::Found},
};

/// What was seen of the namespaces.
#[derive(Default)]
pub(super) struct Around {
    all: Vec<Value>,
    /// Kinds that could not be looked at, with the namespace.
    unseen: Vec<(&'static Kind, String)>,
}

/// Looks at the namespaces of these workloads. Kinds that the cluster lacks are none.
pub(super) async fn look(cluster: &Cluster, all: &[Found]) -> Around {
    let mut namespaces: Vec<&str> = all.iter().map(|found| found.namespace.as_str()).collect();
    namespaces.sort_unstable();
    namespaces.dedup();
    let kinds = [&AUTOSCALER, &SCALED_OBJECT, &VERTICAL, &BUDGET];
    let places = namespaces.into_iter().flat_map(|namespace| kinds.map(|kind| (kind, namespace)));
    let looks = places
        .map(async |(kind, namespace)| (kind, namespace, cluster.list(kind, namespace, "").await));
    let mut around = Around::default();
    for (kind, namespace, looked) in join_all(looks).await {
        match looked {
            Ok(found) => around.all.extend(found),
            Err(error) if error::status(&error).is_some_and(|status| status.code == 404) => {}
            Err(_) => around.unseen.push((kind, namespace.to_owned())),
        }
    }
    around
}

impl Around {
    /// What is in this namespace.
    pub(super) fn of(&self, namespace: &str) -> Vec<Value> {
        let here = |object: &&Value| object["metadata"]["namespace"] == namespace;
        self.all.iter().filter(here).cloned().collect()
    }

    /// What is not known of this namespace.
    pub(super) fn unknown(&self, namespace: &str) -> Vec<Finding> {
        let here = self.unseen.iter().filter(|(_, place)| place == namespace);
        here.map(|(kind, _)| {
            let seen = format!("{} may not be listed here", kind.resource());
            Finding::unknown("around", seen, "")
        })
        .collect()
    }
}
