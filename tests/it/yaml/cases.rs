//! YAML texts that readers differ about: fixed ones, and generated ones.

use proptest::{
    prelude::*,
    strategy::{Strategy, ValueTree},
    test_runner::TestRunner,
};

/// Values as they stand in a file.
const SCALARS: &[&str] = &[
    "8912e374",
    "1__0",
    "1_",
    "_1",
    "nO",
    "No",
    "no",
    "NO",
    "y",
    "Y",
    "n",
    "yes",
    "yEs",
    "tRue",
    "True",
    "on",
    "oFF",
    "off",
    "0644",
    "0o17",
    "0O17",
    "0o8",
    "08",
    "019",
    "-0644",
    "+0644",
    "00",
    "0x1F",
    "0X1f",
    "0xg",
    "0x",
    "-0x1f",
    "0b101",
    "0B11",
    "0b2",
    "-0b11",
    "0b-11",
    "0b+1",
    "-0b-1",
    "0b",
    "1e3",
    "1E3",
    "1e+3",
    "1e-3",
    "1e",
    "e3",
    ".5",
    "5.",
    ".",
    "-.5",
    "+.5",
    ".5_0",
    ".5_",
    "._5",
    "1_000.5",
    "685_230.15",
    "1e400",
    "-1e400",
    ".1e400",
    "1e-400",
    "12:30:45",
    "190:20:30",
    "1:2",
    "2024-01-01",
    "2001-12-14t21:59:43.10-05:00",
    "2001-12-15 2:59:43.10",
    "2024-13-45",
    "~",
    "null",
    "Null",
    "NULL",
    "nULL",
    "nil",
    ".inf",
    "-.inf",
    "+.inf",
    ".INF",
    ".nan",
    ".NaN",
    "inf",
    "NaN",
    "9223372036854775807",
    "9223372036854775808",
    "18446744073709551615",
    "18446744073709551616",
    "-9223372036854775808",
    "-9223372036854775809",
    "+9223372036854775808",
    "1.0",
    "1.5",
    "1e21",
    "123456789012345678901234567890",
    "-0",
    "-0.0",
    "+0.0",
    "-",
    "+",
    "--1",
    "1-",
    "1.2.3",
    "1e3e3",
    "0.1.0",
    "=",
    "<<",
    "0_7",
    "0__x1",
    "0x_1f",
    "1,000",
    "٣",
    "é",
    "''",
    "'yes'",
    "\"no\"",
    "'0644'",
    "\"1e3\"",
    "'~'",
    "\"\\u0041\"",
    "\"a\\tb\"",
    "'it''s'",
    "\"\"",
    "!!str 12",
    "!!str yes",
    "!!str",
    "!!int 12",
    "!!int '12'",
    "!!int x",
    "!!int 1.5",
    "!!float 1",
    "!!float 1.5",
    "!!float x",
    "!!bool yes",
    "!!bool 'no'",
    "!!bool x",
    "!!null ''",
    "!!null x",
    "!!binary aGVsbG8=",
    "!!binary '####'",
    "!!timestamp 2024-01-01",
    "!!timestamp x",
    "! 12",
    "! '12'",
    "!foo 12",
    "!!merge x",
    "!<tag:yaml.org,2002:str> 12",
    "!!map x",
    "plain words",
    "a#b",
    "a: b",
    "a:b",
    "http://x:80/y",
    "@a",
    "`a",
    "%a",
    "a %b",
    "-a",
    "?a",
    ":a",
    "- a",
    "a\tb",
    "a   b",
    "&x v",
    "*a",
    "[1, yes, ~]",
    "{a: 1, b: no}",
    "{a: 1, a: 2}",
    "[]",
    "{}",
    "[a, b,]",
    "{a: 1,}",
    "{a}",
    "{a, b: }",
    "[a: 1, b]",
    "{\"a\":1}",
    "{a:1}",
    "{'a':yes}",
    "[,]",
];

/// Keys as they stand in a file.
const KEYS: &[&str] = &[
    "a",
    "b",
    "c",
    "yes",
    "n",
    "1",
    "1.5",
    "1e3",
    "1000000.5",
    "0.00001",
    "1e300",
    "0x1f",
    "0644",
    "~",
    "'~'",
    "2024-01-01",
    "18446744073709551615",
    "-0.0",
    ".inf",
    ".nan",
    "! 12",
    "!!str 12",
    "!!int '7'",
    "'yes'",
    "\"q\"",
    "*d",
    "-1",
    "tRue",
    "a b",
    "x.y/z",
];

