//! Validates JSON text in one pass, and keeps only the values that a plan names.
//!
//! A text is valid exactly if `serde_json::Value` accepts it: grammar, escapes and surrogates,
//! control characters, numbers that fit an f64, nesting of at most 127 levels. Values that the plan
//! does not name are validated and skipped; nothing is copied except strings with escapes, on
//! demand. For any text, time and memory are proportional to its length, and no list in the result
//! has more than [`MOST`] elements.

use std::{borrow::Cow, fmt};

mod equal;
mod quotes;
mod scan;

pub(crate) use equal::equal;

/// An object or array with more members or elements than this is kept as text only, as if the plan
/// did not name them: no workload has so many relevant ones.
pub(crate) const MOST: usize = 1 << 15;

/// What to keep of a value. Its text is always kept.
#[derive(Debug)]
pub(crate) enum ParsePlan {
    /// Only the text.
    Text,
    /// The listed members of an object: those of the first list by their own plans, those of the
    /// second as texts; at most 64 names. If both lists are empty, every member, as text. Two
    /// members of one name are an error if they would be kept.
    Members(&'static [(&'static str, &'static ParsePlan)], &'static [&'static str]),
    /// The elements of an array, each by this plan.
    Items(&'static ParsePlan),
}

/// The kept values of a text: the root first, then its descendants in order, each before its
/// children.
#[derive(Debug)]
pub(crate) struct Tree<'a> {
    nodes: Vec<TreeEntry<'a>>,
}

#[derive(Debug)]
struct TreeEntry<'a> {
    /// The name of a member; empty for other values.
    key: Cow<'a, str>,
    /// Its index among its siblings.
    number: usize,
    text: &'a str,
    /// The end of its children.
    end: usize,
    kept: Kept,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kept {
    /// Only its text.
    Text,
    /// The members in its plan.
    Named,
    All,
}

/// A value in a tree.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Node<'t, 'a> {
    tree: &'t Tree<'a>,
    at: usize,
}

/// Parses `text` by `plan`.
pub(crate) fn parse<'a>(text: &'a str, plan: &'static ParsePlan) -> Result<Tree<'a>, Broken> {
    scan::document(text, plan)
}

impl<'a> Tree<'a> {
    /// The whole document.
    pub(crate) fn root(&self) -> Node<'_, 'a> {
        self.node(0)
    }

    /// The value at this position.
    pub(crate) fn node(&self, place: usize) -> Node<'_, 'a> {
        Node { tree: self, at: place }
    }
}

impl<'t, 'a> Node<'t, 'a> {
    fn entry(self) -> &'t TreeEntry<'a> {
        &self.tree.nodes[self.at]
    }

    /// Its position, for [`Tree::node`].
    pub(crate) fn place(self) -> usize {
        self.at
    }

    /// Its JSON text.
    pub(crate) fn text(self) -> &'a str {
        self.entry().text
    }

    /// Its name as a member of an object.
    pub(crate) fn key(self) -> &'t Cow<'a, str> {
        &self.entry().key
    }

    /// Its index in its object or array.
    pub(crate) fn number(self) -> usize {
        self.entry().number
    }

    /// Whether any of its members or elements were kept.
    pub(crate) fn is_open(self) -> bool {
        self.entry().kept != Kept::Text
    }

    /// Whether all of them were.
    pub(crate) fn is_whole(self) -> bool {
        self.entry().kept == Kept::All
    }

    /// Its kept members or elements.
    pub(crate) fn children(self) -> impl Iterator<Item = Self> {
        let (tree, end) = (self.tree, self.entry().end);
        let mut next = self.at + 1;
        std::iter::from_fn(move || {
            let node = (next < end).then_some(Self { tree, at: next })?;
            next = node.entry().end;
            Some(node)
        })
    }

    /// The member of this name, if it was kept.
    pub(crate) fn get(self, name: &str) -> Option<Self> {
        self.children().find(|child| child.key() == name)
    }

    /// Whether it is `null`.
    pub(crate) fn is_null(self) -> bool {
        self.text() == "null"
    }

    /// Its value, if it is a string.
    pub(crate) fn string(self) -> Option<Cow<'a, str>> {
        string(self.text())
    }
}

