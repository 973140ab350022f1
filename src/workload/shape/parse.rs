//! Parses the parts of a shape, in flags, rules.yaml, diyadm.yaml and the annotation.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, de::Error};
use serde_json::{Map, Value, json};

use super::{
    super::quantity,
    Resources,
    cache::Cache,
    names::{is_key, is_word, object_name},
};

/// A value that YAML may write without quotes.
#[derive(JsonSchema, Deserialize)]
#[serde(untagged)]
pub(crate) enum Scalar {
    Text(String),
    Number(serde_json::Number),
    Bool(bool),
}

impl From<Scalar> for String {
    fn from(scalar: Scalar) -> Self {
        match scalar {
            Scalar::Text(text) => text,
            Scalar::Number(number) => number.to_string(),
            Scalar::Bool(yes) => yes.to_string(),
        }
    }
}

/// `none`, or requests and limits.
#[derive(JsonSchema)]
#[serde(untagged)]
#[schemars(rename = "Resources")]
#[expect(dead_code, reason = "it is the form of Resources in a file")]
pub(crate) enum ResourcesForm {
    Word(NoResources),
    Some(Amounts),
}

/// No requests and no limits.
#[derive(JsonSchema)]
#[serde(rename_all = "lowercase")]
#[expect(dead_code, reason = "it is the form of Resources in a file")]
pub(crate) enum NoResources {
    None,
}

/// Requests and limits: quantities by the names of resources.
#[derive(Default, JsonSchema, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Amounts {
    requests: BTreeMap<String, Scalar>,
    limits: BTreeMap<String, Scalar>,
}

impl TryFrom<Value> for Resources {
    type Error = String;

    fn try_from(value: Value) -> Result<Self, String> {
        match value {
            Value::String(word) if word == "none" => return Ok(Self::None),
            Value::Object(_) => {}
            _ => return Err("resources are `none`, or have `requests` and `limits`".to_owned()),
        }
        let Amounts { requests, limits } =
            serde_json::from_value(value).map_err(|why| format!("resources: {why}"))?;
        let amounts = |all: BTreeMap<String, Scalar>| {
            let all = all.into_iter().map(|(name, scalar)| named(&name, &String::from(scalar)));
            all.collect::<Result<_, String>>()
        };
        Ok(Self::Some { requests: amounts(requests)?, limits: amounts(limits)? })
    }
}

impl From<Resources> for Value {
    fn from(resources: Resources) -> Self {
        let Resources::Some { requests, limits } = resources else { return "none".into() };
        let both = [("requests", requests), ("limits", limits)];
        let some = both.into_iter().filter(|(_, amounts)| !amounts.is_empty());
        some.map(|(name, amounts)| (name.to_owned(), json!(amounts))).collect::<Map<_, _>>().into()
    }
}

fn named(name: &str, amount: &str) -> Result<(String, String), String> {
    if !is_key(name) {
        return Err(format!("{name:?} is not the name of a resource like cpu or memory"));
    }
    Ok((name.to_owned(), quantity::canonical(amount)?))
}

fn pair(text: &str) -> Result<(&str, &str), String> {
    text.split_once('=').ok_or_else(|| format!("{text:?} has no ="))
}

/// `cpu=2`, with the quantity in canonical form.
///
/// # Errors
/// In a few words, what it is instead.
pub(crate) fn amount(text: &str) -> Result<(String, String), String> {
    let (name, amount) = pair(text)?;
    named(name, amount)
}

/// `KEY=VALUE`: an environment variable.
///
/// # Errors
/// In a few words, what it is instead.
pub(crate) fn env(text: &str) -> Result<(String, String), String> {
    let (name, value) = pair(text)?;
    variable(name, value.to_owned())
}

fn variable(name: &str, value: String) -> Result<(String, String), String> {
    if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'=') {
        return Err(format!("{name:?} is not the name of an environment variable"));
    }
    if value.contains('\0') {
        return Err(format!("the value of {name} has a NUL"));
    }
    Ok((name.to_owned(), value))
}

/// `configmap/NAME` or `secret/NAME`.
///
/// # Errors
/// In a few words, what it is instead.
pub(crate) fn env_source(text: &str) -> Result<String, String> {
    match source(text) {
        Some(_) => Ok(text.to_owned()),
        None => Err(format!("{text:?} is not configmap/NAME or secret/NAME")),
    }
}

/// The element of `envFrom`.
pub(super) fn source(text: &str) -> Option<Value> {
    let (kind, name) = text.split_once('/')?;
    let name = object_name(name).ok()?;
    match kind {
        "configmap" => Some(json!({ "configMapRef": { "name": name } })),
        "secret" => Some(json!({ "secretRef": { "name": name } })),
        _ => None,
    }
}

/// `PATH`, or `PATH=CLAIM`.
///
/// # Errors
/// In a few words, what it is instead.
pub(crate) fn cache(text: &str) -> Result<String, String> {
    Cache::parse(text).map(|_| text.to_owned())
}

