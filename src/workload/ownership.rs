//! Ownership of a workload's fields in `metadata.managedFields`: fields that diyadm took from other
//! managers are returned, since emptying and restoring must not change owners.
//!
//! The API server makes the writer of a field its owner, so that a later server-side apply of
//! another value by the previous owner would conflict. Changes by admission do not count, so a
//! webhook takes nothing.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::kinds;

/// In a JSON Pointer.
const PLACE: &str = "/metadata/managedFields";
const FIELDS: &str = "fieldsV1";

/// JSON Patch operations that return the fields that `manager` took by the write from `before` to
/// `after`; `now` is the current object. Spec fields that `manager` owned by updates then have no
/// owner, except annotations of the pod template. Empty if no spec field changed owners.
///
/// Later writers keep what they have gained, and a manager that has applied again gets nothing. A
/// recreated object belongs to the managers of the old one. The operations begin with tests of
/// their input.
pub fn give_back(before: &Value, after: &Value, now: &Value, manager: &str) -> Vec<Value> {
    let uid = |object: &Value| object["metadata"]["uid"].clone();
    let is_anew = uid(before) != uid(after);
    let [before, after, seen] = [before, after, now].map(ManagedFieldsEntry::all);
    let ours =
        |entry: &&ManagedFieldsEntry| entry.manager == manager && entry.operation == "Update";
    let others = |entry: &&ManagedFieldsEntry| !ours(entry);
    let like = |all: &[ManagedFieldsEntry], entry: &ManagedFieldsEntry| {
        all.iter().position(|other| other.is_like(entry))
    };
    let fields = |all: &[ManagedFieldsEntry], entry: &ManagedFieldsEntry| {
        like(all, entry).map_or_else(FieldSet::default, |at| all[at].fields.clone())
    };

    let mut gained = FieldSet::default();
    for entry in seen.iter().filter(others) {
        gained = gained.with(&entry.fields.without(&fields(&before, entry)));
    }
    let (mut changes, mut additions, mut gone) = (Vec::new(), Vec::new(), Vec::new());
    let mut is_of_spec = false;
    let mut theirs = FieldSet::default();
    // The status of another object has no owner.
    let counts = |entry: &&ManagedFieldsEntry| !(is_anew && entry.whole["subresource"].is_string());
    for old in before.iter().filter(others).filter(counts) {
        theirs = theirs.with(&old.fields);
        let left = fields(&after, old);
        let lost = old.fields.without(&left).without(&gained);
        let has_spoken = old.operation == "Apply" && fields(&seen, old) != left;
        if lost.is_empty() || has_spoken {
            continue;
        }
        is_of_spec |= lost.below.contains_key("f:spec");
        if let Some(at) = like(&seen, old) {
            let whole = seen[at].fields.with(&lost);
            if whole != seen[at].fields {
                changes.push((at, seen[at].holding(&whole)));
            }
        } else {
            additions.push(old.holding(&lost));
        }
    }
    for (at, entry) in seen.iter().enumerate().filter(|(_, entry)| ours(entry)) {
        let kept = if is_anew {
            // The creator owns everything.
            entry.fields.annotations().without(&theirs)
        } else {
            entry.fields.but_spec()
        };
        if kept == entry.fields {
            continue;
        }
        is_of_spec = true;
        if kept.is_empty() {
            gone.push(at);
        } else {
            changes.push((at, entry.holding(&kept)));
        }
    }
    if !is_of_spec || changes.len() + gone.len() + additions.len() == 0 {
        return Vec::new();
    }

    let path = |at: usize| format!("{PLACE}/{at}");
    let test = |at: usize| {
        let value = &now["metadata"]["managedFields"][at];
        json!({ "op": "test", "path": path(at), "value": value })
    };
    let mut patch = vec![json!({ "op": "test", "path": "/metadata/uid", "value": uid(now) })];
    patch.extend(changes.iter().map(|(at, _)| test(*at)));
    patch.extend(gone.iter().map(|at| test(*at)));
    if gone.len() == seen.len() && additions.is_empty() {
        // An empty list would change nothing; this is the API server's value for no owner.
        patch.push(json!({ "op": "replace", "path": PLACE, "value": [{}] }));
        return patch;
    }
    let replace = |(at, entry)| json!({ "op": "replace", "path": path(at), "value": entry });
    patch.extend(changes.into_iter().map(replace));
    // From the end, so that indexes stay valid.
    patch.extend(gone.iter().rev().map(|at| json!({ "op": "remove", "path": path(*at) })));
    let add = |entry| json!({ "op": "add", "path": format!("{PLACE}/-"), "value": entry });
    patch.extend(additions.into_iter().map(add));
    patch
}

