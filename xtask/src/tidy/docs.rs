//! Documents name files and functions: each must be there, so that a renamed one is renamed in the
//! documents too.

use std::{fs, path::Path};

use anyhow::{Context, Result};

/// The documents that lead through the code.
const DOCUMENTS: [&str; 5] =
    ["ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md", "docs/en/versions.md", "docs/style.md"];

/// Files that are named and missing, and functions that are named with their file and missing
/// there. `files` are the names and texts of all sources.
pub(super) fn broken(root: &Path, files: &[(String, String)]) -> Result<Vec<String>> {
    let mut broken = Vec::new();
    for document in DOCUMENTS {
        let text = fs::read_to_string(root.join(document)).context(document)?;
        broken.extend(missing(&text, files).into_iter().map(|why| format!("{document}: {why}")));
    }
    Ok(broken)
}

/// What a document names and the sources lack.
fn missing(text: &str, files: &[(String, String)]) -> Vec<String> {
    let mut missing = Vec::new();
    // A fence of three backquotes keeps the parity: every second part is in backquotes.
    let parts: Vec<_> = text.split('`').collect();
    for (at, part) in parts.iter().enumerate().skip(1).step_by(2) {
        if is_source(part) {
            if named(files, part).next().is_none() {
                missing.push(format!("there is no file `{part}`"));
            }
        } else if is_path(part) {
            let name = part.rsplit("::").next().unwrap_or(part);
            if !files.iter().any(|(_, text)| defines(text, name)) {
                missing.push(format!("there is no function `{part}`"));
            }
        } else if let (Some(between), Some(file)) = (parts.get(at + 1), parts.get(at + 2))
            && between.split_whitespace().eq(["in"])
            && is_source(file)
            && part.chars().all(|c| c.is_ascii_lowercase() || c == '_')
            && !named(files, file).any(|(_, text)| defines(text, part))
        {
            missing.push(format!("`{file}` has no function `{part}`"));
        }
    }
    missing
}

/// `tests/it/rig.rs`; a name of a placeholder, such as `src/cli/NAME.rs`, is none.
fn is_source(part: &str) -> bool {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "_/.".contains(c);
    part.strip_suffix(".rs").is_some_and(|stem| stem.chars().all(fits))
}

/// `attack::bodies_are_bounded_in_bytes`
fn is_path(part: &str) -> bool {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "_:".contains(c);
    part.contains("::") && !part.ends_with(':') && part.chars().all(fits)
}

/// The files that `path` names, which may lack its first folders.
fn named<'a>(
    files: &'a [(String, String)],
    path: &str,
) -> impl Iterator<Item = &'a (String, String)> {
    files.iter().filter(move |(name, _)| {
        name.strip_suffix(path).is_some_and(|rest| rest.is_empty() || rest.ends_with('/'))
    })
}

/// Whether a function or module of this name is defined.
fn defines(text: &str, name: &str) -> bool {
    ["fn ", "mod "].iter().any(|keyword| {
        let wanted = format!("{keyword}{name}");
        text.match_indices(&wanted)
            .any(|(at, _)| text[at + wanted.len()..].starts_with(['(', '<', ';', ' ']))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_missing_files_and_functions() {
        let files = [("src/a/b.rs".to_owned(), "fn run(x: u8) {}\nfn all<T>() {}".to_owned())];
        for text in
            ["`a/b.rs`", "`run` in `b.rs`", "`all` in\n`src/a/b.rs`", "`x::all`", "`d/NAME.rs`"]
        {
            assert_eq!(missing(text, &files), [""; 0], "{text}");
        }
        for text in ["`a/c.rs`", "`/b.rs`", "`ru` in `b.rs`", "`b::none`"] {
            assert_eq!(missing(text, &files).len(), 1, "{text}");
        }
    }
}
