//! The object before an update, parsed only on demand: it is as long as the object itself.

use std::cell::OnceCell;

use memchr::memmem;

use super::{LABEL, ORIGINAL, Subject};

pub(super) struct OldObject<'a> {
    text: Option<&'a str>,
    read: OnceCell<Option<Subject<'a>>>,
}

impl<'a> OldObject<'a> {
    /// `text`: JSON, if there was an object before.
    pub(super) fn new(text: Option<&'a str>) -> Self {
        Self { text, read: OnceCell::new() }
    }

    /// `None` if there was none, or it cannot be parsed.
    pub(super) fn get(&self) -> Option<&Subject<'a>> {
        self.read.get_or_init(|| Subject::parse(self.text?)).as_ref()
    }

    /// The same, if it may have an original: no API server writes the annotation's key with
    /// escapes.
    pub(super) fn emptied(&self) -> Option<&Subject<'a>> {
        self.with(ORIGINAL)
    }

    /// The same, if it may have opted out.
    pub(super) fn declining(&self) -> Option<&Subject<'a>> {
        self.with(LABEL)
    }

    fn with(&self, key: &str) -> Option<&Subject<'a>> {
        memmem::find(self.text?.as_bytes(), key.as_bytes()).and_then(|_| self.get())
    }
}
