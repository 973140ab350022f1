//! The syntax of OpenSSL's configuration files, as config(5) describes it: sections, comments,
//! quotes, escapes, continuation, `$variables`. What a value means is `request`'s business.

use anyhow::{Result, bail};

/// One `name = value`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) section: String,
    pub(super) name: String,
    pub(super) value: String,
    /// From 1; of a continued line the first.
    pub(super) line: usize,
}

/// A file's entries in order.
#[derive(Clone, Debug)]
pub(super) struct Conf {
    pub(super) file: String,
    entries: Vec<Entry>,
    sections: Vec<String>,
}

impl Conf {
    /// Parses `text`; errors begin `file:line: `.
    pub(super) fn parse(file: &str, text: &str) -> Result<Self> {
        let mut conf = Self { file: file.to_owned(), entries: vec![], sections: vec![] };
        let mut section = "default".to_owned();
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut lines = text.lines().enumerate();
        while let Some((at, first)) = lines.next() {
            let mut whole = uncomment(first).to_owned();
            while ends_in_continuation(&whole) {
                whole.pop();
                let Some((_, next)) = lines.next() else { break };
                whole.push_str(uncomment(next));
            }
            let (line, content) = (at + 1, whole.trim());
            if content.is_empty() {
                continue;
            }
            if let Some(rest) = content.strip_prefix('[') {
                let Some(name) = rest.strip_suffix(']') else {
                    bail!("{file}:{line}: the section {content:?} lacks its closing bracket");
                };
                name.trim().clone_into(&mut section);
                conf.sections.push(section.clone());
            } else if content.starts_with('.') {
                bail!("{file}:{line}: {content:?}: directives are not read; write the lines here");
            } else {
                let Some((name, value)) = content.split_once('=') else {
                    bail!("{file}:{line}: {content:?} is neither a section nor NAME = VALUE");
                };
                let value = conf.expand(&section, value.trim(), line)?;
                let (own, name) = name.trim().split_once("::").unwrap_or((&section, name.trim()));
                let (section, name) = (own.to_owned(), name.to_owned());
                conf.entries.push(Entry { section, name, value, line });
            }
        }
        Ok(conf)
    }

    /// The entries of a section, in order; `None` where the file has no such section.
    pub(super) fn section(&self, name: &str) -> Option<Vec<&Entry>> {
        let entries: Vec<_> = self.entries.iter().filter(|e| e.section == name).collect();
        (!entries.is_empty() || self.sections.iter().any(|s| s == name)).then_some(entries)
    }

    /// The last entry of that name wins, as in OpenSSL.
    pub(super) fn get(&self, section: &str, name: &str) -> Option<&Entry> {
        self.entries.iter().rev().find(|e| e.section == section && e.name == name)
    }

    /// An error about one entry, with the word that was not understood.
    pub(super) fn error(&self, entry: &Entry, what: &str) -> anyhow::Error {
        anyhow::anyhow!("{}:{}: {} = {}: {what}", self.file, entry.line, entry.name, entry.value)
    }

    /// Quotes, escapes and variables of one value.
    fn expand(&self, section: &str, raw: &str, line: usize) -> Result<String> {
        let file = &self.file;
        let mut out = String::new();
        let mut chars = raw.chars().peekable();
        let mut quote = None;
        while let Some(c) = chars.next() {
            match c {
                '\\' if quote != Some('\'') => match chars.next() {
                    Some('n') => out.push('\n'),
                    Some('r') => out.push('\r'),
                    Some('t') => out.push('\t'),
                    Some(other) => out.push(other),
                    None => bail!("{file}:{line}: a backslash ends the value {raw:?}"),
                },
                '"' | '\'' | '`' if quote.is_none() => quote = Some(c),
                _ if quote == Some(c) => quote = None,
                '$' if quote != Some('\'') => {
                    let close = match chars.peek() {
                        Some('{') => Some('}'),
                        Some('(') => Some(')'),
                        _ => None,
                    };
                    if close.is_some() {
                        chars.next();
                    }
                    let mut name = String::new();
                    while let Some(&c) = chars.peek() {
                        if !(c.is_alphanumeric() || c == '_' || c == ':') {
                            break;
                        }
                        name.push(c);
                        chars.next();
                    }
                    if let Some(close) = close
                        && chars.next() != Some(close)
                    {
                        bail!("{file}:{line}: the variable {name:?} lacks its closing {close:?}");
                    }
                    let found = match name.split_once("::") {
                        Some((section, name)) => self.get(section, name),
                        None => self.get(section, &name).or_else(|| self.get("default", &name)),
                    };
                    match found {
                        Some(entry) => out.push_str(&entry.value),
                        None => bail!("{file}:{line}: the variable {name:?} has no value"),
                    }
                }
                _ => out.push(c),
            }
        }
        if quote.is_some() {
            bail!("{file}:{line}: the value {raw:?} lacks its closing quote");
        }
        Ok(out)
    }
}

/// The line up to a `#` that is neither quoted nor escaped.
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

/// An odd number of backslashes at the end.
fn ends_in_continuation(line: &str) -> bool {
    line.bytes().rev().take_while(|b| *b == b'\\').count() % 2 == 1
}
