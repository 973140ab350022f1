//! Fields of a kubeconfig, parsed like Go's JSON decoder: `null` is absent, unknown fields are
//! ignored. Errors name the position, never the content.

use anyhow::Result;
use base64::{
    Engine, alphabet,
    engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig},
};
use serde_json::{Map, Value};

use super::unusable;

/// As Go's `base64.StdEncoding` decodes.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true),
);

/// A mapping, and its position: `users[0].user`.
pub(super) struct ConfigFields<'a> {
    object: Option<&'a Map<String, Value>>,
    place: String,
}

impl<'a> ConfigFields<'a> {
    /// `place` names the file.
    pub(super) fn new(value: &'a Value, place: String) -> Result<Self> {
        match value {
            Value::Null => Ok(Self { object: None, place }),
            Value::Object(object) => Ok(Self { object: Some(object), place }),
            _ => Err(unusable(format!("{place} is not a mapping"))),
        }
    }

    fn get(&self, name: &str) -> &'a Value {
        self.object.and_then(|object| object.get(name)).unwrap_or(&Value::Null)
    }

    fn place(&self, name: &str) -> String {
        let dot = if self.place.ends_with(':') { " " } else { "." };
        format!("{}{dot}{name}", self.place)
    }

    fn wrong(&self, name: &str, wanted: &str) -> anyhow::Error {
        unusable(format!("{} is not {wanted}", self.place(name)))
    }

    /// Text; empty if absent.
    pub(super) fn text(&self, name: &str) -> Result<String> {
        match self.get(name) {
            Value::Null => Ok(String::new()),
            Value::String(text) => Ok(text.clone()),
            _ => Err(self.wrong(name, "text; put it in quotes")),
        }
    }

    /// Whether it is true.
    pub(super) fn flag(&self, name: &str) -> Result<bool> {
        match self.get(name) {
            Value::Null => Ok(false),
            Value::Bool(flag) => Ok(*flag),
            _ => Err(self.wrong(name, "true or false")),
        }
    }

    /// Base64 bytes; empty if absent.
    pub(super) fn data(&self, name: &str) -> Result<Vec<u8>> {
        let text = self.text(name)?.replace(['\r', '\n'], "");
        BASE64.decode(text).map_err(|_| self.wrong(name, "base64"))
    }

    /// A list of texts.
    pub(super) fn texts(&self, name: &str) -> Result<Vec<String>> {
        let text = |item: &Value| match item {
            Value::Null => Ok(String::new()),
            Value::String(text) => Ok(text.clone()),
            _ => Err(self.wrong(name, "a list of texts")),
        };
        self.list(name)?.iter().map(text).collect()
    }

    fn list(&self, name: &str) -> Result<&'a [Value]> {
        match self.get(name) {
            Value::Null => Ok(&[]),
            Value::Array(list) => Ok(list),
            _ => Err(self.wrong(name, "a list")),
        }
    }

    /// A mapping; empty if absent.
    pub(super) fn fields(&self, name: &str) -> Result<Self> {
        Self::new(self.get(name), self.place(name))
    }

    /// The same, `None` if absent.
    pub(super) fn optional(&self, name: &str) -> Result<Option<Self>> {
        self.get(name)
            .as_object()
            .map_or_else(|| self.fields(name).map(|_| None), |_| self.fields(name).map(Some))
    }

    /// A list of mappings.
    pub(super) fn each(&self, name: &str) -> Result<Vec<Self>> {
        let items = self.list(name)?.iter().enumerate();
        items.map(|(at, item)| Self::new(item, format!("{}[{at}]", self.place(name)))).collect()
    }

    /// The keys of this mapping.
    pub(super) fn names(&self) -> impl Iterator<Item = &'a String> + use<'a> {
        self.object.into_iter().flat_map(Map::keys)
    }

    /// Anything.
    pub(super) fn any(&self, name: &str) -> Value {
        self.get(name).clone()
    }
}
