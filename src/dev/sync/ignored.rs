//! Excluded files of a folder: `.gitignore`, `.diyadmignore` and `--exclude`, all in git's syntax.
//! Applied to local and remote files alike, so that locally excluded files are not deleted in the
//! container.

use std::{
    collections::BTreeMap,
    ffi::OsStr,
    path::{Path, PathBuf},
};

use anyhow::{Result, anyhow};
use ignore::{
    Match,
    gitignore::{Gitignore, GitignoreBuilder},
};

use crate::{
    exit::{Failure, Topic},
    platform::files,
};

/// The ignore files of each folder. The last matching pattern is used.
pub(crate) const FILES: [&str; 2] = [".gitignore", ".diyadmignore"];
/// No running program needs it, and it is often the biggest part of a project.
const ALWAYS: &str = ".git";

/// The patterns of a folder and its subfolders.
#[derive(Debug)]
pub(crate) struct Ignored {
    root: PathBuf,
    /// The patterns of --exclude.
    first: Gitignore,
    /// By folder, relative to the root; read together with the folder.
    folders: BTreeMap<PathBuf, Gitignore>,
    /// Whether files are read.
    files: bool,
}

impl Ignored {
    /// For the folder `root`. `files`: whether ignore files are used.
    ///
    /// # Errors
    /// An --exclude that makes no sense.
    pub(crate) fn new(root: &Path, exclude: &[String], files: bool) -> Result<Self> {
        let mut first = GitignoreBuilder::new(root);
        for pattern in exclude {
            first.add_line(None, pattern).map_err(|error| {
                let what = format!("--exclude {pattern:?} is not a .gitignore pattern: {error}.");
                Failure::usage(
                    Topic::CommandLine,
                    what,
                    "Write it as in a .gitignore: `*.log`, `/build/`, `!keep.log`.",
                )
            })?;
        }
        let first = first.build().map_err(|error| anyhow!("{error}"))?;
        Ok(Self { root: root.to_owned(), first, folders: BTreeMap::new(), files })
    }

    /// Reads the ignore files of a folder, relative to the root; returns an error message for an
    /// invalid one.
    pub(crate) fn enter(&mut self, folder: &Path) -> Option<String> {
        if !self.files {
            return None;
        }
        let at = self.root.join(folder);
        let mut builder = GitignoreBuilder::new(&at);
        let mut wrong = None;
        for name in FILES {
            let file = at.join(name);
            if file.is_file() {
                wrong = builder.add(file).map(|error| error.to_string()).or(wrong);
            }
        }
        match builder.build() {
            Ok(rules) if rules.is_empty() => drop(self.folders.remove(folder)),
            Ok(rules) => drop(self.folders.insert(folder.to_owned(), rules)),
            Err(error) => wrong = Some(error.to_string()),
        }
        wrong
    }

    /// Whether a path below the root is excluded itself. Everything in an excluded folder is
    /// excluded, regardless of other patterns.
    pub(crate) fn leaves_out(&self, path: &Path, is_folder: bool) -> bool {
        let full = self.root.join(path);
        match self.first.matched(&full, is_folder) {
            Match::None => {}
            word => return word.is_ignore(),
        }
        // The nearest folder's pattern is used.
        let folders = path.ancestors().skip(1).filter_map(|folder| self.folders.get(folder));
        for rules in folders {
            match rules.matched(&full, is_folder) {
                Match::None => {}
                word => return word.is_ignore(),
            }
        }
        self.files && path.file_name() == Some(OsStr::new(ALWAYS))
    }

    /// Whether a path below the root, without further information, is excluded, itself or with a
    /// parent folder.
    pub(crate) fn leaves_out_bytes(&self, path: &[u8], is_folder: bool) -> bool {
        let path = files::local_path(path);
        let above = path.ancestors().skip(1).filter(|folder| !folder.as_os_str().is_empty());
        above.into_iter().any(|folder| self.leaves_out(folder, true))
            || self.leaves_out(&path, is_folder)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn nearest_and_last_ignore_pattern_wins() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        fs::create_dir_all(root.join("a/b")).unwrap();
        fs::write(root.join(".gitignore"), "*.log\n/target\n").unwrap();
        fs::write(root.join("a/.gitignore"), "!keep.log\n").unwrap();
        fs::write(root.join("a/.diyadmignore"), "*.tmp\n!.git\n").unwrap();
        let mut ignored = Ignored::new(root, &["secret".to_owned()], true).unwrap();
        for folder in ["", "a", "a/b"] {
            assert_eq!(ignored.enter(Path::new(folder)), None);
        }
        for (path, out) in [
            ("x.log", true),
            ("a/x.log", true),
            ("a/keep.log", false),
            ("keep.log", true),
            ("a/b/x.tmp", true),
            ("x.tmp", false),
            ("target", true),
            ("a/target", false),
            ("target/classes/A.class", true),
            ("a/b/secret", true),
            (".git", true),
            (".git/HEAD", true),
            ("a/.git", false),
            (".gitignore", false),
        ] {
            assert_eq!(ignored.leaves_out_bytes(path.as_bytes(), false), out, "{path}");
        }
        let none = Ignored::new(root, &[], false).unwrap();
        assert!(!none.leaves_out_bytes(b".git/HEAD", false));
        assert!(!none.leaves_out_bytes(b"x.log", false));
    }
}