/// The string whose JSON text is `text`; `None` for other values.
pub(crate) fn string(text: &str) -> Option<Cow<'_, str>> {
    let inner = text.strip_prefix('"')?.strip_suffix('"')?;
    if inner.contains('\\') {
        serde_json::from_str(text).ok().map(Cow::Owned)
    } else {
        Some(Cow::Borrowed(inner))
    }
}

/// Appends the JSON text of a string to `out`.
pub(crate) fn quote(string: &str, out: &mut String) {
    if string.bytes().fold(u8::MAX, u8::min) < b' ' {
        out.push_str(&serde_json::Value::from(string).to_string());
        return;
    }
    out.reserve(string.len() + string.len() / 4 + 2);
    out.push('"');
    let mut rest = string;
    while let Some(at) = memchr::memchr2(b'"', b'\\', rest.as_bytes()) {
        let (before, special) = rest.split_at(at);
        out.extend([before, "\\", &special[..1]]);
        rest = &special[1..];
    }
    out.extend([rest, "\""]);
}

/// Why a text is invalid, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Broken {
    /// Its byte offset.
    at: usize,
    /// What it is.
    pub(crate) fault: JsonFault,
}

/// The type of error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum JsonFault {
    /// Not JSON, incomplete, or more than one document.
    Grammar,
    /// Arrays and objects are nested too deeply.
    Depth,
    /// A number out of the range of f64.
    Number,
    /// Half of a surrogate pair.
    Surrogate,
    /// Two members of one name.
    Twice,
}

impl fmt::Display for JsonFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Grammar => f.write_str("no JSON"),
            Self::Depth => write!(f, "nested deeper than {} levels", scan::MAX_DEPTH),
            Self::Number => f.write_str("a number that is out of range"),
            Self::Surrogate => f.write_str("half of a surrogate pair"),
            Self::Twice => f.write_str("two members of one name"),
        }
    }
}

impl Broken {
    /// Line and column in the text, from 1.
    pub(crate) fn place(self, text: &str) -> (usize, usize) {
        let before = &text.as_bytes()[..self.at.min(text.len())];
        let line = memchr::memchr_iter(b'\n', before).count();
        let column = before.iter().rev().take_while(|byte| **byte != b'\n').count();
        (line + 1, column + 1)
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*, sample::Index};
    use serde_json::Value;

    use super::*;

    static DEEP: ParsePlan = ParsePlan::Members(&[("a", &DEEP), ("b", &LIST)], &["c"]);
    static LIST: ParsePlan = ParsePlan::Items(&DEEP);
    static MAP: ParsePlan = ParsePlan::Members(&[], &[]);

