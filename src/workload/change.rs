//! What emptying and restoring answer with.

use super::Warning;

/// A change to an object: JSON Patch operations in order, and what the user should be told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// The RFC 6902 patch as JSON text: an array of operations, `[]` where nothing changes.
    pub patch: String,
    /// What the user should know of it.
    pub warnings: Vec<Warning>,
}

impl Change {
    /// Whether the object stays as it is.
    pub fn is_empty(&self) -> bool {
        self.patch.is_empty() || self.patch == "[]"
    }

    pub(super) fn none() -> Self {
        Self { patch: "[]".to_owned(), warnings: Vec::new() }
    }

    pub(super) fn warned(warning: Warning) -> Self {
        Self { warnings: vec![warning], ..Self::none() }
    }
}
