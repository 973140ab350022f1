//! Errors in diyadm.yaml in terms of YAML instead of Rust. Pure.

use serde_saphyr::{Error, Location};

use crate::yaml::ConfigError;

/// The parser's error for this text.
pub(super) fn explain(error: &Error, text: &str) -> ConfigError {
    let what = match error.without_snippet() {
        Error::Eof { .. } => "it is empty or incomplete".to_owned(),
        Error::MultipleDocuments { .. } => "a second document begins".to_owned(),
        Error::Unexpected { expected: "mapping start", .. } => {
            "keys and their values are expected".to_owned()
        }
        Error::Unexpected { expected: "sequence start", .. } => "a list is expected".to_owned(),
        Error::InvalidScalar { ty: "u16", .. } => "a number up to 65535 is expected".to_owned(),
        Error::InvalidScalar { ty: "u32" | "u64", .. } => "a whole number is expected".to_owned(),
        Error::InvalidScalar { ty: "bool", .. } => "true or false is expected".to_owned(),
        Error::DuplicateMappingKey { key: Some(key), .. } => format!("{key} is set twice"),
        other => {
            let what = other.to_string();
            without_place(what.lines().next().unwrap_or_default().trim())
        }
    };
    ConfigError::at(error.location().unwrap_or(Location::UNKNOWN), text, what)
}

/// serde-saphyr repeats the position before or after the message.
fn without_place(what: &str) -> String {
    let what = what.split(" at line ").next().unwrap_or(what);
    match what.split_once(": ") {
        Some((place, rest)) if place.contains("line ") => rest.to_owned(),
        _ => what.to_owned(),
    }
}
