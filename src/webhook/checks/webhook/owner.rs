//! Finds the owner of a MutatingWebhookConfiguration, whose name is shared by the whole cluster.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::Value;

use super::webhooks;
use crate::{
    pki,
    workload::{EMPTIED_BY, FIELD_MANAGER, WEBHOOK_NAMESPACE},
};

/// The namespace that owns an installation: that of the server, or the one from which a policy, or
/// a webhook with a URL, was installed. `None` if unknown.
pub fn home(installed: &Value) -> Option<&str> {
    let mut services = webhooks(installed).iter().map(|webhook| &webhook["clientConfig"]);
    let called = services.find_map(|client| client["service"]["namespace"].as_str());
    called.or(installed["metadata"]["annotations"][WEBHOOK_NAMESPACE].as_str())
}

/// Its namespaceSelectors: one for each webhook, or one for a policy.
fn selectors(installed: &Value) -> impl Iterator<Item = &Value> {
    let policy = installed["spec"].get("matchConstraints");
    let all = webhooks(installed).iter().chain(policy);
    all.map(|one| &one["namespaceSelector"])
}

/// The label of the selected namespaces, if it is one `KEY=VALUE`.
pub fn label(installed: &Value) -> Option<String> {
    let selector = selectors(installed).next()?;
    let labels = selector["matchLabels"].as_object().filter(|labels| labels.len() == 1)?;
    let (key, value) = labels.iter().next()?;
    Some(format!("{key}={}", value.as_str()?))
}

/// Whether it selects a namespace with these labels.
pub fn selects_namespace(installed: &Value, labels: &Value) -> bool {
    selectors(installed).any(|selector| super::selects(selector, labels))
}

/// Whether it belongs to diyadm or is the blog's: by the server's path, by a policy's mark on Pods,
/// or by diyadm's field manager.
pub fn is_diyadm(installed: &Value) -> bool {
    webhooks(installed).iter().any(is_server_called)
        || is_policy(installed)
        || is_written_by_diyadm(installed)
}

/// Whether diyadm's field manager has written any of it.
pub fn is_written_by_diyadm(object: &Value) -> bool {
    managers(object).any(|entry| entry["manager"] == FIELD_MANAGER)
}

fn managers(installed: &Value) -> impl Iterator<Item = &Value> {
    installed["metadata"]["managedFields"].as_array().into_iter().flatten()
}

/// Whether the path is that of a diyadm server for workloads and Pods.
pub(in crate::webhook::checks) fn is_server_called(webhook: &Value) -> bool {
    let client = &webhook["clientConfig"];
    let path = client["service"]["path"].as_str().or(client["url"].as_str()).unwrap_or_default();
    path.ends_with("/mutating-pods")
}

/// Whether a MutatingAdmissionPolicy belongs to diyadm: by its mark on Pods.
pub(in crate::webhook::checks) fn is_policy(policy: &Value) -> bool {
    policy["spec"]["mutations"].to_string().contains(EMPTIED_BY)
}

/// Whose an installed configuration or policy is, if it is another one's.
#[derive(Debug, thiserror::Error)]
pub enum Foreign {
    /// Another program's.
    #[error("diyadm did not create it")]
    Program,
    /// That of another Service, which the text names.
    #[error("{0}")]
    Service(String),
    /// Another namespace's.
    #[error("it was installed from namespace {0}")]
    Namespace(String),
}

/// Whether it belongs to another webhook or policy than that of the Service `name` in `namespace`.
pub fn foreign(installed: &Value, namespace: &str, name: &str) -> Option<Foreign> {
    if !is_diyadm(installed) {
        return Some(Foreign::Program);
    }
    if let Some(why) = calls_another(installed, namespace, name) {
        return Some(Foreign::Service(why));
    }
    let home = home(installed).filter(|home| *home != namespace);
    home.map(|home| Foreign::Namespace(home.to_owned()))
}

/// Why a configuration does not belong to the Service `name` in `namespace`: it calls another one.
pub fn calls_another(configuration: &Value, namespace: &str, name: &str) -> Option<String> {
    let mut clients = webhooks(configuration).iter().map(|webhook| &webhook["clientConfig"]);
    let other = clients.find_map(|client| {
        let service = client["service"].as_object()?;
        let text = |key: &str| service.get(key).and_then(Value::as_str).unwrap_or_default();
        let called = (text("namespace"), text("name"));
        (called != (namespace, name)).then_some(called)
    });
    other.map(|(namespace, name)| format!("it calls Service {name} in namespace {namespace}"))
}

