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

use super::{node_possible, obtain};
use crate::{image::libraries, interrupt, paths};

/// The minor version that diyadm is tested against.
const MINOR: &str = "v1.36.";
/// The major version whose flags choose between its two ways to update.
const HELM: &str = "v4.";

/// Paths of the control plane's programs.
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
            apiserver: apiserver()?,
            controller_manager: find_or_make("kube-controller-manager")?,
            kubectl: kubectl()?,
        })
    }

    /// What may run inside a node.
    pub(super) fn inside(&self) -> [&Path; 2] {
        [&self.etcd, &self.controller_manager]
    }
}

/// Paths of what a node takes beyond that.
pub(super) struct NodePrograms {
    pub(super) scheduler: PathBuf,
    pub(super) kubelet: PathBuf,
    pub(super) containerd: PathBuf,
    pub(super) ctr: PathBuf,
    pub(super) shim: PathBuf,
    pub(super) runc: PathBuf,
    /// The others are beside it.
    pub(super) cni_bridge: PathBuf,
}

impl NodePrograms {
    /// Finds all; downloads or builds those that are missing.
    pub(super) fn find_or_make() -> Result<Self> {
        for plugin in ["cni/host-local", "cni/loopback"] {
            find_or_make(plugin)?;
        }
        Ok(Self {
            scheduler: find_or_make("kube-scheduler")?,
            kubelet: find_or_make("kubelet")?,
            containerd: find_or_make("containerd")?,
            ctr: find_or_make("ctr")?,
            shim: find_or_make("containerd-shim-runc-v2")?,
            runc: find_or_make("runc")?,
            cni_bridge: find_or_make("cni/bridge")?,
        })
    }

    /// What may run inside a node.
    pub(super) fn inside(&self) -> Vec<&Path> {
        let Self { scheduler, kubelet, containerd, ctr, shim, runc, cni_bridge } = self;
        vec![scheduler, kubelet, containerd, ctr, shim, runc, cni_bridge]
    }
}

/// Finds the programs of a whole test run, or makes them, so that no test waits for a compiler.
/// Helm may be missing: its tests are skipped then.
pub(crate) fn make_programs() -> Result<()> {
    Binaries::find_or_make()?;
    if node_possible().is_ok() {
        NodePrograms::find_or_make()?;
        busybox()?;
    }
    if let Err(error) = helm() {
        interrupt::check()?;
        eprintln!("xtask: there is no helm: {error:#}");
    }
    Ok(())
}

/// A statically linked busybox: it runs in an image that has nothing else.
pub(crate) fn busybox() -> Result<PathBuf> {
    find_or_make("busybox")
}

/// The API server, which the image of a static Pod holds too.
pub(crate) fn apiserver() -> Result<PathBuf> {
    find_or_make("kube-apiserver")
}

/// kubectl of the tests' version.
pub(crate) fn kubectl() -> Result<PathBuf> {
    find_or_make("kubectl")
}

/// Helm, for the tests of its updates.
pub(crate) fn helm() -> Result<PathBuf> {
    find_or_make("helm")
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
        // Where Debian has the network plugins.
        .chain([bin.to_owned(), PathBuf::from("/usr/lib")])
        .map(|folder| folder.join(name))
        .find(|program| program.is_file() && fits(name, program))
}

/// Kubernetes' programs must say that they are of [`MINOR`], helm that it is of [`HELM`]; of the
/// rest any will do.
fn fits(name: &str, program: &Path) -> bool {
    let args: &[&str] = match name {
        "busybox" => return libraries(program).is_ok_and(|libraries| libraries.is_empty()),
        "kubectl" => &["version", "--client"],
        "helm" => &["version", "--template", "{{.Version}}"],
        _ if name.starts_with("kube") => &["--version"],
        _ => return true,
    };
    let said = Command::new(program).args(args).output();
    let wanted = if name == "helm" { HELM } else { MINOR };
    said.is_ok_and(|output| is_of(wanted, &String::from_utf8_lossy(&output.stdout)))
}

fn is_of(wanted: &str, said: &str) -> bool {
    said.split_whitespace().any(|word| word.starts_with(wanted))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_as_the_programs_write_them() {
        assert!(is_of(MINOR, "Kubernetes v1.36.3\n"));
        assert!(is_of(MINOR, "Client Version: v1.36.0\nKustomize Version: v5.7.1\n"));
        assert!(!is_of(MINOR, "Kubernetes v1.35.3\n"));
        assert!(!is_of(MINOR, "Kubernetes v1.360.0\n"));
        assert!(!is_of(MINOR, ""));
        assert!(is_of(HELM, "v4.3.1"));
        assert!(!is_of(HELM, "v3.22.0"));
    }
}
