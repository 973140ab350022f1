//! From names on the command line to what they hold: any file, `-` for the standard input, and
//! `-f FILE|DIR|-` as kubectl's -f reads it.

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
        if name.is_dir() {
            let entries = fs::read_dir(name).and_then(Iterator::collect::<io::Result<Vec<_>>>);
            let shown = name.display().to_string();
            let entries = entries.map_err(|error| unreadable(&shown, &error, "another folder"))?;
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
    let name = path.display().to_string();
    let text = text(path).map_err(|error| {
        unreadable(&name, &error, "a file, a folder, or - for the standard input")
    })?;
    let documents = yaml::read(&name, &text)
        .map_err(|error| Failure::usage(format!("{error}."), "Mend the file at that place."))?;
    Ok(File { name, objects: yaml::objects(documents) })
}

/// What a file holds, or the standard input where it is called `-`.
pub(super) fn bytes(path: &Path) -> io::Result<Vec<u8>> {
    if path != Path::new("-") {
        return fs::read(path);
    }
    let mut bytes = Vec::new();
    io::stdin().read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// [`bytes`] of a text file.
///
/// # Errors
/// Bytes that are no UTF-8 are told of with their line.
pub(super) fn text(path: &Path) -> io::Result<String> {
    String::from_utf8(bytes(path)?).map_err(|error| {
        let good = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = good.split(|byte| *byte == b'\n').count();
        io::Error::new(io::ErrorKind::InvalidData, format!("line {line} is no UTF-8 text"))
    })
}

fn unreadable(name: &str, error: &io::Error, what: &str) -> anyhow::Error {
    Failure::usage(format!("{name} could not be read: {error}."), format!("Name {what}.")).into()
}
