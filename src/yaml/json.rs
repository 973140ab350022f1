//! JSON in a file: objects separated by white space.

use serde_json::{Value, value::RawValue};

use super::scalar::number;

/// The objects of `text` with their first lines; `None` if it is not JSON, since a YAML flow
/// mapping starts in the same way.
pub fn json(text: &str) -> Option<Vec<(usize, &str)>> {
    // kubectl recognises JSON by its first character.
    if !text.trim_start().starts_with('{') {
        return None;
    }
    let mut stream = serde_json::Deserializer::from_str(text).into_iter::<&RawValue>();
    let (mut objects, mut from, mut line) = (Vec::new(), 0, 1);
    while let Some(raw) = stream.next() {
        let object = raw.ok()?.get();
        let to = stream.byte_offset();
        let start = to - object.len();
        line += text[from..start].matches('\n').count();
        objects.push((line, object));
        line += object.matches('\n').count();
        from = to;
    }
    Some(objects)
}

/// Parses one of them like kubectl: whole floats become integers.
pub fn parse_json(object: &str) -> Option<Value> {
    let mut value = serde_json::from_str(object).ok()?;
    settle(&mut value);
    Some(value)
}

fn settle(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(settle),
        Value::Object(members) => members.values_mut().for_each(settle),
        Value::Number(it) if it.is_f64() => {
            if let Some(whole) = it.as_f64().and_then(number) {
                *it = whole;
            }
        }
        _ => {}
    }
}
