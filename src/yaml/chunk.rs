//! Splits a YAML file into documents as unparsed text.

/// A document as text: its marker and comments, then the object.
///
/// The concatenated chunks equal the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chunk<'a> {
    /// Marker, comments and blank lines; only `---` if the object begins on its line.
    pub head: &'a str,
    /// The object; may be empty.
    pub body: &'a str,
    /// First line of `body`, from 1.
    pub line: usize,
}

/// Whether a line is a marker: `---`, alone or followed by a blank (YAML 1.2, section 9.1.2).
pub fn is_marker(line: &str) -> bool {
    let rest = line.strip_prefix("---");
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t', '\r', '\n']))
}

impl<'a> Chunk<'a> {
    /// `text` has at most one marker, at its beginning; `line` is its position.
    pub fn new(text: &'a str, mut line: usize) -> Self {
        let mut end = 0;
        for each in text.split_inclusive('\n') {
            let rest = if end == 0 && is_marker(each) { &each[3..] } else { each };
            let rest = rest.trim();
            let skipped = rest.is_empty() || rest.starts_with(['#', '%']) || rest == "...";
            if !skipped {
                if end == 0 && is_marker(each) {
                    end = 3;
                }
                break;
            }
            end += each.len();
            line += 1;
        }
        let (head, body) = text.split_at(end);
        Self { head, body, line }
    }

    /// Column of the body's first character, from 1: text after a marker on its line belongs to the
    /// document.
    pub(super) fn column(&self) -> usize {
        if self.head == "---" { 4 } else { 1 }
    }
}

/// Splits a file at its markers.
pub fn chunks(text: &str) -> impl Iterator<Item = Chunk<'_>> {
    let mut lines = text.split_inclusive('\n').peekable();
    let (mut from, mut line) = (0, 1);
    std::iter::from_fn(move || {
        let (mut to, mut count) = (from + lines.next()?.len(), 1);
        while let Some(next) = lines.next_if(|next| !is_marker(next)) {
            to += next.len();
            count += 1;
        }
        let chunk = Chunk::new(&text[from..to], line);
        (from, line) = (to, line + count);
        Some(chunk)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn yaml_chunks_joined_are_the_file() {
        let text = "%YAML 1.2\n---\n# c\n\na: 1\n---x\n---\t# y\n--- {b: 1}\nc\n---\r\n---";
        let found: Vec<_> = chunks(text).collect();
        let whole: String = found.iter().flat_map(|chunk| [chunk.head, chunk.body]).collect();
        assert_eq!(whole, text);
        let bodies: Vec<_> = found.iter().map(|chunk| (chunk.line, chunk.body)).collect();
        assert_eq!(
            bodies,
            [(2, ""), (5, "a: 1\n---x\n"), (8, ""), (8, " {b: 1}\nc\n"), (11, ""), (12, "")]
        );
        assert_eq!(found[3].head, "---");
        assert_eq!(chunks("").count(), 0);
    }
}
