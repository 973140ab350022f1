//! Fields that the API server dropped: it reports success even if its version does not know a
//! field.

use serde_json::Value;

use super::Operation;
use crate::kubernetes::targets::LiveObject;

impl Operation<'_> {
    /// Warns about fields of `sent` that `stored` lacks.
    pub(crate) async fn tell_dropped(&self, found: &LiveObject, sent: &Value, stored: &Value) {
        let lost = dropped(sent, stored);
        if lost.is_empty() {
            return;
        }
        let version = self.cluster.version().await.unwrap_or_else(|_| "version unknown".to_owned());
        self.terminal.warn(&format!(
            "{}: the API server ({version}) dropped {}: this version does not know it, or another \
             webhook or policy removed it",
            self.shown(found),
            lost.join(", ")
        ));
    }
}

/// The outermost fields below `spec` that `sent` has and `stored` lacks. Empty values are ignored,
/// since the API server omits them.
fn dropped(sent: &Value, stored: &Value) -> Vec<String> {
    let mut lost = Vec::new();
    compare(&sent["spec"], &stored["spec"], "spec", &mut lost);
    lost
}

fn compare(sent: &Value, stored: &Value, path: &str, lost: &mut Vec<String>) {
    match (sent, stored) {
        (Value::Object(sent), Value::Object(stored)) => {
            for (key, value) in sent.iter().filter(|(_, value)| !says_nothing(value)) {
                let path = format!("{path}.{key}");
                match stored.get(key) {
                    Some(kept) => compare(value, kept, &path, lost),
                    None => lost.push(path),
                }
            }
        }
        (Value::Array(sent), Value::Array(stored)) => {
            for (at, value) in sent.iter().enumerate() {
                let name = &value["name"];
                let kept = if name.is_string() {
                    stored.iter().find(|kept| kept["name"] == *name)
                } else {
                    stored.get(at)
                };
                let path = format!("{path}[{at}]");
                match kept {
                    Some(kept) => compare(value, kept, &path, lost),
                    None => lost.push(path),
                }
            }
        }
        _ => {}
    }
}

/// Whether Go's `omitempty` leaves such a value out.
fn says_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(is_set) => !is_set,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.iter().all(says_nothing),
        Value::Object(fields) => fields.values().all(says_nothing),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn dropped_fields_are_named() {
        let spec = |spec: Value| json!({ "spec": spec });
        let sent = spec(json!({
            "replicas": 0,
            "containers": [
                { "name": "a", "image": "x", "new": { "of": "tomorrow" }, "env": [], "tty": false },
                { "name": "b", "ports": [{ "containerPort": 80, "appProtocol": "h2c" }] },
                { "name": "gone" },
            ],
            "nodeSelector": { "a": "" },
        }));
        let stored = spec(json!({
            "containers": [
                { "name": "sidecar" },
                { "name": "b", "ports": [{ "containerPort": 80, "protocol": "TCP" }] },
                { "name": "a", "image": "mirror/x" },
            ],
        }));
        let wanted = [
            "spec.containers[0].new",
            "spec.containers[1].ports[0].appProtocol",
            "spec.containers[2]",
        ];
        assert_eq!(dropped(&sent, &stored), wanted);
        assert!(dropped(&stored, &stored).is_empty());
    }
}
