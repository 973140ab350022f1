//! `check --probe`: finds out why a webhook under failurePolicy Ignore fails.
//!
//! A copy of the configuration with policy Fail is created for a moment. It matches a single
//! object, by a label with a random value, and that object is created only in a dry run.

use std::time::Duration;

use anyhow::Result;
use serde_json::{Value, json};

use crate::{
    kubernetes::{CONFIGURATION, Cluster, Right, WriteMode, error},
    webhook::{
        checks::{CheckSubject, DryCreate, Observed, is_emptied_to, level},
        manifests,
    },
};
use diyadm_agent::protocol::hex;

const LABEL: &str = "diyadm.io/probe";

/// API servers get a new configuration through their watch; 20 × 250 ms is plenty for that.
const TRIES: u32 = 20;
const PAUSE: Duration = Duration::from_millis(250);

/// Replaces the dry run of `observed` by one that reports the reason, if the policy hid it.
pub(super) async fn ask(
    cluster: &Cluster,
    subject: &CheckSubject,
    observed: &mut Observed,
) -> Result<()> {
    let hidden = matches!(&observed.dry_create, Ok(DryCreate::Created(created))
        if !is_emptied_to(created, &subject.image));
    let own = observed.configurations.as_ref().ok().and_then(|all| {
        all.iter().find(|c| c["metadata"]["name"] == subject.service.as_str()).cloned()
    });
    let (true, Some(own)) = (hidden, own) else { return Ok(()) };
    let rights = ["create", "delete"].map(|verb| Right {
        verb,
        kind: &CONFIGURATION,
        namespace: "",
        name: "",
    });
    cluster.demand(&rights).await?;

    let mut random = [0; 6];
    openssl::rand::rand_bytes(&mut random)?;
    let mark = hex(&random);
    let name = format!("diyadm-probe-{mark}");
    let object = manifests::test_object(&subject.namespace, level(&own))?;
    cluster
        .create(&configuration(&own, &name, &mark, &subject.namespace), WriteMode::Persist)
        .await?;
    let outcome = answers(cluster, object, &mark).await;
    cluster.delete(&CONFIGURATION, "", &name, WriteMode::Persist).await?;
    if let Some(seen) = outcome? {
        observed.dry_create = Ok(seen);
    }
    Ok(())
}

async fn answers(cluster: &Cluster, mut object: Value, mark: &str) -> Result<Option<DryCreate>> {
    object["metadata"]["name"] = "diyadm-check".into();
    object["metadata"]["labels"] = json!({ LABEL: mark });
    for _ in 0..TRIES {
        tokio::time::sleep(PAUSE).await;
        match cluster.create(&object, WriteMode::DryRun).await {
            Ok(_) => {}
            Err(error) => match error::status(&error) {
                Some(status) => return Ok(Some(DryCreate::Refused(status.message.clone()))),
                None => return Err(error),
            },
        }
    }
    Ok(None)
}

fn configuration(own: &Value, name: &str, mark: &str, namespace: &str) -> Value {
    let all = own["webhooks"].as_array().map_or(&[][..], Vec::as_slice);
    // The webhook for workloads; Services have another one.
    let calls = |rules: &str| ["deployments", "pods"].iter().any(|word| rules.contains(word));
    let first = all.iter().find(|webhook| calls(&webhook["rules"].to_string()));
    let mut webhook = first.or(all.first()).cloned().unwrap_or_default();
    webhook["failurePolicy"] = "Fail".into();
    webhook["objectSelector"] = json!({ "matchLabels": { LABEL: mark } });
    webhook["namespaceSelector"] =
        json!({ "matchLabels": { "kubernetes.io/metadata.name": namespace } });
    json!({
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "MutatingWebhookConfiguration",
        "metadata": { "name": name, "labels": { LABEL: mark } },
        "webhooks": [webhook],
    })
}
