//! The book, in English and Chinese: docs/en and docs/zh as mdBook makes them, in target/book.

use std::{fs, path::PathBuf, process::Command};

use anyhow::{Context, Result, ensure};

use crate::{paths, process};

const MDBOOK: &str = "0.5.4";
const BOOKS: [&str; 2] = ["en", "zh"];

/// Makes both books; a warning of mdBook is an error.
pub(crate) fn build() -> Result<()> {
    let mdbook = mdbook()?;
    for book in BOOKS {
        let source = paths::root().join("docs").join(book);
        let folder = paths::target().join("book").join(book);
        let mut command = Command::new(&mdbook);
        command.arg("build").arg(&source).arg("--dest-dir").arg(&folder);
        let output = command.env("MDBOOK_LOG", "warn").output()?;
        let warnings = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success() && warnings.is_empty(), "docs/{book}: {warnings}");
        for entry in fs::read_dir(&source)? {
            let page = entry?.path();
            let is_page = page.extension().is_some_and(|extension| extension == "md")
                && !page.ends_with("SUMMARY.md");
            let name = page.with_extension("html");
            let name = name.file_name().context("a page without a name")?;
            ensure!(!is_page || folder.join(name).is_file(), "no page for {}", page.display());
        }
        println!("{}", folder.join("index.html").display());
    }
    Ok(())
}

/// The program, built from crates.io once: without its web server, and without optimization, which
/// takes longer than it spares.
fn mdbook() -> Result<PathBuf> {
    let root = paths::target().join(format!("mdbook-{MDBOOK}"));
    let program = root.join("bin/mdbook");
    if !program.is_file() {
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(["install", "--quiet", "mdbook", "--version", MDBOOK, "--locked"]);
        cargo.args(["--no-default-features", "--profile", "dev", "--root"]).arg(&root);
        cargo.arg("--target-dir").arg(root.join("build")).env("CARGO_PROFILE_DEV_DEBUG", "0");
        let what = format!("build mdbook {MDBOOK} (once; minutes on a small machine)");
        process::aloud(&what, &mut cargo)?;
        fs::remove_dir_all(root.join("build"))?;
    }
    Ok(program)
}
