//! Merges settings into the user's own value of a field, and removes them again from a value that
//! has changed since.
//!
//! Maps are merged by key. Elements of lists are merged by their name or, without one, as a whole.

use std::collections::HashMap;

use serde_json::{Map, Value};

/// `own` with the parts of `ours`, as JSON texts. It stays as it is if the two cannot be merged.
pub(super) fn merged(own: Option<&str>, ours: &Value) -> Option<String> {
    let read = own.map(serde_json::from_str).transpose();
    let Ok(value) = read else { return own.map(ToOwned::to_owned) };
    let value = value.unwrap_or_default();
    let merged = with(&value, ours);
    if merged == value { own.map(ToOwned::to_owned) } else { Some(merged.to_string()) }
}

/// `now` without the parts that emptying set: where it still has a part of `set`, it gets that part
/// of `was`. All are JSON texts; `None` is absent.
pub(super) fn unmerged(now: Option<&str>, was: Option<&str>, set: Option<&str>) -> Option<String> {
    let read = |text: Option<&str>| text.and_then(|text| serde_json::from_str::<Value>(text).ok());
    without(read(now).as_ref(), read(was).as_ref(), read(set).as_ref()).map(|left| left.to_string())
}

fn with(own: &Value, ours: &Value) -> Value {
    match (own, ours) {
        (Value::Object(own), Value::Object(ours)) => {
            let mut all = own.clone();
            for (key, value) in ours {
                let own = own.get(key).unwrap_or(&Value::Null);
                all.insert(key.clone(), with(own, value));
            }
            Value::Object(all)
        }
        (Value::Array(own), Value::Array(ours)) => {
            let mut all = own.clone();
            let places = by_key(own);
            for item in ours {
                match places.get(&key(item)) {
                    Some(at) => all[*at] = item.clone(),
                    None => all.push(item.clone()),
                }
            }
            Value::Array(all)
        }
        (own, Value::Object(_) | Value::Array(_)) if !own.is_null() => own.clone(),
        (_, ours) => ours.clone(),
    }
}

fn without(now: Option<&Value>, was: Option<&Value>, set: Option<&Value>) -> Option<Value> {
    if now == set {
        return was.cloned();
    }
    let (left, some) = match (now, set) {
        (Some(Value::Object(now)), Some(Value::Object(set))) => {
            let was = was.and_then(Value::as_object);
            let part = |(key, value): (&String, &Value)| {
                let was = was.and_then(|was| was.get(key));
                Some((key.clone(), without(Some(value), was, set.get(key))?))
            };
            let left: Map<_, _> = now.iter().filter_map(part).collect();
            let some = !left.is_empty() || now.is_empty();
            (Value::Object(left), some)
        }
        (Some(Value::Array(now)), Some(Value::Array(set))) => {
            let was = was.and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
            let (in_set, in_was) = (by_key(set), by_key(was));
            let part = |item: &Value| {
                let key = key(item);
                let is_set = in_set.get(&key).is_some_and(|at| set[*at] == *item);
                if is_set {
                    in_was.get(&key).map(|at| was[*at].clone())
                } else {
                    Some(item.clone())
                }
            };
            let left: Vec<_> = now.iter().filter_map(part).collect();
            let some = !left.is_empty() || now.is_empty();
            (Value::Array(left), some)
        }
        _ => return now.cloned(),
    };
    if some {
        return Some(left);
    }
    // The API server writes no empty list or map that it has removed the last part of.
    was.filter(|was| was.is_null() || **was == left).cloned()
}

/// The last index of each key.
fn by_key(list: &[Value]) -> HashMap<String, usize> {
    list.iter().enumerate().map(|(at, item)| (key(item), at)).collect()
}

fn key(item: &Value) -> String {
    let name = item.get("name").and_then(Value::as_str);
    // The API server sorts the keys of custom resources.
    let sorted = || {
        let mut item = item.clone();
        item.sort_all_objects();
        item.to_string()
    };
    name.map_or_else(sorted, |name| format!("name {name}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn settings_are_removed_from_a_changed_value() {
        let env = |all: &[(&str, &str)]| {
            let all = all.iter().map(|(name, value)| json!({ "name": name, "value": value }));
            Value::from(all.collect::<Vec<_>>())
        };
        let (ab, ours) = (env(&[("A", "1"), ("B", "1")]), env(&[("B", "2"), ("X", "2")]));
        let limits = |all: Value| json!({ "limits": all });
        let rows = [
            // The user's own value, the settings, a later value, and what is left of that.
            (
                ab.clone(),
                ours.clone(),
                env(&[("A", "9"), ("B", "2"), ("X", "2")]),
                Some(env(&[("A", "9"), ("B", "1")])),
            ),
            (
                ab,
                ours.clone(),
                env(&[("B", "3"), ("X", "3"), ("C", "1")]),
                Some(env(&[("B", "3"), ("X", "3"), ("C", "1")])),
            ),
            (Value::Null, ours.clone(), env(&[("X", "2")]), Some(Value::Null)),
            (json!([]), ours.clone(), env(&[("X", "2")]), Some(json!([]))),
            (env(&[("A", "1")]), ours, env(&[("X", "2")]), None),
            (
                limits(json!({ "cpu": "1" })),
                limits(json!({ "memory": "4Gi" })),
                limits(json!({ "cpu": "2", "memory": "4Gi" })),
                Some(limits(json!({ "cpu": "2" }))),
            ),
            (
                json!({ "requests": { "cpu": "1" } }),
                limits(json!({ "memory": "4Gi" })),
                json!({ "requests": { "cpu": "2" }, "limits": { "memory": "4Gi" } }),
                Some(json!({ "requests": { "cpu": "2" } })),
            ),
            (
                json!([{ "key": "a" }]),
                json!([{ "key": "b" }]),
                json!([{ "key": "b" }, { "key": "c" }]),
                Some(json!([{ "key": "c" }])),
            ),
        ];
        for (own, ours, later, left) in rows {
            let own = own.to_string();
            let set = merged(Some(&own), &ours);
            assert_eq!(unmerged(set.as_deref(), Some(&own), set.as_deref()), Some(own.clone()));
            let found = unmerged(Some(&later.to_string()), Some(&own), set.as_deref());
            assert_eq!(found, left.map(|left| left.to_string()), "{own} {later}");
        }
    }

    #[test]
    fn order_of_keys_does_not_matter() {
        let ours = json!([{ "key": "a", "operator": "Exists", "effect": "NoSchedule" }]);
        let (stored, other) = (
            r#"{"effect":"NoSchedule","key":"a","operator":"Exists"}"#,
            r#"{"key":"b","operator":"Exists"}"#,
        );
        let now = format!("[{stored},{other}]");
        assert_eq!(merged(Some(&now), &ours).as_deref(), Some(now.as_str()));
        let left = unmerged(Some(&now), None, Some(&ours.to_string()));
        assert_eq!(left, Some(format!("[{other}]")));
    }

    #[test]
    fn value_of_another_type_stays() {
        for own in ["5", "\"x\"", "{\"a\":1}"] {
            assert_eq!(merged(Some(own), &json!([1])).as_deref(), Some(own));
        }
        assert_eq!(merged(None, &json!([1])).as_deref(), Some("[1]"));
    }
}
