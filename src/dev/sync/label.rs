//! What is sent, in short: the hash of its content, and the git revision that it comes from.

use std::{collections::BTreeMap, io};

use tokio::task::spawn_blocking;

use super::{Here, SyncSource, content::Library, plan::leads_out};
use crate::dev::git::{self, Revision};
use diyadm_agent::protocol::{
    Bytes, Hash, SentContent, hex,
    transfer::{Entry, What},
};

impl SyncSource {
    /// What these files are, for the agent to keep; `None` if one of them cannot be read. Computed
    /// once for a snapshot.
    pub(crate) async fn label(&self, here: &Here) -> Option<SentContent> {
        let label = here.label.get_or_init(async || {
            let (library, entries) = (self.library.clone(), here.scan.entries.clone());
            let is_file = self.way.file.is_some();
            let hashing = spawn_blocking(move || {
                if is_file { one(&library, &entries) } else { all(&library, &entries) }
            });
            let (hashed, revision) = tokio::join!(hashing, git::revision(&self.root));
            let (hash, files) = hashed.ok()?.ok()?;
            let path = self.way.target();
            let (revision, dirty) = match revision {
                Some(Revision { commit, dirty }) => (Some(commit), dirty),
                None => (None, false),
            };
            Some(SentContent { path, hash, files, revision, dirty, who: String::new(), at_ms: 0 })
        });
        label.await.clone()
    }
}

/// Of the single file.
fn one(library: &Library, entries: &[Entry]) -> io::Result<(Hash, Option<u64>)> {
    let file = entries.first().ok_or(io::ErrorKind::NotFound)?;
    Ok((library.hash(&file.path)?, None))
}

/// Of a folder, with the number of its files and links.
fn all(library: &Library, entries: &[Entry]) -> io::Result<(Hash, Option<u64>)> {
    let mut hashes: BTreeMap<&Bytes, Hash> = BTreeMap::new();
    for entry in entries {
        let hash = match &entry.what {
            What::File { .. } => library.hash(&entry.path)?,
            What::Link { to } if !leads_out(entry) => blake3::hash(&to.0).into(),
            _ => continue,
        };
        hashes.insert(&entry.path, hash);
    }
    let mut whole = blake3::Hasher::new();
    for (path, hash) in &hashes {
        whole.update(&[hex(&hash.0).as_bytes(), b"  ", &path.0, b"\n"].concat());
    }
    Ok((whole.finalize().into(), Some(hashes.len() as u64)))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::dev::sync::{Options, PodCount};

    fn label(path: &std::path::Path, to: &str) -> SentContent {
        let source = SyncSource::new(path, &to.into(), Options::default(), PodCount::One).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let here = source.scan().await.unwrap();
            source.label(&here).await.unwrap()
        })
    }

    #[test]
    fn label_has_the_hashes_that_b3sum_prints() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        // Longer than what is cut into chunks.
        let long = vec![7; 200_000];
        fs::create_dir(root.join("a")).unwrap();
        fs::write(root.join("a/long"), &long).unwrap();
        fs::write(root.join("a-b"), "x").unwrap();
        let file = label(&root.join("a/long"), "/tmp/");
        assert_eq!((file.path, file.hash), ("/tmp/long".into(), blake3::hash(&long).into()));
        assert_eq!((file.files, file.revision, file.dirty), (None, None, false));
        let tree = label(root, "/app");
        let line = |content: &[u8], path: &str| format!("{}  {path}\n", blake3::hash(content));
        // In the order of bytes, in which `-` comes before `/`.
        let lines = line(b"x", "a-b") + &line(&long, "a/long");
        assert_eq!((tree.path, tree.files), ("/app".into(), Some(2)));
        assert_eq!(tree.hash, blake3::hash(lines.as_bytes()).into());
    }
}