    /// Values with all kinds of strings, in pieces shorter and longer than a block.
    fn value() -> impl Strategy<Value = Value> {
        let text = "([ab\"\\\\/é😀\n\u{1}\u{7f}]|x{60,70}){0,6}";
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            text.prop_map(Value::from),
        ];
        let key = prop_oneof![4 => "[abcd]", 1 => text];
        leaf.prop_recursive(6, 40, 6, move |inner| {
            prop_oneof![
                vec(inner.clone(), 0..6).prop_map(Value::from),
                vec((key.clone(), inner), 0..6)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    /// As written by an API server or by a person; with unnecessary escapes.
    fn written() -> impl Strategy<Value = String> {
        (value(), any::<[bool; 3]>(), 0..140_usize).prop_map(
            |(value, [pretty, escape, deep], n)| {
                let mut text = if pretty { format!("{value:#}\r\n") } else { value.to_string() };
                if escape {
                    text = text.replace('é', "\\u00E9").replace('😀', "\\ud83d\\ude00");
                    text = text.replace('/', "\\/").replace("\"a\"", "\"\\u0061\"");
                }
                if deep {
                    text = format!("{}{text}{}", "{\"b\":[".repeat(n / 2), "]}".repeat(n / 2));
                }
                text
            },
        )
    }

    /// Changes that may make a text invalid.
    fn piece() -> impl Strategy<Value = &'static str> {
        prop::sample::select(
            &[
                "",
                "{",
                "}",
                "[",
                "]",
                ":",
                ",",
                "\"",
                "\\",
                "\\\"",
                "\"a\":",
                "\\u",
                "\\ud83d",
                "\\ude00",
                "\\uD83D\\u0041",
                "\\x",
                "\u{1}",
                "\t",
                " ",
                "\n",
                "0",
                "-",
                ".",
                "e9",
                "1e999",
                "0e999",
                "01",
                "1.",
                "true",
                "nul",
                "{}",
                "[]",
                "é",
                "\u{feff}",
                "[[[",
            ][..],
        )
    }

    fn compare(node: Node<'_, '_>, value: &Value) {
        assert_eq!(serde_json::from_str::<Value>(node.text()).unwrap(), *value);
        match value {
            Value::Array(items) if node.is_open() => {
                assert_eq!(node.children().count(), items.len());
                node.children().zip(items).for_each(|(node, item)| compare(node, item));
            }
            Value::Object(members) if node.is_open() => {
                for (number, (key, value)) in members.iter().enumerate() {
                    let child = node.get(key);
                    let named = node.is_whole() || ["a", "b", "c"].contains(&key.as_str());
                    assert!(child.is_some() || !named);
                    child.into_iter().for_each(|child| compare(child, value));
                    assert!(child.is_none_or(|child| child.number() >= number));
                }
                assert!(node.children().all(|child| members.contains_key(child.key().as_ref())));
            }
            _ => assert!(!node.is_open()),
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(10_000) })]

        #[test]
        fn json_parser_agrees_with_serde_json(
            text in written(),
            edits in vec((any::<Index>(), 0..3_usize, piece()), 0..3),
        ) {
            let mut text: Vec<char> = text.chars().collect();
            for (at, remove, piece) in edits {
                let at = at.index(text.len() + 1);
                let end = (at + remove).min(text.len());
                text.splice(at..end, piece.chars());
            }
            let text: String = text.into_iter().collect();
            let theirs = serde_json::from_str::<Value>(&text);
            for plan in [&ParsePlan::Text, &DEEP, &LIST, &MAP] {
                match (parse(&text, plan), &theirs) {
                    (Ok(tree), Ok(value)) => compare(tree.root(), value),
                    (Err(broken), Ok(_)) => prop_assert_eq!(broken.fault, JsonFault::Twice),
                    (Ok(_), Err(error)) => prop_assert!(false, "serde_json says {error}"),
                    (Err(_), Err(_)) => {}
                }
            }
        }

        #[test]
        fn json_strings_round_trip(text in "([ab\"\\\\/é😀\n\u{1}\u{7f}]|x{60,70}){0,6}") {
            let mut quoted = String::new();
            quote(&text, &mut quoted);
            prop_assert_eq!(&quoted, &Value::from(text.as_str()).to_string());
            prop_assert_eq!(string(&quoted), Some(Cow::Borrowed(text.as_str())));
        }
    }

    #[test]
    fn duplicate_members_are_refused_if_kept() {
        let fault = |text, plan| parse(text, plan).map(|_| ()).map_err(|broken| broken.fault);
        assert_eq!(fault("{\"c\":1,\"\\u0063\":2}", &DEEP), Err(JsonFault::Twice));
        assert_eq!(fault("{\"a\":{\"b\":1,\"b\":2}}", &DEEP), Err(JsonFault::Twice));
        assert_eq!(fault("{\"d\":1,\"d\":2}", &DEEP), Ok(()));
        assert_eq!(fault("{\"c\":1,\"c\":2}", &ParsePlan::Text), Ok(()));
        assert_eq!(fault("{\"d\":1,\"e\":2,\"\\u0064\":3}", &MAP), Err(JsonFault::Twice));
    }

    #[test]
    fn lists_over_the_limit_stay_text() {
        for (plan, open, element, close) in [(&LIST, '[', "{}", ']'), (&MAP, '{', "\"N\":0", '}')] {
            for (count, is_open) in [(MOST, true), (MOST + 1, false), (10 * MOST, false)] {
                let elements: Vec<_> =
                    (0..count).map(|n| element.replace('N', &n.to_string())).collect();
                let text = format!("{open}{}{close}", elements.join(","));
                let tree = parse(&text, plan).unwrap();
                assert_eq!(tree.root().is_open(), is_open, "{count} in {open}");
                assert_eq!(tree.root().children().count(), if is_open { count } else { 0 });
                assert_eq!(tree.root().text(), text);
            }
        }
    }

    #[test]
    fn json_errors_have_a_position() {
        let place = |text: &str| parse(text, &ParsePlan::Text).unwrap_err().place(text);
        assert_eq!(place("{\n  \"a\": x}"), (2, 8));
        assert_eq!(place(""), (1, 1));
    }
}
