//! What a file imports, as paths of names: `use` with its lists and renames, and the paths within
//! expressions that begin with `crate` or `super`.

/// A path that a file names.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Import {
    /// `crate::a::B` as its names; the last one is `*` for a glob.
    pub(super) path: Vec<String>,
    /// The name that the file has for it; `None` for a path within an expression.
    pub(super) name: Option<String>,
}

/// Every import of `code`, but those for tests alone.
pub(super) fn imports(code: &str) -> Vec<Import> {
    let mut found = Vec::new();
    let mut rest = String::new();
    let mut from = 0;
    while let Some(at) = code[from..].find("use ").map(|at| from + at) {
        let before = code[..at].trim_end();
        let before = before.strip_suffix("pub").map_or(before, str::trim_end);
        let begins = before.is_empty() || before.ends_with([';', '{', '}', ']', ')']);
        let is_word = code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_');
        let end = code[at..].find(';').map_or(code.len(), |end| at + end);
        if begins && !is_word {
            rest.push_str(&code[from..at]);
            if !before.ends_with("#[cfg(test)]") {
                list(&code[at + 4..end], &[], &mut found);
            }
            from = end;
        } else {
            rest.push_str(&code[from..at + 4]);
            from = at + 4;
        }
    }
    rest.push_str(&code[from..]);
    within_expressions(&rest, &mut found);
    found
}

/// Adds the members of a list of imports, which all begin with `prefix`.
fn list(text: &str, prefix: &[String], found: &mut Vec<Import>) {
    let (mut depth, mut start) = (0, 0);
    let ends = text.char_indices().filter(|(_, c)| {
        depth += i32::from(*c == '{') - i32::from(*c == '}');
        *c == ',' && depth == 0
    });
    let ends: Vec<_> = ends.map(|(at, _)| at).chain([text.len()]).collect();
    for end in ends {
        let member = text[start..end].trim();
        start = (end + 1).min(text.len());
        let names = |path: &str| {
            let own = path.split("::").map(str::trim).filter(|name| !name.is_empty());
            prefix.iter().cloned().chain(own.map(ToOwned::to_owned)).collect::<Vec<_>>()
        };
        if let Some((path, members)) = member.split_once('{') {
            list(members.trim_end().trim_end_matches('}'), &names(path), found);
        } else if !member.is_empty() {
            let (path, name) = member.split_once(" as ").unwrap_or((member, ""));
            let mut path = names(path);
            if path.last().is_some_and(|last| last == "self") && path.len() > 1 {
                path.pop();
            }
            let last = path.last().cloned().unwrap_or_default();
            let name = if name.is_empty() { last } else { name.trim().to_owned() };
            found.push(Import { path, name: Some(name) });
        }
    }
}

fn within_expressions(code: &str, found: &mut Vec<Import>) {
    let is_name = |c: char| c.is_alphanumeric() || c == '_';
    for root in ["crate::", "super::"] {
        for (at, _) in code.match_indices(root) {
            if code[..at].ends_with(|c: char| is_name(c) || c == ':' || c == '$') {
                continue;
            }
            let end =
                code[at..].find(|c: char| !is_name(c) && c != ':').map_or(code.len(), |e| at + e);
            let names = code[at..end].split("::").filter(|name| !name.is_empty());
            found.push(Import { path: names.map(ToOwned::to_owned).collect(), name: None });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_lists_renames_globs_and_paths() {
        let code = "pub use a::{b::{self, C as D}, e::*};\nuse super::f;\n#[cfg(test)]\nuse g::H;\n\
                    fn x() { crate::i::j(super::k::L); $crate::m!() }";
        let shown = imports(code).into_iter().map(|Import { path, name }| {
            format!("{} {}", path.join("::"), name.unwrap_or_default()).trim_end().to_owned()
        });
        let expected =
            ["a::b b", "a::b::C D", "a::e::* *", "super::f f", "crate::i::j", "super::k::L"];
        assert_eq!(shown.collect::<Vec<_>>(), expected);
    }
}
