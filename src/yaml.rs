//! Reads and writes users' manifests with the same meaning as in kubectl.
//!
//! kubectl reads YAML 1.1 through sigs.k8s.io/yaml: `yes` is true, `0644` is 420, `1.0` is 1.
//! tests/data/yaml has kubectl's results for difficult cases.

use std::fmt;

use serde_json::Value;

mod chunk;
mod config;
mod json;
mod load;
mod scalar;

pub use chunk::{Chunk, chunks, is_marker};
pub use config::ConfigError;
pub use json::{json, parse_json};

/// One object, and its position.
#[derive(Clone, Debug, PartialEq)]
pub struct Document {
    /// The object; keys in their order.
    pub value: Value,
    /// Line of the document, from 1.
    pub line: usize,
    /// Number of its document in the file, from 1.
    pub number: usize,
}

/// Why a file could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// The file, or `-`.
    pub file: String,
    /// Which document, from 1.
    pub document: usize,
    /// From 1.
    pub line: usize,
    /// From 1.
    pub column: usize,
    /// What is wrong.
    pub what: String,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, document, line, column, what } = self;
        write!(f, "{file}:{line}:{column}: {what} (document {document})")
    }
}

impl std::error::Error for Error {}

/// Parses a file of YAML documents or JSON objects; `file` is its name in errors. Empty documents
/// are omitted.
pub fn parse_documents(file: &str, text: &str) -> Result<Vec<Document>, Error> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if let Some(objects) = json(text) {
        let read = |(number, (line, object))| {
            let value = parse_json(object)?;
            Some(Document { value, line, number })
        };
        if let Some(documents) = (1..).zip(objects).map(read).collect() {
            return Ok(documents);
        }
    }
    let mut documents = Vec::new();
    for chunk in chunks(text).filter(|chunk| !chunk.body.is_empty()) {
        let number = documents.len() + 1;
        let value = parse(file, &chunk, number)?;
        documents.push(Document { value, line: chunk.line, number });
    }
    documents.retain(|document| !document.value.is_null());
    Ok(documents)
}

/// Parses one document, which has this `number` in `file`.
pub fn parse(file: &str, chunk: &Chunk<'_>, number: usize) -> Result<Value, Error> {
    load::load(chunk.body).map_err(|load::YamlFault { line, column, what }| {
        let shift = if line == 1 { chunk.column() - 1 } else { 0 };
        let (file, line) = (file.to_owned(), chunk.line + line - 1);
        Error { file, document: number, line, column: column + shift, what }
    })
}

/// The objects of `documents`: Lists are replaced by their items, as in `kubectl apply`.
pub fn objects(documents: Vec<Document>) -> Vec<Document> {
    let mut objects = Vec::new();
    for Document { mut value, line, number } in documents {
        let list = value["kind"].as_str().is_some_and(|kind| kind.ends_with("List"));
        match value.get_mut("items").map(Value::take) {
            Some(Value::Array(items)) if list => {
                objects.extend(items.into_iter().map(|value| Document { value, line, number }));
            }
            taken => {
                if let (Some(taken), Some(items)) = (taken, value.get_mut("items")) {
                    *items = taken;
                }
                objects.push(Document { value, line, number });
            }
        }
    }
    objects
}

/// One object as YAML that has the same value in kubectl. Comments are lost.
///
/// # Errors
/// Never for what [`read`] returns.
pub fn write(value: &Value) -> Result<String, serde_saphyr::ser::Error> {
    serde_saphyr::to_string(value)
}

/// The first line of saphyr's error, without its position, which differs in the whole file.
pub(crate) fn sentence(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default().trim_start_matches("error: ");
    line.split(" at line ").next().unwrap_or(line).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn yaml_documents_have_line_numbers() {
        let text = "# c\n---\na: 1\n---   # x\n\n---\nb: 2\n--- {c: 3}\n";
        let found: Vec<_> =
            parse_documents("f", text).unwrap().into_iter().map(|d| (d.line, d.value)).collect();
        let json = |text: &str| serde_json::from_str::<Value>(text).unwrap();
        assert_eq!(found, [(3, json("{\"a\":1}")), (7, json("{\"b\":2}")), (8, json("{\"c\":3}"))]);
    }

    #[test]
    fn yaml_error_has_line_and_column() {
        let error = parse_documents("f.yaml", "a: 1\n---\nb:\n  - c: [\n").unwrap_err();
        assert_eq!((error.document, error.file.as_str()), (2, "f.yaml"));
        assert!(error.line >= 4, "{error}");
        let error = parse_documents("f.yaml", "a: 1\n---\nb: *nope\n").unwrap_err();
        assert_eq!((error.document, error.line, error.column), (2, 3, 4), "{error}");
        assert_eq!(
            error.to_string(),
            "f.yaml:3:4: the alias `*nope` has no anchor before it (document 2)"
        );
    }

    #[test]
    fn json_and_lists_are_parsed() {
        let list = r#"{"kind":"List","apiVersion":"v1","items":[{"a":1.0},{"a":2}]}
            {"kind":"X","items":[1]}"#;
        let found = objects(parse_documents("-", list).unwrap());
        let lines: Vec<_> = found.iter().map(|d| (d.line, d.value.to_string())).collect();
        assert_eq!(lines[0], (1, "{\"a\":1}".to_owned()));
        assert_eq!(lines[2], (2, "{\"kind\":\"X\",\"items\":[1]}".to_owned()));
    }
}
