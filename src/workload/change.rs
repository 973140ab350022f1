//! What emptying and restoring answer with.

/// A change to an object: JSON Patch operations in order, and what the user should be told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// The RFC 6902 patch as JSON text: an array of operations, `[]` where nothing changes.
    pub patch: String,
    /// Sentences of at most 120 characters each, the length that the API server passes on.
    pub warnings: Vec<String>,
}

impl Change {
    /// Whether the object stays as it is.
    pub fn is_empty(&self) -> bool {
        self.patch.is_empty() || self.patch == "[]"
    }

    pub(super) fn none() -> Self {
        Self { patch: "[]".to_owned(), warnings: Vec::new() }
    }

    pub(super) fn warned(warning: impl Into<String>) -> Self {
        Self { warnings: vec![shorten(warning.into())], ..Self::none() }
    }
}

/// Cuts a warning to the 120 characters that the API server asks for.
pub(super) fn shorten(mut warning: String) -> String {
    if let Some((at, _)) = warning.char_indices().nth(120) {
        warning.truncate(at);
    }
    warning
}
