//! Writes JSON Patch (RFC 6902) text: the operations that emptying and restoring need, no more.

use jsonptr::Pointer;

use crate::json;

/// Operations in order, written as they come.
#[derive(Debug, Default)]
pub(super) struct Patch(String);

impl Patch {
    /// Makes the member at `at` be `to` (JSON text; `None`: absent). `exists` says whether it is
    /// there now, so that nothing absent is removed or replaced.
    pub(super) fn put(&mut self, at: &Pointer, exists: bool, to: Option<&str>) {
        self.put_at(at, exists, to, None);
    }

    /// The same of a member that, where it is added, comes after `number` others. RFC 6902 has no
    /// order of members, and ignores what it does not define (section 4): a file's order is kept
    /// by who knows of this.
    pub(super) fn put_at(
        &mut self,
        at: &Pointer,
        exists: bool,
        to: Option<&str>,
        number: Option<usize>,
    ) {
        let op = match (exists, to) {
            (true, Some(_)) => "replace",
            (false, Some(_)) => "add",
            (true, None) => "remove",
            (false, None) => return,
        };
        if self.0.is_empty() {
            // Most patches fit: they hold the original twice.
            self.0.reserve(2048);
        }
        self.0.push(if self.0.is_empty() { '[' } else { ',' });
        self.0.extend(["{\"op\":\"", op, "\",\"path\":"]);
        json::quote(at.as_str(), &mut self.0);
        if let Some(value) = to {
            self.0.push_str(",\"value\":");
            self.0.push_str(value);
        }
        if let Some(number) = number.filter(|_| op == "add") {
            self.0.extend([",\"number\":", &number.to_string()]);
        }
        self.0.push('}');
    }

    /// The patch as JSON text.
    pub(super) fn finish(mut self) -> String {
        self.0.push_str(if self.0.is_empty() { "[]" } else { "]" });
        self.0
    }
}
