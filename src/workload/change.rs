//! The result of emptying and restoring.

use super::Warning;

/// A change to an object: JSON Patch operations in order, and warnings for the user.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// The RFC 6902 patch as JSON text: an array of operations, `[]` if nothing changes.
    pub patch: String,
    /// Warnings for the user.
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
