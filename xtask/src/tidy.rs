//! `cargo xtask tidy`: the house rules, as a test.

use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, Result};

use crate::paths;

mod circles;
mod docs;
mod imports;
mod layers;

/// A file that is longer is seldom about one thing.
const MOST_LINES: usize = 400;
/// A command parses options, calls a lower layer and prints; what is longer belongs there.
const MOST_COMMAND_LINES: usize = 120;
/// Modules of the library that know no shell.
const PURE: [&str; 21] = [
    "agent/src/path",
    "agent/src/protocol",
    "conflicts",
    "explain",
    "json",
    "kinds",
    "mutate",
    "pki",
    "plan",
    "report",
    "roles",
    "rollout",
    "screen",
    "status",
    "doc_tables",
    "ui/text",
    "webhook/admission",
    "webhook/checks",
    "webhook/manifests",
    "workload",
    "yaml",
];
/// Folders of the crates whose files never use each other in a circle.
const CRATES: [&str; 4] = ["src/", "crates/agent/src/", "crates/image/src/", "xtask/src/"];
/// What a pure module never says.
const SHELL: [&str; 12] = [
    "kube::",
    "actix_web",
    "tokio",
    "std::fs",
    "std::env",
    "std::net::Tcp",
    "SystemTime",
    "Instant::now",
    "crate::kubernetes",
    "crate::commands",
    "crate::operations",
    "crate::webhook::server",
];

/// Reserved for `src/platform`: calls of one operating system. The paths are parts of nested imports.
const SYSTEM: [&str; 7] =
    ["rustix", "signal_hook", "os::unix", "os::windows", "os::linux", "os::fd", "unix::{signal"];

