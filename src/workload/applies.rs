//! Whether a patch applies to an object, without building the object.
//!
//! One pass over the object's text keeps a skeleton of the places that the patch names; then the
//! operations are played on that. It shares no code with what makes patches, and a property holds
//! it to the `json-patch` crate's judgement.

use std::{borrow::Cow, collections::BTreeMap, fmt};

use super::view::present;
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor},
};

#[derive(Deserialize)]
struct Operation<'a> {
    #[serde(borrow)]
    op: Cow<'a, str>,
    #[serde(borrow)]
    path: Cow<'a, str>,
    #[serde(borrow, default, deserialize_with = "present")]
    value: Option<&'a serde_json::value::RawValue>,
}

/// The tokens of every path, as a tree: what the skeleton must keep.
#[derive(Default)]
struct Places(BTreeMap<String, Places>);

impl Places {
    fn insert(&mut self, tokens: &[String]) {
        if let Some((first, rest)) = tokens.split_first() {
            self.0.entry(first.clone()).or_default().insert(rest);
        }
    }
}

/// An object as far as the patch looks into it.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Bone {
    /// Anything without children.
    Scalar,
    /// The members that the patch names; others are of no interest.
    Object(BTreeMap<String, Bone>),
    /// All elements, those that the patch does not name as scalars.
    Array(Vec<Bone>),
}

/// Whether `patch` (JSON text) applies to `object` (JSON text).
pub(super) fn applies(object: &str, patch: &str) -> bool {
    let Ok(operations) = serde_json::from_str::<Vec<Operation<'_>>>(patch) else { return false };
    let mut paths = Vec::new();
    let mut places = Places::default();
    for operation in &operations {
        let Some(tokens) = tokens(&operation.path) else { return false };
        places.insert(&tokens);
        paths.push(tokens);
    }
    let mut deserializer = serde_json::Deserializer::from_str(object);
    let Ok(mut bones) = Skeleton(&places).deserialize(&mut deserializer) else { return false };
    operations.iter().zip(&paths).all(|(operation, path)| play(&mut bones, operation, path))
}

/// RFC 6901: `None` for what is no pointer to something inside.
fn tokens(path: &str) -> Option<Vec<String>> {
    let tokens = path.strip_prefix('/')?.split('/');
    Some(tokens.map(|token| token.replace("~1", "/").replace("~0", "~")).collect())
}

fn play(root: &mut Bone, operation: &Operation<'_>, path: &[String]) -> bool {
    let Some((last, parents)) = path.split_last() else { return false };
    let mut at = root;
    for token in parents {
        let next = match at {
            Bone::Object(members) => members.get_mut(token),
            Bone::Array(items) => index(token).and_then(|index| items.get_mut(index)),
            Bone::Scalar => None,
        };
        let Some(next) = next else { return false };
        at = next;
    }
    let value = || operation.value.and_then(|value| serde_json::from_str(value.get()).ok());
    match (operation.op.as_ref(), at) {
        ("add", Bone::Object(members)) => {
            value().map(|bone| members.insert(last.clone(), bone)).is_some()
        }
        ("replace", Bone::Object(members)) => match (members.get_mut(last), value()) {
            (Some(slot), Some(bone)) => {
                *slot = bone;
                true
            }
            _ => false,
        },
        ("remove", Bone::Object(members)) => members.remove(last).is_some(),
        ("add", Bone::Array(items)) => {
            let index = if last == "-" { Some(items.len()) } else { index(last) };
            match (index.filter(|index| *index <= items.len()), value()) {
                (Some(index), Some(bone)) => {
                    items.insert(index, bone);
                    true
                }
                _ => false,
            }
        }
        ("replace", Bone::Array(items)) => {
            match (index(last).and_then(|index| items.get_mut(index)), value()) {
                (Some(slot), Some(bone)) => {
                    *slot = bone;
                    true
                }
                _ => false,
            }
        }
        ("remove", Bone::Array(items)) => match index(last).filter(|index| *index < items.len()) {
            Some(index) => {
                items.remove(index);
                true
            }
            None => false,
        },
        // Nothing here writes move, copy or test.
        _ => false,
    }
}

/// No sign, no leading zero (RFC 6901, section 4).
fn index(token: &str) -> Option<usize> {
    let digits = token.bytes().all(|byte| byte.is_ascii_digit());
    let plain = token == "0" || !token.starts_with('0');
    (digits && plain).then(|| token.parse().ok()).flatten()
}

/// Reads the bones of the places, and skips the rest.
struct Skeleton<'p>(&'p Places);

impl<'de> DeserializeSeed<'de> for Skeleton<'_> {
    type Value = Bone;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Bone, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Skeleton<'_> {
    type Value = Bone;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Bone, E> {
        Ok(Bone::Scalar)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Bone, E> {
        Ok(Bone::Scalar)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Bone, E> {
        Ok(Bone::Scalar)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Bone, E> {
        Ok(Bone::Scalar)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Bone, E> {
        Ok(Bone::Scalar)
    }

    fn visit_str<E>(self, _: &str) -> Result<Bone, E> {
        Ok(Bone::Scalar)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Bone, A::Error> {
        let mut items = Vec::new();
        let mut number = String::new();
        loop {
            number.clear();
            let _ = fmt::Write::write_fmt(&mut number, format_args!("{}", items.len()));
            let item = match self.0.0.get(&number) {
                Some(places) => seq.next_element_seed(Skeleton(places))?,
                None => seq.next_element::<IgnoredAny>()?.map(|_| Bone::Scalar),
            };
            match item {
                Some(item) => items.push(item),
                None => return Ok(Bone::Array(items)),
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Bone, A::Error> {
        let mut members = BTreeMap::new();
        while let Some(key) = map.next_key::<Text<'_>>()? {
            match self.0.0.get_key_value(key.0.as_ref()) {
                Some((key, places)) => {
                    members.insert(key.clone(), map.next_value_seed(Skeleton(places))?);
                }
                None => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(Bone::Object(members))
    }
}

/// A key that is borrowed where it can be; serde's own Cow never borrows inside a map.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// The bones of a value that is put in: all of it.
impl<'de> Deserialize<'de> for Bone {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        fn bones(value: &serde_json::Value) -> Bone {
            match value {
                serde_json::Value::Array(items) => Bone::Array(items.iter().map(bones).collect()),
                serde_json::Value::Object(members) => {
                    Bone::Object(members.iter().map(|(k, v)| (k.clone(), bones(v))).collect())
                }
                _ => Bone::Scalar,
            }
        }
        serde_json::Value::deserialize(deserializer).map(|value| bones(&value))
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};
    use serde_json::{Value, json};

    use super::*;

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
        fn it_judges_as_json_patch_does(
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
            prop_assert_eq!(applies(&object.to_string(), &text), theirs);
        }
    }
}
