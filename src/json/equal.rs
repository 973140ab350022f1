//! Compares two JSON texts by value, without building either value.

use serde_json::Value;

/// Whether two JSON texts have the same value. Stops at the first difference, unless members of an
/// object are in another order.
pub(crate) fn equal(one: &str, other: &str) -> bool {
    if one == other {
        return true;
    }
    let (mut one_rest, mut other_rest) = (one, other);
    loop {
        match (token(&mut one_rest), token(&mut other_rest)) {
            (None, None) => return true,
            (Some(left), Some(right)) if is_same(left, right) => {}
            // Perhaps the members are only in another order.
            (Some(left), Some(right))
                if is_member(left, one_rest) && is_member(right, other_rest) =>
            {
                let read = |text| serde_json::from_str::<Value>(text).ok();
                return read(one).is_some_and(|one| Some(one) == read(other));
            }
            _ => return false,
        }
    }
}

/// Removes a bracket, comma, colon, string or other scalar from the front of valid JSON.
fn token<'a>(rest: &mut &'a str) -> Option<&'a str> {
    let text = rest.trim_start_matches([' ', '\n', '\r', '\t']);
    let end = match text.as_bytes().first()? {
        b'"' => string_end(text),
        b'{' | b'}' | b'[' | b']' | b',' | b':' => 1,
        _ => text.find(['}', ']', ',', ':', ' ', '\n', '\r', '\t']).unwrap_or(text.len()),
    };
    let (token, after) = text.split_at(end);
    *rest = after;
    Some(token)
}

/// The rest after the string at the front.
fn string_end(text: &str) -> usize {
    let bytes = text.as_bytes();
    let mut at = 1;
    while let Some(found) = bytes.get(at..).and_then(|rest| memchr::memchr2(b'"', b'\\', rest)) {
        at += found;
        if bytes[at] == b'"' {
            return at + 1;
        }
        at += 2;
    }
    text.len()
}

/// Whether the token is a member's name: only names are followed by a colon.
fn is_member(token: &str, rest: &str) -> bool {
    token.starts_with('"') && rest.trim_start_matches([' ', '\n', '\r', '\t']).starts_with(':')
}

fn is_same(one: &str, other: &str) -> bool {
    if one == other {
        return true;
    }
    match (one.as_bytes()[0], other.as_bytes()[0]) {
        (b'"', b'"') => {
            let has_escape = one.contains('\\') || other.contains('\\');
            has_escape && super::string(one).is_some_and(|one| Some(one) == super::string(other))
        }
        (b'-' | b'0'..=b'9', b'-' | b'0'..=b'9') => {
            let number = |text| serde_json::from_str::<serde_json::Number>(text).ok();
            number(one).is_some_and(|one| Some(one) == number(other))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            (-2..2_i64).prop_map(Value::from),
            (-2..2_i32).prop_map(|n| Value::from(f64::from(n) / 2.0)),
            "[a\"\\\\é:,]{0,2}".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 12, 3, |inner| {
            prop_oneof![
                vec(inner.clone(), 0..3).prop_map(Value::from),
                vec(("[ab\"é]", inner), 0..3).prop_map(|m| Value::Object(m.into_iter().collect())),
            ]
        })
    }

    fn reversed(value: &Value) -> Value {
        match value {
            Value::Array(items) => items.iter().map(reversed).collect(),
            Value::Object(members) => {
                members.iter().rev().map(|(key, value)| (key.clone(), reversed(value))).collect()
            }
            other => other.clone(),
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(10_000) })]
        #[test]
        fn json_texts_are_equal_if_their_values_are(one in value(), other in value(), way in 0..3_u8) {
            let text = match way {
                0 => one.to_string(),
                1 => format!("{one:#}").replace('é', "\\u00e9"),
                _ => reversed(&one).to_string().replace("\"a", "\"\\u0061"),
            };
            prop_assert!(equal(&one.to_string(), &text), "{one} {text}");
            prop_assert_eq!(equal(&text, &other.to_string()), one == other, "{} {}", text, other);
        }
    }
}
