//! Writes JSON Patch (RFC 6902) text: only the operations that emptying and restoring need.

use jsonptr::Pointer;

use crate::json;

/// Operations in order.
#[derive(Debug, Default)]
pub(super) struct Patch(String);

impl Patch {
    /// Sets the member at `at` to `to` (JSON text; `None`: absent). `exists`: whether it exists
    /// now, so that nothing absent is removed or replaced.
    pub(super) fn put(&mut self, at: &Pointer, exists: bool, to: Option<&str>) {
        self.put_at(at, exists, to, None);
    }

    /// The same for a member that is added after `number` others. RFC 6902 has no order of members,
    /// and ignores additional fields (section 4): callers that know this extension keep a file's
    /// order.
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
            // Most patches fit: they contain the original twice.
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
