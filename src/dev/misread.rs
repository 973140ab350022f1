//! What is wrong with a file of the user's, with its line, in words of YAML and not of Rust. Pure.

use serde_saphyr::Error;

/// A sentence without its full stop.
pub(super) fn said(error: &Error) -> String {
    let line = error.location().map(|location| location.line()).unwrap_or_default();
    let what = match error.without_snippet() {
        Error::Eof { .. } => "there is nothing in it, or it breaks off".to_owned(),
        Error::MultipleDocuments { .. } => "a second document begins".to_owned(),
        Error::Unexpected { expected: "mapping start", .. } => {
            "keys and their values are expected".to_owned()
        }
        Error::Unexpected { expected: "sequence start", .. } => "a list is expected".to_owned(),
        Error::InvalidScalar { ty: "u16", .. } => "a number up to 65535 is expected".to_owned(),
        Error::InvalidScalar { ty: "u32" | "u64", .. } => "a whole number is expected".to_owned(),
        Error::InvalidScalar { ty: "bool", .. } => "true or false is expected".to_owned(),
        Error::DuplicateMappingKey { key: Some(key), .. } => format!("{key} is there twice"),
        other => {
            let what = other.to_string();
            without_place(what.lines().next().unwrap_or_default().trim())
        }
    };
    at(line, &what)
}

/// `what`, with its line where that is known.
pub(super) fn at(line: u64, what: &str) -> String {
    if line == 0 { what.to_owned() } else { format!("line {line}: {what}") }
}

/// serde-saphyr says the place once more, behind or before the sentence.
fn without_place(what: &str) -> String {
    let what = what.split(" at line ").next().unwrap_or(what);
    match what.split_once(": ") {
        Some((place, rest)) if place.contains("line ") => rest.to_owned(),
        _ => what.to_owned(),
    }
}