/// Whether each of its caBundles contains one of `cas` (PEM), or was last written by diyadm.
pub fn trusts_ours(configuration: &Value, cas: &[u8]) -> bool {
    let cas = pki::split(cas);
    webhooks(configuration).iter().all(|webhook| {
        let bundle = webhook["clientConfig"]["caBundle"].as_str().unwrap_or_default();
        let held = pki::split(&STANDARD.decode(bundle).unwrap_or_default());
        bundle.is_empty()
            || held.iter().any(|ca| cas.contains(ca))
            || is_bundle_by_diyadm(configuration, &webhook["name"])
    })
}

fn is_bundle_by_diyadm(configuration: &Value, webhook: &Value) -> bool {
    let name = format!("k:{{\"name\":{webhook}}}");
    managers(configuration).any(|entry| {
        let fields = &entry["fieldsV1"]["f:webhooks"][&name];
        entry["manager"] == FIELD_MANAGER && fields["f:clientConfig"].get("f:caBundle").is_some()
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn configuration() -> Value {
        let client = json!({
            "service": { "name": "hook", "namespace": "team1", "path": "/mutating-pods" },
            "caBundle": "anVuaw==",
        });
        json!({
            "metadata": { "name": "hook" },
            "webhooks": [{
                "name": "hook.team1.svc",
                "clientConfig": client,
                "namespaceSelector": { "matchLabels": { "empty": "yes" } },
            }],
        })
    }

    #[test]
    fn server_and_label_are_read_from_the_configuration() {
        let mut found = configuration();
        assert!(is_diyadm(&found));
        assert_eq!(home(&found), Some("team1"));
        assert_eq!(label(&found).as_deref(), Some("empty=yes"));
        assert!(selects_namespace(&found, &json!({ "empty": "yes", "a": "b" })));
        assert!(!selects_namespace(&found, &json!({ "empty": "no" })));
        assert_eq!(calls_another(&found, "team1", "hook"), None);
        let other = calls_another(&found, "team2", "hook").unwrap();
        assert_eq!(other, "it calls Service hook in namespace team1");

        // Neither one label, nor a Service.
        found["webhooks"][0]["namespaceSelector"] = json!({});
        found["webhooks"][0]["clientConfig"] = json!({ "url": "https://x/mutating-pods" });
        assert_eq!((home(&found), label(&found)), (None, None));
        assert_eq!(calls_another(&found, "team2", "hook"), None);
        assert!(is_diyadm(&found));
    }

    #[test]
    fn server_and_label_are_read_from_the_policy() {
        let found = json!({
            "metadata": { "annotations": { WEBHOOK_NAMESPACE: "team1" } },
            "spec": {
                "matchConstraints": { "namespaceSelector": { "matchLabels": { "a": "b" } } },
                "mutations": [{ "jsonPatch": { "expression": format!("\"{EMPTIED_BY}\"") } }],
            },
        });
        assert!(is_diyadm(&found));
        assert_eq!((home(&found), label(&found).as_deref()), (Some("team1"), Some("a=b")));
        assert!(selects_namespace(&found, &json!({ "a": "b" })));
        assert!(!selects_namespace(&found, &json!({})));
    }

    #[test]
    fn ca_bundle_is_owned_by_content_or_field_manager() {
        let mut found = configuration();
        assert!(!trusts_ours(&found, b""));
        let fields = json!({ "k:{\"name\":\"hook.team1.svc\"}": {
            "f:clientConfig": { "f:caBundle": {} },
        }});
        let entry = |manager: &str| json!([{ "manager": manager, "fieldsV1": { "f:webhooks": fields.clone() } }]);
        found["metadata"]["managedFields"] = entry("cert-manager");
        assert!(!trusts_ours(&found, b""));
        found["metadata"]["managedFields"] = entry(FIELD_MANAGER);
        assert!(trusts_ours(&found, b""));
        found["metadata"]["managedFields"] = entry("cert-manager");
        found["webhooks"][0]["clientConfig"]["caBundle"] = json!("");
        assert!(trusts_ours(&found, b""), "an empty one is nobody's");
    }
}
