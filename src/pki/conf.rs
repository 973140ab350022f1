//! The syntax of OpenSSL's configuration files, parsed like `def_load_bio` in OpenSSL 3's
//! conf_def.c: sections, comments, quotes, escapes, continuation, `$variables`. `request`
//! interprets the values.
//!
//! Text that OpenSSL silently ignores (after a section's bracket, in a quote that never ends, in an
//! unused line) is an error here. Never reads the environment or another file. Time and memory are
//! proportional to the length of the text, which is limited, as are expanded variables.

use std::{cell::Cell, collections::HashMap};

use anyhow::{Result, bail};

use crate::ui::text::shortened;

/// One `name = value`.
#[derive(Clone, Debug)]
pub(super) struct ConfEntry {
    pub(super) section: String,
    pub(super) name: String,
    pub(super) value: String,
    /// Line number from 1; the first line of a continued one.
    pub(super) line: usize,
    /// Whether it was read.
    read: Cell<bool>,
}

/// A file's entries in order.
#[derive(Clone, Debug)]
pub(super) struct Conf {
    pub(super) file: String,
    /// `None` if a later one of the same name replaced it.
    entries: Vec<Option<ConfEntry>>,
    /// Positions in `entries` by section and name; includes sections without entries.
    sections: HashMap<String, HashMap<String, usize>>,
    /// Bytes of all values together.
    expanded: usize,
}

/// The section that OpenSSL searches if a section does not have a name.
const DEFAULT: &str = "default";
/// OpenSSL's limit is 65,536 bytes; no field of a certificate is near it.
const LONGEST: usize = 32_768;
/// No csr.conf is near this limit: the built-in one has 700 bytes.
pub const LONGEST_FILE: usize = 1 << 20;
/// Bytes of all values together, variables expanded.
const LONGEST_VALUES: usize = 4 * LONGEST_FILE;
impl Conf {
    /// Parses `text`; errors begin `file:line: `.
    pub(super) fn parse(file: &str, text: &str) -> Result<Self> {
        if text.len() > LONGEST_FILE {
            bail!("{file}: {} bytes are too many for a csr.conf (1 MiB at most)", text.len());
        }
        let (entries, sections) = (Vec::new(), HashMap::new());
        let mut conf = Self { file: file.to_owned(), entries, sections, expanded: 0 };
        let mut section = DEFAULT.to_owned();
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut lines = (1..).zip(text.split('\n'));
        while let Some((line, first)) = lines.next() {
            let mut whole = bare(first).to_owned();
            while is_continued(&whole) {
                whole.pop();
                let Some((_, next)) = lines.next() else { break };
                whole.push_str(bare(next));
            }
            // OpenSSL treats a carriage return or a NUL within a line differently, depending on
            // where its buffer ends.
            if whole.contains(['\r', '\0']) {
                bail!("{file}:{line}: a control character is in the line");
            }
            // After lines are joined: a comment that ends with a backslash includes the next line.
            let content = uncomment(&whole).trim_matches(is_blank);
            if content.is_empty() {
                continue;
            }
            if let Some(rest) = content.strip_prefix('[') {
                section = header(rest).map_err(|why| anyhow_at(file, line, content, why))?;
                conf.sections.entry(section.clone()).or_default();
            } else {
                conf.assignment(&section, content, line)?;
            }
        }
        Ok(conf)
    }

    fn assignment(&mut self, current: &str, content: &str, line: usize) -> Result<()> {
        let fail = |why: &str| anyhow_at(&self.file, line, content, why);
        let (first, rest) = name(content);
        let (section, name, rest) = match rest.strip_prefix("::") {
            Some(rest) => {
                let (second, rest) = name(rest);
                (first, second, rest)
            }
            None => (current, first, rest),
        };
        if name.starts_with(".include") || name.starts_with(".pragma") {
            return Err(fail("directives are not supported; write their lines here"));
        }
        let Some(raw) = rest.trim_start_matches(is_blank).strip_prefix('=') else {
            return Err(fail("neither a section nor NAME = VALUE"));
        };
        let value = self.expand(section, raw.trim_matches(is_blank));
        let value = value.map_err(|why| fail(&why))?;
        self.expanded += value.len();
        if self.expanded > LONGEST_VALUES {
            return Err(fail("the variables expand to more than 4 MiB"));
        }
        let (section, name) = (section.to_owned(), name.to_owned());
        let names = self.sections.entry(section.clone()).or_default();
        // The last entry of a name wins, at its own position.
        if let Some(earlier) = names.insert(name.clone(), self.entries.len()) {
            self.entries[earlier] = None;
        }
        self.entries.push(Some(ConfEntry { section, name, value, line, read: Cell::new(false) }));
        Ok(())
    }

    /// The entries of a section, in order; `None` if the file does not have the section.
    pub(super) fn section(&self, name: &str) -> Option<Vec<&ConfEntry>> {
        let mut places: Vec<_> = self.sections.get(name)?.values().copied().collect();
        places.sort_unstable();
        let entries: Vec<_> = places.iter().filter_map(|at| self.entries[*at].as_ref()).collect();
        entries.iter().for_each(|entry| entry.read.set(true));
        Some(entries)
    }

    /// An entry of this section, else of the default one.
    pub(super) fn get(&self, section: &str, name: &str) -> Option<&ConfEntry> {
        let found = self.find(section, name).or_else(|| self.find(DEFAULT, name))?;
        found.read.set(true);
        Some(found)
    }

