//! The fields that a patch changes: before and after.

use jsonptr::{PointerBuf, Token};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use crate::{
    kinds::{self, Kind},
    workload::ORIGINAL,
};

/// A field that would change.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize)]
pub struct Edit {
    /// A JSON Pointer (RFC 6901).
    pub path: String,
    /// The container of the field.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub container: Option<String>,
    /// `image`, `annotation diyadm.io/original`
    pub field: String,
    /// Absent if there was no value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<Value>,
    /// Absent if the field is removed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<Value>,
}

/// Each field that these JSON Patch operations change in `object`.
pub(super) fn edits(object: &Value, operations: &[Value]) -> Vec<Edit> {
    let mut edits = Vec::new();
    for operation in operations {
        let path = operation["path"].as_str().unwrap_or_default();
        let after = operation.get("value");
        match (path, after) {
            // The whole map, if there was none.
            ("/metadata/annotations", Some(Value::Object(map))) => {
                let one = |(key, value): (&String, &Value)| {
                    let path = PointerBuf::from_tokens(["metadata", "annotations", key.as_str()]);
                    edit(object, path.as_str(), Some(value))
                };
                edits.extend(map.iter().map(one));
            }
            _ => edits.push(edit(object, path, after)),
        }
    }
    edits
}

fn edit(object: &Value, path: &str, after: Option<&Value>) -> Edit {
    let word = |key: &str| object[key].as_str().unwrap_or_default();
    let kind = kinds::find(word("apiVersion"), word("kind"));
    let pod = format!("{}/spec/", kind.map(Kind::template).unwrap_or_default());
    let (container, field) = match path.strip_prefix(pod.as_str()) {
        Some(field) => match field.strip_prefix("containers/").and_then(|f| f.split_once('/')) {
            Some((index, field)) => {
                let name = object.pointer(&format!("{pod}containers/{index}/name"));
                (name.and_then(Value::as_str).map(ToOwned::to_owned), field)
            }
            None => (None, field),
        },
        None => (None, path),
    };
    let shown = field.trim_end_matches("/-");
    let field = match shown.strip_prefix("/metadata/annotations/") {
        Some(key) => {
            let token = Token::from_encoded(key);
            let key = token.as_ref().map_or(key.into(), Token::decoded);
            format!("annotation {key}")
        }
        None => shown.trim_start_matches("/spec/").trim_start_matches('/').to_owned(),
    };
    Edit {
        path: path.to_owned(),
        container,
        field,
        before: object.pointer(path).cloned(),
        after: after.cloned(),
    }
}

impl Edit {
    /// `image: nginx:1 -> empty-container:latest`
    pub(super) fn text(&self) -> String {
        let Self { field, before, after, .. } = self;
        // Its content is shown by the other fields.
        if let Some(Value::String(after)) = after.as_ref().filter(|_| field.ends_with(ORIGINAL)) {
            return format!("{field}: {} bytes", after.len());
        }
        format!("{field}: {} -> {}", short(before.as_ref()), short(after.as_ref()))
    }
}

/// A value on one line, shortened.
fn short(value: Option<&Value>) -> String {
    const MOST: usize = 60;
    let text = match value {
        None => return "none".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    };
    match text.char_indices().nth(MOST) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn plan_shows_readable_field_names() {
        let object = json!({
            "apiVersion": "batch/v1",
            "kind": "CronJob",
            "metadata": {},
            "spec": { "jobTemplate": { "spec": { "template": { "spec": {
                "containers": [{ "name": "a", "image": "b" }],
                "terminationGracePeriodSeconds": 30,
            } } } } },
        });
        let pod = "/spec/jobTemplate/spec/template/spec";
        let operations = [
            json!({ "op": "replace", "path": format!("{pod}/containers/0/image"), "value": "c" }),
            json!({ "op": "remove", "path": format!("{pod}/containers/0/command") }),
            json!({ "op": "replace", "path": format!("{pod}/terminationGracePeriodSeconds"), "value": 1 }),
            json!({ "op": "add", "path": format!("{pod}/volumes/-"), "value": { "name": "v" } }),
            json!({ "op": "add", "path": "/metadata/annotations", "value": { ORIGINAL: "1234" } }),
            json!({ "op": "add", "path": "/spec/replicas", "value": 1 }),
        ];
        let edits = edits(&object, &operations);
        let texts: Vec<_> = edits.iter().map(Edit::text).collect();
        assert_eq!(
            texts,
            [
                "image: b -> c",
                "command: none -> none",
                "terminationGracePeriodSeconds: 30 -> 1",
                "volumes: none -> {\"name\":\"v\"}",
                "annotation diyadm.io/original: 4 bytes",
                "replicas: none -> 1",
            ]
        );
        assert_eq!(edits[0].container.as_deref(), Some("a"));
        assert_eq!(edits[2].container, None);
        assert_eq!(edits[4].path, "/metadata/annotations/diyadm.io~1original");
    }
}
