//! Atomic file writes: the text is written to a temporary file and then renamed. A failure keeps
//! the old file and leaves nothing of the new one. Every command writes files with this module.

use std::{
    fs::{self, File},
    io::{self, ErrorKind, Write},
    path::{Path, PathBuf},
};

use crate::{
    exit::{Failure, Topic},
    platform::files,
};

/// A temporary file with its text. Removed unless it is moved to its final name.
pub(crate) struct Staged {
    path: PathBuf,
    temporary: PathBuf,
    /// The file to replace, for its owner, mode and attributes.
    pub(crate) file: File,
    placed: bool,
}

impl Staged {
    /// Writes and syncs `text` to a temporary file next to `path`. Other users never have more
    /// access than `mode` allows.
    ///
    /// # Errors
    /// The file cannot be written; nothing is left of it.
    pub(crate) fn new(path: &Path, text: &str, mode: u32) -> io::Result<Self> {
        Self::with(path, mode, |file| file.write_all(text.as_bytes()))
    }

    /// [`Staged::new`] with what `write` writes.
    ///
    /// # Errors
    /// Those of `write`, and of [`Staged::new`].
    pub(crate) fn with(
        path: &Path,
        mode: u32,
        write: impl FnOnce(&mut File) -> io::Result<()>,
    ) -> io::Result<Self> {
        if path.is_dir() {
            return Err(ErrorKind::IsADirectory.into());
        }
        let name = path.file_name().ok_or(ErrorKind::InvalidFilename)?.to_string_lossy();
        // A name of maximum length has no room for a suffix.
        let name: String = name.chars().take(32).collect();
        // The kubelet ignores names that begin with a dot.
        let temporary = path.with_file_name(format!(".{name}.diyadm-{}", std::process::id()));
        // Left by a killed process with the same id.
        let _ = fs::remove_file(&temporary);
        let file = files::create_new(&temporary, mode)?;
        let mut staged = Self { path: path.to_owned(), temporary, file, placed: false };
        write(&mut staged.file)?;
        staged.file.sync_all()?;
        Ok(staged)
    }

    /// Renames it to its final name, replacing an existing file.
    pub(crate) fn place(mut self) -> io::Result<()> {
        fs::rename(&self.temporary, &self.path)?;
        self.placed = true;
        Ok(())
    }

    /// Renames it to its final name, unless that exists.
    fn place_new(mut self) -> io::Result<()> {
        files::rename_new(&self.temporary, &self.path)?;
        self.placed = true;
        Ok(())
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        if !self.placed {
            let _ = fs::remove_file(&self.temporary);
        }
    }
}

/// Folders that were created for a file. Removed unless kept.
pub(crate) struct NewFolders {
    /// The innermost first.
    made: Vec<PathBuf>,
}

impl NewFolders {
    /// Creates a folder and its missing parents.
    pub(crate) fn create(folder: &Path) -> io::Result<Self> {
        let is_missing = |folder: &&Path| !folder.as_os_str().is_empty() && !folder.exists();
        let made = folder.ancestors().take_while(is_missing).map(Path::to_owned).collect();
        let new = Self { made };
        fs::create_dir_all(folder)?;
        Ok(new)
    }

    pub(crate) fn keep(&mut self) {
        self.made.clear();
    }
}

impl Drop for NewFolders {
    fn drop(&mut self) {
        // A folder with other files stays.
        let _ = self.made.iter().try_for_each(fs::remove_dir);
    }
}

/// Writes a new file.
///
/// # Errors
/// [`ErrorKind::AlreadyExists`], which changes nothing; or the file cannot be written, and nothing
/// is left of it.
pub(crate) fn create(path: &Path, text: &str, mode: u32) -> io::Result<File> {
    if path.symlink_metadata().is_ok() {
        return Err(ErrorKind::AlreadyExists.into());
    }
    let staged = Staged::new(path, text, mode)?;
    let file = staged.file.try_clone()?;
    staged.place_new()?;
    Ok(file)
}

/// The error for an unwritable file; `flag` sets another path, `--out DIR`.
pub(crate) fn unwritable(path: &Path, error: &io::Error, flag: &str) -> Failure {
    let full = [ErrorKind::StorageFull, ErrorKind::QuotaExceeded, ErrorKind::FileTooLarge];
    let hint = match error.kind() {
        kind if full.contains(&kind) => format!(
            "Free some space (`df -h`, `quota`, `ulimit -f`), or use another path: `{flag}`."
        ),
        ErrorKind::ReadOnlyFilesystem => {
            format!("Use a path on a file system that is not read-only: `{flag}`.")
        }
        ErrorKind::InvalidFilename => format!("Use a shorter path: `{flag}`."),
        _ => format!("Use a path that you may write to: `{flag}`."),
    };
    Failure::usage(
        Topic::LocalFile,
        format!("{} cannot be written: {error}.", path.display()),
        hint,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[test]
    fn staged_file_replaces_the_old_one_whole_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        fs::write(&path, "old").unwrap();
        drop(Staged::new(&path, "new", 0o600).unwrap());
        assert_eq!(fs::read_to_string(&path).unwrap(), "old");
        assert_eq!(names(folder.path()), ["a"]);
        Staged::new(&path, "new", 0o600).unwrap().place().unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
        assert_eq!(names(folder.path()), ["a"]);
        assert!(Staged::new(folder.path(), "new", 0o600).is_err(), "a folder is not replaced");
        assert_eq!(create(&path, "x", 0o600).unwrap_err().kind(), ErrorKind::AlreadyExists);
        assert_eq!(names(folder.path()), ["a"]);
        // The maximum length of a name.
        create(&folder.path().join("l".repeat(255)), "x", 0o600).unwrap();
        assert_eq!(names(folder.path()).len(), 2);
        let longer = create(&folder.path().join("l".repeat(256)), "x", 0o600).unwrap_err();
        assert_eq!(longer.kind(), ErrorKind::InvalidFilename);
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
    }

    #[test]
    fn full_disk_is_reported() {
        let failure = unwritable(Path::new("x"), &ErrorKind::StorageFull.into(), "--out DIR");
        assert!(failure.what.starts_with("x cannot be written: "), "{}", failure.what);
        assert!(failure.hint.contains("space") && failure.hint.contains("--out DIR"));
    }
}
