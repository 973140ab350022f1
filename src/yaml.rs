//! Users' manifests, read and written so that they mean to us what they mean to kubectl.
//!
//! kubectl reads YAML 1.1 through sigs.k8s.io/yaml: `yes` is true, `0644` is 420, `1.0` is 1.
//! tests/data/yaml holds what it makes of the hard cases.

use std::fmt;

use serde_json::Value;

mod scalar;

use scalar::Node;

/// One object, and where it began.
#[derive(Clone, Debug, PartialEq)]
pub struct Document {
    /// The object; keys in their order.
    pub value: Value,
    /// Line of the document, from 1.
    pub line: usize,
    /// Which document of its file, from 1.
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

/// Reads a file of YAML documents or of JSON objects; `file` is its name for errors. Documents
/// that hold nothing are left out.
pub fn read(file: &str, text: &str) -> Result<Vec<Document>, Error> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    // kubectl tells JSON by its first character.
    if text.trim_start().starts_with('{')
        && let Some(documents) = read_json(text)
    {
        return Ok(documents);
    }
    let mut documents = Vec::new();
    for (number, (line, text)) in (1..).zip(split(text)) {
        let place = |at: Option<(usize, usize)>, what: String| {
            let (row, column) = at.unwrap_or((1, 1));
            Error { file: file.to_owned(), document: number, line: line + row - 1, column, what }
        };
        let Node(value) = serde_saphyr::from_str_with_options(&text, options()).map_err(|e| {
            let at = e.location().map(|l| (position(l.line()), position(l.column())));
            place(at, sentence(&e.to_string()))
        })?;
        if !value.is_null() {
            documents.push(Document { value, line, number });
        }
    }
    Ok(documents)
}

/// `None` where it is no JSON: a YAML flow mapping starts alike.
fn read_json(text: &str) -> Option<Vec<Document>> {
    let mut stream = serde_json::Deserializer::from_str(text).into_iter::<Node>();
    let mut documents = Vec::new();
    let mut from = 0;
    while let Some(value) = stream.next() {
        let Node(value) = value.ok()?;
        let skipped = text[from..].len() - text[from..].trim_start().len();
        let line = 1 + text[..from + skipped].matches('\n').count();
        from = stream.byte_offset();
        documents.push(Document { value, line, number: documents.len() + 1 });
    }
    Some(documents)
}

/// The objects of `documents`: a List's items stand for themselves, as in `kubectl apply`.
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

/// One object as YAML that kubectl reads as the same value. Comments are gone.
///
/// # Errors
/// Never for what [`read`] returns.
pub fn write(value: &Value) -> Result<String, serde_saphyr::ser::Error> {
    serde_saphyr::to_string(value)
}

/// How kubectl reads where saphyr's own way differs, and bounds on what a file may cost.
fn options() -> serde_saphyr::Options {
    serde_saphyr::options! {
        legacy_octal_numbers: true,
        with_snippet: false,
        strict_indentation: false,
        duplicate_keys: serde_saphyr::options::DuplicateKeyPolicy::LastWins,
        non_finite_float_policy: serde_saphyr::options::NonFiniteFloatPolicy::Reject,
    }
}

fn position(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX).max(1)
}

/// saphyr's first line, without the place, which is another one in the whole file.
fn sentence(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default().trim_start_matches("error: ");
    line.split(" at line ").next().unwrap_or(line).to_owned()
}

/// Documents with the line that each begins at. A marker is a line that starts with `---` alone
/// or before a blank (YAML 1.2, section 9.1.2): what follows it on its line belongs to the
/// document, so the marker becomes blanks and columns stay true.
fn split(text: &str) -> Vec<(usize, String)> {
    let mut documents = vec![(1, String::new())];
    for (number, line) in (1..).zip(text.split_inclusive('\n')) {
        let rest = line.strip_prefix("---");
        let marker =
            rest.filter(|rest| rest.is_empty() || rest.starts_with([' ', '\t', '\r', '\n']));
        match (marker, documents.last_mut()) {
            (Some(rest), Some((start, document))) => {
                let fresh = format!("   {rest}");
                if is_blank(document) {
                    (*start, *document) = (number, fresh);
                } else {
                    documents.push((number, fresh));
                }
            }
            (_, Some((start, document))) => {
                if document.trim().is_empty() && !line.trim().is_empty() {
                    // Blank lines before a document are not part of it.
                    (*start, *document) = (number, String::new());
                }
                document.push_str(line);
            }
            (_, None) => {}
        }
    }
    documents.retain(|(_, document)| !is_blank(document));
    documents
}

/// Nothing but blanks, comments and directives.
fn is_blank(document: &str) -> bool {
    document.lines().map(str::trim).all(|l| l.is_empty() || l.starts_with(['#', '%']) || l == "...")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_know_their_lines() {
        let text = "# c\n---\na: 1\n---   # x\n\n---\nb: 2\n--- {c: 3}\n";
        let found: Vec<_> =
            read("f", text).unwrap().into_iter().map(|d| (d.line, d.value)).collect();
        let json = |text: &str| serde_json::from_str::<Value>(text).unwrap();
        assert_eq!(found, [(3, json("{\"a\":1}")), (7, json("{\"b\":2}")), (8, json("{\"c\":3}"))]);
    }

    #[test]
    fn an_error_says_where() {
        let error = read("f.yaml", "a: 1\n---\nb:\n  - c: [\n").unwrap_err();
        assert_eq!((error.document, error.file.as_str()), (2, "f.yaml"));
        assert!(error.line >= 4, "{error}");
        let error = read("f.yaml", "a: 1\n---\nb: *nope\n").unwrap_err();
        assert_eq!((error.document, error.line, error.column), (2, 3, 4), "{error}");
        assert_eq!(error.to_string(), "f.yaml:3:4: alias references unknown anchor (document 2)");
    }

    #[test]
    fn json_and_lists_are_read() {
        let list = r#"{"kind":"List","apiVersion":"v1","items":[{"a":1.0},{"a":2}]}
            {"kind":"X","items":[1]}"#;
        let found = objects(read("-", list).unwrap());
        let lines: Vec<_> = found.iter().map(|d| (d.line, d.value.to_string())).collect();
        assert_eq!(lines[0], (1, "{\"a\":1}".to_owned()));
        assert_eq!(lines[2], (2, "{\"kind\":\"X\",\"items\":[1]}".to_owned()));
    }
}