const REFUSED_KEYS: [&str; 2] = ["~", "18446744073709551615"];

/// Whole documents.
const DOCUMENTS: &[&str] = &[
    "",
    "\n",
    "# c\n",
    "~\n",
    "a\n",
    "- a\n- b\n",
    "a: 1\n...\nb: 2\n",
    "a: 1\n...\n",
    "a: 1\n... # c\n",
    "a: &a {p: 10, t: 2}\nb:\n  p: 3\n  <<: *a\n",
    "a: &a {p: 10, t: 2}\nb:\n  <<: *a\n  p: 3\n",
    "a: &a {p: 1}\nb: &b {p: 2, q: 2}\nc: {<<: [*a, *b], q: 3}\n",
    "a: &a {p: 1}\nb: {q: 3, <<: [*a, {q: 9}], r: 1}\n",
    "a: &a {p: 1}\nb: &b {<<: *a, q: 1}\nc: {p: 5, <<: *b}\n",
    "a: {<<: 1}\n",
    "a: {<<: [1]}\n",
    "a: {<<: ~}\n",
    "a: &a [{p: 1}]\nb: {<<: *a}\n",
    "a: &a {p: 1}\nb: {<<: [[*a]]}\n",
    "a: {<<: {p: 1}, <<: {p: 2}}\n",
    "a: &a {p: 1}\nb: {\"<<\": *a}\n",
    "a: &a {p: 1}\nb: {!!merge <<: *a}\n",
    "a: &a {p: 1}\nb: {! '<<': *a}\n",
    "a: &a {b: *a}\n",
    "a: &a [*a]\n",
    "a: &a {<<: *a}\n",
    "a: &a 1\nb: &a 2\nc: *a\n",
    "a: &a [&a 1, *a]\n",
    "a: *x\nb: &x 1\n",
    "&k a: 1\nb: *k\n*k : 2\n",
    "? a\n: 1\n? [b]\n: 2\n",
    "? a\n",
    "? a\n: 1\n",
    "{? a : 1}\n",
    "a:\n- 1\n- 2\nb: 3\n",
    "a:\n  - b: 1\n    c: 2\n  -\n    - 1\n  - - 2\n",
    "a: b: c\n",
    "a:\n  b: 1\n c: 2\n",
    "a: 1\n b: 2\n",
    "\ta: 1\n",
    "a:\n\tb: 1\n",
    "a:\n  \tb: 1\n",
    "-\ta\n",
    "a:\tb\n",
    "a: b\t\n",
    "a: [\t1 ]\n",
    "a:\n\t- 1\n",
    "a: |\n  x\n  y\n",
    "a: |-\n  x\n\n",
    "a: |+\n  x\n\n",
    "a: >\n  x\n  y\n\n  z\n",
    "a: >-\n  x\n   y\n  z\n",
    "a: |2\n    x\n",
    "a: |\n  x",
    "a: |\n   x\n  y\n",
    "a: |\n\n  x\n",
    "a: |\n\tx\n",
    "a: |0\n  x\n",
    "a: |x\n",
    "a: | # c\n  x\n",
    "a: >\n  x\n  # no comment\n",
    "a: |\nb: 1\n",
    "a: \"x\n  y\"\n",
    "a: 'x\n\n  y'\n",
    "a: x\n  y\n",
    "a: x\n\n  y\n",
    "a: x # c\n",
    "a: x#c\n",
    "a: \"\\x41\\u00e9\\U0001F600\\n\\\\\"\n",
    "a: \"\\q\"\n",
    "a: \"\\/\"\n",
    "a: \"x\\\n  y\"\n",
    "a: 'x\n",
    "a: [1\n",
    "a: {b: 1\n",
    "a: ]\n",
    "a: 1\na: 2\n",
    "1: a\n",
    "yes: a\nno: b\n",
    "a: @b\n",
    "a: %b\n",
    "a: `b\n",
    "a: !x\n",
    "a: !!str\n",
    "a: &x\n",
    "a: &x\nb: *x\n",
    "a: - b\n",
    "a: 1\n- b\n",
    "- a\nb: 1\n",
    "- a: 1\n  b: 2\n- c\n",
    "a:\n  - 1\n - 2\n",
    "[a, b]: 1\n",
    "{a: b}: 1\n",
    "? {a: 1}\n: x\n",
    "\"a\": 1\n'b': 2\n",
    "\"a\":1\n",
    "a:1\n",
    "a:\n",
    "a:  # c\n  1\n",
    "a: {\nb: 1\n}\n",
    "a: [\n1,\n2\n]\n",
    "a: {b: [1, {c: 2}]}\n",
    "a: 1\r\nb: 2\r\n",
    "a: 1\rb: 2\r",
    "a: x\u{7f}y\n",
    "a: \u{1}\n",
    "a: \"\u{7}\"\n",
    "a: \u{a0}b\n",
    "a: \u{1f600}\n",
    "a: b\u{feff}c\n",
    "%YAML 1.1\n---\na: 1\n",
    "%YAML 1.2\n---\na: 1\n",
    "%TAG ! tag:x,1:\n---\na: !b c\n",
    "---\na: 1\n",
    "--- a\n",
    "--- |\n  x\n",
    "---\n---\n",
    "!!map {a: 1}\n",
    "!!seq [1]\n",
    "!!omap [a: 1]\n",
    "!!set {a, b}\n",
    "a: !!set {x, y}\n",
    "!local {a: 1}\n",
    "!!str {a: 1}\n",
    "a: ''''\n",
    "a: \"\"\"\"\n",
    "a: 'b'c\n",
    "a: \"b\" c\n",
    "a: *b c\n",
    "a: &b &c d\n",
    "a: !!str !!int 1\n",
    "a: &b !!str 1\nc: *b\n",
    "a: !!str &b 1\n",
    "a: ? b\n",
    "a: :\n",
    "a: -\n",
    "-\n",
    "- -\n",
    "-a\n",
    "--a\n",
    ": a\n",
    "? : a\n",
    "a : 1\n",
    "{a:}\n",
    "x: {a:, b: 1}\n",
    "x: [a:{b: 1}]\n",
    "x: [a::]\n",
    "x: {a:b}\n",
    "a : b : c\n",
    "x: {a: 1}b\n",
    "# only\n# comments",
    "a: 'b: c'\nd: \"e # f\"\n",
    "key with spaces: 1\n",
    "a:\n    b:\n        c: 1\n    d: 2\n",
    "a: |\n  {{ x }}\n",
    "a: {{ x }}\n",
    "{{ x }}: 1\n",
    "a: [x, 'y', \"z\", 1e3, 0x10, yes]\n",
    "a: x,y\n",
    "a: [x y, z]\n",
    "a: [x # c\n, y]\n",
    "a: {x: 1 # c\n, y: 2}\n",
    "a: {x: y z, w: v}\n",
];

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

