//! Which programs make the cluster, and where they are found.
//!
//! In this order: `$KUBEBUILDER_ASSETS`, `PATH`, the cache folder; what none of them has is made by
//! [`obtain`]. Never takes a Kubernetes program of another minor version.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::Result;

use super::obtain;
use crate::paths;

/// The minor version that diyadm is tested against.
const MINOR: &str = "v1.36.";

/// Paths of the programs.
pub(super) struct Binaries {
    pub(super) etcd: PathBuf,
    pub(super) apiserver: PathBuf,
    pub(super) controller_manager: PathBuf,
    pub(super) kubectl: PathBuf,
}

impl Binaries {
    /// Finds all four; downloads or builds those that are missing.
    pub(super) fn find_or_make() -> Result<Self> {
        Ok(Self {
            etcd: find_or_make("etcd")?,
            apiserver: find_or_make("kube-apiserver")?,
            controller_manager: find_or_make("kube-controller-manager")?,
            kubectl: kubectl()?,
        })
    }
}

/// kubectl of the tests' version.
pub(crate) fn kubectl() -> Result<PathBuf> {
    find_or_make("kubectl")
}

fn find_or_make(name: &str) -> Result<PathBuf> {
    let bin = paths::cache()?.join("bin");
    match find(name, &bin) {
        Some(found) => Ok(found),
        None => obtain::obtain(name, &bin, || find(name, &bin)),
    }
}

fn find(name: &str, bin: &Path) -> Option<PathBuf> {
    let assets = env::var_os("KUBEBUILDER_ASSETS").map(PathBuf::from);
    let path = env::var_os("PATH").unwrap_or_default();
    assets
        .into_iter()
        .chain(env::split_paths(&path))
        .chain([bin.to_owned()])
        .map(|folder| folder.join(name))
        .find(|program| program.is_file() && fits(name, program))
}

/// Any etcd will do; the rest must say that it is of [`MINOR`].
fn fits(name: &str, program: &Path) -> bool {
    let args: &[&str] = match name {
        "etcd" => return true,
        "kubectl" => &["version", "--client"],
        _ => &["--version"],
    };
    let said = Command::new(program).args(args).output();
    said.is_ok_and(|output| is_minor(&String::from_utf8_lossy(&output.stdout)))
}

fn is_minor(said: &str) -> bool {
    said.split_whitespace().any(|word| word.starts_with(MINOR))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_as_the_programs_write_them() {
        assert!(is_minor("Kubernetes v1.36.3\n"));
        assert!(is_minor("Client Version: v1.36.0\nKustomize Version: v5.7.1\n"));
        assert!(!is_minor("Kubernetes v1.35.3\n"));
        assert!(!is_minor("Kubernetes v1.360.0\n"));
        assert!(!is_minor(""));
    }
}
