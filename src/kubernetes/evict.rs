//! Evicts or deletes exactly one Pod, and never a replacement with the same name.

use anyhow::Result;
use kube::{
    api::{DeleteParams, PostParams, Preconditions},
    core::Request,
};
use serde_json::{Value, json};

use super::{Cluster, POD, error, send::Verb};

impl Cluster {
    /// Evicts exactly this Pod, if its PodDisruptionBudgets allow it ([`error::guarded`] while they
    /// do not). A deleted or replaced Pod counts as success.
    pub async fn evict(&self, pod: &Value) -> Result<()> {
        let text = |field: &str| pod["metadata"][field].as_str().unwrap_or_default();
        let (namespace, name) = (text("namespace"), text("name"));
        let path = POD.path(namespace);
        let eviction = json!({
            "apiVersion": "policy/v1",
            "kind": "Eviction",
            "metadata": { "name": name, "namespace": namespace },
            "deleteOptions": { "preconditions": { "uid": text("uid") } },
        });
        let body = serde_json::to_vec(&eviction)?;
        let request =
            Request::new(&path).create_subresource("eviction", name, &PostParams::default(), body);
        gone(self.send(Verb::Evict, &format!("{path}/{name}"), request).await)
    }

    /// [`Cluster::evict`] without regard to PodDisruptionBudgets.
    pub async fn delete_pod(&self, pod: &Value) -> Result<()> {
        let text = |field: &str| pod["metadata"][field].as_str().unwrap_or_default();
        let (path, name) = (POD.path(text("namespace")), text("name"));
        let uid = Some(text("uid").to_owned());
        let preconditions = Some(Preconditions { resource_version: None, uid });
        let params = DeleteParams { preconditions, ..DeleteParams::default() };
        let request = Request::new(&path).delete(name, &params);
        gone(self.send(Verb::Delete, &format!("{path}/{name}"), request).await)
    }
}

/// Treats 404, and 409 for a different uid, as deleted.
fn gone(sent: Result<Value>) -> Result<()> {
    match error::absent(sent) {
        Err(error) if error::is_conflict(&error) => Ok(()),
        sent => sent.map(drop),
    }
}
