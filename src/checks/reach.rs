//! Whether a webhook or policy of diyadm sees what becomes of an object, from what the cluster
//! says of them.

use serde_json::Value;

use super::webhook::select;

/// An object that a write is about.
#[derive(Clone, Copy)]
pub struct Written<'a> {
    /// The labels of its namespace.
    pub namespace: &'a Value,
    /// Its own labels.
    pub labels: &'a Value,
    /// `apps`
    pub group: &'a str,
    /// `deployments`
    pub resource: &'a str,
    /// `CREATE` or `UPDATE`
    pub operation: &'a str,
}

/// The name of the first MutatingWebhookConfiguration of diyadm's, the blog's too, that is called
/// for the write. Conditions in CEL are taken for true.
pub fn webhook<'c>(configurations: &'c [Value], written: &Written<'_>) -> Option<&'c str> {
    let found = configurations.iter().find(|configuration| {
        let webhooks = configuration["webhooks"].as_array();
        webhooks.into_iter().flatten().any(|webhook| is_ours(webhook) && sees(webhook, written))
    });
    found.map(|configuration| configuration["metadata"]["name"].as_str().unwrap_or_default())
}

/// The path is the one that a server of diyadm answers for workloads and Pods.
fn is_ours(webhook: &Value) -> bool {
    let client = &webhook["clientConfig"];
    let path = client["service"]["path"].as_str().or(client["url"].as_str()).unwrap_or_default();
    path.ends_with("/mutating-pods")
}

fn sees(webhook: &Value, written: &Written<'_>) -> bool {
    let rules = webhook["rules"].as_array().map_or(&[][..], Vec::as_slice);
    named(rules, written)
        && select::selects(&webhook["namespaceSelector"], written.namespace)
        && select::selects(&webhook["objectSelector"], written.labels)
}

fn named(rules: &[Value], written: &Written<'_>) -> bool {
    let has = |list: &Value, word: &str| {
        list.as_array().is_some_and(|list| list.iter().any(|one| one == word || one == "*"))
    };
    rules.iter().any(|rule| {
        has(&rule["apiGroups"], written.group)
            && has(&rule["apiVersions"], "v1")
            && has(&rule["operations"], written.operation)
            && (has(&rule["resources"], written.resource) || has(&rule["resources"], "*/*"))
            && rule["scope"] != "Cluster"
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_configuration_is_ours_by_its_path_and_sees_what_the_api_server_shows_it() {
        let mut configuration = json!({ "metadata": { "name": "x" }, "webhooks": [{
            "clientConfig": { "service": { "path": "/mutating-pods" } },
            "rules": [{
                "apiGroups": ["apps"], "apiVersions": ["v1"], "operations": ["UPDATE"],
                "resources": ["deployments"],
            }],
            "namespaceSelector": { "matchLabels": { "on": "yes" } },
            "objectSelector": { "matchExpressions": [
                { "key": "app", "operator": "NotIn", "values": ["own"] },
            ] },
        }] });
        let (namespace, labels) = (json!({ "on": "yes" }), json!({ "app": "web" }));
        let written = Written {
            namespace: &namespace,
            labels: &labels,
            group: "apps",
            resource: "deployments",
            operation: "UPDATE",
        };
        let seen = |configuration: &Value, written: &Written<'_>| {
            webhook(std::slice::from_ref(configuration), written).is_some()
        };
        assert!(seen(&configuration, &written));
        let own = json!({ "app": "own" });
        assert!(!seen(&configuration, &Written { labels: &own, ..written }));
        assert!(!seen(&configuration, &Written { namespace: &Value::Null, ..written }));
        assert!(!seen(&configuration, &Written { operation: "CREATE", ..written }));
        assert!(!seen(&configuration, &Written { resource: "statefulsets", ..written }));
        configuration["webhooks"][0]["clientConfig"] = json!({ "url": "https://x/inject" });
        assert!(!seen(&configuration, &written));
    }
}
