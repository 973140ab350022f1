//! Files as a tar.gz with the same bytes each time.

use std::{collections::BTreeSet, io::Write as _};

use anyhow::Result;
use flate2::{Compression, GzBuilder};
use tar::{EntryType, Header};

use super::release::Release;
use crate::image::Profile;

/// A file of an archive.
#[derive(Clone, Debug)]
pub(super) struct File {
    /// Relative, without `./`.
    pub(super) path: String,
    pub(super) mode: u32,
    pub(super) content: Content,
}

/// What a file is.
#[derive(Clone, Debug)]
pub(super) enum Content {
    Bytes(Vec<u8>),
    /// A symbolic link to this.
    Link(String),
}

impl File {
    pub(super) fn new(path: impl Into<String>, mode: u32, bytes: impl Into<Vec<u8>>) -> Self {
        Self { path: path.into(), mode, content: Content::Bytes(bytes.into()) }
    }

    pub(super) fn link(path: impl Into<String>, target: &str) -> Self {
        Self { path: path.into(), mode: 0o777, content: Content::Link(target.into()) }
    }
}

/// The files below `prefix` with the folders that they are in.
pub(super) fn tar_gz(files: &[File], prefix: &str, release: &Release) -> Result<Vec<u8>> {
    let mut tar = tar::Builder::new(Vec::new());
    let mut sorted: Vec<&File> = files.iter().collect();
    sorted.sort_by(|a, b| a.path.cmp(&b.path));
    let mut folders = BTreeSet::new();
    let header = |kind, mode, size| {
        let mut header = Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_mtime(release.time);
        header.set_size(size);
        header.set_uid(0);
        header.set_gid(0);
        header.set_username("root").and_then(|()| header.set_groupname("root"))?;
        anyhow::Ok(header)
    };
    for file in sorted {
        let path = format!("{prefix}{}", file.path);
        for (end, _) in path.match_indices('/') {
            let folder = &path[..=end];
            if folders.insert(folder.to_owned()) {
                let mut header = header(EntryType::Directory, 0o755, 0)?;
                tar.append_data(&mut header, folder, std::io::empty())?;
            }
        }
        match &file.content {
            Content::Bytes(bytes) => {
                let mut header = header(EntryType::Regular, file.mode, bytes.len() as u64)?;
                tar.append_data(&mut header, path, bytes.as_slice())?;
            }
            Content::Link(target) => {
                let mut header = header(EntryType::Symlink, file.mode, 0)?;
                tar.append_link(&mut header, path, target)?;
            }
        }
    }
    gzip(&tar.into_inner()?, release.profile)
}

/// Compressed as by `gzip -n`: without a name and a time. What is only tried is compressed fast.
pub(super) fn gzip(bytes: &[u8], profile: Profile) -> Result<Vec<u8>> {
    let level = if profile == Profile::Dist { Compression::best() } else { Compression::fast() };
    let mut gzip = GzBuilder::new().mtime(0).write(Vec::new(), level);
    gzip.write_all(bytes)?;
    Ok(gzip.finish()?)
}
