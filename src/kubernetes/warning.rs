//! Prints `Warning` headers of the API server like kubectl: each text once.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
};

use http::{HeaderMap, header::WARNING};

use crate::{ui, workload::WARNING_PREFIX};

/// Maximum number of different texts to print, for loops that run for days.
const MOST: usize = 64;

/// The texts that this process has printed.
#[derive(Clone, Debug, Default)]
pub(super) struct Warnings(Arc<Mutex<BTreeSet<String>>>);

impl Warnings {
    /// Prints the new warnings of an answer.
    pub(super) fn print(&self, headers: &HeaderMap) {
        let values = headers.get_all(WARNING).into_iter();
        for text in values.filter_map(|value| value.to_str().ok()).flat_map(texts) {
            let mut printed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            // What diyadm's own webhook announces, a command prints itself.
            let is_own = text.starts_with(WARNING_PREFIX);
            if !is_own && printed.len() < MOST && printed.insert(text.clone()) {
                ui::line(&format!("warning: {text}"));
            }
        }
    }
}

/// The texts of code 299 in a header's value (RFC 7234, 5.5), up to what is not one:
/// `299 - "text"`, several with commas between them, each with a date behind it or without.
fn texts(value: &str) -> Vec<String> {
    let mut texts = Vec::new();
    let mut rest = value.trim();
    while let Some((code, text, after)) = one(rest) {
        if code == "299" && !text.is_empty() {
            texts.push(text);
        }
        let after = after.trim_start();
        let after = quoted(after).map_or(after, |(_date, after)| after).trim_start();
        rest = after.strip_prefix(',').unwrap_or_default().trim_start();
    }
    texts
}

/// Code and text of the first warning, and the rest.
fn one(value: &str) -> Option<(&str, String, &str)> {
    let (code, rest) = value.split_once(' ')?;
    let (_agent, rest) = rest.trim_start().split_once(' ')?;
    let (text, rest) = quoted(rest.trim_start())?;
    Some((code, text, rest))
}

/// A quoted string without its quotes and backslashes, and the rest.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut all = text.strip_prefix('"')?.char_indices();
    let mut out = String::new();
    while let Some((at, c)) = all.next() {
        match c {
            '"' => return Some((out, &text[at + 2..])),
            '\\' => out.push(all.next()?.1),
            c => out.push(c),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warning_headers_are_parsed_as_by_client_go() {
        for (value, wanted) in [
            (r#"299 - "unknown field \"spec.x\"""#, &[r#"unknown field "spec.x""#][..]),
            (r#"299 kubernetes "a, b" "Mon, 30 Nov 2026 01:00:00 GMT", 299 - "c""#, &["a, b", "c"]),
            (r#"299 - "back \\ slash ü" , 199 - "other code""#, &["back \\ slash ü"]),
            (r#"299 - """#, &[]),
            (r#"299 - "cut"#, &[]),
            ("299 - text", &[]),
            ("299", &[]),
            ("", &[]),
        ] {
            assert_eq!(texts(value), wanted, "{value}");
        }
    }
}