/// Prints each broken rule.
pub(crate) fn run() -> Result<ExitCode> {
    let broken = look(paths::root())?;
    broken.iter().for_each(|rule| println!("{rule}"));
    Ok(if broken.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Every broken rule below `root`, a line each.
pub(crate) fn look(root: &Path) -> Result<Vec<String>> {
    let mut files = Vec::new();
    for folder in ["crates", "src", "tests", "xtask/src"] {
        collect(&root.join(folder), &mut files)?;
    }
    files.sort();
    let (mut broken, mut sources) = (Vec::new(), Vec::new());
    for file in files {
        let text = fs::read_to_string(&file).with_context(|| file.display().to_string())?;
        let name = file.strip_prefix(root)?.display().to_string();
        broken.extend(rules(&name, &text).into_iter().map(|rule| format!("{name}: {rule}")));
        sources.push((name, text));
    }
    broken.extend(templates(root)?);
    broken.extend(docs::broken(root, &sources)?);
    let sources = sources.iter().filter(|(name, _)| !is_test(name));
    let sources: Vec<_> = sources.map(|(name, text)| (name.clone(), code(text))).collect();
    for root in CRATES {
        broken.extend(circles::circles(root, &sources));
    }
    Ok(broken)
}

/// A template without a golden file is rendered by no test: tests/it/golden.rs holds the files of
/// that folder, all of them, against what the program makes of the templates.
fn templates(root: &Path) -> Result<Vec<String>> {
    let mut broken = Vec::new();
    for entry in fs::read_dir(root.join("templates")).context("templates")? {
        let name = entry?.file_name().display().to_string();
        let golden = format!("tests/data/golden/templates/{name}");
        if !root.join(&golden).is_file() {
            broken.push(format!("templates/{name}: no test renders it into {golden}"));
        }
    }
    Ok(broken)
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else if path.extension().is_some_and(|e| e == "rs") {
            files.push(path);
        }
    }
    Ok(())
}

fn rules(name: &str, text: &str) -> Vec<String> {
    let mut broken = Vec::new();
    if !text.starts_with("//!") {
        broken.push("does not open with //!".to_owned());
    }
    let lines = text.lines().count();
    if lines > MOST_LINES {
        broken.push(format!("{lines} lines; is it still about one thing?"));
    } else if lines > MOST_COMMAND_LINES && name.starts_with("src/commands/") {
        broken.push(format!("{lines} lines; move what it does to a lower layer"));
    }
    let module = name.strip_prefix("src/").or_else(|| name.strip_prefix("crates/"));
    let module = module.unwrap_or_default();
    let code = code(text);
    if !is_test(name) {
        broken.extend(layers::broken(name, &code));
    }
    if name.starts_with("src/") && !name.starts_with("src/platform/") && !is_test(name) {
        let words = SYSTEM.into_iter().filter(|word| code.contains(word));
        broken.extend(words.map(|word| format!("uses {word}; move it to src/platform")));
    }
    let mut pure = PURE.iter().filter_map(|pure| module.strip_prefix(pure));
    if pure.any(|rest| rest.starts_with(['/', '.'])) {
        for (line, word) in code.lines().flat_map(|line| SHELL.map(|word| (line, word))) {
            if line.contains(word) {
                broken.push(format!("is pure, yet says {word}"));
            }
        }
    }
    broken
}

fn is_test(name: &str) -> bool {
    name.ends_with("/tests.rs") || name.contains("/tests/")
}

/// A file's code without comments and without its tests.
fn code(text: &str) -> String {
    let lines = untested(text).filter(|line| !line.trim_start().starts_with("//"));
    lines.collect::<Vec<_>>().join("\n")
}

/// The lines before a module of tests that stands in the file itself.
fn untested(text: &str) -> impl Iterator<Item = &str> {
    let is_inline = |rest: &str| {
        let opens = rest.lines().map(str::trim).find(|line| !line.starts_with("#["));
        opens.is_some_and(|line| line.contains("mod ") && line.ends_with('{'))
    };
    let attribute = "#[cfg(test)]";
    let mut found = text.match_indices(attribute);
    let cut = found.find(|(at, _)| is_inline(text[at + attribute.len()..].trim_start()));
    text[..cut.map_or(text.len(), |(at, _)| at)].lines()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pure_module_uses_no_io() {
        assert_eq!(rules("src/pki/x.rs", "//! x\nuse std::fs;\n").len(), 1);
        assert_eq!(rules("src/webhook/server/x.rs", "//! x\nuse std::fs;\n").len(), 0);
        let inline = "//! x\n#[cfg(test)]\nmod tests {\nuse std::fs;\n}\n";
        assert_eq!(rules("src/pki.rs", inline).len(), 0);
        let elsewhere = "//! x\n#[cfg(test)]\npub(super) mod tests;\nuse std::fs;\n";
        assert_eq!(rules("src/pki.rs", elsewhere).len(), 1);
    }

    #[test]
    fn only_platform_makes_system_calls() {
        let text = "//! x\nuse std::{io, os::unix::fs::MetadataExt};\nuse rustix::fs;\n";
        assert_eq!(rules("src/dev/x.rs", text).len(), 2);
        for name in ["src/platform/unix/x.rs", "src/dev/x/tests.rs", "crates/agent/src/x.rs"] {
            assert_eq!(rules(name, text), [""; 0], "{name}");
        }
    }

    #[test]
    fn template_needs_a_golden_file() {
        let root = std::env::temp_dir().join(format!("diyadm-tidy-{}", std::process::id()));
        let golden = root.join("tests/data/golden/templates");
        fs::create_dir_all(&golden).unwrap();
        fs::create_dir_all(root.join("templates")).unwrap();
        for name in ["a.yaml", "b.yaml"] {
            fs::write(root.join("templates").join(name), "").unwrap();
        }
        fs::write(golden.join("a.yaml"), "").unwrap();
        let broken = templates(&root).unwrap();
        fs::remove_dir_all(&root).unwrap();
        assert_eq!(broken.len(), 1);
        assert!(broken[0].starts_with("templates/b.yaml: "), "{broken:?}");
    }

    #[test]
    fn module_needs_a_doc_comment_and_is_short() {
        assert_eq!(rules("src/ui/x.rs", "fn x() {}\n").len(), 1);
        assert_eq!(rules("src/ui/x.rs", &"//! x\n".repeat(MOST_LINES + 1)).len(), 1);
        let long = "//! x\n".repeat(MOST_COMMAND_LINES + 1);
        assert_eq!(rules("src/commands/x.rs", &long).len(), 1);
        assert_eq!(rules("src/ui/x.rs", &long), [""; 0]);
    }
}
