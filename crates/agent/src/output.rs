//! The only code that prints. Nothing here panics, since lost messages must not change behavior.

use std::{
    borrow::Cow,
    io::{self, Write},
};

/// A line on stderr, written at once. Control characters of `text` are escaped.
pub(super) fn line(text: &str) {
    // The message is lost if nothing reads it.
    let _ = io::stderr().write_all(format!("{}\n", escaped(text)).as_bytes());
}

/// A result on stdout, or a prompt that input follows.
pub(super) fn print(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()
}

/// `text` as a terminal shows it on one line: control characters are escaped.
pub(super) fn escaped(text: &str) -> Cow<'_, str> {
    if !text.contains(char::is_control) {
        return Cow::Borrowed(text);
    }
    let mut out = String::new();
    for c in text.chars() {
        if c.is_control() { out.extend(c.escape_default()) } else { out.push(c) }
    }
    Cow::Owned(out)
}
