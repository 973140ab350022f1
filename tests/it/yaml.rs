//! Users' YAML means to us what it means to kubectl.

use diyadm::yaml;
use proptest::prelude::*;
use serde_json::Value;

use super::corpus;

mod cases;
mod kubectl;
mod oracle;

/// What kubectl makes of each text; `kubectl` holds it to that. See tests/data/yaml/README.
const TRUTH: &str = include_str!("../data/yaml/truth.jsonl");

/// Numbers as Kubernetes holds them: whole ones are integers where they fit.
fn settled(value: &Value) -> Value {
    serde_json::from_str::<Value>(&value.to_string()).map_or(Value::Null, |value| match value {
        Value::Object(members) => members
            .into_iter()
            .map(|(k, v)| (k, settled(&v)))
            .collect::<serde_json::Map<_, _>>()
            .into(),
        Value::Array(items) => items.iter().map(settled).collect::<Vec<_>>().into(),
        Value::Number(number) => match number.as_f64() {
            #[expect(clippy::cast_possible_truncation, reason = "whole, and within i64")]
            Some(float) if number.is_f64() && float.fract() == 0.0 && float.abs() < 9e18 => {
                Value::from(float as i64)
            }
            _ => Value::Number(number),
        },
        other => other,
    })
}

/// A line break of YAML 1.1 alone, which the parser takes for a character.
const OTHERWISE: [&str; 1] = ["a: \u{85}b\n"];

#[test]
fn hard_yaml_cases_are_read_as_kubectl_reads_them() {
    let mut wrong = Vec::new();
    for line in TRUTH.lines() {
        let row: Value = serde_json::from_str(line).unwrap();
        let text = row["yaml"].as_str().unwrap();
        let ours = yaml::parse_documents("t", text).map(|documents| {
            documents.into_iter().next().map_or(Value::Null, |document| document.value)
        });
        match (&ours, row.get("json")) {
            (Ok(ours), Some(truth)) if *ours == settled(truth) => {}
            (Err(_), None) => {}
            _ if OTHERWISE.contains(&text) => {}
            _ => wrong.push(format!("{text:?}: {ours:?} instead of {:?}", row.get("json"))),
        }
    }
    assert!(wrong.is_empty(), "{}:\n{}", wrong.len(), wrong.join("\n"));
}

/// Strings that are something else where they are written bare.
const TRICKY: &str = include_str!("../data/yaml/written.jsonl");

#[test]
fn written_yaml_is_read_back_by_kubectl() {
    assert!(TRICKY.lines().count() > 150);
    for line in TRICKY.lines() {
        let row: Value = serde_json::from_str(line).unwrap();
        // The text is what kubectl was given when the truth was made.
        assert_eq!(yaml::write(&row["json"]).unwrap(), row["yaml"].as_str().unwrap());
    }
}

fn any_value() -> impl Strategy<Value = Value> {
    let text = prop_oneof![
        "[ -~]{0,12}",
        "\\PC{0,8}",
        "(yes|no|on|off|null|~|[0-9_.eExob+-]{1,6}|- |: |#| x|x |\\||>|\n|\t){1,3}",
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (-1e9..1e9_f64).prop_map(|f| if f.fract() == 0.0 { Value::from(0) } else { f.into() }),
        text.clone().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((text.clone(), inner), 0..4)
                .prop_map(|all| all.into_iter().collect::<serde_json::Map<_, _>>().into()),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 10_000, ..ProptestConfig::default() })]
    #[test]
    fn any_value_survives_writing_and_reading_yaml(value in any_value()) {
        let value = serde_json::json!({ "a": value });
        let text = yaml::write(&value).unwrap();
        let read = yaml::parse_documents("t", &text).unwrap_or_else(|e| panic!("{e}: {text}"));
        prop_assert_eq!(read.len(), 1, "{}", text);
        // As text: the order of keys counts.
        prop_assert_eq!(read[0].value.to_string(), value.to_string(), "{}", text);
    }
}

#[test]
fn large_yaml_documents_are_read() {
    let read = |text: &str| yaml::objects(yaml::parse_documents("t", text).unwrap()).len();
    let item = "- apiVersion: apps/v1\n  kind: Deployment\n  metadata: {name: web, labels: {app: web}}\n  \
                spec: {template: {spec: {containers: [{name: app, image: app:1, env: [{name: A, value: b}]}]}}}\n";
    let list = format!("kind: List\nitems:\n{}", item.repeat(4_000));
    assert_eq!(read(&list), 4_000);
    let aliases = format!("a: &a\n{item}b:\n{}", "- *a\n".repeat(150));
    assert_eq!(read(&aliases), 1);
    for depth in [70, 250] {
        let block: String = (0..depth).map(|at| format!("{}k:\n", " ".repeat(at))).collect();
        assert_eq!(read(&block), 1);
        assert_eq!(read(&format!("a: {}1{}\n", "[".repeat(depth), "]".repeat(depth))), 1);
    }
}