/// `KEY=VALUE`: a label.
///
/// # Errors
/// In a few words, what it is instead.
pub(crate) fn label(text: &str) -> Result<(String, String), String> {
    let (key, value) = pair(text)?;
    labelled(key, value.to_owned())
}

fn labelled(key: &str, value: String) -> Result<(String, String), String> {
    if !is_key(key) {
        return Err(format!("{key:?} is not the key of a label"));
    }
    if !value.is_empty() && !is_word(&value) {
        return Err(format!("{value:?} is not the value of a label"));
    }
    Ok((key.to_owned(), value))
}

/// `KEY=VALUE:EFFECT`, `KEY:EFFECT`, or `KEY` for any effect.
///
/// # Errors
/// In a few words, what it is instead.
pub(crate) fn toleration(text: &str) -> Result<String, String> {
    tolerated(text).map(|_| text.to_owned())
}

/// The element of `tolerations`.
pub(super) fn tolerated(text: &str) -> Result<Value, String> {
    let (taint, effect) = text.split_once(':').map_or((text, None), |(t, e)| (t, Some(e)));
    let (key, value) = taint.split_once('=').map_or((taint, None), |(k, v)| (k, Some(v)));
    let known = ["NoSchedule", "PreferNoSchedule", "NoExecute"];
    let fits = is_key(key)
        && value.is_none_or(|value| value.is_empty() || is_word(value))
        && effect.is_none_or(|effect| known.contains(&effect));
    if !fits {
        return Err(format!("{text:?} is not a toleration like KEY=VALUE:NoSchedule"));
    }
    let mut all = json!({ "key": key });
    match value {
        Some("") => all["operator"] = "Equal".into(),
        Some(value) => (all["operator"], all["value"]) = ("Equal".into(), value.into()),
        None => all["operator"] = "Exists".into(),
    }
    if let Some(effect) = effect {
        all["effect"] = effect.into();
    }
    Ok(all)
}

/// Members of a container's securityContext.
pub(crate) type SecurityMembers = Vec<(String, Value)>;

/// `MEMBER=VALUE,…`: members of the container's securityContext. A value is JSON, which may have
/// commas, or a word.
///
/// # Errors
/// In a few words, what it is instead.
pub(crate) fn security(text: &str) -> Result<SecurityMembers, String> {
    let mut members = Vec::new();
    let mut rest = Some(text);
    while let Some(text) = rest {
        let (member, text) = pair(text)?;
        if member.is_empty() || !member.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return Err(format!("{member:?} is not a member of a securityContext"));
        }
        let mut values = serde_json::Deserializer::from_str(text).into_iter::<Value>();
        let read = values.next().and_then(Result::ok).filter(|read| !read.is_null());
        let after = &text[values.byte_offset()..];
        let (value, after) = match read.filter(|_| after.is_empty() || after.starts_with(',')) {
            Some(value) => (value, after.strip_prefix(',')),
            None => match text.split_once(',') {
                Some((word, after)) => (word.into(), Some(after)),
                None => (text.into(), None),
            },
        };
        members.push((member.to_owned(), value));
        rest = after;
    }
    Ok(members)
}

type Pairs = BTreeMap<String, String>;

fn pairs<'de, D: Deserializer<'de>>(
    from: D,
    check: impl Fn(&str, String) -> Result<(String, String), String>,
) -> Result<Option<Pairs>, D::Error> {
    let Some(all) = Option::<BTreeMap<String, Scalar>>::deserialize(from)? else { return Ok(None) };
    let all = all.into_iter().map(|(key, value)| check(&key, value.into()));
    all.collect::<Result<_, _>>().map(Some).map_err(D::Error::custom)
}

pub(crate) fn env_map<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Pairs>, D::Error> {
    pairs(from, variable)
}

pub(crate) fn label_map<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Pairs>, D::Error> {
    pairs(from, labelled)
}

type Words = Vec<String>;

/// Maximum number of entries of a list: each is written into every container that is emptied.
const MOST: usize = 64;

fn words<'de, D: Deserializer<'de>>(
    from: D,
    check: impl Fn(&str) -> Result<String, String>,
) -> Result<Option<Words>, D::Error> {
    let Some(all) = Option::<Words>::deserialize(from)? else { return Ok(None) };
    if all.len() > MOST {
        return Err(D::Error::custom(format!("a list has more than {MOST} entries")));
    }
    let all = all.iter().map(|text| check(text));
    all.collect::<Result<_, _>>().map(Some).map_err(D::Error::custom)
}

pub(crate) fn env_sources<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Words>, D::Error> {
    words(from, env_source)
}

pub(crate) fn caches<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Words>, D::Error> {
    words(from, cache)
}

pub(crate) fn tolerations<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Words>, D::Error> {
    words(from, toleration)
}

pub(crate) fn account<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    let name = Option::<String>::deserialize(from)?;
    name.map(|name| object_name(&name)).transpose().map_err(D::Error::custom)
}
