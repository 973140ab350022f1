//! Where things are: the repository and its commit, and the cache folder that outlives it.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};

/// The repository's root.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask is a folder of the repository")
}

/// Where cargo builds: `$CARGO_TARGET_DIR`, by default `target` in the repository.
pub(crate) fn target() -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or(root().join("target"), PathBuf::from)
}

/// `$XDG_CACHE_HOME/diyadm`, by default `~/.cache/diyadm`: programs and the running cluster.
pub(crate) fn cache() -> Result<PathBuf> {
    let set = |name| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    set("XDG_CACHE_HOME")
        .or_else(|| set("HOME").map(|home| home.join(".cache")))
        .map(|cache| cache.join("diyadm"))
        .context("neither XDG_CACHE_HOME nor HOME is set. Set one: export XDG_CACHE_HOME=FOLDER")
}

/// What git prints in the repository; none where it fails.
pub(crate) fn git(args: &[&str]) -> Option<String> {
    let output = Command::new("git").args(args).current_dir(root()).output().ok()?;
    let text = output.status.success().then(|| String::from_utf8(output.stdout).ok())??;
    Some(text.trim().to_owned())
}

/// The commit of the sources; none outside of git, and where files differ from it.
pub(crate) fn commit() -> Option<String> {
    let changes = git(&["status", "--porcelain", "--untracked-files=no"])?;
    changes.is_empty().then(|| git(&["rev-parse", "HEAD"]))?
}