/// What aliases add is bounded, and so is what recurses.
#[test]
fn yaml_bombs_are_refused() {
    let doubled: String =
        (1..40).map(|at| format!("a{at}: &a{at} [*a{0}, *a{0}]\n", at - 1)).collect();
    let long = format!("a0: &a0 {}\n", "x".repeat(100_000));
    let copies = "- *a0\n".repeat(100_000);
    let chain: String = (1..2_000).map(|at| format!("a{at}: &a{at} [*a{}]\n", at - 1)).collect();
    let deep = "[".repeat(100_000);
    for (text, what) in [
        (format!("a0: &a0 [x, x]\n{doubled}"), "aliases expand this document too far"),
        (format!("{long}b:\n{copies}"), "aliases expand this document too far"),
        (format!("a0: &a0 [x]\n{chain}"), "this is deeper than 512 levels"),
        (deep, "this is deeper than 512 levels"),
    ] {
        let error = yaml::parse_documents("t", &text).unwrap_err();
        assert_eq!(error.what, what);
    }
}

/// One sentence, with the place in the file; none of the library's own names.
#[test]
fn yaml_errors_name_the_place() {
    for (text, at, what) in [
        ("a: 1\n---\nb: [1\nc: 2\n", (4, 2), "illegal placement of ':' indicator"),
        ("a: *b\n", (1, 4), "the alias `*b` has no anchor before it"),
        ("a: &a [*a]\n", (1, 8), "this alias is within what it stands for"),
        ("a: .inf\n", (1, 4), "JSON has no such number"),
        ("a: !!int x\n", (1, 10), "`x` does not have the type of its tag `!!int`"),
        ("a:\n\tb: 1\n", (2, 2), "tabs disallowed within this context (block indentation)"),
        ("a: {<<: 1}\n", (1, 9), "a merge key takes a mapping or a list of mappings"),
        ("? [a]\n: 1\n", (1, 3), "a key is a list or a mapping"),
    ] {
        let error = yaml::parse_documents("t", text).unwrap_err();
        assert_eq!((error.line, error.column, error.what.as_str()), (at.0, at.1, what), "{text:?}");
    }
}

#[test]
fn yaml_corpus_is_read_and_written() {
    for file in corpus::files() {
        let name = file.name();
        for document in yaml::parse_documents(&name, &file.text).unwrap_or_else(|e| panic!("{e}")) {
            let again = yaml::write(&document.value).unwrap();
            let again = yaml::parse_documents(&name, &again).unwrap_or_else(|e| panic!("{e}"));
            // As text: the order of keys counts.
            assert_eq!(again[0].value.to_string(), document.value.to_string(), "{name}");
        }
    }
}

/// Every key, in the order of the text.
fn keys(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(members) => members.iter().for_each(|(key, value)| {
            found.push(key.clone());
            keys(value, found);
        }),
        Value::Array(items) => items.iter().for_each(|item| keys(item, found)),
        _ => {}
    }
}

/// The same, as another parser has it.
fn their_keys(value: &serde_yaml::Value, found: &mut Vec<String>) {
    match value {
        serde_yaml::Value::Mapping(members) => members.iter().for_each(|(key, value)| {
            let key: String = serde_yaml::from_value(key.clone()).unwrap();
            found.push(key);
            their_keys(value, found);
        }),
        serde_yaml::Value::Sequence(items) => items.iter().for_each(|i| their_keys(i, found)),
        _ => {}
    }
}

#[test]
fn yaml_keys_keep_their_order() {
    let text = "z: 1\nb: {k: 1, a: 2, \"10\": 3, \"9\": 4}\na: [{q: 1, c: 2}]\n";
    let order = |text: &str| {
        let mut found = Vec::new();
        for document in yaml::parse_documents("t", text).unwrap() {
            keys(&document.value, &mut found);
        }
        found
    };
    assert_eq!(order(text).concat(), "zbka109aqc");
    let json = r#"{"z":1,"b":{"y":1,"a":2},"a":[{"q":1,"c":2}]}"#;
    assert_eq!(order(json).concat(), "zbyaaqc");
    let written = yaml::write(&yaml::parse_documents("t", text).unwrap()[0].value).unwrap();
    assert_eq!(order(&written), order(text));
    for file in corpus::files() {
        // The other parser does not know merge keys, nor one JSON object after the other.
        if file.text.contains("<<:") || file.text.starts_with('{') {
            continue;
        }
        let mut theirs = Vec::new();
        for document in serde_yaml::Deserializer::from_str(file.text.trim_start_matches('\u{feff}'))
        {
            their_keys(&serde::Deserialize::deserialize(document).unwrap(), &mut theirs);
        }
        assert_eq!(order(&file.text), theirs, "{}", file.name());
    }
}
