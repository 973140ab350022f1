//! Reads files named on the command line: any file, `-` for the standard input, and `-f FILE|DIR|-`
//! as for kubectl's -f.

use std::{
    fs,
    io::{self, Read},
    path::{Path, PathBuf},
};

use anyhow::Result;

use crate::{
    exit::{Failure, Topic},
    yaml::{self, Document},
};

pub(crate) mod documents;

/// The extensions of files that are read in a folder.
const EXTENSIONS: [&str; 3] = ["yaml", "yml", "json"];

/// One file, or the standard input (`-`).
pub(crate) struct File {
    /// Its name as given.
    pub(crate) name: String,
    /// Lists are split into their items.
    pub(crate) objects: Vec<Document>,
}

/// Where manifests are read from.
pub(crate) enum ManifestSource {
    /// `-`
    Stdin,
    /// A file.
    File(PathBuf),
}

impl ManifestSource {
    /// Its name as given.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Stdin => "-".to_owned(),
            Self::File(path) => path.display().to_string(),
        }
    }
}

/// All files that `names` select; files of a folder are sorted by name.
///
/// # Errors
/// What cannot be read, or a folder without manifests.
pub(crate) fn sources(names: &[PathBuf], recursive: bool) -> Result<Vec<ManifestSource>> {
    let mut sources = Vec::new();
    for name in names {
        if name == Path::new("-") {
            sources.push(ManifestSource::Stdin);
        } else if name.is_dir() {
            let before = sources.len();
            folder(name, recursive, &mut sources)?;
            if sources.len() == before {
                let what = format!("{} holds no .yaml, .yml or .json file.", name.display());
                let hint = "Use a folder with manifests; -R reads folders inside it too.";
                return Err(Failure::usage(Topic::Manifest, what, hint).into());
            }
        } else {
            sources.push(ManifestSource::File(name.clone()));
        }
    }
    Ok(sources)
}

fn folder(name: &Path, recursive: bool, sources: &mut Vec<ManifestSource>) -> Result<()> {
    let entries = fs::read_dir(name).and_then(Iterator::collect::<io::Result<Vec<_>>>);
    let entries = entries.map_err(|error| unreadable(&name.display(), &error))?;
    let mut paths: Vec<_> = entries.into_iter().map(|entry| entry.path()).collect();
    paths.sort();
    for path in paths {
        let extension = path.extension().and_then(|e| e.to_str());
        if path.is_file() && extension.is_some_and(|e| EXTENSIONS.contains(&e)) {
            sources.push(ManifestSource::File(path));
        } else if recursive && path.is_dir() && !path.is_symlink() {
            // A link may lead to a parent folder.
            folder(&path, recursive, sources)?;
        }
    }
    Ok(())
}

/// Reads all files that `names` select, folders not recursively.
///
/// # Errors
/// What cannot be read, or is no YAML: file, line, column.
pub(crate) fn read_manifests(names: &[PathBuf]) -> Result<Vec<File>> {
    let read = |source: ManifestSource| {
        let name = source.name();
        let text = match &source {
            ManifestSource::Stdin => text(Path::new("-")),
            ManifestSource::File(path) => text(path),
        };
        let text = text.map_err(|error| unreadable(&name, &error))?;
        let documents = yaml::parse_documents(&name, &text).map_err(|error| {
            Failure::usage(Topic::Manifest, format!("{error}."), "Fix the file at that place.")
        })?;
        Ok(File { name, objects: yaml::objects(documents) })
    };
    sources(names, false)?.into_iter().map(read).collect()
}

/// The content of a file, or the standard input for `-`.
pub(crate) fn bytes(path: &Path) -> io::Result<Vec<u8>> {
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
/// Bytes that are no UTF-8 are reported with their line.
pub(crate) fn text(path: &Path) -> io::Result<String> {
    of_bytes(bytes(path)?)
}

/// [`text`] with a limit, so that an endless file is not read completely.
///
/// # Errors
/// See [`text`]; and more than `most` bytes.
pub(crate) fn text_up_to(path: &Path, most: usize) -> io::Result<String> {
    let input: Box<dyn Read> = if path == Path::new("-") {
        Box::new(io::stdin())
    } else {
        Box::new(fs::File::open(path)?)
    };
    let mut bytes = Vec::new();
    input.take(most as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > most {
        let what = format!("it is longer than {} KiB", most >> 10);
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, what));
    }
    of_bytes(bytes)
}

fn of_bytes(bytes: Vec<u8>) -> io::Result<String> {
    String::from_utf8(bytes).map_err(|error| {
        let good = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = good.split(|byte| *byte == b'\n').count();
        io::Error::new(io::ErrorKind::InvalidData, format!("line {line} is not UTF-8 text"))
    })
}

/// The error for an unreadable file.
pub(crate) fn unreadable(name: &impl std::fmt::Display, error: &io::Error) -> anyhow::Error {
    let what = format!("{name} could not be read: {error}.");
    Failure::usage(Topic::LocalFile, what, "Use a file, a folder, or - for the standard input.")
        .into()
}
