//! `-f FILE|DIR|-`: from names to the objects in them, as kubectl's -f reads them.

use std::{
    fs,
    io::{self, Read},
    path::{Path, PathBuf},
};

use anyhow::Result;

use crate::{
    exit::Failure,
    yaml::{self, Document},
};

/// What is read of a folder.
const EXTENSIONS: [&str; 3] = ["yaml", "yml", "json"];

/// One file, or the standard input (`-`).
pub(super) struct File {
    /// As it was named.
    pub(super) name: String,
    /// Lists are taken apart.
    pub(super) objects: Vec<Document>,
}

/// Reads every file that `names` name, folders not recursively and in the order of their names.
///
/// # Errors
/// What cannot be read, or is no YAML: file, line, column.
pub(super) fn read(names: &[PathBuf]) -> Result<Vec<File>> {
    let mut files = Vec::new();
    for name in names {
        if name == Path::new("-") {
            let mut text = String::new();
            io::stdin().read_to_string(&mut text).map_err(|error| unreadable(&"-", &error))?;
            files.push(parse("-", &text)?);
        } else if name.is_dir() {
            let entries = fs::read_dir(name).and_then(Iterator::collect::<io::Result<Vec<_>>>);
            let entries = entries.map_err(|error| unreadable(&name.display(), &error))?;
            let mut paths: Vec<_> = entries.into_iter().map(|entry| entry.path()).collect();
            paths.retain(|path| {
                let extension = path.extension().and_then(|e| e.to_str());
                path.is_file() && extension.is_some_and(|e| EXTENSIONS.contains(&e))
            });
            paths.sort();
            if paths.is_empty() {
                let what = format!("{} holds no .yaml, .yml or .json file.", name.display());
                return Err(Failure::usage(what, "Name a folder with manifests.").into());
            }
            for path in paths {
                files.push(file(&path)?);
            }
        } else {
            files.push(file(name)?);
        }
    }
    Ok(files)
}

fn file(path: &Path) -> Result<File> {
    let text = fs::read_to_string(path).map_err(|error| unreadable(&path.display(), &error))?;
    parse(&path.display().to_string(), &text)
}

fn parse(name: &str, text: &str) -> Result<File> {
    let documents = yaml::read(name, text)
        .map_err(|error| Failure::usage(format!("{error}."), "Mend the file at that place."))?;
    Ok(File { name: name.to_owned(), objects: yaml::objects(documents) })
}

fn unreadable(name: &impl std::fmt::Display, error: &io::Error) -> anyhow::Error {
    let what = format!("{name} could not be read: {error}.");
    Failure::usage(what, "Name a file, a folder, or - for the standard input.").into()
}
