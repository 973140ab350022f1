//! Writes JSON Patch (RFC 6902) text: the operations that emptying and restoring need, no more.

/// A JSON Pointer (RFC 6901), escaped as it is built.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pointer(String);

impl Pointer {
    /// The whole document.
    pub(super) fn root() -> Self {
        Self(String::new())
    }

    /// One step further down; `~` and `/` of `key` are escaped.
    pub(super) fn join(&self, key: &str) -> Self {
        let key = key.replace('~', "~0").replace('/', "~1");
        Self(format!("{}/{key}", self.0))
    }
}

/// Operations in order, written as they come.
#[derive(Debug, Default)]
pub(super) struct Patch(String);

impl Patch {
    /// Makes the member at `at` be `to` (JSON text; `None`: absent). `exists` says whether it is
    /// there now, so that nothing absent is removed or replaced.
    pub(super) fn put(&mut self, at: &Pointer, exists: bool, to: Option<&str>) {
        let op = match (exists, to) {
            (true, Some(_)) => "replace",
            (false, Some(_)) => "add",
            (true, None) => "remove",
            (false, None) => return,
        };
        self.0.push(if self.0.is_empty() { '[' } else { ',' });
        let path = serde_json::Value::from(at.0.as_str());
        for part in ["{\"op\":\"", op, "\",\"path\":", &path.to_string()] {
            self.0.push_str(part);
        }
        if let Some(value) = to {
            self.0.push_str(",\"value\":");
            self.0.push_str(value);
        }
        self.0.push('}');
    }

    /// The patch as JSON text.
    pub(super) fn finish(mut self) -> String {
        self.0.push_str(if self.0.is_empty() { "[]" } else { "]" });
        self.0
    }
}