    fn find(&self, section: &str, name: &str) -> Option<&ConfEntry> {
        self.entries[*self.sections.get(section)?.get(name)?].as_ref()
    }

    /// The first entry that was not read.
    pub(super) fn unread(&self) -> Option<&ConfEntry> {
        self.entries.iter().flatten().find(|entry| !entry.read.get())
    }

    /// An error about one entry, with the unknown word.
    pub(super) fn error(&self, entry: &ConfEntry, what: &str) -> anyhow::Error {
        anyhow_at(&self.file, entry.line, &format!("{} = {}", entry.name, entry.value), what)
    }

    /// Quotes, escapes and variables of one value (`str_copy`).
    fn expand(&self, section: &str, raw: &str) -> Result<String, String> {
        let mut out = String::new();
        let mut rest = raw;
        while let Some(c) = rest.chars().next() {
            rest = &rest[c.len_utf8()..];
            match c {
                // Within quotes only the quote itself and the backslash are special.
                '"' | '\'' | '`' => rest = quoted(c, rest, &mut out)?,
                '\\' => {
                    let escaped = rest.chars().next().ok_or("the value ends with a backslash")?;
                    rest = &rest[escaped.len_utf8()..];
                    out.push(match escaped {
                        'n' => '\n',
                        'r' => '\r',
                        'b' => '\u{8}',
                        't' => '\t',
                        other => other,
                    });
                }
                '$' => {
                    let (value, after) = self.variable(section, rest)?;
                    out.push_str(value);
                    rest = after;
                }
                _ => out.push(c),
            }
            if out.len() > LONGEST {
                return Err("the value grows too long".to_owned());
            }
        }
        Ok(out)
    }

    /// The value of the variable that `text` (after the `$`) names, and the rest.
    fn variable<'t>(&self, own: &str, text: &'t str) -> Result<(&str, &'t str), String> {
        let close = match text.chars().next() {
            Some('{') => Some('}'),
            Some('(') => Some(')'),
            _ => None,
        };
        let (mut section, (mut name, mut rest)) =
            (own, word(&text[usize::from(close.is_some())..]));
        if let Some(after) = rest.strip_prefix("::") {
            section = name;
            (name, rest) = word(after);
        }
        if let Some(close) = close {
            let closed = rest.strip_prefix(close);
            rest = closed.ok_or_else(|| {
                format!("the variable {:?} has no closing {close:?}", shortened(name))
            })?;
        }
        // OpenSSL would search the environment before the default section.
        if section == "ENV" && self.find(section, name).is_none() {
            return Err(format!("the environment variable {:?} is not read", shortened(name)));
        }
        let found = self.get(section, name);
        let found = found.ok_or_else(|| {
            format!(
                "the variable {:?} has no value in this file; where a shell was to fill it in, \
                 write the file with `<<EOF`, not `<<'EOF'`",
                shortened(name)
            )
        })?;
        Ok((&found.value, rest))
    }
}

fn anyhow_at(file: &str, line: usize, content: &str, why: &str) -> anyhow::Error {
    anyhow::anyhow!("{file}:{line}: {}: {why}", shortened(content))
}

/// A line without its line ending.
fn bare(line: &str) -> &str {
    line.trim_end_matches('\r')
}

/// Ends with one backslash, and not with two: OpenSSL checks no more than that.
fn is_continued(line: &str) -> bool {
    line.ends_with('\\') && !line.ends_with("\\\\")
}

/// `CONF_WS`
fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\n')
}

/// Characters of section and entry names: `CONF_ALNUM_PUNCT`.
fn is_of_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || "_!.%&*+,/;?@^~|-".contains(c)
}

/// A name, and the rest.
fn name(text: &str) -> (&str, &str) {
    text.split_at(text.find(|c| !is_of_name(c)).unwrap_or(text.len()))
}

/// A variable's name (`CONF_ALNUM`), and the rest.
fn word(text: &str) -> (&str, &str) {
    let ends = |c: char| !(c.is_ascii_alphanumeric() || c == '_');
    text.split_at(text.find(ends).unwrap_or(text.len()))
}

/// The name of `[ name ]`, from the text after its bracket.
fn header(rest: &str) -> Result<String, &'static str> {
    let (name, behind) = rest.split_once(']').ok_or("the section lacks its closing bracket")?;
    let name = name.trim_matches(is_blank);
    if name.is_empty() || !name.chars().all(|c| is_of_name(c) || is_blank(c)) {
        return Err("this is not the name of a section");
    }
    if !behind.is_empty() {
        return Err("there is text after the bracket, which nothing reads");
    }
    Ok(name.to_owned())
}

/// Copies quoted text up to `quote`; returns the rest.
fn quoted<'t>(quote: char, text: &'t str, out: &mut String) -> Result<&'t str, String> {
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => out.extend(chars.next().map(|(_, escaped)| escaped)),
            c if c == quote => return Ok(&text[at + c.len_utf8()..]),
            c => out.push(c),
        }
    }
    Err(format!("the quote {quote} is not closed"))
}

/// The line up to a `#` that is neither quoted nor escaped (`clear_comments`).
fn uncomment(line: &str) -> &str {
    let (mut quote, mut escaped) = (None, false);
    for (at, c) in line.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' | '\'' | '`' if quote.is_none() => quote = Some(c),
            _ if quote == Some(c) => quote = None,
            '#' if quote.is_none() => return &line[..at],
            _ => {}
        }
    }
    line
}
