//! Blocks of commands in the documents.
//!
//! A block of language `console` shows commands after `$ ` (further lines after `> `) and their
//! output; one of `sh` is a script without output. A comment before a block changes how it is run:
//!
//! - `<!-- exits: 1 -->`: the exit code of its last command, 0 otherwise
//! - `<!-- in another terminal -->`: it runs until the page ends; the next block starts when it has
//!   printed what is shown before a line `# …`
//! - `<!-- file: NAME -->`: a block of any language, which is written to this file
//! - `<!-- not run: REASON -->`

use std::{
    collections::BTreeMap,
    fs,
    ops::Range,
    path::{Path, PathBuf},
};

use super::{documents, root};

/// How a block is run.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// The exit code that is expected.
    Exits(i32),
    InAnotherTerminal,
    /// The content of a file.
    File(String),
    NotRun(String),
}

/// A command, and what it prints.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Example {
    pub(super) command: String,
    /// The output's lines in the document; `None` for a script, whose output is not shown.
    pub(super) output: Option<Range<usize>>,
}

#[derive(Debug)]
pub(super) struct Block {
    pub(super) mode: Mode,
    pub(super) examples: Vec<Example>,
}

impl Block {
    /// Its commands, without comments.
    fn commands(&self) -> Vec<String> {
        let lines = self.examples.iter().flat_map(|example| example.command.lines());
        let without_comment = |line: &str| line.split(" #").next().unwrap().trim().to_owned();
        lines.map(without_comment).filter(|line| !line.starts_with('#')).collect()
    }
}

/// The blocks of a document, in its order.
pub(super) fn blocks(lines: &[&str]) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut at = 0;
    while at < lines.len() {
        let Some(language) = lines[at].strip_prefix("```") else {
            at += 1;
            continue;
        };
        let start = at + 1;
        let length = lines[start..].iter().position(|line| *line == "```").expect("an end");
        let body = start..start + length;
        let mode = mode(&lines[..at]);
        let text = || vec![Example { command: lines[body.clone()].join("\n"), output: None }];
        let examples = match language {
            "console" => examples(lines, &body),
            "sh" => text(),
            _ if matches!(mode, Mode::File(_)) => text(),
            _ => Vec::new(),
        };
        if !examples.is_empty() {
            blocks.push(Block { mode, examples });
        }
        at = body.end + 1;
    }
    blocks
}

fn examples(lines: &[&str], body: &Range<usize>) -> Vec<Example> {
    let mut examples: Vec<Example> = Vec::new();
    for at in body.clone() {
        if let Some(command) = lines[at].strip_prefix("$ ") {
            examples.push(Example { command: command.to_owned(), output: Some(at + 1..at + 1) });
            continue;
        }
        let last = examples.last_mut().expect("a block of the console starts with a command");
        let output = last.output.as_mut().unwrap();
        match lines[at].strip_prefix("> ") {
            Some(more) if output.start == output.end => {
                last.command.extend(["\n", more]);
                *output = at + 1..at + 1;
            }
            _ => output.end = at + 1,
        }
    }
    examples
}

/// How a block is run, by the lines before it.
fn mode(before: &[&str]) -> Mode {
    let last = before.iter().rev().find(|line| !line.is_empty()).copied().unwrap_or_default();
    let Some(comment) = last.strip_prefix("<!-- ").and_then(|rest| rest.strip_suffix(" -->"))
    else {
        return Mode::Exits(0);
    };
    if comment == "in another terminal" {
        Mode::InAnotherTerminal
    } else if let Some(reason) = comment.strip_prefix("not run: ") {
        Mode::NotRun(reason.to_owned())
    } else if let Some(name) = comment.strip_prefix("file: ") {
        Mode::File(name.to_owned())
    } else if let Some(code) = comment.strip_prefix("exits: ") {
        Mode::Exits(code.parse().unwrap())
    } else {
        Mode::Exits(0)
    }
}

/// The English pages whose blocks are run, and the README.
pub(crate) fn pages() -> Vec<PathBuf> {
    let mut pages = vec![root().join("README.md")];
    let book = root().join("docs/en");
    pages.extend(documents().into_iter().filter(|file| file.parent() == Some(&*book)));
    pages
}

#[test]
fn docs_blocks_are_run_or_say_why_not() {
    let mut counts = BTreeMap::new();
    let mut not_run = Vec::new();
    for page in pages() {
        let text = fs::read_to_string(&page).unwrap();
        for block in blocks(&text.lines().collect::<Vec<_>>()) {
            let is_run = !matches!(block.mode, Mode::NotRun(_));
            *counts.entry(is_run).or_insert(0) += block.examples.len();
            if let Mode::NotRun(reason) = &block.mode {
                assert!(reason.len() > 10, "{}: {reason}", page.display());
                not_run.push(format!("{}: {reason}", page.display()));
            }
        }
    }
    // `cargo test -- --nocapture` shows it.
    println!("commands run: {:?}; not run: {not_run:#?}", counts.get(&true));
    assert!(counts[&true] > 20, "{counts:?}");
}

#[test]
fn docs_blocks_in_chinese_are_those_of_the_english_page() {
    for page in pages() {
        let name = page.file_name().unwrap().to_str().unwrap();
        let chinese = match name {
            "README.md" => root().join("README.zh-CN.md"),
            _ => root().join("docs/zh").join(name),
        };
        if !chinese.exists() {
            continue;
        }
        let read = |file: &Path| {
            let text = fs::read_to_string(file).unwrap();
            let lines: Vec<_> = text.lines().collect();
            let blocks = blocks(&lines);
            let shown = |block: &Block| {
                let outputs = block.examples.iter().filter_map(|example| example.output.clone());
                let outputs = outputs.flat_map(|output| lines[output].to_vec());
                (block.commands(), outputs.map(str::to_owned).collect::<Vec<_>>())
            };
            blocks.iter().map(shown).collect::<Vec<_>>()
        };
        let english = read(&page);
        for block in read(&chinese) {
            assert!(english.contains(&block), "{}: {block:#?}", chinese.display());
        }
    }
}

#[test]
fn docs_blocks_are_parsed() {
    let text = "```sh\na # b\n```\n<!-- exits: 3 -->\n```console\n$ c \\\n> d\ne\nf\n$ g\n```\n";
    let lines: Vec<_> = text.lines().collect();
    let [script, console] = <[Block; 2]>::try_from(blocks(&lines)).unwrap();
    assert_eq!((&script.mode, script.commands()), (&Mode::Exits(0), vec!["a".to_owned()]));
    assert_eq!(console.mode, Mode::Exits(3));
    assert_eq!(console.examples[0].command, "c \\\nd");
    assert_eq!(lines[console.examples[0].output.clone().unwrap()], ["e", "f"]);
    assert!(console.examples[1].output.clone().unwrap().is_empty());
}
