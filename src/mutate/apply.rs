//! Applies a patch of diyadm to a document so that keys keep their order, and a restored key
//! returns to its position.
//!
//! Other implementations (also the json-patch crate) swap the last key into the gap: an equal
//! object, but in a confusing order.

use jsonptr::{Pointer, PointerBuf, Token};
use serde::Deserialize;
use serde_json::Value;

#[derive(Deserialize)]
#[serde(tag = "op", rename_all = "lowercase")]
enum Operation {
    Add { path: PointerBuf, value: Value, number: Option<usize> },
    Replace { path: PointerBuf, value: Value },
    Remove { path: PointerBuf },
}

/// `None` if it does not apply; `document` is then partly changed.
pub(super) fn apply(document: &mut Value, patch: &str) -> Option<()> {
    for operation in serde_json::from_str::<Vec<Operation>>(patch).ok()? {
        match operation {
            Operation::Add { path, value, number } => match parent(document, &path)? {
                (Value::Object(members), key) => {
                    let end = members.len();
                    let key = key.decoded().into_owned();
                    match number.filter(|number| *number < end && !members.contains_key(&key)) {
                        Some(number) => drop(members.shift_insert(number, key, value)),
                        None => drop(members.insert(key, value)),
                    }
                }
                (Value::Array(items), key) => {
                    items.insert(key.to_index().ok()?.for_len_incl(items.len()).ok()?, value);
                }
                _ => return None,
            },
            Operation::Replace { path, value } => *document.pointer_mut(path.as_str())? = value,
            Operation::Remove { path } => match parent(document, &path)? {
                (Value::Object(members), key) => drop(members.shift_remove(&*key.decoded())?),
                (Value::Array(items), key) => {
                    items.remove(key.to_index().ok()?.for_len(items.len()).ok()?);
                }
                _ => return None,
            },
        }
    }
    Some(())
}

/// The object or array that holds the member at `path`, and the member's key.
fn parent<'v, 'p>(
    document: &'v mut Value,
    path: &'p Pointer,
) -> Option<(&'v mut Value, Token<'p>)> {
    let (parent, key) = path.split_back()?;
    Some((document.pointer_mut(parent.as_str())?, key))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn patched_yaml_keeps_the_order_of_keys() {
        let mut value = json!({ "a": 1, "b": [1, 2], "c~/": 3, "d": 4 });
        let patch = json!([
            { "op": "remove", "path": "/a" },
            { "op": "replace", "path": "/c~0~1", "value": null },
            { "op": "add", "path": "/b/-", "value": 3 },
            { "op": "remove", "path": "/b/0" },
            { "op": "add", "path": "/e", "value": {} },
            { "op": "add", "path": "/f", "value": 0, "number": 1 },
            { "op": "add", "path": "/g", "value": 0, "number": 9 },
        ]);
        assert_eq!(apply(&mut value, &patch.to_string()), Some(()));
        assert_eq!(value.to_string(), r#"{"b":[2,3],"f":0,"c~/":null,"d":4,"e":{},"g":0}"#);
        for wrong in [
            json!([{ "op": "remove", "path": "/none" }]),
            json!([{ "op": "replace", "path": "/b/7", "value": 1 }]),
            json!([{ "op": "add", "path": "/x/y", "value": 1 }]),
        ] {
            assert_eq!(apply(&mut value, &wrong.to_string()), None, "{wrong}");
        }
    }
}
