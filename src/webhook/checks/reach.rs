//! Whether a webhook or policy of diyadm intercepts a write, from the cluster's configurations.

use serde_json::Value;

use super::webhook::{owner, select};
use crate::kinds::Kind;

/// The object of a write.
#[derive(Clone, Copy)]
pub struct Written<'a> {
    /// The labels of its namespace.
    pub namespace: &'a Value,
    /// Its own labels.
    pub labels: &'a Value,
    /// The kind of the written object.
    pub kind: &'a Kind,
    /// `CREATE` or `UPDATE`
    pub operation: &'a str,
}

/// The name of diyadm's (or the blog's) first MutatingWebhookConfiguration that is called for the
/// write. CEL conditions are assumed to be true.
pub fn webhook<'c>(configurations: &'c [Value], written: &Written<'_>) -> Option<&'c str> {
    let found = configurations.iter().find(|configuration| {
        let webhooks = configuration["webhooks"].as_array();
        webhooks
            .into_iter()
            .flatten()
            .any(|webhook| owner::is_server_called(webhook) && sees(webhook, "rules", written))
    });
    found.map(|configuration| configuration["metadata"]["name"].as_str().unwrap_or_default())
}

/// The name of diyadm's first MutatingAdmissionPolicy here that has a binding for the write. CEL
/// conditions are assumed to be true.
pub fn policy<'p>(
    policies: &'p [Value],
    bindings: &[Value],
    written: &Written<'_>,
) -> Option<&'p str> {
    let binds = |policy: &Value| {
        bindings.iter().any(|binding| {
            let chosen = &binding["spec"]["matchResources"];
            let rules = chosen["resourceRules"].as_array();
            binding["spec"]["policyName"] == policy["metadata"]["name"]
                && rules.is_none_or(|rules| rules.is_empty() || named(rules, written))
                && selected(chosen, written)
        })
    };
    let found = policies.iter().find(|policy| {
        owner::is_policy(policy)
            && sees(&policy["spec"]["matchConstraints"], "resourceRules", written)
            && binds(policy)
    });
    found.map(|policy| policy["metadata"]["name"].as_str().unwrap_or_default())
}

fn sees(constraints: &Value, rules: &str, written: &Written<'_>) -> bool {
    let rules = constraints[rules].as_array().map_or(&[][..], Vec::as_slice);
    named(rules, written) && selected(constraints, written)
}

fn selected(constraints: &Value, written: &Written<'_>) -> bool {
    select::selects(&constraints["namespaceSelector"], written.namespace)
        && select::selects(&constraints["objectSelector"], written.labels)
}

fn named(rules: &[Value], written: &Written<'_>) -> bool {
    let has = |list: &Value, word: &str| {
        list.as_array().is_some_and(|list| list.iter().any(|one| one == word || one == "*"))
    };
    rules.iter().any(|rule| {
        has(&rule["apiGroups"], written.kind.group)
            && has(&rule["apiVersions"], written.kind.version)
            && has(&rule["operations"], written.operation)
            && (has(&rule["resources"], written.kind.plural) || has(&rule["resources"], "*/*"))
            && rule["scope"] != "Cluster"
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{
        kinds::{DEPLOYMENT, POD, SERVICE, STATEFUL_SET},
        workload::EMPTIED_BY,
    };

    #[test]
    fn configuration_is_recognized_by_path_and_matches_as_the_api_server_does() {
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
            kind: &DEPLOYMENT,
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
        assert!(!seen(&configuration, &Written { kind: &STATEFUL_SET, ..written }));
        configuration["webhooks"][0]["clientConfig"] = json!({ "url": "https://x/inject" });
        assert!(!seen(&configuration, &written));
    }

    #[test]
    fn policy_is_recognized_by_its_mutation_and_applies_where_it_is_bound() {
        let mutation = json!({ "jsonPatch": { "expression": format!("\"{EMPTIED_BY}\"") } });
        let mut policy = json!({ "metadata": { "name": "p" }, "spec": {
            "matchConstraints": {
                "resourceRules": [{
                    "apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"],
                    "resources": ["pods"], "scope": "Namespaced",
                }],
                "namespaceSelector": { "matchLabels": { "inject-empty-container": "enabled" } },
                "objectSelector": { "matchExpressions": [
                    { "key": "app", "operator": "NotIn", "values": ["p"] },
                ] },
            },
            "mutations": [mutation],
        } });
        let mut binding = json!({ "spec": { "policyName": "p" } });
        let (namespace, labels) = (json!({ "inject-empty-container": "enabled" }), json!({}));
        let written =
            Written { namespace: &namespace, labels: &labels, kind: &POD, operation: "CREATE" };
        let seen = |policy: &Value, binding: &Value, written: &Written<'_>| {
            let one = std::slice::from_ref;
            super::policy(one(policy), one(binding), written).map(ToOwned::to_owned)
        };
        assert_eq!(seen(&policy, &binding, &written).as_deref(), Some("p"));
        assert_eq!(seen(&policy, &Value::Null, &written), None);
        assert_eq!(seen(&policy, &binding, &Written { namespace: &labels, ..written }), None);
        assert_eq!(seen(&policy, &binding, &Written { kind: &SERVICE, ..written }), None);
        let own = json!({ "app": "p" });
        assert_eq!(seen(&policy, &binding, &Written { labels: &own, ..written }), None);
        binding["spec"]["matchResources"] =
            json!({ "namespaceSelector": { "matchLabels": { "stage": "dev" } } });
        assert_eq!(seen(&policy, &binding, &written), None);
        binding["spec"]["matchResources"] = Value::Null;
        policy["spec"]["mutations"] = json!([]);
        assert_eq!(seen(&policy, &binding, &written), None);
    }
}
