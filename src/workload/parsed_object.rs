//! A JSON object with its text and what emptying reads of it.

use std::{
    fmt::{self, Debug, Formatter},
    ops::Deref,
    sync::{Arc, OnceLock},
};

use anyhow::{Result, anyhow};
use self_cell::self_cell;
use serde_json::Value;

use super::Subject;

type Parsed<'a> = Result<Subject<'a>, serde_json::Error>;

self_cell!(
    /// An object's JSON text, and what was parsed of it.
    struct Parse {
        owner: String,

        #[covariant]
        dependent: Parsed,
    }
);

/// An object, of the cluster or of a manifest. Its text is written and parsed once, when that is
/// first needed; clones share both.
#[derive(Clone)]
pub struct ParsedObject(Arc<Inner>);

struct Inner {
    object: Value,
    parse: OnceLock<Parse>,
}

impl ParsedObject {
    /// What emptying reads of it.
    ///
    /// # Errors
    /// It is no object as an API server has them.
    pub fn try_subject(&self) -> Result<&Subject<'_>> {
        let Inner { object, parse } = &*self.0;
        let new = || Parse::new(object.to_string(), |text| Subject::try_parse(text));
        let parsed = parse.get_or_init(new).borrow_dependent();
        parsed.as_ref().map_err(|error| anyhow!("{error}"))
    }

    /// [`ParsedObject::try_subject`], where it does not matter why that fails.
    pub fn subject(&self) -> Option<&Subject<'_>> {
        self.try_subject().ok()
    }

    /// Whether it carries an original, that is, was emptied.
    pub fn is_emptied(&self) -> bool {
        self.subject().is_some_and(Subject::is_emptied)
    }

    /// The object, to be changed.
    pub fn into_value(self) -> Value {
        Arc::try_unwrap(self.0).map_or_else(|shared| shared.object.clone(), |own| own.object)
    }
}

impl Deref for ParsedObject {
    type Target = Value;

    fn deref(&self) -> &Value {
        &self.0.object
    }
}

impl From<Value> for ParsedObject {
    fn from(object: Value) -> Self {
        Self(Arc::new(Inner { object, parse: OnceLock::new() }))
    }
}

impl Debug for ParsedObject {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.0.object.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::workload::ORIGINAL;

    #[test]
    fn object_is_parsed_once_for_all_clones() {
        let metadata = json!({ "name": "web", "annotations": { ORIGINAL: "{}" } });
        let object = json!({ "apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata });
        let live = ParsedObject::from(object.clone());
        let other = live.clone();
        assert!(live.is_emptied() && live["kind"] == "Deployment");
        assert!(std::ptr::eq(live.subject().unwrap(), other.subject().unwrap()));
        drop(live);
        assert_eq!(other.into_value(), object);
        assert!(ParsedObject::from(json!([])).try_subject().is_err());
    }
}
