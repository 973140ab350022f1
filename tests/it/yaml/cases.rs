//! YAML texts that readers differ about: fixed ones, and generated ones.

use proptest::{
    prelude::*,
    strategy::{Strategy, ValueTree},
    test_runner::TestRunner,
};
use serde::Deserialize;

/// Keys that kubectl takes for nothing.
const REFUSED_KEYS: [&str; 2] = ["~", "18446744073709551615"];

/// Texts that readers differ about: values and keys as they stand in a file, and whole documents.
#[derive(Deserialize)]
struct Fixed {
    scalars: Vec<String>,
    keys: Vec<String>,
    documents: Vec<String>,
}

const FIXED: &str = include_str!("../../data/yaml/cases.json");

/// What generated aliases and merge keys may name.
const ANCHORS: &str =
    "w: &a {p: 1, q: yes}\nx: &b {q: 0644, r: {s: [1, no]}, <<: *a}\ny: &c [1e3, ~]\nz: &d key\n";

#[derive(Clone, Debug)]
enum Part {
    Scalar(String),
    Sequence(Vec<Part>, bool),
    Mapping(Vec<(String, Part)>, bool),
}

impl Part {
    /// As it stands behind a key or a `-`.
    fn write(&self, indent: usize, flow: bool, to: &mut String) {
        let start = |to: &mut String| {
            to.push('\n');
            to.push_str(&" ".repeat(indent));
        };
        match self {
            Self::Scalar(text) => to.push_str(text),
            Self::Sequence(items, is_flow) if flow || *is_flow || items.is_empty() => {
                to.push('[');
                for item in items {
                    item.write(indent, true, to);
                    to.push_str(", ");
                }
                to.push(']');
            }
            Self::Mapping(members, is_flow) if flow || *is_flow || members.is_empty() => {
                to.push('{');
                for (key, value) in members {
                    to.push_str(key);
                    to.push_str(" : ");
                    value.write(indent, true, to);
                    to.push_str(", ");
                }
                to.push('}');
            }
            Self::Sequence(items, _) => {
                for item in items {
                    start(to);
                    to.push_str("- ");
                    item.write(indent + 2, false, to);
                }
            }
            Self::Mapping(members, _) => {
                for (key, value) in members {
                    start(to);
                    to.push_str(key);
                    to.push_str(" : ");
                    value.write(indent + 2, false, to);
                }
            }
        }
    }
}

fn part(fixed: &Fixed) -> impl Strategy<Value = Part> + use<> {
    let number = "[-+]?(0[xXoObB]?)?[0-9]{0,3}[_.]{0,2}[0-9a-f]{0,3}([eE][-+]?[0-9]{1,3})?";
    let word = "(y|Y|n|N|o|O|t|T|f|F)(es|ES|o|O|n|N|ff|FF|rue|RUE|alse|ALSE|ull|ULL)?";
    let date =
        "[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}([Tt ][0-9]{1,2}:[0-9]{2}:[0-9]{2}(\\.[0-9]{1,3})?Z?)?";
    let is_plain = |text: &str| {
        text != "-"
            && !text.starts_with([':', '!'])
            && !text.ends_with(['f', 'F', 'n', 'N'])
            && !text.ends_with(':')
            && !text.contains([',', '[', ']', '{', '}', '#', '%', '@', '`', '?', '&', '\t'])
            && !text.contains(": ")
    };
    let scalars: Vec<_> = fixed.scalars.iter().filter(|text| is_plain(text)).cloned().collect();
    let text = prop_oneof![
        prop::sample::select(scalars),
        number.prop_filter("no sign alone", |text| text != "-"),
        word,
        date,
        "[ab0-9.:_+-]{0,4}[ab0-9]".prop_filter("no colon first", |text| !text.starts_with(':')),
        prop::sample::select(vec!["*a", "*b", "*c", "*d"]).prop_map(ToOwned::to_owned),
    ];
    // A member that kubectl cannot take may be replaced by one of the same key.
    let is_taken = |key: &&String| !REFUSED_KEYS.contains(&key.as_str());
    let keys: Vec<_> = fixed.keys.iter().filter(is_taken).cloned().collect();
    let key = move || {
        let keys = keys.clone();
        prop_oneof![
            6 => prop::sample::select(vec!["p", "q", "r", "s", "a"]).prop_map(ToOwned::to_owned),
            3 => prop::sample::select(keys),
        ]
    };
    let leaf = text.prop_map(Part::Scalar);
    leaf.prop_recursive(4, 24, 4, move |inner| {
        let merged =
            prop::sample::select(vec!["*a", "*b", "[*a, *b]", "[*b, {p: 9}]", "{q: 8}", "*c"]);
        let member = prop_oneof![
            5 => (key(), inner.clone()),
            1 => merged.prop_map(|text| ("<<".to_owned(), Part::Scalar(text.to_owned()))),
        ];
        prop_oneof![
            (prop::collection::vec(inner, 0..4), any::<bool>())
                .prop_map(|(items, flow)| Part::Sequence(items, flow)),
            (prop::collection::vec(member, 0..5), any::<bool>())
                .prop_map(|(members, flow)| Part::Mapping(members, flow)),
        ]
    })
}

/// Every text.
pub(super) fn texts() -> Vec<String> {
    let fixed: Fixed = serde_json::from_str(FIXED).unwrap();
    let mut texts = fixed.documents.clone();
    for scalar in &fixed.scalars {
        texts.push(format!("a: {scalar}\n"));
        texts.push(format!("- {scalar}\n- [{scalar}]\n"));
        texts.push(format!("a: &v {scalar}\nb: {{c: *v}}\n"));
    }
    for key in &fixed.keys {
        texts.push(format!("z: &d key\n{key} : 1\n"));
        texts.push(format!("z: &d key\nx: {{{key} : 1}}\n"));
    }
    let mut runner = TestRunner::deterministic();
    let part = part(&fixed);
    for _ in 0..4_000 {
        let mut text = ANCHORS.to_owned() + "v: ";
        part.new_tree(&mut runner).unwrap().current().write(2, false, &mut text);
        texts.push(text + "\n");
    }
    texts
}
