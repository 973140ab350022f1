//! Whether a patch applies to an object, without building the object.
//!
//! The operations are applied lazily: a value is parsed only if a path goes through it. A review
//! waits for this: with `json-patch`, which needs the whole object as a `Value`, a review took up
//! to twice as long (docs/bench-serve.md, "What was tried"). A property test compares it with
//! `json-patch`.

use std::borrow::Cow;

use jsonptr::{Pointer, Token};

use crate::json::{self, Node, ParsePlan};

/// A patch: a list of operations.
static PATCH: ParsePlan = ParsePlan::Items(&OPERATION);
static OPERATION: ParsePlan = ParsePlan::Members(&[], &["op", "path", "value"]);
/// One level of any value.
static MEMBERS: ParsePlan = ParsePlan::Members(&[], &[]);
static ITEMS: ParsePlan = ParsePlan::Items(&ParsePlan::Text);

/// A value that is parsed as needed.
enum Bone<'t, 'a> {
    /// A parsed part of the object, not expanded yet.
    Kept(Node<'t, 'a>),
    /// JSON text, not parsed yet.
    Text(&'a str),
    /// Anything without children.
    Scalar,
    /// A member that was removed.
    Gone,
    /// Its members, and its text if there are others.
    Object(Vec<(Cow<'a, str>, Bone<'t, 'a>)>, Option<&'a str>),
    Array(Vec<Bone<'t, 'a>>),
}

impl<'a> Bone<'_, 'a> {
    /// Parses it, one level deep.
    fn open(&mut self) -> &mut Self {
        loop {
            *self = match self {
                Self::Kept(node) if node.is_open() => Self::level(*node, Self::Kept),
                Self::Kept(node) => Self::Text(node.text()),
                Self::Text(text) => {
                    let plan = if text.starts_with('[') { &ITEMS } else { &MEMBERS };
                    match json::parse(text, plan) {
                        Ok(tree) if tree.root().is_open() => {
                            Self::level(tree.root(), |child| Self::Text(child.text()))
                        }
                        _ => Self::Scalar,
                    }
                }
                Self::Scalar | Self::Gone | Self::Object(..) | Self::Array(_) => return self,
            }
        }
    }

    fn level<'n>(node: Node<'n, 'a>, bone: impl Fn(Node<'n, 'a>) -> Self) -> Self {
        let member = |child: Node<'n, 'a>| (child.key().clone(), bone(child));
        if node.text().starts_with('{') {
            let others = (!node.is_whole()).then_some(node.text());
            Self::Object(node.children().map(member).collect(), others)
        } else {
            Self::Array(node.children().map(bone).collect())
        }
    }

    /// The member of this name: from the kept ones, else from all.
    fn member<'s>(
        members: &'s mut Vec<(Cow<'a, str>, Self)>,
        others: &mut Option<&'a str>,
        name: &str,
    ) -> Option<&'s mut Self> {
        if position(members, name).is_none()
            && let Some(text) = others.take()
        {
            let tree = json::parse(text, &MEMBERS).ok()?;
            let known = members.len();
            for child in tree.root().children() {
                if position(&members[..known], child.key()).is_none() {
                    members.push((child.key().clone(), Self::Text(child.text())));
                }
            }
        }
        let at = position(members, name)?;
        Some(&mut members[at].1).filter(|bone| !matches!(bone, Self::Gone))
    }

    /// The child for a token of a path.
    fn child(&mut self, token: &Token<'_>) -> Option<&mut Self> {
        match self.open() {
            Self::Object(members, others) => Self::member(members, others, &token.decoded()),
            Self::Array(items) => {
                let at = token.to_index().ok()?.for_len(items.len()).ok()?;
                items.get_mut(at)
            }
            _ => None,
        }
    }
}

fn position(members: &[(Cow<'_, str>, Bone<'_, '_>)], name: &str) -> Option<usize> {
    members.iter().position(|(key, _)| key == name)
}

/// Whether `patch` (JSON text) applies to `object`.
pub(super) fn applies(object: Node<'_, '_>, patch: &str) -> bool {
    let Ok(patch) = json::parse(patch, &PATCH) else { return false };
    let mut root = Bone::Kept(object);
    patch.root().is_open()
        && patch.root().children().all(|operation| {
            let text = |name| operation.get(name).and_then(Node::string);
            let value = operation.get("value").map(|value| Bone::Text(value.text()));
            match (text("op"), text("path")) {
                (Some(op), Some(path)) => play(&mut root, &op, &path, value).is_some(),
                _ => false,
            }
        })
}

/// `None` if it does not apply. diyadm writes no move, copy or test operations.
fn play<'t, 'a>(
    root: &mut Bone<'t, 'a>,
    op: &str,
    path: &str,
    value: Option<Bone<'t, 'a>>,
) -> Option<()> {
    let (parents, last) = Pointer::parse(path).ok()?.split_back()?;
    let parent = parents.tokens().try_fold(root, |at, token| at.child(&token))?;
    match op {
        "replace" => *parent.child(&last)? = value?,
        "remove" => {
            *parent.child(&last)? = Bone::Gone;
            if let Bone::Array(items) = parent {
                items.remove(last.to_index().ok()?.for_len(items.len()).ok()?);
            }
        }
        "add" => match parent.open() {
            Bone::Object(members, _) => match position(members, &last.decoded()) {
                Some(at) => members[at].1 = value?,
                None => members.push((Cow::Owned(last.decoded().into_owned()), value?)),
            },
            Bone::Array(items) => {
                items.insert(last.to_index().ok()?.for_len_incl(items.len()).ok()?, value?);
            }
            _ => return None,
        },
        _ => return None,
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};
    use serde_json::{Value, json};

    use super::*;

    /// Much of the object is kept, as a review keeps it.
    static DEEP: ParsePlan = ParsePlan::Members(&[("a", &DEEP), ("b", &LIST)], &[]);
    static LIST: ParsePlan = ParsePlan::Items(&DEEP);

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![Just(Value::Null), any::<i8>().prop_map(Value::from)];
        leaf.prop_recursive(3, 12, 3, |inner| {
            prop_oneof![
                vec(inner.clone(), 0..3).prop_map(Value::from),
                vec(("[ab~/0]", inner), 0..3).prop_map(|m| Value::Object(m.into_iter().collect())),
            ]
        })
    }

    fn path() -> impl Strategy<Value = String> {
        vec(prop_oneof!["[ab012]", Just("~0".into()), Just("~1".into()), Just("-".into())], 1..4)
            .prop_map(|tokens: Vec<String>| format!("/{}", tokens.join("/")))
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(10_000) })]
        #[test]
        fn patch_applies_exactly_if_json_patch_accepts_it(
            object in value(),
            operations in vec((0..3_usize, path(), value()), 1..4),
        ) {
            let operations: Vec<Value> = operations.into_iter().map(|(op, path, value)| {
                match ["add", "replace", "remove"][op] {
                    "remove" => json!({ "op": "remove", "path": path }),
                    op => json!({ "op": op, "path": path, "value": value }),
                }
            }).collect();
            let text = Value::from(operations).to_string();
            let patch: json_patch::Patch = serde_json::from_str(&text).unwrap();
            let theirs = json_patch::patch(&mut object.clone(), &patch).is_ok();
            let object = object.to_string();
            for plan in [&ParsePlan::Text, &DEEP] {
                let tree = json::parse(&object, plan).unwrap();
                prop_assert_eq!(applies(tree.root(), &text), theirs);
            }
        }
    }
}
