//! Asks for one very Pod to go, and never for another that has its name by then.

use anyhow::Result;
use kube::{
    api::{DeleteParams, PostParams, Preconditions},
    core::Request,
};
use serde_json::{Value, json};

use super::{Cluster, POD, error, send::Verb};

impl Cluster {
    /// Asks for this very Pod to go, as far as its PodDisruptionBudgets allow it
    /// ([`error::guarded`] while they do not). One that is gone, with another in its place, is left
    /// to that.
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

    /// [`Cluster::evict`], whatever guards it.
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

/// Of an object that was to go and its uid: it is gone, or another one has its place (409).
fn gone(sent: Result<Value>) -> Result<()> {
    match error::absent(sent) {
        Err(error) if error::status(&error).is_some_and(|status| status.code == 409) => Ok(()),
        sent => sent.map(drop),
    }
}
