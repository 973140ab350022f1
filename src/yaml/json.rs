//! JSON in a file: one object after the other, nothing between them but blanks.

use serde_json::{Value, value::RawValue};

use super::scalar::number;

/// The objects of `text` with the line that each begins at; `None` where it is no JSON: a YAML flow
/// mapping starts alike.
pub fn json(text: &str) -> Option<Vec<(usize, &str)>> {
    // kubectl tells JSON by its first character.
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

/// Reads one of them as kubectl does: whole floats are integers.
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
