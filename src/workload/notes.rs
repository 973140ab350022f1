//! Changes to an object's annotations.

use std::collections::BTreeMap;

use super::{
    original::Presence,
    patch::{Patch, Pointer},
    view::Object,
};

/// All annotations of an object together: 256 KiB (`TotalAnnotationSizeLimitB` of
/// k8s.io/apimachinery, keys and values counted).
const LIMIT: usize = 256 * 1024;

/// Sets and takes away annotations of the object; where none is left and there was no map
/// `before`, that goes too. Whether they fit the limit of all annotations.
pub(super) fn annotate(
    patch: &mut Patch,
    object: &Object<'_>,
    edits: &[(&str, Option<&str>)],
    before: Presence,
) -> bool {
    let mut new: BTreeMap<&str, &str> = object.annotations().collect();
    for (key, value) in edits {
        match value {
            Some(value) => drop(new.insert(key, value)),
            None => drop(new.remove(key)),
        }
    }
    let size: usize = new.iter().map(|(key, value)| key.len() + value.len()).sum();
    let grows = edits.iter().any(|(_, value)| value.is_some());
    if grows && size > LIMIT {
        return false;
    }
    let map = Pointer::root().join("metadata").join("annotations");
    let text = |value: &str| serde_json::Value::from(value).to_string();
    match (object.annotations_presence(), before) {
        (Presence::Present, Presence::Absent) if new.is_empty() => patch.put(&map, true, None),
        (Presence::Present, Presence::Null) if new.is_empty() => {
            patch.put(&map, true, Some("null"));
        }
        (Presence::Present, _) => {
            for (key, value) in edits {
                let now = object.annotation(key);
                if now != *value {
                    patch.put(&map.join(key), now.is_some(), value.map(text).as_deref());
                }
            }
        }
        (_, _) if new.is_empty() => {}
        (presence, _) => {
            let whole: serde_json::Map<_, _> =
                new.into_iter().map(|(key, value)| (key.to_owned(), value.into())).collect();
            let whole = serde_json::Value::Object(whole).to_string();
            patch.put(&map, presence == Presence::Null, Some(&whole));
        }
    }
    true
}
