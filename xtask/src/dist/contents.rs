//! What accompanies the program in archives and packages. Completions and man pages are printed by
//! the program itself: so they belong to exactly this program, and xtask does not have to be
//! compiled with it.

use std::{fs, os::unix::process::CommandExt as _, path::Path, process::Command};

use anyhow::{Context, Result, bail};

use super::{
    platform::{Platform, runs_here},
    release::Release,
    tarball::{File, tar_gz},
};
use crate::{paths, process};

/// The shells, with the names by which they find a completion of `diyadm`.
pub(super) const SHELLS: [(&str, &str); 4] = [
    ("bash", "diyadm.bash"),
    ("zsh", "_diyadm"),
    ("fish", "diyadm.fish"),
    ("powershell", "diyadm.ps1"),
];
/// kubectl runs a program of this name for `kubectl diyadm …` and TAB.
pub(super) const KUBECTL_COMPLETE: &str = "kubectl_complete-diyadm";
const KUBECTL_COMPLETE_SCRIPT: &str = include_str!("../../data/kubectl_complete-diyadm");

/// Completions, man pages and texts.
pub(super) struct Contents {
    /// By shell.
    pub(super) completions: Vec<File>,
    /// `diyadm-empty.1`
    pub(super) pages: Vec<File>,
    pub(super) license: Vec<u8>,
    pub(super) readme: Vec<u8>,
    /// `docs/en/troubleshooting.md`, which errors name, and the rest of the book in both languages.
    pub(super) docs: Vec<File>,
}

impl Contents {
    /// What `program` prints, and the repository's own files.
    pub(super) fn of(program: &Path) -> Result<Self> {
        if !runs_here(program) {
            bail!("{} cannot be run: its completions are missing", program.display());
        }
        let completions = SHELLS.map(|(shell, name)| {
            let mut command = Command::new(program);
            // By this name the script calls it.
            command.arg0("diyadm").args(["completions", shell]);
            Ok(File::new(name, 0o644, process::output(&mut command)?))
        });
        let text = |name: &str| fs::read(paths::root().join(name)).with_context(|| name.to_owned());
        Ok(Self {
            completions: completions.into_iter().collect::<Result<_>>()?,
            pages: pages(program)?,
            license: text("LICENSE")?,
            readme: text("README.md")?,
            docs: docs()?,
        })
    }

    /// The archive for a platform.
    pub(super) fn archive(
        &self,
        platform: Platform,
        program: &Path,
        release: &Release,
    ) -> Result<Vec<u8>> {
        let program = fs::read(program).with_context(|| program.display().to_string())?;
        let mut files = vec![
            File::new(platform.program(), 0o755, program),
            kubectl_complete(KUBECTL_COMPLETE),
            File::new("LICENSE", 0o644, self.license.clone()),
            File::new("README.md", 0o644, self.readme.clone()),
        ];
        files.extend(self.docs.iter().cloned());
        files.extend(below("completions", &self.completions));
        files.extend(below("man/man1", &self.pages));
        tar_gz(&files, &format!("{}/", release.folder(platform)), release)
    }
}

/// The script for kubectl's completion.
pub(super) fn kubectl_complete(path: impl Into<String>) -> File {
    File::new(path, 0o755, KUBECTL_COMPLETE_SCRIPT)
}

/// Files as entries of a folder.
pub(super) fn below(folder: &str, files: &[File]) -> Vec<File> {
    let moved = |file: &File| File { path: format!("{folder}/{}", file.path), ..file.clone() };
    files.iter().map(moved).collect()
}

/// The pages and pictures of the book, sorted.
fn docs() -> Result<Vec<File>> {
    let mut files = Vec::new();
    for folder in ["docs/en", "docs/en/pictures", "docs/zh", "docs/zh/pictures"] {
        let entries = fs::read_dir(paths::root().join(folder)).context(folder)?;
        for path in entries.map(|entry| entry.map(|entry| entry.path())) {
            let path = path?;
            if path.is_file() {
                let name = path.strip_prefix(paths::root())?.display().to_string();
                files.push(File::new(name, 0o644, fs::read(&path)?));
            }
        }
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(files)
}

/// The pages that `diyadm man` writes.
fn pages(program: &Path) -> Result<Vec<File>> {
    let folder = paths::target().join("xtask-man");
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    process::output(Command::new(program).arg("man").arg(&folder))?;
    let mut pages = Vec::new();
    for entry in fs::read_dir(&folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        pages.push(File::new(name, 0o644, fs::read(entry.path())?));
    }
    fs::remove_dir_all(folder)?;
    Ok(pages)
}
