//! Every link of a document leads somewhere, and every page is in its book.

use std::{collections::BTreeSet, fs, path::Path};

use super::{documents, root};

/// Lines outside blocks of code.
fn prose(text: &str) -> impl Iterator<Item = &str> {
    let mut in_block = false;
    text.lines().filter(move |line| {
        let is_fence = line.trim_start().starts_with("```");
        in_block ^= is_fence;
        !in_block && !is_fence
    })
}

/// The targets of the links and pictures of a document.
fn targets(text: &str) -> Vec<String> {
    let text = prose(text).collect::<Vec<_>>().join("\n");
    // Every second part is in backquotes.
    let text: String = text.split('`').step_by(2).collect();
    let links = text.split("](").skip(1).filter_map(|rest| rest.split_once(')'));
    let pictures = text.split("src=\"").skip(1).filter_map(|rest| rest.split_once('"'));
    links.chain(pictures).map(|(target, _)| target.to_owned()).collect()
}

/// The anchors of a document: of its headings, as GitHub and mdBook make them, and `<a id="…">`.
fn anchors(text: &str) -> BTreeSet<String> {
    let headings = prose(text).filter(|line| line.starts_with('#'));
    let slug = |heading: &str| {
        let kept = heading.trim_start_matches('#').trim().chars().filter_map(|c| match c {
            ' ' => Some('-'),
            '-' | '_' => Some(c),
            _ => c.is_alphanumeric().then_some(c),
        });
        kept.flat_map(char::to_lowercase).collect::<String>()
    };
    let named = text.split("<a id=\"").skip(1).filter_map(|rest| rest.split_once('"'));
    headings.map(slug).chain(named.map(|(id, _)| id.to_owned())).collect()
}

/// Why a link of `file` leads nowhere.
fn broken(file: &Path, target: &str) -> Option<String> {
    if target.starts_with("https://") {
        return None;
    }
    let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
    let path = if path.is_empty() { file.to_owned() } else { file.parent()?.join(path) };
    if !path.exists() {
        return Some(format!("{}: there is no file {target}", file.display()));
    }
    let is_known = || anchors(&fs::read_to_string(&path).unwrap()).contains(anchor);
    (!anchor.is_empty() && !is_known())
        .then(|| format!("{}: there is no anchor {target}", file.display()))
}

#[test]
fn links_of_documents_lead_to_files_and_anchors() {
    let mut broken_links = Vec::new();
    let mut tried = 0;
    for file in documents() {
        for target in targets(&fs::read_to_string(&file).unwrap()) {
            tried += 1;
            broken_links.extend(broken(&file, &target));
        }
    }
    assert!(tried > 30, "{tried}");
    assert_eq!(broken_links, [""; 0]);

    // What this test would find.
    let readme = root().join("README.md");
    assert!(broken(&readme, "docs/en/none.md").is_some());
    assert!(broken(&readme, "docs/en/glossary.md#none").is_some());
    assert!(broken(&readme, "docs/en/glossary.md#glossary").is_none());
    assert_eq!(targets("[a](b) `[c](d)`\n```\n[e](f)\n```\n<img src=\"g\">"), ["b", "g"]);
}

#[test]
fn books_have_every_page_once() {
    let mut books = Vec::new();
    for book in ["docs/en", "docs/zh"] {
        let book = root().join(book);
        let mut listed = targets(&fs::read_to_string(book.join("SUMMARY.md")).unwrap());
        listed.sort();
        let pages = documents().into_iter().filter(|file| file.parent() == Some(&*book));
        let names = pages.map(|page| page.file_name().unwrap().to_str().unwrap().to_owned());
        let pages: Vec<_> = names.filter(|name| name != "SUMMARY.md").collect();
        assert_eq!(pages, listed, "{}", book.display());
        books.push(pages);
    }
    assert_eq!(books[0], books[1], "both books have the same pages");
}
