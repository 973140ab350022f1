//! The text of a changed document, in the requested format.

use std::borrow::Cow;

use serde_json::Value;
use similar::TextDiff;

use super::{Edit, MutateOptions, MutatedDocument, mutate};
use crate::{
    workload::Warning,
    yaml::{self, Chunk},
};

/// The output format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// The document; unchanged if nothing changes.
    Yaml,
    /// The document.
    Json,
    /// A JSON document for each changed object: its identity and its JSON Patch.
    Patch,
    /// A unified diff of the changes, both sides formatted by diyadm.
    Diff,
}

/// A document of a file.
#[derive(Clone, Copy, Debug)]
pub enum Text<'a> {
    /// YAML.
    Yaml(Chunk<'a>),
    /// A JSON object.
    Json(&'a str),
}

/// What to write of a document.
#[derive(Debug, Default)]
pub struct Rendered {
    /// Empty, or complete lines, except for the last line of a file.
    pub text: String,
    /// Whether it needs a marker before it, unless it is the first.
    pub bare: bool,
    /// Whether an object changed.
    pub changed: bool,
    /// Warnings for the user.
    pub warnings: Vec<Warning>,
    /// See [`MutatedDocument::misnamed`].
    pub misnamed: bool,
}

/// Parses a document, changes it, and writes the result. `place` is its file and line, for the
/// header of a diff; `number` its number in the file.
///
/// # Errors
/// What is no YAML.
pub fn render(
    how: &MutateOptions<'_>,
    format: Format,
    (file, line, number): (&str, usize, usize),
    text: &Text<'_>,
) -> Result<Rendered, yaml::Error> {
    let fails = |what: String| yaml::Error {
        file: file.to_owned(),
        document: number,
        line,
        column: 1,
        what,
    };
    let mut value = match text {
        Text::Yaml(chunk) if chunk.body.is_empty() => Value::Null,
        Text::Yaml(chunk) => yaml::parse(file, chunk, number)?,
        Text::Json(object) => {
            yaml::parse_json(object).ok_or_else(|| fails("this is no JSON".to_owned()))?
        }
    };
    let before = (format == Format::Diff).then(|| value.clone());
    let MutatedDocument { edits, warnings, misnamed } = mutate(how, &mut value);
    let changed = !edits.is_empty();
    let write = |value: &Value| yaml::write(value).map_err(|error| fails(error.to_string()));
    let text = match (format, before) {
        (Format::Diff, Some(before)) if changed => {
            diff((file, line), &edits, &write(&before)?, &write(&value)?)
        }
        (Format::Diff, _) => String::new(),
        (Format::Patch, _) => edits.iter().map(|edit| edit.json() + "\n").collect(),
        (Format::Json, _) => json(text, &value, changed),
        (Format::Yaml, _) => as_yaml(text, changed, || write(&value))?.into_owned(),
    };
    let marked = text.split_inclusive('\n').next().is_some_and(yaml::is_marker);
    let bare = format == Format::Yaml && !marked;
    Ok(Rendered { text, bare, changed, warnings, misnamed })
}

fn json(text: &Text<'_>, value: &Value, changed: bool) -> String {
    match text {
        Text::Json(object) if !changed => format!("{object}\n"),
        _ if value.is_null() => String::new(),
        _ => format!("{value:#}\n"),
    }
}

fn as_yaml<'a>(
    text: &Text<'a>,
    changed: bool,
    write: impl FnOnce() -> Result<String, yaml::Error>,
) -> Result<Cow<'a, str>, yaml::Error> {
    match text {
        Text::Yaml(Chunk { head, body, .. }) if !changed => Ok(format!("{head}{body}").into()),
        Text::Yaml(Chunk { head, .. }) => {
            // An object that began on the line of its marker moves to a separate line.
            let end = if *head == "---" { "\n" } else { "" };
            Ok(format!("{head}{end}{}", write()?).into())
        }
        Text::Json(_) => Ok(write()?.into()),
    }
}

fn diff((file, line): (&str, usize), edits: &[Edit], before: &str, after: &str) -> String {
    let titles: Vec<_> = edits.iter().map(Edit::title).collect();
    let about = format!("{file}:{line}\t{}", titles.join(", "));
    TextDiff::from_lines(before, after).unified_diff().header(&about, &about).to_string()
}
