//! Whether a pod is for Windows nodes, where no Linux image runs.

use serde_json::Value;

use super::view::Pod;

/// The node labels of the operating system, including the older one.
pub const OS_LABELS: [&str; 2] = ["kubernetes.io/os", "beta.kubernetes.io/os"];

/// Whether a pod can only run on Windows nodes.
pub(super) fn is_for_windows(pod: &Pod<'_, '_>) -> bool {
    is_meant(|field| serde_json::from_str(pod.field(field)?).ok())
}

/// The same for a pod's spec.
pub fn is_windows_spec(spec: &Value) -> bool {
    is_meant(|field| spec.get(field).cloned())
}

/// Whether a pod's spec, read through `field`, can only run on Windows nodes.
fn is_meant(field: impl Fn(&str) -> Option<Value>) -> bool {
    let field = |name: &str| field(name).unwrap_or(Value::Null);
    let selector = || field("nodeSelector");
    let options = || field("securityContext")["windowsOptions"].is_object();
    let terms = || {
        let affinity = field("affinity");
        let terms = affinity.pointer(
            "/nodeAffinity/requiredDuringSchedulingIgnoredDuringExecution/nodeSelectorTerms",
        );
        // A node has to match one of them.
        let terms = terms.and_then(Value::as_array).filter(|terms| !terms.is_empty());
        terms.is_some_and(|terms| terms.iter().all(is_term))
    };
    field("os")["name"] == "windows"
        || OS_LABELS.iter().any(|label| selector()[*label] == "windows")
        || options()
        || terms()
}

fn is_term(term: &Value) -> bool {
    let mut expressions = term["matchExpressions"].as_array().into_iter().flatten();
    expressions.any(|expression| {
        let values = || expression["values"].as_array().into_iter().flatten();
        OS_LABELS.iter().any(|label| expression["key"] == *label)
            && match expression["operator"].as_str() {
                Some("In") => values().all(|value| value == "windows"),
                Some("NotIn") => values().any(|value| value == "linux"),
                _ => false,
            }
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn windows_pods_are_recognized_by_every_field() {
        let required = |terms: Value| {
            json!({ "affinity": { "nodeAffinity": {
                "requiredDuringSchedulingIgnoredDuringExecution": { "nodeSelectorTerms": terms },
            } } })
        };
        let term = |key: &str, operator: &str, values: &[&str]| json!({ "matchExpressions": [{ "key": key, "operator": operator, "values": values }] });
        let windows = term("kubernetes.io/os", "In", &["windows"]);
        for (spec, expected) in [
            (json!({ "os": { "name": "windows" } }), true),
            (json!({ "os": { "name": "linux" } }), false),
            (json!({ "nodeSelector": { "kubernetes.io/os": "windows" } }), true),
            (json!({ "nodeSelector": { "beta.kubernetes.io/os": "windows" } }), true),
            (json!({ "nodeSelector": { "kubernetes.io/os": "linux", "x": "windows" } }), false),
            (json!({ "securityContext": { "windowsOptions": {} } }), true),
            (required(json!([windows])), true),
            (required(json!([term("kubernetes.io/os", "NotIn", &["linux"])])), true),
            (required(json!([windows, term("kubernetes.io/os", "In", &["linux"])])), false),
            (required(json!([term("kubernetes.io/os", "In", &["windows", "linux"])])), false),
            (required(json!([term("zone", "In", &["windows"])])), false),
            (required(json!([])), false),
            (json!({}), false),
        ] {
            assert_eq!(is_meant(|name| spec.get(name).cloned()), expected, "{spec}");
        }
    }
}
