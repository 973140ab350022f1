//! Whether what has the names of the webhook's objects is the webhook's.

use anyhow::Result;
use serde_json::Value;

use crate::{
    kubernetes::{CONFIGURATION, Cluster, DEPLOYMENT, ObjectRef, error},
    operations::{webhook_names::WebhookNames, webhook_secret},
    webhook::checks::owner,
};

/// Where neither a configuration nor a policy is installed: the first of `targets` that another program
/// made, as `deployment/shop in namespace prod`. The Deployment of a server is known by diyadm's field
/// manager or by the Secret that it mounts, and what else has its name is its own.
pub(super) async fn foreign_object(
    cluster: &Cluster,
    names: &WebhookNames,
    targets: &[ObjectRef<'_>],
) -> Result<Option<String>> {
    // A Service of the server's name says nothing by itself.
    let mut targets: Vec<_> = targets.iter().filter(|t| t.kind != &CONFIGURATION).collect();
    targets.sort_by_key(|target| target.kind != &DEPLOYMENT);
    for target in targets {
        let ObjectRef { kind, namespace, name } = target;
        let Some(object) = cluster.get(kind, namespace, name).await? else { continue };
        let is_server = kind == &&DEPLOYMENT && mounts_secret(&object, &names.secret);
        if kind == &&DEPLOYMENT && (is_server || owner::is_written_by_diyadm(&object)) {
            return Ok(None);
        }
        if !owner::is_written_by_diyadm(&object) {
            return Ok(Some(format!("{}/{name} in namespace {namespace}", kind.singular())));
        }
    }
    Ok(None)
}

fn mounts_secret(deployment: &Value, secret: &str) -> bool {
    let volumes = deployment["spec"]["template"]["spec"]["volumes"].as_array();
    volumes.into_iter().flatten().any(|volume| volume["secret"]["secretName"] == secret)
}

/// Whether a configuration trusts another CA than that of the Secret, where that may be read.
pub(super) async fn trusts_another_ca(
    cluster: &Cluster,
    names: &WebhookNames,
    configuration: &Value,
) -> Result<bool> {
    match webhook_secret::fetch(cluster, names).await {
        Ok(Some(secret)) => Ok(!owner::trusts_ours(configuration, &secret.ca_crt)),
        Ok(None) => Ok(false),
        Err(error) if error::is_forbidden(&error) => Ok(false),
        Err(error) => Err(error),
    }
}