/// An entry of managedFields.
struct ManagedFieldsEntry<'a> {
    manager: &'a str,
    /// `Apply` or `Update`
    operation: &'a str,
    fields: FieldSet,
    whole: &'a Value,
}

impl<'a> ManagedFieldsEntry<'a> {
    /// The entries of an object, in order.
    fn all(object: &'a Value) -> Vec<Self> {
        let entries = object["metadata"]["managedFields"].as_array();
        let read = |whole: &'a Value| Self {
            manager: whole["manager"].as_str().unwrap_or_default(),
            operation: whole["operation"].as_str().unwrap_or_default(),
            fields: FieldSet::parse(&whole[FIELDS]),
            whole,
        };
        entries.into_iter().flatten().map(read).collect()
    }

    /// Whether the API server treats both as the same manager.
    fn is_like(&self, other: &Self) -> bool {
        let same = |member: &str| self.whole[member] == other.whole[member];
        // An applier in another version is the same manager.
        let version = self.operation == "Apply" || same("apiVersion");
        version && ["manager", "operation", "subresource"].into_iter().all(same)
    }

    fn holding(&self, fields: &FieldSet) -> Value {
        let mut whole = self.whole.clone();
        whole[FIELDS] = fields.write();
        whole
    }
}

/// A set of fields in the format of `fieldsV1`: the field itself, and the fields below.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct FieldSet {
    /// `.`, or a field without fields below.
    itself: bool,
    /// `f:name`, `k:{"name":"app"}`, `v:"x"`
    below: BTreeMap<String, Self>,
}

impl FieldSet {
    /// A whole `fieldsV1`.
    fn parse(value: &Value) -> Self {
        let inner = |value: &Value| match value.as_object() {
            Some(members) if !members.is_empty() => Self::parse(value),
            _ => Self { itself: true, ..Self::default() },
        };
        let members = value.as_object().into_iter().flatten();
        let below = members.clone().filter(|(key, _)| *key != ".");
        Self {
            itself: members.clone().any(|(key, _)| key == "."),
            below: below.map(|(key, value)| (key.clone(), inner(value))).collect(),
        }
    }

    fn write(&self) -> Value {
        let itself = (self.itself && !self.below.is_empty()).then(|| (".".to_owned(), json!({})));
        let below = self.below.iter().map(|(key, fields)| (key.clone(), fields.write()));
        Value::Object(itself.into_iter().chain(below).collect::<Map<_, _>>())
    }

    fn is_empty(&self) -> bool {
        !self.itself && self.below.is_empty()
    }

    /// The union.
    fn with(&self, other: &Self) -> Self {
        let mut all = self.clone();
        all.itself |= other.itself;
        for (key, more) in &other.below {
            let merged = all.below.get(key).map_or_else(|| more.clone(), |own| own.with(more));
            all.below.insert(key.clone(), merged);
        }
        all
    }

    /// The difference.
    fn without(&self, other: &Self) -> Self {
        let below = self.below.iter().map(|(key, own)| match other.below.get(key) {
            Some(others) => (key.clone(), own.without(others)),
            None => (key.clone(), own.clone()),
        });
        Self {
            itself: self.itself && !other.itself,
            below: below.filter(|(_, fields)| !fields.is_empty()).collect(),
        }
    }

    /// The part at `path`.
    fn only(&self, path: &[String]) -> Self {
        let Some((key, rest)) = path.split_first() else { return self.clone() };
        let part = self.below.get(key).map(|below| below.only(rest));
        let part = part.filter(|part| !part.is_empty()).map(|part| (key.clone(), part));
        Self { itself: false, below: part.into_iter().collect() }
    }

    /// The annotations of the object, by key.
    fn annotations(&self) -> Self {
        let path = ["f:metadata", "f:annotations"].map(ToOwned::to_owned);
        let mut all = self.only(&path);
        if let Some(annotations) = all.below.values_mut().flat_map(|m| m.below.values_mut()).next()
        {
            annotations.itself = false;
        }
        all.without(&Self::default())
    }

    /// Without the spec, except annotations of the pod template, from which a later command sees
    /// their owner.
    fn but_spec(&self) -> Self {
        let mut rest = self.clone();
        rest.below.remove("f:spec");
        for kind in kinds::workloads() {
            let Some((_, template)) = kind.pod.split_last() else { continue };
            let path = template.iter().chain(&["metadata", "annotations"]);
            let path: Vec<_> = path.map(|step| format!("f:{step}")).collect();
            rest = rest.with(&self.only(&path));
        }
        rest
    }
}

#[cfg(test)]
mod tests;
