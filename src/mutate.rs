//! Applies the webhook's change to manifests in files.
//!
//! Pure: documents are text in and text out. A document that does not change is returned exactly as
//! it was, with its comments.

use serde_json::{Map, Value, value::RawValue};

use crate::{
    kinds,
    workload::{Context, NamedBy, OptOut, Rules, Subject, Warning},
};

mod apply;
mod render;

pub use render::{Format, Rendered, Text, render};

/// What to do with the workloads.
pub struct MutateOptions<'a> {
    /// Empty them by these rules.
    pub rules: &'a Rules,
    /// The namespace of objects without one.
    pub namespace: &'a str,
    /// Restore them instead.
    pub restore: bool,
}

/// The result for one object.
#[derive(Debug, Default)]
pub struct Edit {
    /// `apiVersion`, `kind`, and, where it has them, `namespace` and `name`.
    pub object: Map<String, Value>,
    /// The JSON Patch, as text.
    pub patch: String,
}

/// The result for a document.
#[derive(Debug, Default)]
pub struct MutatedDocument {
    /// Each object that changed.
    pub edits: Vec<Edit>,
    /// Warnings for the user.
    pub warnings: Vec<Warning>,
    /// Whether a workload is unchanged because it has no container of `--containers`.
    pub misnamed: bool,
}

/// Changes `document`, an object or a List of them, in place.
pub fn mutate(how: &MutateOptions<'_>, document: &mut Value) -> MutatedDocument {
    let mut outcome = MutatedDocument::default();
    let is_text = |key: &str| document[key].as_str().is_some_and(|text| !text.is_empty());
    let is_object = is_text("apiVersion") && is_text("kind");
    if !document.is_null() && !is_object {
        outcome.warnings.push(Warning::NoKind);
    }
    visit(how, document, None, &mut outcome);
    outcome
}

/// `list`: `apiVersion` and `kind` of the surrounding List; items of a typed List may have none of
/// their own, and kubectl takes the List's.
fn visit(
    how: &MutateOptions<'_>,
    value: &mut Value,
    list: Option<(&str, &str)>,
    outcome: &mut MutatedDocument,
) {
    let Value::Object(members) = value else { return };
    let text = |key: &str| members.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let (mut version, mut kind) = (text("apiVersion"), text("kind"));
    if let (true, Some((of, list))) = (kind.is_empty(), list) {
        (version, kind) = (of.to_owned(), list.trim_end_matches("List").to_owned());
    }
    if kind.ends_with("List")
        && let Some(Value::Array(items)) = members.get_mut("items")
    {
        let typed = Some((version.as_str(), kind.as_str()));
        items.iter_mut().for_each(|item| visit(how, item, typed, outcome));
        return;
    }
    if kinds::find(&version, &kind).is_none() && (version.as_str(), kind.as_str()) != SERVICE {
        return;
    }
    let text = text_of(members, &version, &kind);
    let subject = match Subject::try_parse(&text) {
        Ok(subject) => subject,
        Err(error) => {
            outcome.warnings.push(Warning::Invalid(error.to_string()));
            return;
        }
    };
    let context = Context { namespace: how.namespace, keeps_order: true, ..Context::default() };
    let change = if how.restore {
        subject.restore(OptOut::Leave, None)
    } else {
        subject.settle(how.rules, &context).1
    };
    // A patch that does not apply is a bug of diyadm; the user's manifest stays as it is.
    let applies = subject.takes(&change);
    let is_flag =
        |warning: &Warning| matches!(warning, Warning::Containers { named_by: NamedBy::Flag, .. });
    outcome.misnamed |= change.warnings.iter().any(is_flag);
    outcome.warnings.extend(change.warnings);
    if !applies {
        outcome.warnings.push(Warning::PatchFails);
    } else if change.patch != "[]" && apply::apply(value, &change.patch).is_some() {
        let object = name(value, how.namespace, version, kind);
        outcome.edits.push(Edit { object, patch: change.patch });
    }
}

/// Not a workload; its annotations may ask for a debugger's port.
const SERVICE: (&str, &str) = ("v1", "Service");

/// The object as JSON, with its type from the List if necessary.
fn text_of(members: &Map<String, Value>, version: &str, kind: &str) -> String {
    if members.get("kind").is_some_and(|own| own == kind) {
        return serde_json::to_string(members).unwrap_or_default();
    }
    let mut named = members.clone();
    named.insert("apiVersion".to_owned(), version.into());
    named.insert("kind".to_owned(), kind.into());
    serde_json::to_string(&named).unwrap_or_default()
}

/// The name of an object.
fn name(value: &Value, namespace: &str, version: String, kind: String) -> Map<String, Value> {
    let said = |key: &str| value["metadata"][key].as_str().map(ToOwned::to_owned);
    let namespace = said("namespace").or(Some(namespace.to_owned()).filter(|n| !n.is_empty()));
    let parts = [
        ("apiVersion", Some(version)),
        ("kind", Some(kind)),
        ("namespace", namespace),
        ("name", said("name")),
        ("generateName", said("generateName")),
    ];
    let said = parts.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?.into())));
    said.collect()
}

impl Edit {
    /// One JSON document: the object's identity and `patch`.
    pub fn json(&self) -> String {
        #[derive(serde::Serialize)]
        struct Line<'a> {
            #[serde(flatten)]
            object: &'a Map<String, Value>,
            patch: &'a RawValue,
        }
        let line = serde_json::from_str(&self.patch)
            .and_then(|patch| serde_json::to_string(&Line { object: &self.object, patch }));
        // The patch is JSON text, and so are strings.
        line.unwrap_or_default()
    }

    /// `deployment/foo`
    pub fn title(&self) -> String {
        let word = |key: &str| self.object.get(key).and_then(Value::as_str).unwrap_or_default();
        let name = if word("name").is_empty() { "generateName" } else { "name" };
        format!("{}/{}", word("kind").to_lowercase(), word(name))
    }
}
