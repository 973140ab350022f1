//! The label of a namespace that a webhook or policy serves: its owner, and who may set it.

use anyhow::{Error, Result};
use serde_json::Value;

use super::{
    applier::Applier,
    webhook_names::{self, Resolved},
};
use crate::{
    exit::{Failure, Topic},
    kubernetes::{CONFIGURATION, Cluster, FieldConflicts, NAMESPACE, ObjectRef, POLICY, error},
    webhook::{checks::owner, manifests},
};

/// Labels the namespace for the webhook or policy that serves it, and reports which one. `given` is
/// the label from a flag.
///
/// # Errors
/// Where the right to do so is missing, and where the namespace is somebody else's already.
pub(crate) async fn label(
    applier: &mut Applier<'_>,
    resolved: &Resolved,
    given: Option<&str>,
) -> Result<()> {
    let (cluster, names) = (applier.cluster, &resolved.names);
    let Some(installed) = resolved.serving() else { return Ok(()) };
    let (namespace, label) = (names.namespace(), names.label());
    let who = shown(resolved, installed);
    if let Some(wanted) = owner::label(installed).filter(|_| given.is_some())
        && wanted != label
    {
        let what = format!("{who} serves namespaces with the label {wanted}, not {label}.");
        let hint = format!(
            "Omit --label, or install your own: `diyadm install -n {namespace}{} --service NAME`.",
            cluster.flags()
        );
        return Err(Failure::no(Topic::Installation, what, hint).into());
    }
    if applier.conflicts == FieldConflicts::Fail {
        refuse_two(cluster, resolved).await?;
    }
    applier.apply(&manifests::namespace(namespace, &webhook_names::label(names)?)).await?;
    applier.outcomes.terminal.say(&format!(
        "{who} serves it. Its server, image and rules are unchanged: change them from its own \
         namespace, or with --webhook-namespace {}.",
        names.webhook_namespace()
    ));
    Ok(())
}

/// Fails if the namespace may not be labelled, before anything is read.
pub(crate) async fn demand(cluster: &Cluster, resolved: &Resolved) -> Result<()> {
    let names = &resolved.names;
    let target = ObjectRef { kind: &NAMESPACE, namespace: "", name: names.namespace() };
    let demanded = cluster.demand_apply(&[target], &[]).await;
    demanded.map_err(|error| ask_for(error, names.namespace(), &names.label()))
}

/// `Webhook x (Service x in namespace y)`
fn shown(resolved: &Resolved, installed: &Value) -> String {
    let (service, home) = (&resolved.names.service, resolved.names.webhook_namespace());
    if installed["kind"] == POLICY.kind {
        return format!("Policy {service} (installed from namespace {home})");
    }
    match installed["webhooks"][0]["clientConfig"]["url"].as_str() {
        Some(_) => format!("Webhook {service} (a URL, installed from namespace {home})"),
        None => format!("Webhook {service} (Service {service} in namespace {home})"),
    }
}

/// A missing right, with the command for an owner.
pub(crate) fn ask_for(error: Error, namespace: &str, label: &str) -> Error {
    match error.downcast::<Failure>() {
        Ok(failure) => {
            let hint = format!(
                "{} Where the webhook is installed already, the label is enough, from anyone who \
                 may patch the namespace: `kubectl label namespace {namespace} {label}`.",
                failure.hint
            );
            Failure { hint, ..failure }.into()
        }
        Err(error) => error,
    }
}

/// Fails if the namespace has another value of the label, or if another webhook or policy of diyadm
/// selects it, since each workload would be emptied twice.
///
/// # Errors
/// That, and what the API server says.
pub(crate) async fn refuse_two(cluster: &Cluster, resolved: &Resolved) -> Result<()> {
    let names = &resolved.names;
    let (namespace, (key, value)) = (names.namespace(), webhook_names::label(names)?);
    let found = cluster.get(&NAMESPACE, "", namespace).await?.unwrap_or_default();
    let labels = &found["metadata"]["labels"];
    let mut labelled = labels.clone();
    labelled[&key] = value.as_str().into();
    let mut others = Vec::new();
    for kind in [&CONFIGURATION, &POLICY] {
        match cluster.list_served(kind).await {
            Ok(all) => others.extend(all),
            // Without the right to read, this is not checked.
            Err(error) if error::is_forbidden(&error) => {}
            Err(error) => return Err(error),
        }
    }
    let own = names.service.as_str();
    let is_other = |other: &&Value| owner::is_diyadm(other) && other["metadata"]["name"] != own;
    others.retain(|other| is_other(&other));
    let name = |other: &Value| other["metadata"]["name"].as_str().unwrap_or_default().to_owned();
    let by = |other: &Value| {
        let kind = if other["kind"] == POLICY.kind { "policy" } else { "webhook" };
        format!("{kind} {}", name(other))
    };
    if let Some(other) = others.iter().find(|other| owner::selects_namespace(other, labels)) {
        let what = format!("Namespace {namespace} is already emptied by {}.", by(other));
        let hint = format!(
            "Keep that one, or remove the namespace's label first: `diyadm uninstall -n \
             {namespace} --service {}{}`.",
            name(other),
            cluster.flags()
        );
        return Err(Failure::no(Topic::Installation, what, hint).into());
    }
    if let Some(other) = others.iter().find(|other| owner::selects_namespace(other, &labelled)) {
        let what = format!("The label {key}={value} already belongs to {}.", by(other));
        let hint = format!(
            "Omit --label, or use another one; `diyadm install -n {namespace} --service {}{}` \
             lets it serve the namespace.",
            name(other),
            cluster.flags()
        );
        return Err(Failure::no(Topic::Installation, what, hint).into());
    }
    if let Some(other) = labels[&key].as_str().filter(|found| *found != value) {
        let what = format!("Namespace {namespace} is labelled {key}={other}, not {value}.");
        let hint = format!(
            "See who set the label: `kubectl get namespaces/{namespace} -o yaml \
             --show-managed-fields`; --force takes it over."
        );
        return Err(Failure::no(Topic::Installation, what, hint).into());
    }
    Ok(())
}
