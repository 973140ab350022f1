//! The Chinese pages have the flags, annotations, commands and table rows of the English ones.

use std::{collections::BTreeSet, fs};

use super::{blocks::pages, root};

/// The text without blocks.
fn prose(text: &str) -> String {
    let mut in_block = false;
    let mut prose = String::new();
    for line in text.lines() {
        if line.starts_with("```") {
            in_block = !in_block;
        } else if !in_block {
            prose.push_str(line);
            prose.push('\n');
        }
    }
    prose
}

/// What is between backquotes.
fn code_spans(prose: &str) -> impl Iterator<Item = &str> {
    prose.split('`').skip(1).step_by(2)
}

/// The longest prefix that a name can be.
fn name(text: &str) -> &str {
    let end = text.find(|c: char| !c.is_ascii_lowercase() && c != '-');
    &text[..end.unwrap_or(text.len())]
}

/// What is between backquotes in the first column of tables.
fn table_rows(text: &str) -> BTreeSet<String> {
    let prose = prose(text);
    let cells = prose.lines().filter_map(|line| line.strip_prefix("| ")?.split('|').next());
    cells.flat_map(code_spans).map(str::to_owned).collect()
}

/// Flags (`--all`), annotations (`diyadm.io/image`) and commands (`diyadm empty`) of a page.
fn terms(text: &str) -> BTreeSet<String> {
    let mut terms = BTreeSet::new();
    for span in code_spans(&prose(text)) {
        let words: Vec<_> = span.split_whitespace().collect();
        for (at, word) in words.iter().enumerate() {
            let next = words.get(at + 1).copied().unwrap_or_default();
            if word.strip_prefix("--").is_some_and(|flag| !name(flag).is_empty()) {
                terms.insert(name(word).to_owned());
            } else if let Some(key) = word.strip_prefix("diyadm.io/") {
                terms.insert(format!("diyadm.io/{}", name(key)));
            } else if *word == "diyadm" && !next.starts_with('-') && name(next) == next {
                terms.insert(format!("diyadm {next}").trim_end().to_owned());
            }
        }
    }
    terms
}

#[test]
fn docs_terms_of_english_pages_are_on_the_chinese_pages() {
    let mut missing = Vec::new();
    for page in pages() {
        let name = page.file_name().unwrap().to_str().unwrap();
        let chinese = match name {
            "README.md" => root().join("README.zh-CN.md"),
            _ => root().join("docs/zh").join(name),
        };
        let chinese = fs::read_to_string(chinese).unwrap();
        let english = fs::read_to_string(&page).unwrap();
        let rows = table_rows(&chinese);
        let lacks_row = table_rows(&english).into_iter().filter(|row| !rows.contains(row));
        missing.extend(lacks_row.map(|row| format!("a table of the Chinese {name} lacks `{row}`")));
        let lacks = terms(&english).into_iter().filter(|term| !shows(&chinese, term));
        missing.extend(lacks.map(|term| format!("the Chinese {name} lacks `{term}`")));
    }
    assert!(missing.is_empty(), "{missing:#?}");
}

/// Whether the text has the term as whole words: `--copy` is not in `--copy-of`.
fn shows(text: &str, term: &str) -> bool {
    let is_in_word = |c: char| c.is_ascii_alphanumeric() || c == '-';
    text.match_indices(term).any(|(at, _)| !text[at + term.len()..].starts_with(is_in_word))
}

#[test]
fn docs_terms_are_found() {
    let text = "`empty --copy NAME`, `diyadm.io/copy: NAME`\n```sh\ndiyadm run --share\n```\n\
                `kubectl diyadm …` and `diyadm diff deploy/web a.jar`, `--ready=app`\n\
                | `for`, `image` | `8h` |\n";
    let found = terms(text).into_iter().collect::<Vec<_>>();
    assert_eq!(found, ["--copy", "--ready", "diyadm diff", "diyadm.io/copy"]);
    assert_eq!(table_rows(text).into_iter().collect::<Vec<_>>(), ["for", "image"]);
    assert!(shows("see `--copy me`", "--copy") && !shows("`--copy-of`", "--copy"));
}
