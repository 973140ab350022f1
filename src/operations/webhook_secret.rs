//! The Secret with the CA and the server's certificate and key.

use anyhow::Result;

use super::webhook_names::{self, WebhookNames};
use crate::{
    exit::{Failure, Topic},
    kubernetes::{Cluster, SECRET},
    webhook::checks::Secret,
};

/// The Secret, if it exists.
pub(crate) async fn fetch(cluster: &Cluster, names: &WebhookNames) -> Result<Option<Secret>> {
    let object = cluster.get(&SECRET, names.webhook_namespace(), &names.secret).await?;
    Ok(object.as_ref().map(Secret::from_object))
}

/// The Secret, which must exist.
pub(crate) async fn demand(cluster: &Cluster, names: &WebhookNames) -> Result<Secret> {
    let (namespace, secret) = (names.webhook_namespace(), &names.secret);
    fetch(cluster, names).await?.ok_or_else(|| {
        Failure::no(
            Topic::Installation,
            format!("There is no Secret {secret} in namespace {namespace}."),
            format!("Create it with `diyadm init{}`.", webhook_names::flags(cluster, names)),
        )
        .into()
    })
}