fn part() -> impl Strategy<Value = Part> {
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
    let fixed: Vec<_> = SCALARS.iter().copied().filter(|text| is_plain(text)).collect();
    let text = prop_oneof![
        prop::sample::select(fixed).prop_map(ToOwned::to_owned),
        number.prop_filter("no sign alone", |text| text != "-"),
        word,
        date,
        "[ab0-9.:_+-]{0,4}[ab0-9]".prop_filter("no colon first", |text| !text.starts_with(':')),
        prop::sample::select(vec!["*a", "*b", "*c", "*d"]).prop_map(|alias| alias.to_owned()),
    ];
    // A member that kubectl cannot take may be replaced by one of the same key.
    let keys: Vec<_> = KEYS.iter().copied().filter(|key| !REFUSED_KEYS.contains(key)).collect();
    let key = move || {
        let keys = keys.clone();
        prop_oneof![
            6 => prop::sample::select(vec!["p", "q", "r", "s", "a"]),
            3 => prop::sample::select(keys),
        ]
        .prop_map(ToOwned::to_owned)
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
    let mut texts: Vec<String> = DOCUMENTS.iter().map(|text| (*text).to_owned()).collect();
    for scalar in SCALARS {
        texts.push(format!("a: {scalar}\n"));
        texts.push(format!("- {scalar}\n- [{scalar}]\n"));
        texts.push(format!("a: &v {scalar}\nb: {{c: *v}}\n"));
    }
    for key in KEYS {
        texts.push(format!("z: &d key\n{key} : 1\n"));
        texts.push(format!("z: &d key\nx: {{{key} : 1}}\n"));
    }
    let mut runner = TestRunner::deterministic();
    let part = part();
    for _ in 0..4_000 {
        let mut text = ANCHORS.to_owned() + "v: ";
        part.new_tree(&mut runner).unwrap().current().write(2, false, &mut text);
        texts.push(text + "\n");
    }
    texts
}
