//! Whether a webhook is called for objects of a namespace, by the API server's rules.

use serde_json::Value;

use crate::kinds::Kind;

/// Whether the creation of an object of `kind` in a namespace with `labels` calls `webhook`.
/// objectSelector and matchConditions are ignored, since they depend on the object.
pub(super) fn matches(webhook: &Value, labels: &Value, kind: &Kind) -> bool {
    let rules = webhook["rules"].as_array().map_or(&[][..], Vec::as_slice);
    let has = |list: &Value, word: &str| {
        list.as_array().is_some_and(|l| l.iter().any(|w| w == word || w == "*"))
    };
    let named = rules.iter().any(|rule| {
        has(&rule["apiGroups"], kind.group)
            && has(&rule["apiVersions"], kind.version)
            && has(&rule["operations"], "CREATE")
            && (has(&rule["resources"], kind.plural) || has(&rule["resources"], "*/*"))
            && rule["scope"] != "Cluster"
    });
    named && selects(&webhook["namespaceSelector"], labels)
}

/// The blog's rule: services are in the core group, not in apps.
pub(super) fn names_services_of_apps(webhook: &Value) -> bool {
    let rules = webhook["rules"].as_array().map_or(&[][..], Vec::as_slice);
    rules.iter().any(|rule| {
        let holds =
            |list: &Value, word: &str| list.as_array().is_some_and(|l| l.iter().any(|w| w == word));
        let core = holds(&rule["apiGroups"], "") || holds(&rule["apiGroups"], "*");
        holds(&rule["resources"], "services") && holds(&rule["apiGroups"], "apps") && !core
    })
}

/// A LabelSelector (apimachinery's meta/v1); an empty or absent one selects everything.
pub fn selects(selector: &Value, labels: &Value) -> bool {
    let label = |key: &str| labels[key].as_str();
    let exact = selector["matchLabels"].as_object();
    let exact = exact.into_iter().flatten().all(|(key, value)| label(key) == value.as_str());
    let expressions = selector["matchExpressions"].as_array();
    exact
        && expressions.into_iter().flatten().all(|expression| {
            let found = label(expression["key"].as_str().unwrap_or_default());
            let values = expression["values"].as_array().map_or(&[][..], Vec::as_slice);
            let among = found.is_some_and(|found| values.iter().any(|value| value == found));
            match expression["operator"].as_str() {
                Some("In") => among,
                Some("NotIn") => !among,
                Some("Exists") => found.is_some(),
                Some("DoesNotExist") => found.is_none(),
                _ => false,
            }
        })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn selectors_match_as_in_the_api_server() {
        let labels = json!({ "a": "1" });
        let key = |key: &str, operator: &str| {
            let one = json!({ "key": key, "operator": operator, "values": ["1"] });
            json!({ "matchExpressions": [one] })
        };
        for (selector, expected) in [
            (json!(null), true),
            (json!({}), true),
            (json!({ "matchLabels": { "a": "1" } }), true),
            (json!({ "matchLabels": { "a": "2" } }), false),
            (json!({ "matchExpressions": [{ "key": "a", "operator": "Exists" }] }), true),
            (json!({ "matchExpressions": [{ "key": "b", "operator": "DoesNotExist" }] }), true),
            (key("a", "NotIn"), false),
            (key("b", "NotIn"), true),
            (key("b", "In"), false),
        ] {
            assert_eq!(selects(&selector, &labels), expected, "{selector}");
        }
    }

    #[test]
    fn webhook_rule_that_names_services_is_recognized() {
        let rule = |group: &str| {
            let resources = ["deployments", "services"];
            json!({ "rules": [{ "apiGroups": [group], "resources": resources }] })
        };
        assert!(names_services_of_apps(&rule("apps")));
        assert!(!names_services_of_apps(&rule("")));
    }
}
