//! The Chinese pages have the flags, annotations and commands of the English ones.

use std::{collections::BTreeSet, fs};

use super::{blocks::pages, root};

/// The text between backquotes, outside of blocks.
fn code_spans(text: &str) -> Vec<String> {
    let (mut in_block, mut prose) = (false, String::new());
    for line in text.lines() {
        if line.starts_with("```") {
            in_block = !in_block;
        } else if !in_block {
            prose.push_str(line);
            prose.push('\n');
        }
    }
    prose.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// The longest prefix that a name can be.
fn name(text: &str) -> &str {
    let end = text.find(|c: char| !c.is_ascii_lowercase() && c != '-');
    &text[..end.unwrap_or(text.len())]
}

/// Flags (`--all`), annotations (`diyadm.io/image`) and commands (`diyadm empty`) of a page.
fn terms(text: &str) -> BTreeSet<String> {
    let mut terms = BTreeSet::new();
    for span in code_spans(text) {
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
        let english = terms(&fs::read_to_string(&page).unwrap());
        assert!(name != "commands.md" || english.contains("diyadm empty"), "{english:?}");
        let lacks = english.into_iter().filter(|term| !shows(&chinese, term));
        missing.extend(lacks.map(|term| format!("the Chinese {name} lacks `{term}`")));
    }
    assert!(missing.is_empty(), "{missing:#?}");
}

/// Whether the text has the term as whole words: `--copy` is not in `--copy-of`.
fn shows(text: &str, term: &str) -> bool {
    text.match_indices(term).any(|(at, _)| {
        let after = text[at + term.len()..].chars().next();
        !after.is_some_and(|c| c.is_ascii_alphanumeric() || c == '-')
    })
}

#[test]
fn docs_terms_are_found() {
    let text = "`empty --copy NAME`, `diyadm.io/copy: NAME`\n```sh\ndiyadm run --share\n```\n\
                `kubectl diyadm …` and `diyadm diff deploy/web a.jar`, `--ready=app`\n";
    let found = terms(text).into_iter().collect::<Vec<_>>();
    assert_eq!(found, ["--copy", "--ready", "diyadm diff", "diyadm.io/copy"]);
    assert!(shows("see `--copy me`", "--copy") && !shows("`--copy-of`", "--copy"));
}
