//! Finds commands in an original that the object's owner may not have intended.
//!
//! A recreated Pod or Job is created with the rights of the user who restores it. A user who may
//! only patch it can forge its original, but could not change its command directly: only the image
//! of a Pod.

use std::borrow::Cow;

use serde_json::Value;

use super::{
    ORIGINAL, SHAPED_IN_POD, Subject, assigned, emptied_fields::same, original::Original,
    shape::is_merged,
};
use crate::ui::text::escaped;

/// A field that restoring sets to the original's value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FromOriginal {
    /// The container's name; empty for a field of the pod.
    pub container: String,
    /// One of [`super::CONTAINER_FIELDS`], or of those of the Pod's shape.
    pub field: &'static str,
    /// JSON text; `None` is absent.
    pub before: Option<String>,
    /// JSON text; `None` is absent.
    pub after: Option<String>,
}

/// What a user who may only patch a Pod can change: the image.
const PATCHED: [&str; 2] = ["image", "imagePullPolicy"];

impl Subject<'_> {
    /// The fields in `new`, the future state of this object, that come from its original, and that a
    /// user who may only patch it could not have set.
    pub fn from_original(&self, new: &Subject<'_>) -> Vec<FromOriginal> {
        let original = self.object.annotation(ORIGINAL).and_then(|text| Original::open(text).ok());
        let (Some(original), Some(pod), Some(new)) =
            (original, self.object.pod(), new.object.pod())
        else {
            return Vec::new();
        };
        let is_pod = self.kind() == "Pod";
        let assigned = assigned::assign(&original, &pod);
        let mut found = Vec::new();
        let containers = pod.containers().iter().zip(new.containers());
        for ((before, after), emptied) in containers.zip(assigned) {
            for saved in emptied.into_iter().flat_map(|emptied| &emptied.saved) {
                let [was, is] = [before, after].map(|container| container.field(saved.field));
                let is_patched = is_pod && PATCHED.contains(&saved.field);
                let is_original = same(is, saved.was.as_deref()) || is_merged(saved.field);
                if !is_patched && !same(was, is) && is_original {
                    found.push(FromOriginal {
                        container: before.name().to_owned(),
                        field: saved.field,
                        before: was.map(ToOwned::to_owned),
                        after: is.map(ToOwned::to_owned),
                    });
                }
            }
        }
        for saved in original.pod.iter().filter(|saved| SHAPED_IN_POD.contains(&saved.field)) {
            let [was, is] = [&pod, &new].map(|pod| pod.field(saved.field));
            if !same(was, is) {
                found.push(FromOriginal {
                    container: String::new(),
                    field: saved.field,
                    before: was.map(ToOwned::to_owned),
                    after: is.map(ToOwned::to_owned),
                });
            }
        }
        found
    }
}

impl std::fmt::Display for FromOriginal {
    /// `container app: command: none -> ["sh"]`, escaped for a terminal.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { container, field, before, after } = self;
        let [before, after] = [before, after].map(|text| shown(field, text.as_deref()));
        let place =
            if container.is_empty() { "pod".to_owned() } else { format!("container {container}") };
        f.write_str(&escaped(&format!("{place}: {field}: {before} -> {after}")))
    }
}

/// A value for a message; of variables their names, since a value may be a secret.
fn shown<'a>(field: &str, text: Option<&'a str>) -> Cow<'a, str> {
    match text {
        Some(text) if field == "env" => {
            let all: Vec<Value> = serde_json::from_str(text).unwrap_or_default();
            let names: Vec<_> = all.iter().filter_map(|one| one["name"].as_str()).collect();
            names.join(",").into()
        }
        text => text.unwrap_or("none").into(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::workload::{Context, OptOut, Rules};

    fn played(object: &Value, patch: &str) -> Value {
        let mut object = object.clone();
        let patch: json_patch::Patch = serde_json::from_str(patch).unwrap();
        json_patch::patch(&mut object, &patch).unwrap();
        object
    }

    fn unpatchable_fields(version: &str, kind: &str) -> Vec<String> {
        let container = json!({ "name": "a", "image": "b:1", "command": ["run\u{9b}"] });
        let spec = json!({ "terminationGracePeriodSeconds": 30, "containers": [container] });
        let spec = if kind == "Pod" { spec } else { json!({ "template": { "spec": spec } }) };
        let object = json!({ "apiVersion": version, "kind": kind, "metadata": { "name": "x" }, "spec": spec });
        let text = object.to_string();
        let change = Subject::parse(&text).unwrap().empty(&Rules::default(), &Context::default());
        let emptied = played(&object, &change.patch).to_string();
        let subject = Subject::parse(&emptied).unwrap();
        let restored = played(
            &serde_json::from_str(&emptied).unwrap(),
            &subject.restore(OptOut::Leave, None).patch,
        );
        assert_eq!(subject.from_original(&subject), []);
        let new = restored.to_string();
        subject
            .from_original(&Subject::parse(&new).unwrap())
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    #[test]
    fn values_of_variables_are_not_shown() {
        let env = r#"[{"name":"A","value":"1"},{"name":"PASSWORD","value":"hunter2"}]"#;
        assert_eq!(shown("env", Some(env)), "A,PASSWORD");
        assert_eq!(shown("env", None), "none");
        assert_eq!(shown("command", Some("[]")), "[]");
    }

    #[test]
    fn fields_that_a_patch_cannot_set_are_listed() {
        let command = "container a: command: none -> [\"run\\u{9b}\"]";
        assert_eq!(unpatchable_fields("v1", "Pod"), [command]);
        let image = "container a: image: \"empty-container:latest\" -> \"b:1\"";
        assert_eq!(
            unpatchable_fields("batch/v1", "Job"),
            [command, image, "container a: imagePullPolicy: \"IfNotPresent\" -> none"]
        );
    }
}
