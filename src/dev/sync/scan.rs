//! Scans a local folder. Only reads; follows no links.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

use super::{ignored::Ignored, plan::leads_out};
use crate::platform::files;
use diyadm_agent::protocol::{
    Bytes,
    transfer::{Entry, Mtime, What},
};

/// The result of a scan.
#[derive(Debug, Default)]
pub(crate) struct Scan {
    /// Folders before their content, in a stable order.
    pub(crate) entries: Vec<Entry>,
    /// Symbolic links among the entries that lead out of the folder: `bin/python ->
    /// /usr/bin/python`.
    pub(crate) outside: Vec<String>,
    /// Warnings about entries that cannot be transferred.
    pub(crate) skipped: Vec<String>,
    /// Warnings about entries that could not be read. Their remote counterparts must not count as
    /// deleted.
    pub(crate) unread: Vec<String>,
}

/// Reads everything below `root` that is not excluded.
///
/// # Errors
/// `root` itself cannot be read.
pub(crate) fn scan(root: &Path, ignored: &mut Ignored) -> Result<Scan> {
    let mut scan = Scan::default();
    let mut folders = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        let at = root.join(&folder);
        let items = match list_folder(&at) {
            Ok(items) => items,
            Err(error) if folder.as_os_str().is_empty() => {
                return Err(error).with_context(|| format!("{} cannot be read", at.display()));
            }
            // It was deleted meanwhile, so it is skipped.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => {
                scan.unread.push(format!("{} cannot be read: {error}", at.display()));
                continue;
            }
        };
        if let Some(wrong) = ignored.enter(&folder) {
            scan.unread.push(format!("an ignore file in {} is wrong: {wrong}", at.display()));
        }
        // The last entry is handled first.
        let before = folders.len();
        for item in items {
            let path = folder.join(item.file_name());
            let Ok(kind) = item.file_type() else { continue };
            if ignored.leaves_out(&path, kind.is_dir()) {
                continue;
            }
            match entry(&path, &root.join(&path)) {
                Ok(Some(entry)) => {
                    match &entry.what {
                        What::Folder => folders.push(path),
                        What::Link { to } if leads_out(&entry) => {
                            scan.outside.push(format!("{} -> {}", path.display(), to.show()));
                        }
                        _ => {}
                    }
                    scan.entries.push(entry);
                }
                Ok(None) => {
                    scan.skipped.push(format!("{} is not a file, folder or link", path.display()));
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => {
                    scan.unread.push(format!("{} cannot be read: {error}", path.display()));
                }
            }
        }
        folders[before..].reverse();
    }
    Ok(scan)
}

fn list_folder(folder: &Path) -> io::Result<Vec<fs::DirEntry>> {
    let mut items = fs::read_dir(folder)?.collect::<io::Result<Vec<_>>>()?;
    items.sort_by_key(fs::DirEntry::file_name);
    Ok(items)
}

/// One entry; `None` if it cannot be transferred.
pub(crate) fn entry(path: &Path, at: &Path) -> io::Result<Option<Entry>> {
    let meta = at.symlink_metadata()?;
    let kind = meta.file_type();
    let what = if kind.is_dir() {
        What::Folder
    } else if kind.is_symlink() {
        What::Link { to: bytes(&fs::read_link(at)?) }
    } else if kind.is_file() {
        What::File { size: meta.len(), hash: None }
    } else {
        // A pipe, a socket or a device.
        return Ok(None);
    };
    Ok(Some(Entry { path: bytes(path), what, mode: files::mode(&meta), mtime: mtime(&meta) }))
}

fn bytes(path: &Path) -> Bytes {
    Bytes(files::path_bytes(path.as_os_str()).into_owned())
}

/// Its modification time.
pub(crate) fn mtime(meta: &fs::Metadata) -> Mtime {
    let (s, ns) = files::mtime(meta);
    Mtime { s, ns }
}
