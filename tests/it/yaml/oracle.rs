//! sigs.k8s.io/yaml itself, on fixed and generated texts.

use diyadm::yaml::{self, Chunk};
use serde_json::Value;

use super::cases;
use crate::rig::oracle;

/// Where the parser reads YAML 1.2 and kubectl 1.1; none is in any manifest that was seen. We refuse
/// what it could read, and the other way round; of one alone the values differ.
const OTHERWISE: [&str; 10] = [
    "-\ta\n",
    "a: \"\\/\"\n",
    "%YAML 1.2\n---\na: 1\n",
    "{a:}\n",
    "x: {a:, b: 1}\n",
    "x: [a::]\n",
    "- -\n- [-]\n",
    "- !!str\n- [!!str]\n",
    "- ?a\n- [?a]\n",
    "- :a\n- [:a]\n",
];

/// Whether two values are one. serde_json reads floats a little off, and whole ones past i64 have
/// two forms.
fn is_same(ours: &Value, theirs: &Value) -> bool {
    match (ours, theirs) {
        (Value::Number(one), Value::Number(other)) if one.is_i64() || other.is_i64() => {
            one == other
        }
        (Value::Number(one), Value::Number(other)) => {
            let (one, other) = (one.as_f64().unwrap(), other.as_f64().unwrap());
            (one - other).abs() <= one.abs() * 1e-14
        }
        (Value::Array(ours), Value::Array(theirs)) => {
            ours.len() == theirs.len() && ours.iter().zip(theirs).all(|(a, b)| is_same(a, b))
        }
        (Value::Object(ours), Value::Object(theirs)) => {
            let has = |(key, value)| theirs.get(key).is_some_and(|other| is_same(value, other));
            ours.len() == theirs.len() && ours.iter().all(has)
        }
        _ => ours == theirs,
    }
}

#[test]
fn any_yaml_is_read_as_sigs_yaml_reads_it() {
    let texts = cases::texts();
    let input: String =
        texts.iter().map(|text| Value::from(text.as_str()).to_string() + "\n").collect();
    let output = require!(oracle("yaml", &input));
    assert_eq!(output.lines().count(), texts.len());
    let (mut wrong, mut refused) = (Vec::new(), 0);
    for (text, line) in texts.iter().zip(output.lines()) {
        let answer: Value = serde_json::from_str(line).unwrap();
        let theirs = answer.get("is").map(|is| yaml::parse_json(&is.to_string()).unwrap());
        let ours = yaml::parse("t", &Chunk { head: "", body: text, line: 1 }, 1);
        refused += usize::from(theirs.is_none());
        let is_right = match (&ours, &theirs) {
            (Ok(ours), Some(theirs)) => is_same(ours, theirs),
            (ours, theirs) => ours.is_err() && theirs.is_none(),
        };
        if !is_right && !OTHERWISE.contains(&text.as_str()) {
            wrong.push(format!("{text:?}\n  ours: {ours:?}\n  kubectl: {line}"));
        }
    }
    assert!(wrong.is_empty(), "{}:\n{}", wrong.len(), wrong.join("\n"));
    assert!(refused > 200 && texts.len() - refused > 4_000, "{refused} of {}", texts.len());
}
