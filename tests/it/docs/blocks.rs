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
//!
//! `<!-- run: COMMAND -->` is a command that the reader is not shown: it makes what a page takes for
//! granted, such as a second user.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    ops::Range,
    path::{Path, PathBuf},
};

use clap::CommandFactory as _;
use diyadm::cli::Cli;

use super::{documents, root};

/// The blocks that build diyadm itself, and so the tests that run the others: one in README.md and one
/// of the page Install.
const MOST_NOT_RUN: usize = 2;

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
        let hidden =
            lines[at].strip_prefix("<!-- run: ").and_then(|rest| rest.strip_suffix(" -->"));
        if let Some(command) = hidden {
            let examples = vec![Example { command: command.to_owned(), output: None }];
            blocks.push(Block { mode: Mode::Exits(0), examples });
        }
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
    assert!(not_run.len() <= MOST_NOT_RUN, "{not_run:#?}");
    assert!(counts[&true] > 100, "{counts:?}");
}

/// Commands whose output the book does not show, with the reason.
const NOT_SHOWN: [(&str, &str); 2] = [
    ("serve", "it runs in the cluster, where `install` starts it"),
    ("completions", "shells read it: it has a thousand lines"),
];

#[test]
fn docs_show_the_output_of_every_command() {
    let mut shown = BTreeSet::new();
    for page in pages() {
        let text = fs::read_to_string(&page).unwrap();
        let lines: Vec<_> = text.lines().collect();
        let blocks = blocks(&lines).into_iter();
        let is_run = |block: &Block| matches!(block.mode, Mode::Exits(_) | Mode::InAnotherTerminal);
        for example in blocks.filter(is_run).flat_map(|block| block.examples) {
            if example.output.is_some_and(|output| !output.is_empty()) {
                shown.extend(called(&example.command));
            }
        }
    }
    let cli = Cli::command();
    let mut commands = Vec::new();
    for command in cli.get_subcommands().filter(|command| command.get_name() != "help") {
        let name = command.get_name().to_owned();
        let parts: Vec<_> = command.get_subcommands().map(clap::Command::get_name).collect();
        match &parts[..] {
            [] => commands.push(name),
            parts => commands.extend(parts.iter().map(|part| format!("{name} {part}"))),
        }
    }
    let is_excepted = |name: &String| NOT_SHOWN.iter().any(|(excepted, _)| excepted == name);
    let (excepted, missing): (Vec<_>, Vec<_>) =
        commands.into_iter().filter(|name| !shown.contains(name)).partition(is_excepted);
    assert_eq!(missing, [""; 0], "no page shows the output of these");
    assert_eq!(excepted.len(), NOT_SHOWN.len(), "only {excepted:?} are not shown");
}

/// The commands of diyadm that a line calls: `status`, and `images` and `images list`.
fn called(line: &str) -> Vec<String> {
    let words: Vec<_> = line.split_whitespace().collect();
    let calls = words.iter().enumerate().filter(|(_, word)| **word == "diyadm");
    let names = calls.flat_map(|(at, _)| {
        let next = |more: usize| words.get(at + more).copied().unwrap_or_default();
        [next(1).to_owned(), format!("{} {}", next(1), next(2))]
    });
    names.collect()
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
