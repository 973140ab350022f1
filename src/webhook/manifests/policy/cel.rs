//! Values and patterns as CEL expressions.

use std::fmt::Write;

use serde_json::Value;

/// A string: CEL supports JSON's escapes.
pub(super) fn text(text: &str) -> String {
    Value::from(text).to_string()
}

/// The value of the Pod's annotation, an optional.
pub(super) fn note(key: &str) -> String {
    format!("variables.notes[?{}]", text(key))
}

/// A list of strings.
pub(super) fn list<'a>(texts: impl IntoIterator<Item = &'a str>) -> String {
    let texts: Vec<_> = texts.into_iter().map(text).collect();
    format!("[{}]", texts.join(", "))
}

/// Any JSON value. Members of a map must have one type in CEL, unless they are `dyn`.
pub(super) fn json(value: &Value) -> String {
    match value {
        Value::Object(members) => {
            let member = |(k, v): (&String, &Value)| format!("{}: dyn({})", text(k), json(v));
            format!("{{{}}}", members.iter().map(member).collect::<Vec<_>>().join(", "))
        }
        Value::Array(items) => {
            format!("[{}]", items.iter().map(json).collect::<Vec<_>>().join(", "))
        }
        other => other.to_string(),
    }
}

/// An expression: whether `value` matches one of `patterns`, in which `*` matches any text and `?`
/// any character.
pub(super) fn fits(value: &str, patterns: &[String]) -> String {
    let one = |pattern: &String| {
        if pattern.contains(['*', '?']) {
            format!("{value}.matches({})", text(&regex(pattern)))
        } else {
            format!("{value} == {}", text(pattern))
        }
    };
    let all: Vec<_> = patterns.iter().map(one).collect();
    if all.len() == 1 { all.concat() } else { format!("({})", all.join(" || ")) }
}

/// An expression: whether `value` is text with none of these characters, given as ranges.
pub(super) fn has_none_of(value: &str, characters: &[(char, char)]) -> String {
    let mut regex = "^[^".to_owned();
    for (first, last) in characters {
        let _ = write!(regex, "\\x{{{:x}}}-\\x{{{:x}}}", u32::from(*first), u32::from(*last));
    }
    format!("{value}.matches({})", text(&(regex + "]+$")))
}

/// A pattern as an RE2 expression.
fn regex(pattern: &str) -> String {
    let mut regex = "(?s)^".to_owned();
    for c in pattern.chars() {
        let _ = match c {
            '*' => write!(regex, ".*"),
            '?' => write!(regex, "."),
            c if c.is_ascii_punctuation() => write!(regex, "\\{c}"),
            c => write!(regex, "{c}"),
        };
    }
    regex + "$"
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn json_values_become_cel_literals() {
        let value = json!({ "a": "x\"\n", "b": [{ "c": 1 }], "d": {} });
        let said = r#"{"a": dyn("x\"\n"), "b": dyn([{"c": dyn(1)}]), "d": dyn({})}"#;
        assert_eq!(json(&value), said);
        let patterns = ["a.b".to_owned(), "db-*".to_owned(), "?".to_owned()];
        let said = r#"(n == "a.b" || n.matches("(?s)^db\\-.*$") || n.matches("(?s)^.$"))"#;
        assert_eq!(fits("n", &patterns), said);
        let said = r#"n.matches("^[^\\x{0}-\\x{20}\\x{7f}-\\x{7f}]+$")"#;
        assert_eq!(has_none_of("n", &[('\0', ' '), ('\u{7f}', '\u{7f}')]), said);
    }
}
